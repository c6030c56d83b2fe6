"""What a database file is, before SQLite opens it: ours, of a newer nbcache, another program's, or damaged."""

import contextlib
import sqlite3
import stat
from enum import Enum
from pathlib import Path

from nbcache.errors import StoreError, StoreRefusedError
from nbcache.stores.sqlite.folder import APPLICATION_ID, COMPANIONS, is_mine, is_newer
from nbcache.stores.sqlite.network_locks import on_network

_HEADER = 100  # bytes of a database


# Ways to read a header, each with the error after which the next one is tried.
_READINGS = (
    (
        "mode=ro&immutable=1",
        "malformed",
    ),  # a process that was killed, or had no room, has moved a part of its log into the file
    ("mode=ro", "readonly"),  # it has left a journal, which whoever may write to the file undoes
    ("mode=ro&immutable=1", None),
)


class Kind(Enum):
    """What the database file is."""

    NEW = "new"
    OURS = "ours"
    NEWER = "newer"
    FOREIGN = "foreign"
    NO_FILE = "no file"
    DAMAGED = "damaged"


def refuse_others(database: Path) -> None:
    """Raise StoreRefusedError if the file isn't ours, and sqlite3.DatabaseError if it is damaged."""
    kind = kind_of(database)
    if kind is Kind.FOREIGN:
        raise StoreRefusedError(f"{database} belongs to another program; it is left alone")
    if kind is Kind.NO_FILE:
        raise StoreRefusedError(
            f"{database} is no file of its own: there is a link, a pipe or a folder in its place or in that of its log; it is "
            "left alone"
        )
    if kind is Kind.NEWER:
        raise newer(database)
    if kind is Kind.DAMAGED:
        raise sqlite3.DatabaseError("file is not a database")


def newer(database: Path) -> StoreRefusedError:
    """The error for a file of a newer nbcache."""
    return StoreRefusedError(f"{database} was written by a newer nbcache: upgrade with `pip install -U nbcache`")


def kind_of(database: Path) -> Kind:
    """What the file is, by its header alone: nothing else of another program's file is read.

    SQLite reads it, not Python: to close a file of Python's would remove this process's locks, and let other processes
    delete the log that it writes to (sqlite.org/howtocorrupt.html, 2.2).
    """
    try:
        if not _are_files(database):
            return Kind.NO_FILE
        if not database.exists():
            return Kind.NEW
        with on_network(database, shared=True):
            if (size := database.stat().st_size) < _HEADER:
                return Kind.DAMAGED if size else Kind.NEW
            application, version = _marks_of(database)
    except OSError as error:
        raise StoreError(f"{database} can't be read: {error.strerror or error}") from error
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            raise
        if _is_hindered(error):
            raise StoreError(f"{database} can't be read: {error}") from error
        return Kind.DAMAGED
    if application != APPLICATION_ID:
        return Kind.FOREIGN
    return Kind.NEWER if is_newer(version) else Kind.OURS


def _marks_of(database: Path) -> tuple[int, int]:
    """The application id and the version in the header."""
    for options, passing in _READINGS:
        with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?{options}", timeout=0, uri=True)) as header:
            try:
                if passing is None:
                    header.execute("PRAGMA writable_schema = ON")  # or a file that is cut short is an error
                ((application,),) = header.execute("PRAGMA application_id")
                ((version,),) = header.execute("PRAGMA user_version")
            except sqlite3.DatabaseError as error:
                if passing is not None and passing in str(error):
                    continue
                raise
            return application, version
    raise AssertionError


def _is_hindered(error: sqlite3.Error) -> bool:
    """Whether SQLite could not read a file that may be sound."""
    return any(sign in str(error) for sign in ("unable to open", "disk I/O", "disk is full"))


def _are_files(database: Path) -> bool:
    """Whether the database and what SQLite keeps beside it are files, as far as they are there.

    A pipe would be waited for, and a link could lead anywhere: only the user's own, of the database, is followed.
    """
    for suffix in ("", *COMPANIONS):
        path = database.with_name(database.name + suffix)
        with contextlib.suppress(FileNotFoundError):
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode) and not suffix and is_mine(status):
                status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                return False
    return True
