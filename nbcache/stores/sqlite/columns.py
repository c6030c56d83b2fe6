"""All rows as columns, for a DataFrame: no object for each entry, and no page with payloads is read."""

import time
from collections.abc import Callable, Hashable
from typing import Any

from nbcache.entry.records import Filter
from nbcache.stores.sqlite import pages
from nbcache.stores.sqlite.diskcache_file import CacheFile
from nbcache.stores.sqlite.sql import Execute, dollars, moment, number, split, text, whole

_AT_ONCE = 1_000  # rows
_KEYS = "SELECT rowid, key FROM Cache INDEXED BY Cache_key_raw WHERE raw = 1"


def columns(cache: CacheFile, which: Filter) -> dict[str, list[Any]]:
    """The fields of EntryMeta, each with its values in the order of the rows that `which` selects, the newest first."""
    with cache.snapshot():
        return _columns(cache.execute, which)


def _columns(sql: Execute, which: Filter) -> dict[str, list[Any]]:
    keys = dict(sql(_KEYS).fetchall())
    readers = {name: _Values(read) if name in _FEW else read for name, (_, read) in _FIELDS.items()}
    values: dict[str, list[Any]] = {name: [] for name in ("key", *_FIELDS)}
    source = pages.newest_first(sql, which, time.time())
    rows = sql(
        f"SELECT e.id, {', '.join(column for column, _ in _FIELDS.values())} FROM {source.sql.replace(' WHERE ', _PREVIEW, 1)}"
        " ORDER BY e.created DESC, e.id DESC",
        source.values,
    )
    while some := rows.fetchmany(_AT_ONCE):
        ids, *read = zip(*some, strict=True)
        values["key"] += [text(keys.get(rowid)) for rowid in ids]
        for name, column in zip(_FIELDS, read, strict=True):
            values[name] += map(readers[name], column)
    return values


class _Values(dict[Hashable, Any]):
    """What a reader makes of values of which there are few: equal ones share one object."""

    def __init__(self, read: Callable[[Any], Any]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, value: Hashable) -> Any:
        self[value] = read = self._read(value)
        return read

    def __call__(self, value: Hashable) -> Any:
        return self[value]


def _text_or_none(value: object) -> str | None:
    return None if value is None else text(value)


def _or_zero(read: Callable[[object], Any]) -> Callable[[object], Any]:
    return lambda value: read(value) or 0


_PREVIEW = " LEFT JOIN preview p ON p.id = e.id WHERE "
_FIELDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "model": ("e.model", text),
    "prompt": ("p.prompt", text),
    "answer": ("p.answer", text),
    "status": ("e.status", text),
    "created": ("e.created", _or_zero(moment)),
    "tags": ("e.tags", split),
    "notebooks": ("e.notebooks", split),
    "cell": ("e.cell", _text_or_none),
    "last_hit": ("e.last_hit", moment),
    "hits": ("e.hits", _or_zero(whole)),
    "size_bytes": ("e.size", _or_zero(whole)),
    "expires": ("e.expires", moment),
    "provider": ("e.provider", _text_or_none),
    "input_tokens": ("e.input_tokens", whole),
    "output_tokens": ("e.output_tokens", whole),
    "cost_usd": ("e.cost", dollars),
    "seconds": ("e.seconds", number),
    "charged": ("e.charged", bool),
}
_FEW = ("model", "status", "tags", "notebooks", "cell", "provider")
