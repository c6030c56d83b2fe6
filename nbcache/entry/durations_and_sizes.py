"""Durations and sizes as people read and write them: `7d`, `90s`, `2GB`, `2 min 5 s`."""

import math
import re
import sys
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal, DecimalException

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
LAST_SECOND = 253_402_300_799  # of the year 9999, since the epoch: what is beyond is no date
_CENTURY = 100 * 365.25 * 86400
_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def seconds(value: float | str | timedelta | None, name: str = "ttl") -> float | None:
    """Seconds in `value`: a number, a timedelta, or text such as `90s`, `12h`, `7d`. None stays None.

    Raises ValueError, saying what to write, unless the result is finite and above zero.
    """
    if value is None:
        return None
    if isinstance(value, timedelta):
        value = value.total_seconds()
    number = _positive(_parsed(value, _SECONDS), name, value, "a number of seconds, or text such as 90s, 12h or 7d")
    if number > _CENTURY:
        raise ValueError(
            f"{name}={value!r}: write at most a hundred years, or leave it out{' to keep answers for good' if name == 'ttl' else ''}"
        )
    return number


def size(value: float | str | None, name: str = "max_bytes") -> int | None:
    """Bytes in `value`: a number, or text such as `500MB` or `2GB`. None stays None.

    Raises ValueError, saying what to write, unless the result is finite and above zero.
    """
    if value is None:
        return None
    return int(_positive(_parsed(value, _BYTES) // 1, name, value, "a number of bytes, or text such as 500MB or 2GB"))


def dollars(value: float | str | Decimal | None, name: str = "min_usd") -> Decimal | None:
    """US dollars in `value`: a number, or text such as `0.01` or `$0.01`. None stays None.

    A float counts as it is written, and not as the nearest binary fraction. Raises ValueError, saying what to write, unless the
    result is finite and above zero.
    """
    if value is None:
        return None
    number = Decimal("NaN")
    if isinstance(value, int | float | str | Decimal) and not isinstance(value, bool):
        with suppress(DecimalException):
            number = Decimal(str(value).strip().removeprefix("$"))
    if not (number.is_finite() and number > 0):
        raise ValueError(f"{name}={value!r}: write US dollars, such as 0.01, above zero")
    return number


def count(value: float | str | None, name: str = "max_entries") -> int | None:
    """A whole number above zero, or None."""
    if value is None:
        return None
    number = _positive(_parsed(value, {}), name, value, "a whole number")
    if number != int(number):
        raise ValueError(f"{name}={value!r}: write a whole number")
    return int(number)


def counted(number: int, word: str) -> str:
    """`number` of what `word` names in the singular: `1 hit`, `1,200 misses`."""
    return f"{number:,} {plural(number, word)}"


def plural(number: int, word: str) -> str:
    """`word`, in the plural unless the number is one."""
    return word if number == 1 else word + ("es" if word.endswith("s") else "s")


def bytes_text(number: float) -> str:
    """`number` of bytes for people: `512 B`, `12.3 kB`."""
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def duration_text(seconds: float) -> str:
    """`seconds` as they are typed: `7d`, `90s`."""
    for unit in ("w", "d", "h", "m"):
        if seconds >= _SECONDS[unit] and seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:.0f}{unit}"
    return f"{seconds:g}s"


def ago_text(seconds: float) -> str:
    """About how long `seconds` are, for people: `2 hours`, `3 days`."""
    for unit, name in (("w", "week"), ("d", "day"), ("h", "hour"), ("m", "minute"), ("s", "second")):
        number = int(seconds // _SECONDS[unit])
        if number:
            return counted(number, name)
    return "less than a second"


def _parsed(value: float | str, units: dict[str, int]) -> float:
    if isinstance(value, bool):
        return math.nan
    if isinstance(value, int | float):
        return float(value) if abs(value) <= sys.float_info.max else math.inf
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", value) if isinstance(value, str) else None
    if match is None:
        return math.nan
    unit = match[2].lower()
    return float(match[1]) * units.get(unit, math.nan) if unit else float(match[1])


def _positive(number: float, name: str, value: object, write: str) -> float:
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{name}={value!r}: write {write}, above zero")
    return number


def seconds_text(seconds: float) -> str:
    """Seconds for people: `0.4 s`, `38 s`, `2 min 5 s`, `1 h 3 min`; `<0.1 s`, and `0 s` only for none at all."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 0:
        return "-" + seconds_text(-seconds)
    if 0 < seconds < 0.1:
        return "<0.1 s"
    if (tenths := round(seconds, 1)) < 10:
        return f"{tenths:.0f} s" if tenths == int(tenths) else f"{tenths:.1f} s"
    if (whole := round(seconds)) < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two(*divmod(whole, 60), "min", "s")
    return _two(*divmod(round(seconds / 60), 60), "h", "min")


def _two(large: int, small: int, unit: str, part: str) -> str:
    return f"{large:,} {unit} {small} {part}" if small else f"{large:,} {unit}"
