"""Data objects of model providers' SDKs, such as `usage`: read back as they were, and without running anything.

An object is made of its fields alone: no constructor and no validator runs. That is safe only for classes that are
data, so that their packages are listed; and only for classes that are imported already.
"""

import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from nbcache.errors import NotStorableError

# Modules of nothing but data, and those below them.
_DATA = (
    *(
        "anthropic.types",
        "cohere.types",
        "google.genai.types",
        "groq.types",
        "litellm.types",
        "mistralai.client.models",
    ),
    *("mistralai.models", "ollama._types", "openai.types", "together.types"),
)
_set = object.__setattr__


def is_data_class(cls: type) -> bool:
    """Whether `cls` is a data class of an SDK."""
    return issubclass(cls, BaseModel) and _is_data(cls)


def is_sdk_object(value: object) -> bool:
    """Whether `value` is a data object of an SDK."""
    return is_data_class(type(value))


def plain_object(value: BaseModel, plain: Callable[[Any], Any]) -> dict[str, Any]:
    """The class and the fields of an object; `plain` writes a value. Raises what that does."""
    cls = type(value)
    parts = {
        "fields": vars(value),
        "set": sorted(value.__pydantic_fields_set__),
        "extra": value.__pydantic_extra__,
        "private": value.__pydantic_private__,
    }
    lacking = sorted(cls.model_fields.keys() - vars(value).keys())
    return {"module": cls.__module__, "name": cls.__qualname__, "lacking": lacking, **plain(parts)}


def object_of(
    form: Mapping[str, Any],
    read: Callable[[Any], Any],
    find: Callable[[Any, Any], type[BaseModel] | None] | None = None,
) -> BaseModel:
    """The object with this plain form; `read` reads a value. Raises NotStorableError if its class is not imported.

    `find` returns the class with this module and name, by default a data class of an SDK.
    """
    cls = (find or _imported)(form["module"], form["name"])
    if cls is None:
        raise NotStorableError(f"a {form['module']}.{form['name']} object, whose class is not imported here")
    fields = read(form["fields"])
    for name in cls.model_fields.keys() - fields.keys() - set(form["lacking"]):  # the class has gained it since
        default = cls.model_fields[name].default
        if not isinstance(default, str | int | float | None):
            raise NotStorableError(f"a {form['name']} object, whose class is another by now")
        fields[name] = default
    restored: BaseModel = object.__new__(cls)
    _set(restored, "__dict__", fields)
    _set(restored, "__pydantic_fields_set__", set(form["set"]))
    for name, part in (("__pydantic_extra__", form["extra"]), ("__pydantic_private__", form["private"])):
        if getattr(cls, name) is not None:  # a RootModel has neither
            _set(restored, name, read(part))
    return restored


def _imported(module: Any, name: Any) -> type[BaseModel] | None:
    cls: Any = sys.modules.get(module) if isinstance(module, str) else None
    for part in str(name).split("."):
        cls = vars(cls).get(part) if isinstance(cls, type | ModuleType) else None  # no code of theirs is run
    is_right = isinstance(cls, type) and issubclass(cls, BaseModel) and _is_data(cls)
    return cls if is_right and cls.__module__ == module else None


def _is_data(cls: type[BaseModel]) -> bool:
    module = cls.__module__ + "."
    is_listed = any(module.startswith(f"{name}.") for name in _DATA)
    return is_listed and cls.__new__ is object.__new__ and not hasattr(cls, "__del__")
