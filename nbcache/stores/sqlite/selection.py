"""Entries that were selected, of which only the ids are in memory: what is read of them is read when it is needed."""

import json
import time
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, overload

from nbcache.entry.edit import Edit
from nbcache.entry.records import Cleared, EntryMeta, Filter
from nbcache.stores.progress import Progress
from nbcache.stores.selection import Search
from nbcache.stores.sqlite import pages
from nbcache.stores.sqlite.check import Run
from nbcache.stores.sqlite.diskcache_file import CacheFile
from nbcache.stores.sqlite.entry_stream import EntryStream
from nbcache.stores.sqlite.id_sets import BLOCK
from nbcache.stores.sqlite.sql import dollars, moment, number, split, text, whole, written
from nbcache.stores.sqlite.text_candidates import candidates

_AT_ONCE = 10_000  # entries
_READ_AT_ONCE = 500  # whole rows


class StoredSelection(Sequence[EntryMeta]):
    """The rows of entries, in an order. Those that are gone by the time they are read are left out."""

    def __init__(self, look: Run, ids: "array[int]") -> None:
        self._look, self._ids = look, ids

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, at: int) -> EntryMeta: ...
    @overload
    def __getitem__(self, at: slice) -> "StoredSelection": ...
    def __getitem__(self, at: int | slice) -> "EntryMeta | StoredSelection":
        if isinstance(at, slice):
            return StoredSelection(self._look, self._ids[at])
        (row,) = self[at : at + 1 or None]
        return row

    def __iter__(self) -> Iterator[EntryMeta]:
        for some in self._parts(_READ_AT_ONCE):
            yield from self._look(partial(_rows, ids=some))

    def keys(self) -> list[str]:
        """Their keys."""
        return [text(key) for (key,) in self._columns("c.key", "JOIN Cache c ON c.rowid = e.id")]

    def costs(self) -> Iterator[Decimal | None]:
        """What each of them cost."""
        return (dollars(cost) for (cost,) in self._columns("e.cost"))

    def clearing(self, owner: str | None) -> Cleared:
        """What it would do to clear them for `owner`. Expired ones are not counted."""
        now = time.time()
        going, size, kept = array("q"), 0, 0
        others: dict[object, bool] = {}
        for rowid, expires, of_size, notebooks in self._columns("e.id, e.expires, e.size, e.notebooks"):
            if (ends := number(expires)) is not None and ends <= now:
                continue
            if notebooks not in others:
                others[notebooks] = owner is not None and bool(set(split(notebooks)) - {written(owner)})
            if others[notebooks]:
                kept += 1
            else:
                going.append(rowid)
                size += whole(of_size) or 0
        return Cleared(len(going), size, kept, StoredSelection(self._look, going))

    def changed_by(self, change: Edit) -> "StoredSelection":
        """Those of them of which a change makes something another."""
        columns = self._columns("e.id, e.tags, e.expires")
        ids = (rowid for rowid, tags, expires in columns if change.changes(split(tags), moment(expires)))
        return StoredSelection(self._look, array("q", ids))

    def _columns(self, columns: str, join: str = "") -> Iterator[tuple[Any, ...]]:
        for some in self._parts(_AT_ONCE):
            yield from self._look(partial(_values, ids=some, columns=columns, join=join))

    def _parts(self, size: int) -> Iterator["array[int]"]:
        return (self._ids[at : at + size] for at in range(0, len(self._ids), size))


def select(look: Run, which: Filter, search: Search | None, progress: Progress | None) -> StoredSelection:
    """The entries that `which` selects now, and that contain the text, the newest first."""
    if search is None:
        return StoredSelection(look, look(lambda cache: pages.ids(cache.execute, which, time.time(), None)))
    ids, found = look(partial(_candidates, which=which, text=search.text))
    if search.needs_more:
        found.clear()
    doubtful = EntryStream(
        *(look, array("q", (rowid for rowid in ids if not _has(found, rowid))), pages.shown_with_payloads),
        include_expired=True,
    )
    for number_, (rowid, row, payload) in enumerate(doubtful.with_ids(), 1):
        if search.is_in(row, payload):
            block, place = divmod(rowid, BLOCK)
            found[block] |= 1 << place
        if progress is not None:
            progress(number_, len(doubtful))
    return StoredSelection(look, array("q", (rowid for rowid in ids if _has(found, rowid))))


def _candidates(cache: CacheFile, which: Filter, text: str) -> tuple["array[int]", dict[int, int]]:
    """The entries that may contain a text, in order; and those of them that do for sure."""
    rowids, sure = array("q"), defaultdict[int, int](int)
    with cache.snapshot():
        for some in candidates(cache.execute, text):
            rowids.extend(some.rowids())
            sure[some.block] = some.sure
        return pages.ids(cache.execute, which, time.time(), None, rowids), sure


def _has(sets: dict[int, int], rowid: int) -> bool:
    block, place = divmod(rowid, BLOCK)
    return bool(sets[block] >> place & 1)


def _rows(cache: CacheFile, ids: "array[int]") -> list[EntryMeta]:
    return pages.rows_of(cache.execute, ids)


def _values(cache: CacheFile, ids: "array[int]", columns: str, join: str) -> list[tuple[Any, ...]]:
    """Columns of entries, in the order of their ids."""
    named = json.dumps(ids.tolist())
    return cache.execute(
        f"SELECT {columns} FROM json_each(?) i CROSS JOIN entry e ON e.id = i.value {join}", (named,)
    ).fetchall()
