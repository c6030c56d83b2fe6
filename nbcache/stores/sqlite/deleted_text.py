"""Removes deleted text from the files of a store: from the log, from free pages, and from the unused parts of others.

SQLite overwrites what is deleted. But when it moves rows from one page to another, a copy stays in the unused part of the
first, and is not overwritten when the row is deleted later. So a small file is written anew when the store is closed.
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from nbcache.stores.sqlite.sql import Execute

_AT_ONCE = 0.05  # seconds in one transaction: others may be waiting to write
_PAGES = 50  # that are returned between two looks at the clock: a millisecond
_SMALL = 8_000  # pages in use, below which a file is written anew: a tenth of a second
_LEFT = "SELECT 1 FROM total WHERE name = 'traces'"
_COPIES_LEFT = "SELECT 1 FROM total WHERE name = 'copies'"
_IN_STEPS = 2  # of `auto_vacuum`


def leave(sql: Execute) -> None:
    """Record that there are traces, in case this process is killed before they are removed. Within a transaction."""
    sql("INSERT OR REPLACE INTO total VALUES ('traces', 1), ('copies', 1)")


def are_left(sql: Execute) -> bool:
    """Whether there are traces of deleted text."""
    return sql(_LEFT).fetchone() is not None


def return_pages(sql: Execute, transaction: Callable[[], AbstractContextManager[None]]) -> bool:
    """Return some free pages of the file to the system. Returns whether there are more."""
    ends = time.monotonic() + _AT_ONCE
    try:
        if sql("PRAGMA auto_vacuum").fetchone()[0] != _IN_STEPS:
            _write_anew(sql)
            return False
        with transaction():
            while free := _free(sql):
                for _ in range(min(free, _PAGES)):
                    sql("PRAGMA incremental_vacuum(1)")  # of more pages Python's module would ask for the first alone
                if _free(sql) == free:
                    return False
                if time.monotonic() > ends:
                    return True
    except sqlite3.OperationalError:  # the file is locked, or the disk is full
        return False
    return False


def fold(sql: Execute) -> bool:
    """Remove deleted text from the log; False if another process keeps it from that."""
    try:
        if not _fold(sql):
            return False
        sql("DELETE FROM total WHERE name = 'traces'")
        return _fold(sql)
    except sqlite3.OperationalError:
        return False


def remove_copies(sql: Execute) -> None:
    """Remove the copies of deleted text in unused parts of pages, if the file is small and nobody else keeps it from that."""
    with contextlib.suppress(sqlite3.Error):
        if sql(_COPIES_LEFT).fetchone() is None or sql("PRAGMA page_count").fetchone()[0] > _SMALL:
            return
        sql("VACUUM")
        sql("DELETE FROM total WHERE name = 'copies'")
        _fold(sql)


def _write_anew(sql: Execute) -> None:
    """Rewrite a file of an earlier nbcache that holds little; after that its free pages can be returned in parts."""
    ((pages,),), free = sql("PRAGMA page_count"), _free(sql)
    if free > pages / 2 and pages - free <= _SMALL:
        sql("PRAGMA auto_vacuum = INCREMENTAL")
        sql("VACUUM")


def _free(sql: Execute) -> int:
    return int(sql("PRAGMA freelist_count").fetchone()[0])


def _fold(sql: Execute) -> bool:
    """Move the log into the file and truncate it, mostly without anybody waiting. Returns whether that was done."""
    sql("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    return not sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
