"""Python values ↔ JSON values, exactly: what can't come back as it was is refused.

What JSON has no form for is tagged `{"!tag": …}`; keys that begin with "!" are escaped by one more.
Nothing here imports or runs anything: a pydantic object comes back only as an instance of a class that
the caller already holds, or of one of an SDK's data classes.
"""

import base64
import math
import sys
from collections.abc import Callable, Iterable
from datetime import date, datetime, time
from decimal import Decimal
from types import ModuleType
from typing import Any
from uuid import UUID

import orjson
from langchain_core.load.serializable import Serializable
from pydantic import BaseModel

from nbcache.codec.buffers import Raw, placed
from nbcache.codec.pydantic_objects import is_sdk_object, object_of, plain_object
from nbcache.errors import DamagedError, NotStorableError
from nbcache.keys.canonical import NotCanonicalError, canonical, digest, is_users_code

_INT64 = 2**63
_SCALARS: dict[type, tuple[str, Callable[[Any], str], Callable[[str], Any]]] = {
    datetime: ("!datetime", datetime.isoformat, datetime.fromisoformat),
    date: ("!date", date.isoformat, date.fromisoformat),
    time: ("!time", time.isoformat, time.fromisoformat),
    Decimal: ("!decimal", str, Decimal),
    UUID: ("!uuid", str, UUID),
}
_SCALAR_TAGS = {tag: read for tag, _, read in _SCALARS.values()} | {
    "!int": int,
    "!float": float,
    "!bytes": base64.b64decode,
}
_COLLECTIONS: dict[type, str] = {tuple: "!tuple", set: "!set", frozenset: "!frozenset"}
_COLLECTION_TAGS: dict[str, type] = {tag: cls for cls, tag in _COLLECTIONS.items()}


def to_plain(value: Any, buffers: list[Raw] | None = None) -> Any:
    """`value` in JSON's terms. Raises NotStorableError, naming the type that would not come back exactly.

    Long bytes are added to `buffers`, if there are any.
    """
    cls = type(value)
    if cls is str or cls is bool or value is None:
        return value
    if cls is int:
        return value if -_INT64 <= value < _INT64 else {"!int": str(value)}
    if cls is float:
        return value if math.isfinite(value) else {"!float": repr(value)}
    if cls is list:
        return [to_plain(item, buffers) for item in value]
    if cls is dict:
        return _plain_dict(value, buffers)
    if cls is bytes or cls is memoryview:
        return placed(value, buffers)
    if cls in _SCALARS:
        return _plain_scalar(value)
    if cls in _COLLECTIONS:
        return {_COLLECTIONS[cls]: [to_plain(item, buffers) for item in value]}
    if isinstance(value, BaseModel):
        return _plain_pydantic(value, buffers)
    raise NotStorableError(f"a {cls.__module__}.{cls.__qualname__} object")


def from_plain(value: Any, classes: Iterable[type[BaseModel]] = ()) -> Any:
    """The value that `to_plain` was given. Pydantic objects become instances of one of `classes`.

    One that isn't among them is looked for in the user's own modules already imported, by its name and JSON
    schema: never among LangChain's, where to make an object can be to call a server. Raises NotStorableError where there is
    none, DamagedError for a tag of a newer release.
    """
    if type(value) is list:
        return [item if type(item) is str else from_plain(item, classes) for item in value]
    if type(value) is not dict:
        return value
    if len(value) == 1:
        ((tag, content),) = value.items()
        if tag[:1] == "!" and tag[:2] != "!!":
            return _untag(tag, content, classes)
    return {(name[1:] if name[:2] == "!!" else name): from_plain(item, classes) for name, item in value.items()}


def _plain_scalar(value: Any) -> dict[str, Any]:
    tag, write, read = _SCALARS[type(value)]
    text = write(value)
    if repr(read(text)) != repr(value):  # a named time zone, the second of two equal hours
        raise NotStorableError(f"{value!r}")
    return {tag: text}


def _plain_dict(value: dict[Any, Any], buffers: list[Raw] | None) -> dict[str, Any]:
    plain = {}
    for name, item in value.items():
        if type(name) is not str:
            return {"!pairs": [[to_plain(name, buffers), to_plain(item, buffers)] for name, item in value.items()]}
        # Of most values nothing is to be done: a call of a function for each would take longer than all else.
        cls = type(item)
        is_plain = cls is str or item is None or (cls is int and -_INT64 <= item < _INT64)
        plain["!" + name if name[:1] == "!" else name] = item if is_plain else to_plain(item, buffers)
    return plain


def _untag(tag: str, content: Any, classes: Iterable[type[BaseModel]]) -> Any:
    if tag in _SCALAR_TAGS:
        return _SCALAR_TAGS[tag](content)
    if tag in _COLLECTION_TAGS:
        return _COLLECTION_TAGS[tag](from_plain(item, classes) for item in content)
    if tag == "!pairs":
        return {from_plain(name, classes): from_plain(item, classes) for name, item in content}
    if tag == "!model":
        return _model(content, classes)
    if tag == "!object":
        return object_of(content, lambda value: from_plain(value, classes))
    raise DamagedError(f"it holds a value tagged {tag!r}, which a newer nbcache wrote", newer=True)


def _plain_pydantic(value: BaseModel, buffers: list[Raw] | None) -> dict[str, Any]:
    if is_sdk_object(value):
        return {"!object": plain_object(value, lambda part: to_plain(part, buffers))}
    return {"!model": _plain_model(value)}


def _plain_model(value: BaseModel) -> dict[str, Any]:
    """A pydantic object by its class's name and schema, and its data: checked to come back equal."""
    cls = type(value)
    try:
        for only_set in (True, False):  # where a default is made anew each time, all of the data is needed
            data = value.model_dump_json(by_alias=True, exclude_unset=only_set)
            if cls.model_validate_json(data) == value:
                return {
                    "module": cls.__module__,
                    "name": cls.__qualname__,
                    "schema": digest(canonical(cls)),
                    "data": orjson.loads(data),
                }
    except (ValueError, TypeError) as error:  # pydantic's errors, NotCanonicalError, orjson's
        raise NotStorableError(f"a {cls.__qualname__} object ({type(error).__name__})") from error
    raise NotStorableError(f"a {cls.__qualname__} object, which its JSON does not give back")


def _model(form: dict[str, Any], classes: Iterable[type[BaseModel]]) -> BaseModel:
    for cls in (*classes, *_imported(form)):
        try:
            if cls.__qualname__ == form["name"] and digest(canonical(cls)) == form["schema"]:
                return cls.model_validate_json(orjson.dumps(form["data"]))
        except (ValueError, NotCanonicalError):
            continue
    raise NotStorableError(f"a {form['name']} object, whose class is not here")


def _imported(form: dict[str, Any]) -> list[type[BaseModel]]:
    cls: Any = sys.modules.get(form["module"])
    for part in form["name"].split("."):
        cls = vars(cls).get(part) if isinstance(cls, type | ModuleType) else None  # no code of theirs is run
    is_data = isinstance(cls, type) and issubclass(cls, BaseModel) and not issubclass(cls, Serializable)
    return [cls] if is_data and is_users_code(cls) else []
