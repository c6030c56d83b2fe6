"""All rows as columns, for a DataFrame: no object for each entry, and no page with payloads is read.

SQLite checks the numbers, and values of which there are few are made once: a function that is called for each value takes
longer than all else.
"""

import sys
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

from nbcache.entry.durations_and_sizes import LAST_SECOND
from nbcache.entry.records import Filter
from nbcache.stores.sqlite import listing_index, pages
from nbcache.stores.sqlite.diskcache_file import CacheFile
from nbcache.stores.sqlite.sql import Execute, dollars, kind_in, only, split, text

_AT_ONCE = 500  # rows: of more, the garbage collector would look at each
_MOST_VALUES = 100_000  # that are made once
_KEYS = "SELECT rowid, key FROM Cache INDEXED BY Cache_key_raw WHERE raw = 1"
_SPARSE = 8  # ids for each entry: with more, a list of all ids would take more memory than a dict
_PREVIEW = " LEFT JOIN preview p ON p.id = e.id WHERE "
_Convert = Callable[[Sequence[Any]], Iterable[Any]]


def columns(cache: CacheFile, which: Filter) -> dict[str, list[Any]]:
    """The fields of EntryMeta, each with its values in the order of the rows that `which` selects, the newest first."""
    with cache.snapshot():
        return _columns(cache.execute, which)


def _columns(sql: Execute, which: Filter) -> dict[str, list[Any]]:
    source = pages.newest_first(sql, which, time.time())
    fields = {"key": ("e.id", _keys(sql)), **_fields()}
    if not listing_index.is_left(sql):
        fields |= _of_facets(sql)
    rows = sql(
        f"SELECT {', '.join(column for column, _ in fields.values())} FROM {source.sql.replace(' WHERE ', _PREVIEW, 1)}"
        " ORDER BY e.created DESC, e.id DESC",
        source.values,
    )
    parts: list[list[tuple[Any, ...]]] = [[] for _ in fields]
    while some := rows.fetchmany(_AT_ONCE):
        for part, (_, convert), column in zip(parts, fields.values(), zip(*some, strict=True), strict=True):
            part.append(tuple(convert(column)))
    # One by one, and only now: the garbage collector looks at each value of a list again and again, but not of these tuples.
    return {name: list(chain.from_iterable(_taken(part))) for name, part in zip(fields, parts, strict=True)}


def _taken(parts: list[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """The parts; none is kept in memory."""
    parts.reverse()
    while parts:
        yield parts.pop()


def _keys(sql: Execute) -> _Convert:
    """A function from ids to keys."""
    ends = "(SELECT min(rowid) FROM Cache), (SELECT max(rowid) FROM Cache)"  # together they would read the whole table
    ((first, last, entries),) = sql(f"SELECT {ends}, (SELECT count(*) FROM Cache)")
    if not entries or last - first > _SPARSE * entries:
        keys = dict(sql(_KEYS).fetchall())
        return lambda ids: [text(keys.get(rowid)) for rowid in ids]
    listed: list[object] = [None] * (last - first + 1)
    for rowid, key in sql(_KEYS):
        listed[rowid - first] = key
    by_place = tuple(listed)  # which the garbage collector passes over
    return lambda ids: _texts([by_place[rowid - first] for rowid in ids])


def _of_facets(sql: Execute) -> dict[str, tuple[str, _Convert]]:
    """The fields that `facet` has, too. An entry's number there is read in less time than its texts."""
    names = listing_index.VALUES
    rows = {rowid: values for rowid, *values in sql(f"SELECT id, {', '.join(names)} FROM facet")}

    def value_of(facet: int, *, at: int, read: Callable[[Any], Any]) -> Any:
        values = rows.get(facet)
        return read(None if values is None or values[at] == listing_index.NO_VALUE else values[at])

    return {name: ("e.facet", _once(partial(value_of, at=at, read=_READERS[name]))) for at, name in enumerate(names)}


def _fields() -> dict[str, tuple[str, _Convert]]:
    """The SQL of each field of a row, and what makes its values. Values that are made once are kept for one use."""
    return {
        **{name: (f"e.{name}", _once(read)) for name, read in _READERS.items()},
        "provider": ("e.provider", _once(_text_or_none)),
        "prompt": ("p.prompt", _texts),
        "answer": ("p.answer", _texts),
        "created": (f"coalesce({_moment('e.created')}, 0.0)", _as_it_is),
        "last_hit": (_moment("e.last_hit"), _as_it_is),
        "expires": (_moment("e.expires"), _as_it_is),
        "hits": (f"coalesce({only('integer', 'e.hits')}, 0)", _as_it_is),
        "size_bytes": (f"coalesce({only('integer', 'e.size')}, 0)", _as_it_is),
        "input_tokens": (only("integer", "e.input_tokens"), _as_it_is),
        "output_tokens": (only("integer", "e.output_tokens"), _as_it_is),
        "cost_usd": (only("integer", "e.cost"), _once(dollars)),
        "seconds": (_between("e.seconds", -sys.float_info.max, sys.float_info.max), _as_it_is),
        "charged": ("e.charged", partial(map, bool)),
        "streamed": ("e.streamed", partial(map, bool)),
    }


class _Values(dict[Hashable, Any]):
    """What a reader makes of values: equal ones share one object."""

    def __init__(self, read: Callable[[Any], Any]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, value: Hashable) -> Any:
        if len(self) >= _MOST_VALUES:
            self.clear()
        self[value] = read = self._read(value)
        return read


def _once(read: Callable[[Any], Any]) -> _Convert:
    """A function that reads each value of a column once."""
    value_of = _Values(read).__getitem__
    return lambda column: map(value_of, column)


def _texts(column: Sequence[Any]) -> Iterable[str]:
    return column if {*map(type, column)} == {str} else map(text, column)


def _text_or_none(value: object) -> str | None:
    return None if value is None else text(value)


_READERS: dict[str, Callable[[Any], Any]] = {
    "model": text,
    "status": text,
    "cell": _text_or_none,
    "client": _text_or_none,
    "kind": kind_in,
    "function": _text_or_none,
    "tags": split,
    "notebooks": split,
}


def _as_it_is(column: Sequence[Any]) -> Sequence[Any]:
    return column


def _between(column: str, least: float, most: float) -> str:
    """SQL for the column if its value is a number in this range, else NULL."""
    return f"CASE WHEN typeof({column}) IN ('integer', 'real') AND {column} BETWEEN {least!r} AND {most!r} THEN {column} END"


def _moment(column: str) -> str:
    return _between(column, 0, LAST_SECOND)
