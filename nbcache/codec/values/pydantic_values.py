"""Objects of pydantic's: of the user's models, and of the data classes of LangChain and of SDKs."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from langchain_core.messages import base
from pydantic import BaseModel

from nbcache.codec.pydantic_objects import object_of, plain_object
from nbcache.codec.values.class_lookup import class_of
from nbcache.codec.values.data_objects import plain_class
from nbcache.errors import DamagedError, NotStorableError

if TYPE_CHECKING:
    from nbcache.codec.values.plain_forms import Reader, Writer

_TEXT: Any = getattr(
    base, "TextAccessor", None
)  # the text of a message, which early releases of LangChain let one call


def kind_of(cls: type) -> str | None:
    """The kind of the objects of a class. None if it is none of pydantic's or LangChain's."""
    if cls is _TEXT:
        return "message text"
    return "pydantic" if issubclass(cls, BaseModel) else None


def _plain_model(value: BaseModel, writer: "Writer") -> dict[str, Any]:
    """The class and all that an object consists of, its private attributes and the names of the fields that were set."""

    def plain(parts: dict[str, Any]) -> dict[str, Any]:
        named = {**parts, "fields": writer.attributes(parts["fields"])}
        for name in ("extra", "private"):
            named[name] = None if parts[name] is None else writer.attributes(parts[name])
        return named

    found = _plain_class(type(value), writer)
    form = plain_object(value, plain)
    del form["module"], form["name"]  # a parametrised class is found by the one that it was made of
    return {"class": found, **form}


def _model(form: Mapping[str, Any], reader: "Reader") -> BaseModel:
    cls = _class(form["class"], reader)
    return object_of(
        {"module": cls.__module__, "name": cls.__qualname__, **form},
        lambda part: None if part is None else reader.attributes(part),
        lambda _module, _name: cls,
    )


def _plain_class(cls: type[BaseModel], writer: "Writer") -> dict[str, Any]:
    metadata = cls.__pydantic_generic_metadata__
    if metadata["origin"] is None:
        return plain_class(cls, writer)
    args = [writer.part(arg, f"[{number}]") for number, arg in enumerate(metadata["args"])]
    return {**plain_class(metadata["origin"], writer), "args": args}


def _class(form: Mapping[str, Any], reader: "Reader") -> type[BaseModel]:
    cls: Any = class_of(form, reader.function)
    if not issubclass(cls, BaseModel):
        raise DamagedError(f"{cls.__qualname__} is no class of pydantic's")
    if "args" not in form:
        return cls  # type: ignore[no-any-return]
    args = tuple(reader.items(form["args"]))
    if not all(isinstance(arg, type) for arg in args):
        raise NotStorableError(f"a {cls.__qualname__} object, whose class is another by now")
    made: type[BaseModel] = cls[args if len(args) > 1 else args[0]]
    return made


KINDS: dict[str, tuple[Callable[[Any, Any], dict[str, Any]], Callable[[Any, Any], Any]]] = {
    "pydantic": (_plain_model, _model),
    "message text": (lambda value, _: {"text": str(value)}, lambda form, _: str.__new__(_TEXT or str, form["text"])),
}
