"""The class of an object in a value: by its module and name among what is loaded, with the identity that it had.

Nothing is imported, and no code of a class is run to find it. LangChain's objects that call a server are no values: whoever
writes a cassette could have their requests, with the user's key, sent elsewhere.
"""

import itertools
import sys
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from langchain_core.load.serializable import Serializable

from nbcache.codec.pydantic_objects import is_data_class
from nbcache.errors import NotStorableError
from nbcache.keys.functions import class_digest
from nbcache.keys.usercode import NotCanonicalError, is_users_code

# Modules of LangChain's with nothing but data, and those below them.
_DATA = tuple(f"langchain_core.{name}" for name in ("agents", "documents", "messages", "outputs", "prompt_values"))
_CLASS_BODIES = (type, types.ModuleType)


def reference(cls: type, function: types.FunctionType | None) -> dict[str, Any]:
    """What finds `cls` again. Raises NotStorableError if nothing does, or if its objects are not stored."""
    form = {"module": cls.__module__, "name": cls.__qualname__}
    if _found(form, function) is not cls:
        advice = "is defined in a function" if "<locals>" in cls.__qualname__ else "can't be found by its name"
        raise NotStorableError(f"a {cls.__qualname__} object, whose class {advice}")
    if (why := _refusal(cls)) is not None:
        raise NotStorableError(f"a {cls.__module__}.{cls.__qualname__} object, {why}")
    identity = _identity(cls)
    return {**form, "identity": identity} if identity else form


def class_of(form: Mapping[str, Any], function: types.FunctionType | None) -> type:
    """The class that `form` refers to. Raises NotStorableError if it is not here, or is another by now."""
    cls = _found(form, function)
    if cls is None:
        raise NotStorableError(f"a {form['module']}.{form['name']} object, whose class is not here")
    if _refusal(cls) is not None or _identity(cls) != form.get("identity", ""):
        raise NotStorableError(f"a {form['module']}.{form['name']} object, whose class is another by now")
    return cls


def _found(form: Mapping[str, Any], function: types.FunctionType | None) -> type | None:
    module, name = form["module"], form["name"]
    if not isinstance(module, str) or not isinstance(name, str) or "<" in name:
        return None
    for place in itertools.chain((sys.modules.get(module),), _named_in(function)):
        cls: Any = place
        for part in name.split(".") if isinstance(place, types.ModuleType) else ():
            cls = vars(cls).get(part) if isinstance(cls, _CLASS_BODIES) else None
        if isinstance(cls, type) and (cls.__module__, cls.__qualname__) == (module, name):
            return cls
    return None


def _named_in(function: types.FunctionType | None) -> Iterator[Any]:
    """The classes that the annotations and the code of a function name, and those that are within these."""
    if function is None:
        return
    seen: list[Any] = [*function.__annotations__.values()]
    names = set(_names(function.__code__))
    seen += [value for name, value in function.__globals__.items() if name in names]
    seen += [cell.cell_contents for cell in function.__closure__ or () if cell != types.CellType()]
    for each in seen:  # which grows
        if isinstance(each, type) and not isinstance(each, types.GenericAlias):
            yield each
            seen += [item for item in vars(each).values() if isinstance(item, type) and item not in seen]
        else:
            seen += typing.get_args(each)


def _names(code: types.CodeType) -> Iterable[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _refusal(cls: type) -> str | None:
    """Why objects of a class are not stored. None if they are."""
    if hasattr(cls, "__del__"):
        return "which does something when it is deleted"
    bases = (base for base in cls.__mro__ if issubclass(base, Serializable) and base is not Serializable)
    if not all(is_users_code(base) or _is_data(base) for base in bases):
        return "which is no data"
    return None


def _is_data(cls: type) -> bool:
    module = cls.__module__ + "."
    return any(module.startswith(f"{name}.") for name in _DATA)


def _identity(cls: type) -> str:
    """What has to be the same for an object to be one of this class: the user's code, or the library's release.

    Data classes of LangChain and of SDKs gain fields in new releases, and their objects can still be read.
    """
    if _is_data(cls) or is_data_class(cls):
        return ""
    try:
        return class_digest(cls)
    except NotCanonicalError as error:
        text = f"a {cls.__qualname__} object, whose class can't be told from another: {error}"
        raise NotStorableError(text) from None
