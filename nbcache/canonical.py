"""Any option of a call as canonical JSON: equal for what is equal, whatever process wrote it.

A class or function counts by what it is, not by its name, so that an edited one is another call.
What would have to be told by its memory address has no canonical form.
"""

import base64
import dataclasses
import functools
import hashlib
import inspect
import json
import os
import pathlib
import re
import sys
import sysconfig
import threading
import types
import weakref
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import Any

import orjson
from pydantic import BaseModel, SecretBytes, SecretStr, TypeAdapter

# Keys stay in their order: a schema with its fields swapped asks for another answer.
_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS
_LIBRARIES = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")})
# Others are installed for the user alone, or below the environment of another: their folders have these names.
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_BY_TEXT = (Decimal, Fraction, pathlib.PurePath, timedelta, tzinfo, complex)
_seen_types: weakref.WeakKeyDictionary[type, dict[str, Any]] = weakref.WeakKeyDictionary()


class NotCanonicalError(TypeError):
    """A value that only its memory address could tell from another."""


def canonical(value: Any) -> bytes:
    """`value` as canonical JSON (UTF-8). Raises NotCanonicalError, naming the type that has no such form."""
    try:
        return orjson.dumps(value, default=_tagged, option=_OPTIONS)
    except TypeError as error:
        if isinstance(error.__cause__, NotCanonicalError):
            raise error.__cause__ from None
    try:  # integers over 64 bits and lone surrogates, which orjson refuses
        return json.dumps(value, default=_tagged, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise NotCanonicalError(str(error)) from None


def digest(value: bytes, length: int = 16) -> str:
    """The first `length` hexadecimal digits of the SHA-256 of `value`."""
    return hashlib.sha256(value).hexdigest()[:length]


def is_users_code(cls: type) -> bool:
    """Whether a class is written in the notebook or in a module of the user's, and so is edited."""
    if cls.__module__ == "__main__":
        return True
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return file is not None and not file.startswith(_LIBRARIES) and not any(name in file for name in _INSTALLED)


def code_digest(cls: type) -> str:
    """A digest of the code of a class: its methods as compiled, with what they refer to, and its attributes.

    It holds for one version of Python: bytecode differs between them, and then a call is paid again.
    """
    parts: list[Any] = []
    for name, member in sorted(vars(cls).items()):
        places: list[Any] = [getattr(member, place, None) for place in ("__func__", "fget", "fset", "func")]
        functions = [f for f in (*places, inspect.unwrap(member)) if isinstance(f, types.FunctionType)]
        if functions:
            parts.append([name, [_Code(seen={cls}).of(function) for function in functions]])
        elif not name.startswith(("__", "_abc_")) and not hasattr(BaseModel, name):
            parts.append([name, value_digest(member)])
    return digest(canonical(parts))


def value_digest(value: Any) -> str:
    """A digest of a value, or only its type where it has no canonical form."""
    try:
        return digest(canonical(value))
    except (NotCanonicalError, RecursionError):
        return type(value).__qualname__


class _Code:
    """Compiled functions, with the functions and values that they refer to by name or close over."""

    def __init__(self, seen: set[Any]) -> None:
        self._seen = seen

    def of(self, function: types.FunctionType) -> list[Any]:
        if function.__code__ in self._seen:
            return ["again"]
        self._seen.add(function.__code__)
        variables = inspect.getclosurevars(function) if function.__closure__ or function.__code__.co_names else None
        around = {**variables.nonlocals, **variables.globals} if variables is not None else {}
        return [
            _code(function.__code__),
            value_digest([function.__defaults__, function.__kwdefaults__]),
            {name: self._around(value) for name, value in sorted(around.items())},
        ]

    def _around(self, value: Any) -> Any:
        if isinstance(value, types.ModuleType):
            return value.__name__
        if isinstance(value, types.FunctionType):
            return self.of(value) if is_users_code(value) else value.__qualname__  # type: ignore[arg-type]
        if isinstance(value, type):
            if value in self._seen or not is_users_code(value):
                return value.__qualname__
            self._seen.add(value)
            functions = [f for f in vars(value).values() if isinstance(f, types.FunctionType)]
            return [value.__qualname__, [self.of(function) for function in functions]]
        return value_digest(value)


def _tagged(value: Any) -> Any:
    """The JSON form of what JSON has no form for: its tags begin with "!"."""
    if isinstance(value, type) or type(value).__module__ == "typing" or isinstance(value, types.GenericAlias):
        return _type(value)
    if isinstance(value, SecretStr | SecretBytes):
        return "!secret"
    if isinstance(value, BaseModel):
        return {"!object": _class_of(value), "data": {**vars(value), **(value.__pydantic_extra__ or {})}}
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {"!object": _class_of(value), "data": fields}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, AbstractSet):
        return {"!set": sorted(canonical(item).decode() for item in value)}
    if isinstance(value, bytes | bytearray | memoryview):
        return {"!bytes": base64.b64encode(value).decode()}
    if isinstance(value, _BY_TEXT):
        return {"!text": f"{type(value).__qualname__}:{value}"}
    if isinstance(value, re.Pattern):
        return {"!pattern": [value.pattern, value.flags]}
    return _number_or_function(value)


def _number_or_function(value: Any) -> Any:
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, tuple | list):
        return list(value)
    if isinstance(value, functools.partial):
        return {"!partial": [value.func, value.args, value.keywords]}
    if isinstance(value, types.MethodType):
        return {"!method": [value.__func__, value.__self__]}
    if isinstance(value, types.BuiltinFunctionType) and isinstance(value.__self__, types.ModuleType | None):
        return {"!builtin": f"{value.__module__}.{value.__qualname__}"}
    if isinstance(value, types.FunctionType):
        return _function(value)
    raise NotCanonicalError(f"a {type(value).__module__}.{type(value).__qualname__} object")


def _class_of(value: object) -> list[str]:
    cls = type(value)
    return [cls.__qualname__, code_digest(cls)] if is_users_code(cls) else [cls.__qualname__]


def _type(cls: Any) -> dict[str, Any]:
    """A class by its JSON schema where pydantic knows one, else by its code."""
    try:
        if cls in _seen_types:
            return _seen_types[cls]
    except TypeError:  # typing constructs are not always hashable or weakly referenceable
        if (schema := _schema(cls)) is None:
            raise NotCanonicalError(repr(cls)) from None
        return {"!schema": schema}
    if cls.__module__ in {"builtins", "datetime", "decimal", "uuid", "pathlib"}:
        told: dict[str, Any] = {"!builtin": f"{cls.__module__}.{cls.__qualname__}"}
    elif (schema := _schema(cls)) is not None:
        told = {"!schema": schema}
    else:
        told = {"!class": [cls.__qualname__, code_digest(cls)]}
    _seen_types[cls] = told
    return told


def _schema(cls: Any) -> dict[str, Any] | None:
    try:
        return TypeAdapter(cls).json_schema()
    except Exception:  # noqa: BLE001 - pydantic raises several kinds, and a user's class may raise any
        return None


def _function(function: types.FunctionType) -> dict[str, Any]:
    """A function by its name, its code and what it refers to, and its annotations.

    One that is reached again from itself counts by its name: two functions that refer to each other's owners would
    take for ever.
    """
    codes = _inside.codes
    if function.__code__ in codes:
        return {"!function": function.__qualname__}
    codes.add(function.__code__)
    try:
        code = _Code(seen=set()).of(function)
    finally:
        codes.discard(function.__code__)
    return {"!function": function.__qualname__, "code": code, "annotations": function.__annotations__}


class _Inside(threading.local):
    """The code of the functions that are being told in this thread."""

    def __init__(self) -> None:
        self.codes: set[types.CodeType] = set()


_inside = _Inside()


def _code(code: types.CodeType) -> list[Any]:
    """Compiled code without where it was written: the same after a comment or a move."""
    constants = [_code(item) if isinstance(item, types.CodeType) else _constant(item) for item in code.co_consts]
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return [digest(code.co_code), code.co_names, arguments, code.co_argcount, code.co_flags, constants]


def _constant(item: Any) -> str:
    return repr(sorted(map(repr, item))) if isinstance(item, frozenset) else repr(item)
