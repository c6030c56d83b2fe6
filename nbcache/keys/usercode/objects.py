"""What counts of an object: its class and its content. A client counts by where it sends its requests."""

import copyreg
import io
import logging
import random
import re
import sys
import threading
import types
import weakref
from collections import ChainMap, Counter, OrderedDict, UserDict
from collections.abc import Iterator
from concurrent.futures import Executor
from contextvars import ContextVar
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePath
from typing import Any
from uuid import UUID

from pydantic import BaseModel, SecretBytes, SecretStr

from nbcache.keys.usercode.change_detection import MISSING
from nbcache.keys.usercode.clients import client_text
from nbcache.keys.usercode.environment_variables import is_environment
from nbcache.keys.usercode.not_canonical import NotCanonicalError
from nbcache.keys.usercode.origin import is_users_code
from nbcache.keys.usercode.walk import Walk

_FIXED = (date, time, timedelta, tzinfo, Decimal, Fraction, PurePath, UUID, re.Pattern, re.RegexFlag)
# Objects that a program works with, and that no answer depends on.
_TOOLS = (
    *(type(threading.Lock()), type(threading.RLock()), threading.local, threading.Event, threading.Condition),
    *(threading.Semaphore, threading.Barrier, threading.Thread, weakref.WeakSet),
    *(weakref.WeakKeyDictionary, weakref.WeakValueDictionary, Executor, logging.Logger),
)
_USED_UP = (Iterator, random.Random)
_BUILT_IN = (str, int, float, complex, bytes, tuple, list, dict, set, frozenset, bytearray)
_PLAIN_BASES = {"abc", "typing", "typing_extensions", "enum", "builtins", "collections.abc", "pydantic.main"}
# Fields of LangChain's models that only serve tracing and limits.
_TRACING = {"callbacks", "callback_manager", "cache", "verbose", "tags", "metadata", "name", "profile", "rate_limiter"}


def write_object(walk: Walk, value: Any) -> None:  # noqa: C901 - one line for each kind of object
    """Write what counts of an object. Raises NotCanonicalError if only its address identifies it."""
    walk.watch.class_of(value)
    if is_environment(value):
        walk.put("environment")
    elif walk.piece_of is None and _is_used_up(value):
        walk.put("used up", type(value).__qualname__)
        walk.seed(value)
    elif isinstance(value, weakref.ref):
        walk.put("weak reference")
        walk.watch.volatile(_refers_to(value()), value, result=True)
        walk.child(value())
    elif _is_tool(walk, value):
        walk.put("tool", type(value).__qualname__, value.name if isinstance(value, logging.Logger) else "")
    elif isinstance(value, ContextVar):
        _variable(walk, value)
    elif isinstance(value, SecretStr | SecretBytes):
        walk.put("secret")
        walk.watch.volatile(_secret, value, _secret(value))
        walk.child(_secret(value))
    elif (text := client_text(value)) is not None:
        walk.put("client", type(value).__qualname__, text)
        walk.watch.volatile(client_text, value, text)
    elif isinstance(value, io.IOBase) and _is_read(value):
        raise walk.refuse(f"an open file ({type(value).__qualname__})")
    elif isinstance(value, Iterator) and not isinstance(value, io.IOBase):
        raise walk.refuse(f"an iterator ({type(value).__qualname__}), which is used up as it is read")
    elif isinstance(value, BaseModel):
        _pydantic(walk, value)
    elif is_users_code(type(value)):
        _users(walk, value)
    else:
        _librarys(walk, value)


def _is_tool(walk: Walk, value: Any) -> bool:
    """Whether no answer depends on `value`. In code, that includes an `object()` that is used as a marker."""
    if isinstance(value, io.IOBase):
        return not _is_read(value)
    module = str(type(value).__module__)
    if walk.piece_of is None and type(value) is object:
        return True
    return isinstance(value, _TOOLS) or module in {"_thread", "_asyncio"} or module.startswith("asyncio.")


def _is_used_up(value: Any) -> bool:
    is_iterator = isinstance(value, _USED_UP) and not isinstance(value, io.IOBase)
    return is_iterator or str(type(value).__module__).startswith("numpy.random")


def _refers_to(target: Any) -> Any:
    return lambda reference: reference() is target


def _is_read(file: io.IOBase) -> bool:
    return file.closed or file.readable()


def _variable(walk: Walk, value: ContextVar[Any]) -> None:
    now = value.get(MISSING)
    walk.put("context variable", value.name)
    walk.watch.volatile(_is_set_to(now), value, result=True)
    if now is not MISSING:
        walk.child(now, value.name)


def _is_set_to(content: Any) -> Any:
    return lambda variable: variable.get(MISSING) is content


def _secret(value: SecretStr | SecretBytes) -> Any:
    return value.get_secret_value()


def _pydantic(walk: Walk, value: BaseModel) -> None:
    walk.put("pydantic object")
    walk.child(type(value))
    langchain = sys.modules.get("langchain_core.language_models.base")
    skipped = _TRACING if langchain is not None and isinstance(value, langchain.BaseLanguageModel) else set()
    for attributes in (value.__dict__, value.__pydantic_extra__, value.__pydantic_private__):
        if attributes:
            _members(walk, attributes, skipped)


def _users(walk: Walk, value: Any) -> None:
    """An object of a user's class: the class's code, and the object's attributes."""
    cls = type(value)
    walk.put("object")
    walk.child(cls, cls.__name__)
    for built_in in _BUILT_IN:
        if isinstance(value, built_in):
            _content(walk, built_in, value)
            break
    attributes = _dict_of(value)
    if attributes:
        _members(walk, attributes, set(), cls)
    elif not _has_content(cls):
        raise walk.refuse(f"a {cls.__module__}.{cls.__qualname__} object")
    elif attributes is not None:
        walk.watch.mapping(attributes)
    for name in _slots(cls):
        content = getattr(value, name, None)
        walk.watch.volatile(_is_attribute(name, content), value, result=True)
        if not walk.state.is_state(name, content):
            walk.put("slot", name)
            walk.child(content, name)
    bases = [base for base in cls.__mro__ if not is_users_code(base) and base not in {*_BUILT_IN, object}]
    if any(base.__module__ not in _PLAIN_BASES and _keeps_elsewhere(base) for base in bases):
        _reduced(walk, value)


def _has_content(cls: type) -> bool:
    """Whether the code of a class says what its objects are, if they have no attributes."""
    return any(
        issubclass(cls, _BUILT_IN)
        or isinstance(member, types.FunctionType)
        or type(member).__name__ == "member_descriptor"
        for base in cls.__mro__
        if is_users_code(base)
        for member in vars(base).values()
    )


def _keeps_elsewhere(base: type) -> bool:
    """Whether a library's class defines how its objects are pickled: their content may not be in their attributes."""
    return any(name in vars(base) for name in ("__reduce__", "__reduce_ex__", "__getstate__"))


def _content(walk: Walk, built_in: type, value: Any) -> None:
    walk.put("content", built_in.__name__)
    if built_in in {list, set, frozenset, tuple, dict}:
        walk.make_room(built_in.__len__(value))
    if built_in in {list, set, bytearray, frozenset, tuple}:
        items = [*built_in.__iter__(value)]
        walk.watch.volatile(_items_of(built_in, items), value, result=True)
        if built_in in {set, frozenset}:
            walk.sorted(items, "")
        else:
            for item in items:
                walk.child(item)
    elif built_in is dict:
        pairs = [*dict.items(value)]
        walk.watch.volatile(_items_of(dict, [*dict.keys(value)]), value, result=True)
        walk.watch.volatile(_values_of([*dict.values(value)]), value, result=True)
        for key, item in pairs:
            walk.child(key)
            walk.child(item)
    elif built_in is bytes:
        walk.child(bytes(value))
    else:
        walk.put(getattr(built_in, "__repr__")(value))  # noqa: B009 - the built-in type's own method


def _items_of(built_in: Any, items: list[Any]) -> Any:
    return lambda value: [*map(id, built_in.__iter__(value))] == [*map(id, items)]


def _values_of(values: list[Any]) -> Any:
    return lambda value: [*map(id, dict.values(value))] == [*map(id, values)]


def _dict_of(value: Any) -> dict[str, Any] | None:
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return attributes if type(attributes) is dict else None


def _slots(cls: type) -> list[str]:
    return [
        name
        for base in cls.__mro__
        if is_users_code(base)
        for name, member in sorted(vars(base).items())
        if type(member).__name__ == "member_descriptor"
    ]


def _is_attribute(name: str, content: Any) -> Any:
    return lambda value: getattr(value, name, None) is content


def _members(walk: Walk, attributes: dict[str, Any], skipped: set[str], cls: type | None = None) -> None:
    walk.watch.mapping(attributes)
    state = walk.state if walk.piece_of is None or cls is None else walk.piece_of(cls).state
    for name, value in sorted(attributes.items(), key=lambda item: str(item[0])):
        if name in skipped:
            continue
        if not state.is_state(name, value):
            walk.put("attribute", str(name))
            walk.child(value, str(name))
        elif state.is_consulted(name, value):
            walk.put("attribute", str(name))
            walk.seed(value, str(name))


def _librarys(walk: Walk, value: Any) -> None:
    """An object of a library's class, by its attributes or by what pickle would write."""
    cls = type(value)
    if isinstance(value, _FIXED) or not walk.is_watched:
        _reduced(walk, value)
    elif isinstance(value, OrderedDict | Counter | ChainMap | UserDict) or (
        isinstance(value, dict) and _is_default(value)
    ):
        walk.put("mapping", cls.__qualname__)
        walk.watch.mapping(value)
        factory = getattr(value, "default_factory", None)
        walk.watch.volatile(_is_attribute("default_factory", factory), value, result=True)
        walk.child(factory, "default_factory")
        for key, item in [*value.items()]:
            walk.child(key)
            walk.child(item, str(key)[:20])
    elif _holds_attributes_only(cls) and (attributes := _dict_of(value)) is not None:
        walk.put("library's object", cls.__module__, cls.__qualname__)
        _members(walk, attributes, set())
    else:
        walk.put("library's object")
        walk.unwatched(_reduced, value)


def _is_default(value: dict[Any, Any]) -> bool:
    return type(value).__module__ == "collections"


def _holds_attributes_only(cls: type) -> bool:
    """Whether the attributes of a class's objects contain all of their content."""
    own = [base for base in cls.__mro__ if base is not object]
    return all(base.__flags__ & _ON_HEAP for base in own) and not any(
        name in vars(base) for base in own for name in ("__reduce__", "__reduce_ex__", "__getstate__", "__slots__")
    )


_ON_HEAP = 1 << 9  # made by a `class` statement, not in C


def _reduced(walk: Walk, value: Any) -> None:
    cls = type(value)
    if cls is object:
        raise walk.refuse("an object() of no class")
    if (size := getattr(value, "nbytes", None)) is not None and isinstance(size, int):
        walk.spend(size)
    try:
        registered = copyreg.dispatch_table.get(cls)
        reduced = value.__reduce_ex__(4) if registered is None else registered(value)
    except NotCanonicalError:
        raise
    except Exception:  # noqa: BLE001 - libraries raise exceptions of their own
        raise walk.refuse(f"a {cls.__module__}.{cls.__qualname__} object") from None
    walk.put("reduced", cls.__module__, cls.__qualname__)
    if isinstance(reduced, str):
        walk.put(reduced)
        return
    function, arguments, *rest = reduced
    if function is not copyreg.__newobj__:  # type: ignore[attr-defined]
        walk.child(function)
    walk.child(arguments)
    for part in rest[:1]:
        walk.child(part)
    for part in rest[1:3]:
        for item in part or ():
            walk.child(item)
