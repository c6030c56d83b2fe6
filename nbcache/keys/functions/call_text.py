"""A call as people read and search it: `judge(question='Why?', n=3)`. What is large is named by its kind and size."""

from collections.abc import Callable, Mapping
from enum import Enum
from types import FunctionType
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr

from nbcache.keys.credential_names import is_credential

_LONGEST = 4_000  # characters of a value
_DEEPEST = 4  # values within each other
_MOST = 50  # items of a container
_PLAIN: frozenset[type] = frozenset({int, float, bool, type(None), complex, bytes})
_TIMES = " \N{MULTIPLICATION SIGN} "
_HIDDEN = "'**********'"
_MODELS = "langchain_core.language_models.base"  # of the class of all LangChain's models


def call_text(name: str, arguments: Mapping[str, Any]) -> str:
    """The call of the function `name` with these arguments. What may be a secret is not in it."""
    return f"{name}({', '.join([f'{key}={_argument(key, value)}' for key, value in arguments.items()])})"


def _argument(name: str, value: Any) -> str:
    cls = type(value)
    if cls is not str:
        return value_text(value)
    if is_credential(name):
        return _HIDDEN
    return repr(value) if len(value) <= _LONGEST else f"{value[:_LONGEST]!r}…"


def value_text(value: Any, depth: int = 0) -> str:
    """A value in a few words. No code of the user's runs."""
    cls = type(value)
    if cls is str:
        return repr(value) if len(value) <= _LONGEST else f"{value[:_LONGEST]!r}…"
    if cls in _PLAIN:
        return _cut(repr(value)) if cls is not int or value.bit_length() < _LONGEST else "a large int"
    if cls in _CONTAINERS:
        return "…" if depth > _DEEPEST else _CONTAINERS[cls](value, depth + 1)
    if issubclass(cls, type):
        return str(value.__name__)
    if cls is FunctionType:
        return str(value.__qualname__)
    if issubclass(cls, Enum):
        return f"{cls.__name__}.{value._name_}"
    if issubclass(cls, SecretStr | SecretBytes):
        return f"{cls.__name__}({_HIDDEN})"
    if any(base.__module__ == _MODELS for base in cls.__mro__):
        return cls.__name__  # its dozens of fields would hide the other arguments
    if issubclass(cls, BaseModel) or hasattr(cls, "__dataclass_fields__"):
        fields = getattr(value, "__dict__", {})
        return "…" if depth > _DEEPEST else f"{cls.__name__}({_named(fields, depth + 1)})"
    return _tabular(value, cls)


def _tabular(value: Any, cls: type) -> str:
    package = str(cls.__module__).partition(".")[0]
    if package == "pandas" and cls.__name__ == "DataFrame":
        rows, columns = value.shape
        return f"DataFrame of {_count(rows, 'row')} \N{MULTIPLICATION SIGN} {_count(columns, 'column')}"
    if package == "pandas" and cls.__name__ == "Series":
        return f"Series of {_count(len(value), 'row')}"
    if package == "numpy" and cls.__name__ == "ndarray":
        return f"{value.dtype} array of {_TIMES.join(map(str, value.shape))}"
    if cls.__module__ in {"datetime", "decimal", "uuid", "fractions", "pathlib"}:
        return _cut(repr(str(value)))
    return cls.__name__


def _count(number: int, unit: str) -> str:
    return f"{number:,} {unit}" if number == 1 else f"{number:,} {unit}s"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _named(fields: Mapping[str, Any], depth: int) -> str:
    return ", ".join(
        f"{name}={_HIDDEN if is_credential(str(name)) else value_text(item, depth)}"
        for name, item in [*fields.items()][:_MOST]
    )


def _listed(value: Any, depth: int) -> str:
    texts = [value_text(item, depth) for item in [*value][:_MOST]]
    return ", ".join([*texts, f"… {len(value) - _MOST:,} more"] if len(value) > _MOST else texts)


def _dict(value: dict[Any, Any], depth: int) -> str:
    pairs = [
        f"{value_text(key, depth)}: {_HIDDEN if type(key) is str and is_credential(key) else value_text(item, depth)}"
        for key, item in [*value.items()][:_MOST]
    ]
    return "{" + ", ".join([*pairs, f"… {len(value) - _MOST:,} more"] if len(value) > _MOST else pairs) + "}"


def _set(value: set[Any] | frozenset[Any], depth: int) -> str:
    return "{" + ", ".join(sorted(value_text(item, depth) for item in value)[:_MOST]) + "}"


_CONTAINERS: dict[type, Callable[[Any, int], str]] = {
    list: lambda value, depth: f"[{_listed(value, depth)}]",
    tuple: lambda value, depth: f"({_listed(value, depth)})",
    dict: _dict,
    set: _set,
    frozenset: _set,
}
