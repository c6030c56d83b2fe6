"""The database file of a store: opened at first use, waited for, and replaced when it is damaged."""

import contextlib
import functools
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from nbcache.concurrency.locks import Lock
from nbcache.errors import StoreError, warn_once
from nbcache.stores.sqlite.connection import connect
from nbcache.stores.sqlite.connection_pool import BusyRetry, Pool, inode_of, is_busy
from nbcache.stores.sqlite.folder import DATABASE, alone, is_newer, may_write, prepare


class _Pooled(Protocol):
    @property
    def pool(self) -> Pool: ...
    def finish(self) -> None: ...
    def tidy(self) -> None: ...
    def bound(self, seconds: float) -> None: ...


_C = TypeVar("_C", bound=_Pooled)
_T = TypeVar("_T")

LONG = 20.0  # seconds: no query takes so long, unless somebody prepared the file for that
_OPENING = 2.0  # seconds to wait for others that open or make the store: a pool's workers do so all at once
_RECOVERED = 0.1  # seconds between two searches for connections that an interrupt has left
# A flipped byte in a table's schema is an error of Python's decoding, not of SQLite's.
_FAILURES = (sqlite3.Error, UnicodeDecodeError)


class Database(Generic[_C]):
    """Runs operations on the database file in `folder`. `load` loads and returns what opens or makes it.

    With `read_only`, nothing is made, changed or set aside, even if it could be.
    """

    def __init__(self, folder: Path, load: Callable[[], Callable[..., _C]], *, read_only: bool = False) -> None:
        self._folder = folder
        self._path = folder / DATABASE
        self._load = load
        self._read_only = read_only
        self._reading, self._writing = BusyRetry(), BusyRetry()
        self._lock = Lock()
        self.file: _C | None = None  # the open file; `pool.moved` says whether another one has this name by now

    def run(self, operation: Callable[[_C], _T], timeout: float, limit: float = LONG, *, writes: bool = False) -> _T:
        """Run `operation` with a connection held; wait at most `timeout` seconds for other processes, two where it must be opened.

        It may take `limit` seconds. A damaged file is set aside and a new one begun, once. Raises StoreError.
        """
        name, waiting = str(self._folder), self._writing if writes else self._reading
        attempt = functools.partial(self._attempt, operation, limit, writes=writes)
        if self.file is None:
            timeout = max(timeout, _OPENING)
        try:
            return waiting.retry(attempt, timeout, name)
        except _FailedError as failed:
            if (
                not failed.is_overtaken and inode_of(self._path) == failed.inode
            ):  # else others have changed or replaced it
                if not _is_damage(failed.cause):
                    raise StoreError(f"{self._folder}: {self._reason(failed.cause)}") from failed.cause
                waiting.retry(functools.partial(self._replace, failed), timeout, name)
        try:
            return waiting.retry(attempt, timeout, name)
        except _FailedError as failed:
            raise StoreError(f"{self._folder}: {self._reason(failed.cause)}") from failed.cause

    def _reason(self, cause: Exception) -> str:
        """What SQLite says, and what it doesn't."""
        if _is_damage(cause) and self._is_read_only():
            return f"{cause}. Its owner may type `nbcache check --fix`"
        if "disk I/O error" in str(cause):
            from nbcache.stores.sqlite.full_disk import is_full  # noqa: PLC0415 - few disks are full

            return "the disk is full, or your quota is used up" if is_full(self._folder, cause) else str(cause)
        return str(cause)

    def recover(self) -> None:
        """Take back the connections that an interrupt has left."""
        if (file := self.file) is not None:
            file.pool.recover(_RECOVERED)

    def close(self) -> None:
        """Close the file; the last process to do so moves SQLite's log into it."""
        with self._lock:
            file, self.file = self.file, None
            if file is not None:
                if not file.pool.moved():
                    with contextlib.suppress(StoreError, sqlite3.Error):  # the next who closes it tries again
                        file.tidy()
                file.pool.close()

    def _attempt(self, operation: Callable[[_C], _T], limit: float, *, writes: bool) -> _T:
        file = self._current()
        inode = inode_of(self._path) if file is None else file.pool.inode
        try:
            if file is None:
                file = self._open_file()
                inode = file.pool.inode
            with file.pool.hold(writes=writes):
                file.bound(limit)
                done = operation(file)
            if file.pool.is_overtaken():  # it may be half of one state, and half of another
                raise sqlite3.OperationalError("database is locked")
            return done
        except _FAILURES as error:
            if is_busy(error):
                self.recover()  # the lock may be of a function that an interrupt has ended
                raise
            if "interrupted" in str(error):
                raise StoreError(f"{self._folder}: the operation took longer than {limit:g} s") from error
            raise _FailedError(error, inode, is_overtaken=file is not None and file.pool.is_overtaken()) from error

    def _current(self) -> _C | None:
        """What is open, if it is still the file of this name."""
        file = self.file
        return None if file is None or file.pool.moved() else file

    def _open_file(self) -> _C:
        """The file, opened or made. Raises StoreRefusedError if it isn't ours."""
        with self._lock:
            if (file := self._current()) is not None:
                return file
            if self.file is not None:
                self.file.pool.close()
                self.file = None
            is_read_only = self._is_read_only()
            if not is_read_only:
                prepare(self._folder)
            make = self._load()  # before the lock, for which the workers of a pool would wait in a row
            with contextlib.nullcontext() if is_read_only else alone(self._folder):  # it would keep the owner waiting
                opened = make(self._folder, read_only=self._read_only)
            try:
                opened.finish()
            except BaseException:
                opened.pool.close()
                raise
            self.file = opened
            return opened

    def _is_read_only(self) -> bool:
        return self._read_only or (os.path.lexists(self._path) and not may_write(self._folder))

    def _replace(self, failed: "_FailedError") -> None:
        if self._is_read_only():  # opened anew, it may be sound: its owner may have changed its tables
            with self._lock:
                file, self.file = self.file, None
                if file is not None:
                    file.pool.close()
            return
        with self._lock, alone(self._folder):
            if inode_of(self._path) != failed.inode:
                return  # another was faster
            from nbcache.stores.sqlite.file_kinds import newer  # noqa: PLC0415 - few files are damaged

            if self._is_newer():  # a newer nbcache has changed its tables since we opened it
                raise newer(self._path)
            file, self.file = self.file, None
            if file is not None:
                file.pool.close()
            if _is_of_tables(failed.cause) and self._is_whole():
                return
            from nbcache.stores.sqlite.damaged_files import set_aside  # noqa: PLC0415 - few files are damaged
            from nbcache.stores.sqlite.network_locks import on_network  # noqa: PLC0415 - as above

            try:
                with on_network(self._path, shared=False):
                    aside = set_aside(self._folder)
            except OSError as error:
                raise StoreError(f"{self._path} is damaged ({failed.cause}) and can't be renamed: {error}") from error
        warn_once(
            f"damaged {aside}",
            f"nbcache: {self._path} was damaged ({failed.cause}). It is set aside as {aside.name}, and a new cache begun",
        )

    def _is_whole(self) -> bool:
        """Whether all tables are there, even if they are others than before. Raises StoreRefusedError."""
        with contextlib.suppress(*_FAILURES):
            self._load()(self._folder).pool.close()
            return True
        return False

    def _is_newer(self) -> bool:
        """Whether a newer nbcache has written the file, or SQLite's log beside it."""
        with contextlib.suppress(*_FAILURES), contextlib.closing(connect(self._path)) as connection:
            ((version,),) = connection.execute("PRAGMA user_version")
            return is_newer(version)
        return False


class _FailedError(Exception):
    """An operation failed on the file with this inode."""

    def __init__(self, cause: Exception, inode: tuple[int, int] | None, *, is_overtaken: bool = False) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.inode = inode
        self.is_overtaken = is_overtaken  # by what others have written meanwhile, where it is read without locks


def _is_damage(error: Exception) -> bool:
    """Whether SQLite reports that the file is no database, is broken, or lacks our tables."""
    text = str(error)
    is_broken = "not a database" in text or "malformed" in text
    return isinstance(error, UnicodeDecodeError) or is_broken or _is_of_tables(error)


def _is_of_tables(error: Exception) -> bool:
    """Whether SQLite reports that a table or a column is missing: another process may have changed them."""
    return any(sign in str(error) for sign in ("no such table", "no such column", "no column named"))
