"""Deletes entries for good: a few at a time, so that other kernels need not wait to write."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from nbcache.entry.records import Cleared, Filter
from nbcache.stores.progress import Progress
from nbcache.stores.sqlite import (
    counts,
    deleted_text,
    earlier_search_index,
    expiry,
    new_rows,
    rows,
    search_index,
    tombstones,
)
from nbcache.stores.sqlite.check import PAUSE, Run
from nbcache.stores.sqlite.diskcache_file import CacheFile
from nbcache.stores.sqlite.sql import Execute, split, whole, written

_AT_ONCE = 0.06  # seconds in one transaction
_BY_ONE_STATEMENT = 200  # entries: some tens of milliseconds at worst
_ROWS = (
    "SELECT k.value, c.rowid, e.id IS NOT NULL AND (e.expires IS NULL OR e.expires > ?1), c.expire_time <= ?1, e.size,"
    " e.notebooks FROM json_each(?2) k CROSS JOIN Cache c ON c.key = k.value AND c.raw = 1 LEFT JOIN entry e ON e.id = c.rowid"
    " ORDER BY k.key"
)


class _Row(NamedTuple):
    """An entry to be deleted. If it isn't live, it has expired or is damaged."""

    key: str
    rowid: int
    is_live: bool
    has_expired: bool | None
    size: object
    notebooks: object


@dataclass(frozen=True, slots=True)
class Deletion:
    """What to delete, and why. An entry that has other owners than `owner` only loses this owner."""

    keys: Sequence[str]
    owner: str | None = None
    why: str = "cleared"


def delete(write: Run, deletion: Deletion, parts: list[Cleared], progress: Progress | None = None) -> bool:
    """Delete these entries, and leave tombstones. Returns whether the store is empty then.

    Deleted text is overwritten, and removed from the search index and from SQLite's log. `parts` gets a record of each
    part that is done.
    """
    keys, done = deletion.keys, 0
    try:
        while True:
            part, some = write(partial(_delete_some, deletion=deletion, done=done))
            parts.append(part)
            done += some
            if progress is not None:
                progress(done, len(keys))
            if done >= len(keys):
                break
            time.sleep(PAUSE)
        is_empty = write(_is_empty)
        while is_empty and write(_forget_some):
            time.sleep(PAUSE)
        while write(purge_some):
            time.sleep(PAUSE)
    finally:
        write(CacheFile.read_few_pages)
    while write(return_pages):
        time.sleep(PAUSE)
    write(CacheFile.fold)
    return is_empty


def _delete_some(cache: CacheFile, deletion: Deletion, done: int) -> tuple[Cleared, int]:
    """Delete for a moment, from the index `done` on. Returns what was done, and how many of the keys are done."""
    all_done, at = Cleared(), done
    sql, now, ends = cache.execute, time.time(), time.monotonic() + _AT_ONCE
    cache.read_many_pages()
    with cache.transaction():
        new_rows.move(sql)
        deleted_text.leave(sql)
        while at < len(deletion.keys) and (at == done or time.monotonic() < ends):
            some = deletion.keys[at : at + _BY_ONE_STATEMENT]
            # Only so many leave a tombstone: more are not kept. The first keys are those of the newest entries.
            all_done += _delete(sql, replace(deletion, keys=some), now, max(0, tombstones.MOST - at))
            at += len(some)
    return all_done, at - done


def _delete(sql: Execute, some: Deletion, now: float, explained: int) -> Cleared:
    """Delete these entries; the first `explained` of them leave a tombstone."""
    removed, expired, kept = list[_Row](), list[_Row](), list[_Row]()
    for row in map(_Row._make, sql(_ROWS, (now, json.dumps([*some.keys]))).fetchall()):
        if some.owner is not None and {*split(row.notebooks)} - {written(some.owner)}:
            kept.append(row)
            rows.disown(sql, row.key, some.owner)
        else:
            (expired if row.has_expired and not row.is_live else removed).append(row)
    if expired:
        tombstones.delete_expired(sql, [row.rowid for row in expired])
    sql(
        "DELETE FROM Cache WHERE rowid IN (SELECT value FROM json_each(?))",
        (json.dumps([row.rowid for row in removed]),),
    )
    deleted = [row for row in removed if row.is_live]  # the others were damaged
    tombstones.write(sql, [row.key for row in deleted][:explained], now, some.why)
    return Cleared(len(deleted), sum(whole(row.size) or 0 for row in deleted), sum(row.is_live for row in kept))


def _is_empty(cache: CacheFile) -> bool:
    """Whether the store is empty, but for expired entries."""
    return not counts.count(cache.execute, Filter(), time.time())[0]


def _forget_some(cache: CacheFile) -> bool:
    """If only expired entries are left, delete some: then a wrong clock costs nothing. Returns whether there are more."""
    with cache.transaction():
        return _is_empty(cache) and expiry.delete_expired_until(cache.execute, time.time())


def purge_some(cache: CacheFile) -> bool:
    """Remove a part of the deleted text from the search index. Returns whether there is more."""
    ends = time.monotonic() + _AT_ONCE
    with cache.transaction():
        while search_index.purge(cache.execute) or earlier_search_index.remove_some(cache.execute):
            if time.monotonic() > ends:
                return True
    return False


def return_pages(cache: CacheFile) -> bool:
    """Return some free pages of the file to the system. Returns whether there are more."""
    return deleted_text.return_pages(cache.execute, cache.transaction)
