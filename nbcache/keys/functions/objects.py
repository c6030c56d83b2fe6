"""The canonical forms of objects, and of functions and types as values.

An object counts by its class, by all its attributes and slots, and by what it holds as a list or another of Python's own kinds.
One whose class keeps anything elsewhere (in C, or outside of the process) has no form.
"""

import functools
import operator
import sys
import typing
from datetime import tzinfo
from enum import EnumMeta
from logging import Logger
from types import (
    BuiltinFunctionType,
    FunctionType,
    GenericAlias,
    MemberDescriptorType,
    MethodDescriptorType,
    ModuleType,
    UnionType,
    WrapperDescriptorType,
)
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr

from nbcache.keys.functions.code_walk import unwrapped
from nbcache.keys.functions.libraries import place_in_library, releases_of
from nbcache.keys.functions.module_names import function_name
from nbcache.keys.functions.plain_kinds import CONTENT, digest_of
from nbcache.keys.functions.run_state import check_reader, reader
from nbcache.keys.functions.values import Values
from nbcache.keys.usercode.not_canonical import NotCanonicalError
from nbcache.keys.usercode.origin import is_users_code, is_users_module
from nbcache.keys.usercode.wrappers_and_containers import CACHED

_POINTER = 8  # bytes
_TYPING = {"typing", "typing_extensions", "annotationlib"}
_BUILTIN = (BuiltinFunctionType, MethodDescriptorType, WrapperDescriptorType)
_OPERATORS = (operator.itemgetter, operator.attrgetter, operator.methodcaller)
# Modules of the standard library whose objects have a state outside of their attributes: locks, connections, processes.
_LIVE = frozenset(
    {
        *("_thread", "threading", "asyncio", "_asyncio", "multiprocessing", "concurrent", "queue", "socket", "ssl"),
        *("selectors", "subprocess", "weakref", "random", "tempfile", "mmap", "contextvars", "sqlite3", "socketserver"),
        *("smtplib", "ftplib", "imaplib", "sched"),
    }
)
_TEXTS = {"Url", "MultiHostUrl"}  # objects of pydantic's own, which are made in Rust


def object_form(values: Values, value: Any) -> Any:  # noqa: C901, PLR0912 - one line for each kind of object
    """The form of a value that is none of Python's own plain kinds. Raises NotCanonicalError."""
    cls = type(value)
    package = str(cls.__module__).partition(".")[0]
    if isinstance(cls, EnumMeta):
        return {"!enum": [values.name(cls), value._name_, values.form(value._value_)]}
    if issubclass(cls, type):
        return {"!class": values.name(value)}
    if issubclass(cls, GenericAlias | UnionType) or package in _TYPING:
        return _typing(values, value)
    if issubclass(cls, ModuleType):
        return {
            "!module": [
                value.__name__,
                values.code(value) if is_users_module(value) else _released(values, value.__name__),
            ]
        }
    if (inner := unwrapped(value)) is not value:
        return values.form(inner)
    if cls is CACHED:
        return {"!cached": values.form(value.__wrapped__)}
    if cls in _BUILTIN:
        return _builtin(values, value)
    if cls in _OPERATORS:
        return {"!operator": [cls.__name__, values.form(value.__reduce__()[1])]}
    if issubclass(cls, SecretStr | SecretBytes):
        return {"!secret": [values.name(cls), digest_of(values.written(value.get_secret_value()))]}
    if cls is Logger:
        return {"!logger": value.name}
    if (form := _of_libraries(values, value)) is not None:
        return form
    if issubclass(cls, BaseModel):
        return _pydantic(values, value)
    if (place := place_in_library(value)) is not None:
        return {"!builtin": [*place, _released(values, place[0])]}
    return _plain_object(values, value, cls, package)


def _of_libraries(values: Values, value: Any) -> Any:
    """The form of a value of LangChain's, numpy's, pandas' or pytz's classes, or of a class that is derived from them. None for others."""
    packages = {base.__module__.partition(".")[0] for base in type(value).__mro__}
    if "pandas" in packages and "pandas" in sys.modules:
        from nbcache.keys.functions.frames import pandas_form  # noqa: PLC0415 - only who has a frame needs it

        return pandas_form(values, value)
    if "numpy" in packages and "numpy" in sys.modules:
        from nbcache.keys.functions.arrays import numpy_form  # noqa: PLC0415 - only who has an array needs it

        return numpy_form(values, value)
    if str(type(value).__module__).partition(".")[0] == "pytz" and isinstance(value, tzinfo):
        reduced: Any = value.__reduce__()
        make, parts = reduced[:2]  # its name, and which of the zone's offsets it is
        return {"!pytz": [make.__name__, *parts]}
    if "langchain_core" in packages:
        from nbcache.keys.functions.langchain_values import langchain_form  # noqa: PLC0415 - only who has one needs it

        return langchain_form(values, value)
    return None


def function_form(values: Values, function: FunctionType) -> Any:
    """The form of a function: its name, and a digest of its code if it is the user's own."""
    function = unwrapped(function)
    if type(function) is not FunctionType:
        return values.form(function)
    name = function_name(function)
    if is_users_code(function) or function.__closure__ or "__wrapped__" in function.__dict__:
        return {"!function": [name, values.code(function)]}
    check_reader(reader(function), values.ignore)
    return {"!function": [name, _released(values, function.__globals__.get("__name__"))]}


def _released(values: Values, module: Any) -> str:
    values.libraries.update(releases_of(str(module)))
    return "library"


def _builtin(values: Values, value: Any) -> Any:
    owner = getattr(value, "__self__", None)
    if owner is not None and not issubclass(type(owner), ModuleType | type):
        return {"!method": [value.__name__, values.form(owner)]}
    check_reader(reader(value), values.ignore)
    holder = getattr(value, "__objclass__", owner)
    module = str(getattr(value, "__module__", None) or getattr(holder, "__module__", ""))
    return {"!builtin": [module, value.__qualname__, _released(values, module)]}


def _typing(values: Values, value: Any) -> Any:
    """A type that is not a class: `list[int]`, `int | None`, a type variable."""
    if isinstance(value, typing.ForwardRef):
        return {"!forward": value.__forward_arg__}
    if isinstance(value, typing.TypeVar | typing.ParamSpec):
        parts = [getattr(value, name, None) for name in ("__bound__", "__constraints__", "__covariant__")]
        return {"!variable": [value.__name__, [values.form(part) for part in parts]]}
    if isinstance(value, typing.NewType):
        return {"!newtype": [value.__module__, value.__name__, values.form(value.__supertype__)]}
    if (lazy := getattr(value, "__value__", None)) is not None:  # `type Name = …`
        return {"!alias": [str(getattr(value, "__name__", "")), values.form(lazy)]}
    if (origin := get_origin(value)) is not None:
        arguments = (*get_args(value), *getattr(value, "__metadata__", ()))
        return {"!generic": [type(value).__name__, values.form(origin), [values.form(part) for part in arguments]]}
    return {"!special": str(value)}


def _pydantic(values: Values, value: BaseModel) -> Any:
    cls = type(value)
    parts = [
        values.name(cls),
        values.attributes(_without_cached(cls, value.__dict__)),
        values.form(value.__pydantic_extra__ or None),
        values.attributes(value.__pydantic_private__ or {}),
    ]
    return {"!pydantic": [*parts, sorted(value.__pydantic_fields_set__)]}


def _plain_object(values: Values, value: Any, cls: type, package: str) -> Any:
    name = f"a {cls.__module__}.{cls.__qualname__} object"
    if (
        cls is object
        or cls.__module__ == "http.client"
        or any(base.__module__.partition(".")[0] in _LIVE for base in cls.__mro__)
    ):
        raise NotCanonicalError(name)
    if hasattr(cls, "__next__") or hasattr(cls, "__anext__"):
        raise NotCanonicalError(f"{name}, which is used up as it is read")
    if package == "pydantic_core" and cls.__name__ in _TEXTS:
        return {"!text": [cls.__name__, str(value)]}
    if package == "pydantic_core" and cls.__name__ == "TzInfo":
        return {"!offset": str(value.utcoffset(None))}
    if package == "pydantic_core" and cls.__name__ == "PydanticUndefinedType":
        return {"!singleton": "PydanticUndefined"}
    content = next((base for base in cls.__mro__ if base in CONTENT), None)
    if content is cls:
        raise NotCanonicalError(name)
    _check_layout(cls, content, name)
    held = None if content is None else CONTENT[content](values, value)
    return {"!object": [values.name(cls), held, values.attributes(_attributes(cls, value)), _slots(values, cls, value)]}


def _check_layout(cls: type, content: type | None, name: str) -> None:
    """Raise NotCanonicalError if a class keeps more in its objects than their attributes, slots and content."""
    for base in cls.__mro__:
        if base is object or base is content or (content is not None and issubclass(content, base)):
            continue
        members = vars(base)
        room = sum(type(member) is MemberDescriptorType for member in members.values())
        room += ("__dict__" in members) + ("__weakref__" in members)
        own = base.__basicsize__ - (base.__base__.__basicsize__ if base.__base__ is not None else 0)
        if own > room * _POINTER or not isinstance(members.get("__module__"), str):
            raise NotCanonicalError(name)


def _attributes(cls: type, value: Any) -> dict[str, Any]:
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return _without_cached(cls, attributes) if type(attributes) is dict else {}


def _without_cached(cls: type, attributes: dict[str, Any]) -> dict[str, Any]:
    """The attributes without those that `cached_property` has computed from the others."""
    cached = cached_properties(cls)
    return attributes if not cached else {name: item for name, item in attributes.items() if name not in cached}


def cached_properties(cls: type) -> set[str]:
    """The names of the cached properties of a class."""
    return {
        name for base in cls.__mro__ for name, member in vars(base).items() if type(member) is functools.cached_property
    }


def _slots(values: Values, cls: type, value: Any) -> dict[str, Any]:
    slots = {}
    for base in cls.__mro__:
        if base in CONTENT:
            continue
        for name, member in vars(base).items():
            if type(member) is MemberDescriptorType and name not in {"__dict__", "__weakref__"}:
                try:
                    slots[name] = member.__get__(value)
                except AttributeError:
                    continue
    return values.attributes(slots) if slots else {}
