"""Reads the requests that the page sends: which entries are meant, and which of them are shown."""

from typing import Any

from nbcache.entry.records import Filter
from nbcache.entry.text import words

_FILTERS = ("model", "client", "kind", "tag", "notebook", "cell", "status")
_MAX_ROWS = 200  # of a page


def entry_filter(message: dict[str, Any]) -> Filter:
    """The entries that are meant. Raises ValueError for a search without a word."""
    choices = {name: text(message, name) or None for name in _FILTERS}
    search = text(message, "search")
    if search.strip() and not words(search):
        raise ValueError("search for words: letters and digits")
    return Filter(words=tuple(sorted(words(search))), **choices)  # type: ignore[arg-type]  # texts


def text(message: dict[str, Any], name: str) -> str:
    """The text of this name; empty if there is none. Raises ValueError for anything else."""
    value = message.get(name) or ""
    if not isinstance(value, str):
        raise not_understood(name, value)
    return value


def number(message: dict[str, Any], name: str) -> int:
    """The number of this name; 0 if there is none. Raises ValueError for anything else."""
    value = message.get(name) or 0
    if not isinstance(value, int):
        raise not_understood(name, value)
    return value


def limit(message: dict[str, Any]) -> int:
    """The number of rows of the page, at most `_MAX_ROWS`."""
    return min(max(1, number(message, "limit") or 25), _MAX_ROWS)


def not_understood(name: str, value: object) -> ValueError:
    """The error for what the page would never ask."""
    return ValueError(f"the panel asked for {name} {value!r}: reload the page, and run the cell again")
