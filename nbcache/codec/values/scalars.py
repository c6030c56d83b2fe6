"""Values without parts: numbers, times, paths, patterns. Those that the codec keeps by itself are not here."""

import pathlib
import re
from collections.abc import Callable, Mapping
from datetime import datetime, time, timedelta, timezone
from fractions import Fraction
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from nbcache.errors import NotStorableError

if TYPE_CHECKING:
    from nbcache.codec.values.plain_forms import Reader, Writer

_CONSTANTS = {"Ellipsis": ..., "NotImplemented": NotImplemented}
_PATHS: dict[str, type[pathlib.PurePath]] = {
    cls.__name__: cls
    for cls in (pathlib.PurePosixPath, pathlib.PureWindowsPath, pathlib.PosixPath, pathlib.WindowsPath)
}


def plain_int(value: int) -> dict[str, Any]:
    """An integer that is too long for Python to write in decimal."""
    return {"hex": hex(value)}


def _plain_complex(value: complex, _: "Writer") -> dict[str, Any]:
    return {"parts": [value.real, value.imag]}


def _plain_datetime(value: datetime | time, writer: "Writer") -> dict[str, Any]:
    """A date and time, or a time, in its zone."""
    return {
        "naive": value.replace(tzinfo=None, fold=0).isoformat(),
        "fold": value.fold,
        "zone": writer.part(value.tzinfo, ".tzinfo"),
    }


def _moment(cls: type[datetime] | type[time]) -> Callable[[Mapping[str, Any], "Reader"], Any]:
    def read(form: Mapping[str, Any], reader: "Reader") -> Any:
        naive: Any = cls.fromisoformat(form["naive"])
        return naive.replace(fold=form["fold"], tzinfo=reader.value(form["zone"]))

    return read


def _plain_zone(value: ZoneInfo, writer: "Writer") -> dict[str, Any]:
    if value.key is None:  # made of a file
        raise writer.refused("a time zone without a name")
    return {"key": value.key}


def _zone(form: Mapping[str, Any], _: "Reader") -> ZoneInfo:
    try:
        return ZoneInfo(form["key"])
    except (LookupError, OSError) as error:
        raise NotStorableError(f"the time zone {form['key']!r}, which this system does not have") from error


def _plain_path(value: pathlib.PurePath, _: "Writer") -> dict[str, Any]:
    return {"class": type(value).__name__, "path": str(value)}


def _path(form: Mapping[str, Any], _: "Reader") -> pathlib.PurePath:
    try:
        return _PATHS[form["class"]](form["path"])
    except NotImplementedError as error:
        raise NotStorableError(f"a {form['class']}, which this system does not have") from error


def _pattern(form: Mapping[str, Any], _: "Reader") -> "re.Pattern[Any]":
    return re.compile(form["pattern"], form["flags"])


# Of each kind, how an object of it is written, and how it is read.
KINDS: dict[str, tuple[Callable[[Any, Any], dict[str, Any]], Callable[[Any, Any], Any]]] = {
    "int": (lambda value, _: plain_int(value), lambda form, _: int(form["hex"], 16)),
    "complex": (_plain_complex, lambda form, _: complex(*form["parts"])),
    "datetime": (_plain_datetime, _moment(datetime)),
    "time": (_plain_datetime, _moment(time)),
    "timedelta": (
        lambda value, _: {"parts": [value.days, value.seconds, value.microseconds]},
        lambda form, _: timedelta(*form["parts"]),
    ),
    "timezone": (
        lambda value, writer: {"args": writer.items(value.__getinitargs__())},
        lambda form, reader: timezone(*reader.items(form["args"])),
    ),
    "zone": (_plain_zone, _zone),
    "fraction": (
        lambda value, writer: {"parts": writer.items([value.numerator, value.denominator])},
        lambda form, reader: Fraction(*reader.items(form["parts"])),
    ),
    "range": (
        lambda value, writer: {"args": writer.items([value.start, value.stop, value.step])},
        lambda form, reader: range(*reader.items(form["args"])),
    ),
    "path": (_plain_path, _path),
    "pattern": (lambda value, _: {"pattern": value.pattern, "flags": value.flags}, _pattern),
    "constant": (lambda value, _: {"name": repr(value)}, lambda form, _: _CONSTANTS[form["name"]]),
}
KIND_OF: dict[type, str] = {
    complex: "complex",
    datetime: "datetime",
    time: "time",
    timedelta: "timedelta",
    timezone: "timezone",
    ZoneInfo: "zone",
    Fraction: "fraction",
    range: "range",
    re.Pattern: "pattern",
    **dict.fromkeys(_PATHS.values(), "path"),
    **{type(value): "constant" for value in _CONSTANTS.values()},
}
