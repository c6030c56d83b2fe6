"""How statements are run, and how words are written into one column."""

import sqlite3
from collections.abc import Callable, Iterable
from decimal import Decimal

from nbcache.entry import EXACT

Execute = Callable[..., sqlite3.Cursor]

_SEPARATOR = "\x1f"  # between tags and between notebooks; in no file's name that anybody types


def written(text: str) -> str:
    """`text` as SQLite can store it: half an emoji becomes a question mark."""
    return text.encode(errors="replace").decode()


def joined(words: Iterable[str]) -> str:
    """Words in one column, with a separator before and after each, so that one can be looked for."""
    text = _SEPARATOR.join(words)
    return written(_SEPARATOR + text + _SEPARATOR) if text else ""


def split(text: object) -> tuple[str, ...]:
    """The words that were joined, in their order by name."""
    return tuple(sorted(word for word in str(text or "").split(_SEPARATOR) if word))


_PICO = 10**12


def pico(usd: Decimal | None) -> int | None:
    """US dollars as SQLite keeps them: whole millionths of a millionth, of which sums are exact."""
    return None if usd is None else int(EXACT.multiply(usd, _PICO).to_integral_value())


def dollars(pico: int | None) -> Decimal | None:
    """The US dollars that were written so."""
    return None if pico is None else EXACT.divide(Decimal(pico), _PICO)
