"""Deletes entries for good: a few at a time, so that other kernels need not wait to write."""

import time
from collections.abc import Sequence
from functools import partial

from nbcache.entry import Cleared, Filter
from nbcache.stores import expiry, rows, words
from nbcache.stores.cachefile import CacheFile
from nbcache.stores.checkup import PAUSE, Run

_AT_ONCE = 0.02  # seconds in one transaction


def delete(write: Run, keys: Sequence[str], owner: str | None) -> Cleared:
    """Delete these entries, or where `owner` owns them with others, take its ownership away.

    What is deleted is overwritten, and its traces in the search index and in SQLite's log are cut off.
    """
    done, some = write(partial(_delete_some, keys=keys, owner=owner))
    while keys := keys[some:]:
        time.sleep(PAUSE)
        more, some = write(partial(_delete_some, keys=keys, owner=owner))
        done += more
    write(_forget_all)
    is_first = True
    while write(partial(_forget_some, is_first=is_first)):
        time.sleep(PAUSE)
        is_first = False
    write(_fold_log)
    return done


def _delete_some(cache: CacheFile, keys: Sequence[str], owner: str | None) -> tuple[Cleared, int]:
    """What was done, and with how many of the keys."""
    deleted = freed = kept = number = 0
    sql, now, ends = cache.execute, time.time(), time.monotonic() + _AT_ONCE
    with cache.transaction():
        for number, key in enumerate(keys, 1):  # noqa: B007 - the last is told
            size = rows.size_of(sql, key, now)
            if owner is not None and rows.disown(sql, key, owner):
                kept += size is not None
            elif rows.delete(sql, key) and size is not None:
                deleted, freed = deleted + 1, freed + size
            if time.monotonic() > ends:
                break
    return Cleared(deleted, freed, kept), number


def _forget_all(cache: CacheFile) -> None:
    """Delete what has expired where nothing else is left: nothing that a wrong clock could take away."""
    now = time.time()
    with cache.transaction():
        if not rows.count(cache.execute, Filter(), now)[0]:
            expiry.forget_until(cache.execute, now)


def _forget_some(cache: CacheFile, *, is_first: bool) -> bool:
    """Take a part of what was deleted out of the search index; whether there is more."""
    ends = time.monotonic() + _AT_ONCE
    with cache.transaction():
        while words.forget_some(cache.execute, is_first=is_first):
            is_first = False
            if time.monotonic() > ends:
                return True
    return False


def _fold_log(cache: CacheFile) -> None:
    """Leave nothing in SQLite's log. Most of it goes without anybody waiting."""
    cache.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    cache.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
