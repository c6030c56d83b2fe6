"""How entries are deleted on a full disk, where SQLite has no room even for its log."""

import contextlib
import errno
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nbcache.errors import StoreError
from nbcache.stores.sqlite.connection import connect
from nbcache.stores.sqlite.damaged_files import aside
from nbcache.stores.sqlite.folder import COMPANIONS, DATABASE, alone, prepare
from nbcache.stores.sqlite.network_locks import on_network
from nbcache.stores.sqlite.opening_modes import Access, copied

if TYPE_CHECKING:
    from nbcache.stores.sqlite.store import DiskStore

_T = TypeVar("_T")
_ROOM = 1_000_000  # bytes: with less SQLite can't open its log


def is_full(folder: Path, error: Exception) -> bool:
    """Whether a full disk, or a quota that is used up, is the cause of this error."""
    return "disk is full" in str(error) or ("disk I/O error" in str(error) and not _has_room(folder))


def _has_room(folder: Path) -> bool:
    """Whether as much can be written as SQLite needs at least. Only that tells of a quota."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(os.urandom(_ROOM))  # what a file system can't compress
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return error.errno not in {errno.ENOSPC, errno.EDQUOT}
    return True


def done_here_or_in_copy(store: "DiskStore", work: "Callable[[DiskStore], _T]", close: Callable[[], None]) -> _T:
    """Do `work` on a store; if the disk is full, on a copy of it, after `close` has closed its files. Raises as `done_in_copy`."""
    try:
        return work(store)
    except StoreError as error:
        if not is_full(store.folder, error):
            raise
        close()

    def work_in(folder: Path) -> _T:
        with contextlib.closing(type(store)(folder)) as copy:
            return work(copy)

    return done_in_copy(store.folder, work_in)


def done_in_copy(folder: Path, work: Callable[[Path], _T]) -> _T:
    """Do `work` on a copy of the store in the folder for temporary files, then replace the store with the copy.

    `work` closes what it opens. Raises StoreError, also if there is no room for a copy, and sqlite3.OperationalError if
    another process has the store open.
    """
    database = folder / DATABASE
    with alone(folder), on_network(database, shared=False):
        _check_that_nobody_has_it_open(database)
        access = copied(Access(database))
        try:
            done = work(access.database.parent)
            if aside(access.database.parent):
                raise StoreError(f"{folder} has no room, and its copy is damaged: nothing was deleted")
            for suffix in (*COMPANIONS, ""):  # the copy needs the room of these
                database.with_name(database.name + suffix).unlink(missing_ok=True)
            prepare(folder)
            shutil.copyfile(access.database, database)
        except OSError as error:
            raise StoreError(f"{folder} has no room, and can't be replaced: {error.strerror or error}") from error
        finally:
            access.release()
    return done


def _check_that_nobody_has_it_open(database: Path) -> None:
    options = "vfs=unix-excl" if os.name == "posix" else ""  # it needs no room for shared memory
    with contextlib.closing(connect(database, options)) as connection:
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise
