"""Whether the fields of a stored answer have the types that its classes say: others may have written it.

LangChain's objects are made without their validators, which would parse the arguments of tools anew. So each field is checked
on its own, as it is, and each item of a list.
"""

import functools
from typing import Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError


def check_fields(cls: type[BaseModel], fields: dict[str, Any]) -> None:
    """Raise TypeError where a field is missing, or has a type that the class does not allow. Others than its own are not checked."""
    required, plain_types = _known(cls)
    if not required <= fields.keys():
        raise TypeError(f"no {', '.join(sorted(required - fields.keys()))}")
    for name, value in fields.items():
        plain = plain_types.get(name)
        if plain is not None and type(value) not in plain and (value or type(value) is not list):
            _validate(cls, name, value)


def _validate(cls: type[BaseModel], name: str, value: Any) -> None:
    kind = _adapter(cls, name)
    try:
        for each in [[item] for item in value] if type(value) is list else [value]:
            kind.validate_python(each, strict=True)
    except ValidationError as error:
        raise TypeError(f"a wrong {name}: {error.errors()[0]['msg']}") from None


@functools.cache
def _known(cls: type[BaseModel]) -> tuple[set[str], dict[str, set[Any]]]:
    """The fields that each has, and of each field the types without parts to be checked."""
    fields = cls.model_fields
    required = {name for name, field in fields.items() if field.is_required()}
    return required, {name: set(map(_plain, _alternatives(field.annotation))) for name, field in fields.items()}


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if type(None) in get_args(annotation) or str in get_args(annotation) else (annotation,)


def _plain(annotation: Any) -> Any:
    return dict if get_origin(annotation) is dict and get_args(annotation) == (Any, Any) else annotation


@functools.cache
def _adapter(cls: type[BaseModel], name: str) -> TypeAdapter[Any]:
    annotation: Any = cls.model_fields[name].annotation
    return TypeAdapter(annotation)
