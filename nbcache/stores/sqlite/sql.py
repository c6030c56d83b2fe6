"""Values in columns: how they are written, and read from columns in which there may be anything."""

import math
import sqlite3
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from nbcache.entry.durations_and_sizes import LAST_SECOND
from nbcache.entry.exact_sums import EXACT
from nbcache.entry.filter import CALL

Execute = Callable[..., sqlite3.Cursor]

_SEPARATOR = "\x1f"  # between tags and between notebooks; in no file's name that anybody types


def written(text: str) -> str:
    """`text` as SQLite can store it: half an emoji becomes a question mark."""
    return text.encode(errors="replace").decode()


def cleaned(values: Iterable[Any]) -> tuple[Any, ...]:
    """Values for columns, each text as SQLite can store it."""
    return tuple(written(value) if type(value) is str else value for value in values)


def joined(words: Iterable[str]) -> str:
    """Words in one column, with a separator before and after each, so that one can be looked for."""
    text = _SEPARATOR.join(words)
    return written(_SEPARATOR + text + _SEPARATOR) if text else ""


def split(written: object) -> tuple[str, ...]:
    """The words that were joined, sorted."""
    return tuple(sorted(word for word in (written if isinstance(written, str) else "").split(_SEPARATOR) if word))


_PICO = 10**12


def pico(usd: Decimal | None) -> int | None:
    """US dollars as SQLite keeps them: whole millionths of a millionth, of which sums are exact."""
    return None if usd is None else int(EXACT.multiply(usd, _PICO).to_integral_value())


# SQLite keeps values of any type in any column, so that what is read may be anything.


def dollars(pico: object) -> Decimal | None:
    """US dollars that `pico` has written; None for a value that is no whole number."""
    return EXACT.divide(Decimal(pico), _PICO) if isinstance(pico, int) else None


def whole(value: object) -> int | None:
    """`value`, if it is a whole number, else None."""
    return value if isinstance(value, int) else None


def number(value: object) -> float | None:
    """`value`, if it is a number, else None."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def moment(value: object) -> float | None:
    """`value`, if it is a time until the year 9999 in seconds since the epoch, else None."""
    seconds = number(value)
    return seconds if seconds is not None and 0 <= seconds <= LAST_SECOND else None


def text(value: object) -> str:
    """`value` as text, whatever it is."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return "" if value is None else str(value)


def kind_in(value: object) -> str:
    """The kind of an entry, from its column or from that of `facet`: `call` is written as nothing."""
    return text(value) or CALL


def only(kind: str, column: str) -> str:
    """SQL for the column if its value is of this type (`integer`, `real`), else NULL, which sums ignore."""
    return f"CASE typeof({column}) WHEN '{kind}' THEN {column} END"
