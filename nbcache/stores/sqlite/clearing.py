"""Deletes entries for good: a few at a time, so that other kernels need not wait to write."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

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
from nbcache.stores.sqlite.sql import Execute

_AT_ONCE = 0.02  # seconds in one transaction
_LOOKED_AT = 10_000  # keys: far more than are deleted in that time


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
    while True:
        some_keys = keys[done : done + _LOOKED_AT]
        explained = max(0, tombstones.MOST - done)  # the first keys are those of the newest entries
        part, some = write(partial(_delete_some, some=replace(deletion, keys=some_keys), explained=explained))
        parts.append(part)
        done += some
        if progress is not None:
            progress(done, len(keys))
        if done >= len(keys):
            break
        time.sleep(PAUSE)
    is_empty = write(_forget_all)
    while write(purge_some):
        time.sleep(PAUSE)
    while write(return_pages):
        time.sleep(PAUSE)
    write(CacheFile.fold)
    return is_empty


def _delete_some(cache: CacheFile, some: Deletion, explained: int) -> tuple[Cleared, int]:
    """Delete for a moment. Returns what was done, and how many of the keys are done.

    Only the first `explained` entries leave a tombstone: more are not kept.
    """
    freed = kept = number = 0
    deleted: list[str] = []
    sql, now, ends = cache.execute, time.time(), time.monotonic() + _AT_ONCE
    with cache.transaction():
        new_rows.move(sql)
        deleted_text.leave(sql)
        for number, key in enumerate(some.keys, 1):  # noqa: B007 - the last is returned
            size = rows.size_of(sql, key, now)
            if some.owner is not None and rows.disown(sql, key, some.owner):
                kept += size is not None
            elif size is None:
                _delete_expired_or_damaged(sql, key, now)
            elif rows.delete(sql, key):
                deleted.append(key)
                freed += size
            if time.monotonic() > ends:
                break
        tombstones.write(sql, deleted[:explained], now, some.why)
    return Cleared(len(deleted), freed, kept), number


def _delete_expired_or_damaged(sql: Execute, key: str, now: float) -> None:
    expired = sql(f"{tombstones.EXPIRED} AND key = ?", (now, key)).fetchone()
    if expired is None:
        rows.delete(sql, key)
    else:
        rowid, _, ended = expired
        tombstones.delete_entry(sql, rowid, key, ended, "expired")


def _forget_all(cache: CacheFile) -> bool:
    """If only expired entries are left, delete them: then a wrong clock costs nothing. Returns whether the store is empty."""
    now = time.time()
    with cache.transaction():
        is_empty = not counts.count(cache.execute, Filter(), now)[0]
        if is_empty:
            expiry.delete_expired_until(cache.execute, now)
    return is_empty


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
