"""Goes through a value, writes each part by its kind, and reads it back.

A part that stays as it is, is one for which the codec has words: `AS_IS`, lists, tuples, and dicts with texts as names.
"""

import importlib
import types
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from nbcache.codec.values import containers, data_objects, pydantic_values, scalars
from nbcache.codec.values.kind_names import KIND
from nbcache.errors import DamagedError, NotStorableError

AS_IS = frozenset({type(None), bool, str, float, bytes, date, Decimal, UUID})
_MOST_BITS = 10_000  # of an integer that Python makes a text of, and reads again, without complaint
_SMALL = 2**63
_DEEPEST = 60  # levels of a value: a cassette has up to three for each, and no more than 200
_Write = Callable[[Any, "Writer"], dict[str, Any]]
_Read = Callable[[Mapping[str, Any], "Reader"], Any]
_KINDS: dict[str, tuple[_Write, _Read]] = {
    **scalars.KINDS,
    **containers.KINDS,
    **data_objects.KINDS,
    **pydantic_values.KINDS,
}
# Kinds of libraries that most processes never load, by the module here that has them.
_OF_LIBRARIES = {
    **dict.fromkeys(("array", "numpy scalar"), "arrays"),
    **dict.fromkeys(("DataFrame", "Series", "Index", "Timestamp", "Timedelta"), "frames"),
    **dict.fromkeys(("Period", "Interval", "pandas constant"), "frames"),
}
_LIBRARIES = {"numpy": "arrays", "pandas": "frames"}
_KIND_OF: dict[type, str] = {**scalars.KIND_OF, **containers.KIND_OF}


class Writer:
    """Makes the plain form of one value. `function` is the one that returned it, if that is known."""

    def __init__(self, function: types.FunctionType | None = None) -> None:
        self.function = function
        self.is_compared = False  # whether the part which is written now is read back and compared with what holds it
        self._path: list[str] = []
        self._around: set[int] = set()  # the ids of the parts that hold the one which is written now

    def form(self, value: Any) -> Any:
        """The plain form of `value`. Raises NotStorableError, which names the part that would not come back exactly."""
        cls = type(value)
        if cls in AS_IS or (cls is int and -_SMALL <= value < _SMALL):
            return value
        if cls is int:
            return value if value.bit_length() <= _MOST_BITS else {KIND: "int", **scalars.plain_int(value)}
        if id(value) in self._around:
            raise self.refused("it holds itself")
        if len(self._around) >= _DEEPEST:
            raise self.refused(f"more than {_DEEPEST} levels of values within values")
        self._around.add(id(value))
        form = self._container(value, cls)
        self._around.discard(id(value))
        return form

    def part(self, value: Any, where: str) -> Any:
        """The plain form of a part of the value that is written now. `where` is where it is in that: `.name`, `[3]`."""
        self._path.append(where)
        form = self.form(value)
        self._path.pop()
        return form

    def items(self, values: Iterable[Any], where: str = "") -> list[Any]:
        """The plain forms of the items of a list."""
        return [
            item if type(item) in AS_IS else self.part(item, f"{where}[{number}]") for number, item in enumerate(values)
        ]

    def pairs(self, values: Mapping[Any, Any]) -> list[list[Any]]:
        """The plain forms of the names and items of a dict."""
        return [
            [self.part(name, f"[{_short(name)}]"), self.part(item, f"[{_short(name)}]")]
            for name, item in values.items()
        ]

    def within(self, where: str, write: Callable[[Any, "Writer"], Any], value: Any) -> Any:
        """What `write` makes of a part that is at `where` in the value that is written now."""
        self._path.append(where)
        form = write(value, self)
        self._path.pop()
        return form

    def reader(self) -> "Reader":
        """A reader of what is written here."""
        return Reader(self.function)

    def attributes(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The plain forms of the attributes of an object."""
        return {name: self.part(item, f".{name}") for name, item in values.items()}

    def refused(self, why: object) -> NotStorableError:
        """The error that says why the part which is written now is not stored: a text, or the class of the object."""
        what = f"a {why.__module__}.{why.__qualname__} object" if isinstance(why, type) else str(why)
        path = "".join(self._path)
        return NotStorableError(f"its {path} ({what})" if path else f"it ({what})")

    def _container(self, value: Any, cls: type) -> Any:
        if cls is list:
            return self.items(value)
        if cls is tuple:
            return tuple(self.items(value))
        if cls is dict and KIND not in value and all(type(name) is str for name in value):
            return {
                name: item if type(item) in AS_IS else self.part(item, f"[{_short(name)}]")
                for name, item in value.items()
            }
        kind = _kind_of(cls)
        if kind is None:
            raise self.refused(cls)
        form = _kind(kind)[0](value, self)
        return {KIND: kind, **form}


class Reader:
    """Makes a value of its plain form. `function` is the one that returned it: its classes may be there only."""

    def __init__(self, function: types.FunctionType | None = None) -> None:
        self.function = function

    def value(self, form: Any) -> Any:
        """The value with this plain form, as a new object. Raises NotStorableError or DamagedError, and what garbage may raise."""
        cls = type(form)
        if cls is list:
            return self.items(form)
        if cls is dict:
            if KIND in form:
                return _kind(form[KIND])[1](form, self)
            return self.attributes(form)
        return tuple(self.items(form)) if cls is tuple else form

    def items(self, forms: Iterable[Any]) -> list[Any]:
        """The values of the items of a list."""
        return [form if type(form) in AS_IS else self.value(form) for form in forms]

    def attributes(self, forms: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a dict that has texts as names."""
        return {name: form if type(form) in AS_IS else self.value(form) for name, form in forms.items()}

    def pairs(self, forms: Iterable[Any]) -> list[tuple[Any, Any]]:
        """The names and items of a dict."""
        return [(self.value(name), self.value(item)) for name, item in forms]


def _kind_of(cls: type) -> str | None:
    """The kind of the objects of a class. None if they are not stored."""
    library = _LIBRARIES.get(cls.__module__.partition(".")[0])
    if library is not None:
        return _module(library).kind_of(cls)  # type: ignore[no-any-return]
    return _KIND_OF.get(cls) or pydantic_values.kind_of(cls) or data_objects.kind_of(cls)


def _kind(name: Any) -> tuple[_Write, _Read]:
    try:
        return _KINDS[name] if name in _KINDS else _module(_OF_LIBRARIES[name]).KINDS[name]
    except KeyError:
        raise DamagedError(f"it holds a {str(name)[:40]!r}, which a newer nbcache wrote", newer=True) from None


def _module(name: str) -> Any:
    return importlib.import_module(f"nbcache.codec.values.{name}")


def _short(name: Any) -> str:
    text = f'"{name}"' if type(name) is str else repr(name)
    return text if len(text) <= 40 else f"{text[:39]}…"
