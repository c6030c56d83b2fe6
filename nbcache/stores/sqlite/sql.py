"""How statements are run, and how words are written into one column."""

import math
import sqlite3
from collections.abc import Callable, Iterable
from decimal import Decimal

from nbcache.entry.models import EXACT

Execute = Callable[..., sqlite3.Cursor]

_SEPARATOR = "\x1f"  # between tags and between notebooks; in no file's name that anybody types


def written(text: str) -> str:
    """`text` as SQLite can store it: half an emoji becomes a question mark."""
    return text.encode(errors="replace").decode()


def joined(words: Iterable[str]) -> str:
    """Words in one column, with a separator before and after each, so that one can be looked for."""
    text = _SEPARATOR.join(words)
    return written(_SEPARATOR + text + _SEPARATOR) if text else ""


def split(written: object) -> tuple[str, ...]:
    """The words that were joined, in their order by name."""
    return tuple(sorted(word for word in (written if isinstance(written, str) else "").split(_SEPARATOR) if word))


_PICO = 10**12
_LAST_SECOND = 253_402_300_799  # of the year 9999: what is beyond is no date


def pico(usd: Decimal | None) -> int | None:
    """US dollars as SQLite keeps them: whole millionths of a millionth, of which sums are exact."""
    return None if usd is None else int(EXACT.multiply(usd, _PICO).to_integral_value())


# SQLite keeps values of any type in any column, so that what is read may be anything.


def dollars(pico: object) -> Decimal | None:
    """The US dollars that were written so; None for what is no whole number."""
    return EXACT.divide(Decimal(pico), _PICO) if isinstance(pico, int) else None


def whole(value: object) -> int | None:
    """A whole number, or None for what is none."""
    return value if isinstance(value, int) else None


def number(value: object) -> float | None:
    """A number, or None for what is none."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def moment(value: object) -> float | None:
    """Seconds since the epoch, or None for what is no time of any calendar."""
    seconds = number(value)
    return seconds if seconds is not None and 0 <= seconds <= _LAST_SECOND else None


def text(value: object) -> str:
    """A text, however it was written."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return "" if value is None else str(value)


def only(kind: str, column: str) -> str:
    """The column where it is of this type (`integer`, `real`), else NULL: sums pass over it."""
    return f"CASE typeof({column}) WHEN '{kind}' THEN {column} END"
