"""What deleted entries leave in the files of a store, and how it goes: the log, the room, what was set aside."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from nbcache.errors import warn_once
from nbcache.stores.sqlite.folder import aside, forget_aside
from nbcache.stores.sqlite.sql import Execute

_AT_ONCE = 0.02  # seconds in one transaction: others may be waiting to write
_SMALL = 8_000  # pages in use, below which a file of an earlier nbcache is written anew: a tenth of a second
_LEFT = "SELECT 1 FROM total WHERE name = 'traces'"
_IN_STEPS = 2  # of `auto_vacuum`


def leave(sql: Execute) -> None:
    """Note that there are traces, until they are gone: this process may be killed before. Within a transaction."""
    sql("INSERT OR REPLACE INTO total VALUES ('traces', 1)")


def are_left(sql: Execute) -> bool:
    """Whether there are traces of what was deleted."""
    return sql(_LEFT).fetchone() is not None


def give_room_back(sql: Execute, transaction: Callable[[], AbstractContextManager[None]]) -> bool:
    """Make the file as small as what is in it, a part of the way; whether there is more to do."""
    ends = time.monotonic() + _AT_ONCE
    try:
        if sql("PRAGMA auto_vacuum").fetchone()[0] != _IN_STEPS:
            _write_anew(sql)
            return False
        with transaction():
            while free := _free(sql):
                sql("PRAGMA incremental_vacuum(1)")  # of more pages Python's module would ask for the first alone
                if _free(sql) == free:
                    return False
                if time.monotonic() > ends:
                    return True
    except sqlite3.OperationalError:  # somebody is in the way, or there is no room to make room
        return False
    return False


def fold(sql: Execute) -> bool:
    """Leave nothing of what was deleted in the log; false where another process is in the way."""
    try:
        if not _fold(sql):
            return False
        sql("DELETE FROM total WHERE name = 'traces'")
        return _fold(sql)
    except sqlite3.OperationalError:
        return False


def _write_anew(sql: Execute) -> None:
    """The same for a file that an earlier nbcache has made, where little is left in it; from then on it goes in parts."""
    ((pages,),), free = sql("PRAGMA page_count"), _free(sql)
    if free > pages / 2 and pages - free <= _SMALL:
        sql("PRAGMA auto_vacuum = INCREMENTAL")
        sql("VACUUM")


def _free(sql: Execute) -> int:
    return int(sql("PRAGMA freelist_count").fetchone()[0])


def _fold(sql: Execute) -> bool:
    """Fold the log into the file, and cut it off, most of it without anybody waiting; whether nobody was in the way."""
    sql("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    return not sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]


def forget_set_aside(folder: Path, *, everything: bool) -> None:
    """Say what damaged files may hold of the entries that were deleted; where all were, delete these files, too."""
    names = [path.name for path in aside(folder)]
    if not names:
        return
    listed = ", ".join(names)
    if everything:
        forget_aside(folder)
        warn_once(
            f"forgot {listed}",
            f"nbcache: {listed} in {folder}, which had been set aside as damaged, may have held what was cleared, and is "
            "deleted too",
        )
    else:
        warn_once(
            f"kept {listed}",
            f"nbcache: {listed} in {folder}, which had been set aside as damaged, may hold what was deleted; `nbcache check "
            "--fix` deletes it",
        )
