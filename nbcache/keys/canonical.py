"""Any option of a call as canonical JSON: equal values have equal forms, in every process.

A class or function counts by its code, not by its name alone, so that an edited one gives another key. A value that can be
identified only by its memory address has no canonical form.
"""

import base64
import dataclasses
import functools
import hashlib
import json
import pathlib
import re
import types
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from datetime import timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import BaseModel, SecretBytes, SecretStr, TypeAdapter

from nbcache.keys import usercode
from nbcache.keys.canonical_tags import escaped, is_unambiguous
from nbcache.keys.usercode import NotCanonicalError, is_users_code

if TYPE_CHECKING:
    from nbcache.keys.usercode import Piece

__all__ = ["NotCanonicalError", "canonical", "digest", "is_users_code"]

# The order of keys counts: a schema with its fields swapped may get another answer.
_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS
_BY_TEXT = (Decimal, Fraction, pathlib.PurePath, timedelta, tzinfo, complex)
_MOST_SCHEMAS = 512
_schemas: "dict[int, tuple[Piece, Any, dict[str, Any]]]" = {}


def canonical(value: Any) -> bytes:
    """`value` as canonical JSON (UTF-8). Raises NotCanonicalError, which names the type that has no such form."""
    if (written := canonical_by_orjson(value)) is not None:
        return written
    try:  # integers over 64 bits and lone surrogates
        return _exact(value)
    except NotCanonicalError:
        raise
    except (TypeError, ValueError, RecursionError) as error:
        raise NotCanonicalError(str(error)) from None


def canonical_by_orjson(value: Any) -> bytes | None:
    """As `canonical`. None where orjson refuses a value: then all of the document has another form. Raises NotCanonicalError."""
    try:
        return _fast(value)
    except orjson.JSONEncodeError as error:
        _raise_cause(error)
    return None


def _fast(value: Any) -> bytes:
    written = orjson.dumps(value, default=_tagged, option=_OPTIONS)
    if is_unambiguous(written, value):
        return written
    return orjson.dumps(escaped(value, _tagged), option=_OPTIONS)


def _exact(value: Any) -> bytes:
    written = json.dumps(value, default=_tagged_exactly, separators=(",", ":")).encode()
    if is_unambiguous(written, value):
        return written
    return json.dumps(escaped(value, _tagged_exactly), separators=(",", ":")).encode()


def _raise_cause(error: BaseException) -> None:
    """Raise the cause of orjson's TypeError if it is a NotCanonicalError, or an interrupt and not an error."""
    cause = error.__cause__
    while cause is not None:
        if isinstance(cause, NotCanonicalError) or not isinstance(cause, Exception):
            raise cause from None
        cause = cause.__cause__


def digest(value: bytes, length: int = 16) -> str:
    """The first `length` hexadecimal digits of the SHA-256 of `value`."""
    return hashlib.sha256(value).hexdigest()[:length]


def _tagged_exactly(value: Any) -> Any:
    return _tagged(value, _exact)


def _tagged(value: Any, encode: Callable[[Any], bytes] = _fast) -> Any:
    """The JSON form of a value without one in JSON itself. Its tags begin with "!"."""
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
        return {"!set": sorted(encode(item).decode() for item in value)}
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
    return _object(value)


def _object(value: Any) -> dict[str, Any]:
    """An object of a user's class, by a digest of the class's code and of all that the object contains."""
    cls = type(value)
    if not is_users_code(cls):
        raise NotCanonicalError(f"a {cls.__module__}.{cls.__qualname__} object")
    return {"!object": [cls.__qualname__, usercode.digest_of(value)]}


def _class_of(value: object) -> list[str]:
    cls = type(value)
    return [cls.__qualname__, usercode.piece_of(cls).digest] if is_users_code(cls) else [cls.__qualname__]


def _type(cls: Any) -> dict[str, Any]:
    """A class by its JSON schema, if pydantic can make one, and by its code if the schema does not contain all of it.

    The result is cached until the class, or something that it refers to, changes.
    """
    if not isinstance(cls, type) or isinstance(cls, types.GenericAlias):
        return _typing(cls)
    if cls.__module__ in {"builtins", "datetime", "decimal", "uuid", "pathlib"}:
        return {"!builtin": f"{cls.__module__}.{cls.__qualname__}"}
    piece, built = usercode.piece_of(cls), cls.__dict__.get("__pydantic_core_schema__")
    cached = _schemas.get(id(cls))
    if cached is None or cached[0] is not piece or cached[1] is not built:
        if len(_schemas) >= _MOST_SCHEMAS:
            _schemas.clear()
        cached = _schemas[id(cls)] = (piece, built, _class(cls, piece))
    return cached[2]


def _typing(construct: Any) -> dict[str, Any]:
    if (schema := _schema(construct)) is None:
        raise NotCanonicalError(repr(construct))
    return {"!schema": schema, "code": usercode.digest_of(construct)}


def _class(cls: type, piece: "Piece") -> dict[str, Any]:
    schema = _schema(cls)
    if schema is None:
        return {"!class": [cls.__qualname__, piece.digest]}
    if issubclass(cls, BaseModel):
        return {"!schema": schema}  # which contains all of it that is sent
    return {
        "!schema": schema,
        "code": piece.digest,
    }  # the docstring of a TypedDict is sent too, and is not in the schema


def _schema(cls: Any) -> dict[str, Any] | None:
    try:
        return TypeAdapter(cls).json_schema()
    except Exception:  # noqa: BLE001 - pydantic raises several kinds, and a user's class may raise any
        return None


def _function(function: types.FunctionType) -> dict[str, Any]:
    """A function by its name, docstring, annotations, code, and what the code refers to."""
    return {"!function": function.__qualname__, "code": usercode.piece_of(function).digest}
