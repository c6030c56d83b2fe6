"""How a database can be opened: as usual, on a network file system, or read-only."""

import contextlib
import os
import shutil
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from nbcache.errors import StoreError, warn_once
from nbcache.stores.sqlite.connection import connect
from nbcache.stores.sqlite.folder import DATABASE, warn_of_others
from nbcache.stores.sqlite.network_drives import network_of

_LARGEST_COPY = 2**31  # bytes


@dataclass(frozen=True, slots=True)
class Access:
    """Where the database is, and how connections to it are made.

    On a network file system SQLite's log (WAL) can't be used, since processes of one machine share its index in memory.
    There a journal is used, and each connection is closed after use: only a file that is opened afterwards surely shows
    what another machine has written.
    """

    database: Path
    options: str = ""  # of SQLite's URI
    network: str | None = None
    is_read_only: bool = False
    copy: "tempfile.TemporaryDirectory[str] | None" = None

    @property
    def keeps_open(self) -> bool:
        """Whether connections may stay open while nobody uses them."""
        return self.network is None

    @property
    def pragmas(self) -> tuple[str, ...]:
        """Settings of each connection. A journal is emptied, since other machines may not notice that it was deleted."""
        return () if self.network is None else ("journal_mode = TRUNCATE", "synchronous = FULL")

    def stamp(self) -> object:
        """A value that is equal while the file is unchanged, for a database that is read without locks; else None."""
        if "immutable" not in self.options:
            return None
        try:
            status = self.database.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, _has_log(self.database)


def access_to(folder: Path) -> Access:
    """How the database in the folder can be opened. Warns once of what is lost by that."""
    database = folder / DATABASE
    if database.exists() and not (os.access(database, os.W_OK) and os.access(folder, os.W_OK | os.X_OK)):
        warn_once(
            f"StoreReadOnlyError disk://{quote(str(folder))}",
            f"nbcache: {folder} can only be read here: its answers are used, and nothing new is kept",
        )
        return _reading(database)
    warn_of_others(folder)
    network = network_of(folder)
    if network is not None:
        warn_once(
            f"network {folder}",
            f"nbcache: {folder} is on a network file system ({network}): it is used without SQLite's log, which takes "
            "longer. NBCACHE_DIR names a folder on a disk of this machine",
        )
        leave_log(database)
    return Access(database, network=network)


def copied(access: Access) -> Access:
    """The same database copied into a temporary folder of this process, where a read-only one can be upgraded."""
    files = [access.database.with_name(access.database.name + suffix) for suffix in ("", "-wal")]
    files = [file for file in files if file.exists()]
    if sum(file.stat().st_size for file in files) > _LARGEST_COPY:
        raise StoreError(f"{access.database} can only be read, and is too large to be brought up in a copy")
    copy = tempfile.TemporaryDirectory(prefix="nbcache-", ignore_cleanup_errors=True)
    try:
        for file in files:
            shutil.copyfile(file, Path(copy.name, file.name))
    except OSError as error:
        copy.cleanup()
        raise StoreError(f"{access.database} can't be copied: {error.strerror or error}") from error
    return Access(Path(copy.name, access.database.name), is_read_only=True, copy=copy)


def leave_log(database: Path) -> None:
    """Switch the database from WAL mode to a journal. Raises sqlite3.OperationalError while others have it open."""
    options = "vfs=unix-excl" if os.name == "posix" else ""  # without shared memory, which isn't right here
    with contextlib.closing(connect(database, options)) as connection:
        connection.execute("PRAGMA journal_mode = TRUNCATE").fetchall()


def _reading(database: Path) -> Access:
    """Access to a database that can't be written to: without locks, which would need files beside it."""
    alone = Access(database, "mode=ro&immutable=1", is_read_only=True)
    if not _has_log(database):
        return alone
    together = Access(database, "mode=ro", is_read_only=True)  # who writes to it has made these files
    with contextlib.suppress(sqlite3.Error), contextlib.closing(connect(database, together.options)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return together
    return copied(alone)


def _has_log(database: Path) -> bool:
    """Whether SQLite's log holds something that is not in the file."""
    with contextlib.suppress(OSError):
        return database.with_name(database.name + "-wal").stat().st_size > 0
    return False
