"""What people read of a value, and search: as Python writes it, as far as a screen or two can show."""

import dataclasses
from collections import deque
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from pydantic import BaseModel

from nbcache.keys.functions.call_text import value_text

_MOST = 10_000  # characters
_MOST_BYTES = 100  # that are written as they are
_ROWS, _COLUMNS = 10, 20  # of a table
_BRACKETS: dict[type, tuple[str, str]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
    deque: ("deque([", "])"),
}


def shown_text(value: Any) -> str:
    """What people read of `value`. It is never empty."""
    if type(value) is str and value.strip():
        return value if len(value) <= _MOST else f"{value[:_MOST]}…"
    text = _Text()
    try:
        text.add(value)
    except (_FullError, RecursionError):
        text.parts.append("…")
    return "".join(text.parts)


class _FullError(Exception):
    """The text is long enough."""


class _Text:
    """A text in parts. It raises _FullError when it is long enough."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._left = _MOST

    def add(self, value: Any) -> None:
        """Add what is read of a value."""
        cls = type(value)
        if cls is str:
            self._write(repr(value[: self._left]).replace("\\n", "\n"))
        elif isinstance(value, bytes | bytearray):
            self._write(repr(value) if len(value) <= _MOST_BYTES else f"{cls.__name__} of {len(value):,} bytes")
        elif isinstance(value, Mapping):
            self._write("{" if cls is dict else f"{cls.__name__}({{")
            self._items(value.items(), ": ")
            self._write("}" if cls is dict else "})")
        elif cls.__module__.partition(".")[0] == "pandas" and cls.__name__ in {"DataFrame", "Series"}:
            self._table(value)
        elif cls in _BRACKETS:
            self._collection(value, *_BRACKETS[cls])
        elif isinstance(value, BaseModel):
            self._object(cls, {**vars(value), **(value.__pydantic_extra__ or {})})
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            self._object(cls, {field.name: getattr(value, field.name, ...) for field in dataclasses.fields(value)})
        elif isinstance(value, tuple) and isinstance(names := getattr(cls, "_fields", None), tuple):
            self._object(cls, dict(zip(names, value, strict=False)))
        else:
            self._write(_repr(value))

    def _table(self, value: Any) -> None:
        """The size and the first rows of a DataFrame or a Series."""
        self._write(f"{value_text(value)}:\n")
        try:
            head = value.head(_ROWS)
            self._write(head.to_string(max_cols=_COLUMNS) if head.ndim > 1 else head.to_string())
        except _FullError:
            raise
        except Exception:  # noqa: BLE001 - of objects of a class of the user's, whose code may raise anything
            self._write("…")

    def _collection(self, values: Iterable[Any], opening: str, closing: str) -> None:
        self._write(opening)
        for number, item in enumerate(sorted(values, key=_repr) if isinstance(values, AbstractSet) else values):
            self._write(", " if number else "")
            self.add(item)
        self._write(closing)

    def _object(self, cls: type, fields: Mapping[str, Any]) -> None:
        self._write(f"{cls.__name__}(")
        self._items(fields.items(), "=")
        self._write(")")

    def _items(self, items: Iterable[tuple[Any, Any]], between: str) -> None:
        for number, (name, item) in enumerate(items):
            self._write(", " if number else "")
            if between == "=":
                self._write(str(name))
            else:
                self.add(name)
            self._write(between)
            self.add(item)

    def _write(self, text: str) -> None:
        self.parts.append(text[: self._left])
        self._left -= len(text)
        if self._left < 0:
            raise _FullError


def _repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - an integer of too many digits; and a class of the user's may raise anything
        return f"{type(value).__name__} object"
