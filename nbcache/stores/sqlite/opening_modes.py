"""How a database can be opened: as usual, on a network file system, or for reading alone."""

import contextlib
import os
import shutil
import sqlite3
import tempfile
import time
import weakref
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from nbcache.errors import StoreError, warn_once
from nbcache.stores.sqlite import network_locks
from nbcache.stores.sqlite.connection import Connection, connect
from nbcache.stores.sqlite.folder import DATABASE, may_write, warn_of_others
from nbcache.stores.sqlite.network_drives import lacks_locks, network_of, place_of

_LARGEST_COPY = 2**31  # bytes
_COPIED_ANEW = 60.0  # seconds at least between two copies of a database that its owner goes on writing
_COPIES = 3  # tried, while its owner writes
_COPIED = ("", "-wal", "-journal")  # what makes up a database


class TemporaryFolder:
    """A folder of this process alone, deleted when nobody refers to it, and at the end of the process."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="nbcache-"))
        self.delete = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Access:
    """Where the database is, and how connections to it are made.

    On a network file system SQLite's log (WAL) can't be used, since processes of one machine share its index in memory.
    There a journal is used, and each connection is closed after use and has a lock of its own (`network_locks`): only a file
    that is opened afterwards surely shows what another machine has written.
    """

    database: Path
    options: str = ""  # of SQLite's URI
    network: str | None = None
    is_read_only: bool = False
    copy: TemporaryFolder | None = None
    source: Path | None = None  # the database that is read without locks, here or in a copy
    seen: object = None  # its stamp when this was made
    made: float = 0.0  # on the clock `monotonic`

    @property
    def keeps_open(self) -> bool:
        """Whether connections may stay open while nobody uses them."""
        return self.network is None

    def release(self) -> None:
        """Delete the copy, if this is one."""
        if self.copy is not None:
            self.copy.delete()

    def is_overtaken(self) -> bool:
        """Whether a database that is read without locks has been written to since. A copy is asked about once a minute."""
        if self.source is None or (self.copy is not None and time.monotonic() < self.made + _COPIED_ANEW):
            return False
        return _stamp(self.source) != self.seen

    def connect(self, *, writes: bool) -> Connection:
        """A new connection. Raises sqlite3.Error, also if the database is locked."""
        if self.network is None:
            return connect(self.database, self.options)
        lock = network_locks.lock(self.database, shared=not writes)
        try:
            # A journal is emptied, since other machines may not notice that it was deleted.
            pragmas = () if self.is_read_only else ("journal_mode = TRUNCATE", "synchronous = FULL")
            connection = connect(self.database, self.options, pragmas)
        except BaseException:
            network_locks.unlock(lock)
            raise
        connection.lock = lock
        return connection


def access_to(folder: Path, *, read_only: bool = False) -> Access:
    """How the database in the folder can be opened. With `read_only` nothing is written, even if it could be."""
    database, network = folder / DATABASE, network_of(folder)
    if read_only or not may_write(folder):
        return _reading(database, network)
    return Access(database, network=network)


def warn_of(access: Access, *, read_only: bool) -> None:
    """Warn once of what is lost by this access, unless `read_only` was asked for."""
    folder = (access.source or access.database).parent
    if access.is_read_only:
        if not read_only:
            warn_once(
                f"StoreReadOnlyError disk://{quote(str(folder))}",
                f"nbcache: {folder} can only be read here: its answers are used, and nothing new is kept",
            )
        return
    warn_of_others(folder)
    if access.network is not None:
        warn_once(
            f"network {folder}",
            f"nbcache: {folder} is {place_of(access.network)}: it is used without SQLite's log, which takes longer. NBCACHE_DIR names "
            "a folder on a disk of this machine",
        )


def notes_on(folder: Path, *, read_only: bool = False) -> list[str]:
    """What there is to say of a store in this folder, a line each: whether it can only be read, and how it is kept."""
    notes = []
    if read_only or ((folder / DATABASE).exists() and not may_write(folder)):
        notes.append("for reading only: nothing in it is changed")
    if (network := network_of(folder)) is not None:
        locks = ". Locks do not reach other machines there: use it from one at a time" if lacks_locks(network) else ""
        notes.append(f"{place_of(network)}: it has a journal instead of SQLite's log{locks}")
    return notes


def copied(access: Access) -> Access:
    """The same database copied into a temporary folder of this process, where a read-only one can be upgraded."""
    for _ in range(_COPIES):
        seen, made = _stamp(access.database), time.monotonic()
        copy = _copy(access.database)
        if _stamp(access.database) == seen:
            database = copy.path / access.database.name
            return Access(database, is_read_only=True, copy=copy, source=access.database, seen=seen, made=made)
        copy.delete()  # it may be half of one state, and half of another
    raise sqlite3.OperationalError("database is locked")


def leave_log(database: Path) -> None:
    """Switch the database from WAL mode to a journal. Raises sqlite3.OperationalError while others have it open."""
    options = "vfs=unix-excl" if os.name == "posix" else ""  # without shared memory, which isn't right here
    with network_locks.held(database, shared=False), contextlib.closing(connect(database, options)) as connection:
        connection.execute("PRAGMA journal_mode = TRUNCATE").fetchall()


def _copy(database: Path) -> TemporaryFolder:
    files = [database.with_name(database.name + suffix) for suffix in _COPIED]
    files = [file for file in files if file.exists()]
    if sum(file.stat().st_size for file in files) > _LARGEST_COPY:
        raise StoreError(f"{database} can only be read, and is too large to be brought up in a copy")
    copy = TemporaryFolder()
    try:
        for file in files:
            shutil.copyfile(file, copy.path / file.name)
    except OSError as error:
        copy.delete()
        raise StoreError(f"{database} can't be copied: {error.strerror or error}") from error
    return copy


def _reading(database: Path, network: str | None) -> Access:
    """Access to a database that nothing is written to. Raises StoreError if there is none.

    SQLite's log needs files beside the database, which can't be made here. So without one, the file alone is read, without
    locks, until it is seen to have changed. With one, the files are there that whoever writes to it has made. On a network
    file system those can't be shared: there the log is read in a copy, and a database without one by SQLite's locks.
    """
    if not database.exists():
        raise StoreError(f"there is no store in {database.parent}, which can only be read")
    alone = Access(database, "mode=ro&immutable=1", is_read_only=True, source=database, seen=_stamp(database))
    together = Access(database, "mode=ro&readonly_shm=1", network=network, is_read_only=True)  # by its locks
    has_log = _has_log(database)
    if has_log == (network is None) and _can_be_read(together):
        return together
    return copied(alone) if has_log else alone


def _can_be_read(access: Access) -> bool:
    with contextlib.suppress(sqlite3.Error), contextlib.closing(access.connect(writes=False)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return True
    return False


def _stamp(database: Path) -> object:
    """A value that is equal while the database is unchanged."""
    try:
        status = database.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino, _has_log(database)


def _has_log(database: Path) -> bool:
    """Whether SQLite's log holds something that is not in the file."""
    with contextlib.suppress(OSError):
        return database.with_name(database.name + "-wal").stat().st_size > 0
    return False
