"""The store's folder and its database file, before SQLite opens it."""

import contextlib
import itertools
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from nbcache.errors import StoreError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

DATABASE = "cache.db"  # what diskcache calls it
APPLICATION_ID = 0x6E626361  # "nbca": the file is ours
# Raised by a change of the tables, of the keys, or of what payloads may hold: an earlier nbcache then leaves the store
# alone and says to upgrade, where it would else take what it doesn't know for damage.
STORE_VERSION = 3
_LAST_VERSION = 9_999  # what is beyond is damage
_SQLITE = b"SQLite format 3\0"
_CACHEDIR_TAG = """\
Signature: 8a477f597d28d172789f06886806bc55
# This folder holds answers that nbcache keeps. It can be deleted: the calls are then paid again.
# The form of this file: Cache Directory Tagging, bford.info/cachedir
"""


class Kind(Enum):
    """What the database file is."""

    NEW = "new"
    OURS = "ours"
    NEWER = "newer"
    FOREIGN = "foreign"
    DAMAGED = "damaged"


def prepare(folder: Path) -> None:
    """Make the folder, if need be, and an empty database file in it.

    A new folder is for its owner alone (0700, files 0600) and brings its own `.gitignore` and
    `CACHEDIR.TAG`. One that exists keeps its permissions, and new files in it follow them: it may be a
    team's.
    """
    try:
        made = not folder.is_dir()
        if made:
            with contextlib.suppress(FileExistsError):
                folder.mkdir(mode=0o700, parents=True)
            for name, text in ((".gitignore", "*\n"), ("CACHEDIR.TAG", _CACHEDIR_TAG)):
                with contextlib.suppress(FileExistsError):
                    _create(folder / name)
                    (folder / name).write_text(text)
        database = folder / DATABASE
        if not database.exists():
            with contextlib.suppress(FileExistsError):  # another process was faster
                _create(database)
    except OSError as error:
        raise StoreError(f"{folder} can't be used: {error.strerror or error}") from error


def _create(path: Path) -> None:
    """An empty file with the permissions of its folder, neither more nor less; SQLite's own files follow it."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with contextlib.suppress(OSError, AttributeError):  # a file system, or a system, without permissions
            os.fchmod(descriptor, stat.S_IMODE(path.parent.stat().st_mode) & 0o666)
    finally:
        os.close(descriptor)


def kind_of(database: Path) -> Kind:
    """What the file is, told from its header alone: another program's file is not even opened."""
    try:
        with database.open("rb") as file:
            header = file.read(100)
    except FileNotFoundError:
        return Kind.NEW
    except OSError as error:
        raise StoreError(f"{database} can't be read: {error.strerror or error}") from error
    if not header:
        return Kind.NEW
    if len(header) < 100 or not header.startswith(_SQLITE):
        return Kind.DAMAGED
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        return Kind.FOREIGN
    return Kind.NEWER if is_newer(int.from_bytes(header[60:64], "big", signed=True)) else Kind.OURS


def is_newer(version: int) -> bool:
    """Whether this is the version of a store that a newer nbcache has written."""
    return STORE_VERSION < version <= _LAST_VERSION


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only process that opens, makes or sets aside the database: else raises as SQLite does where it is locked."""
    if fcntl is None:
        yield
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise StoreError(f"{folder} can't be used: {error.strerror or error}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise sqlite3.OperationalError("database is locked") from None
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(descriptor)


def set_aside(folder: Path) -> Path:
    """Give the damaged database and its companions a new name in the folder; the new name."""
    stamp = time.strftime("%Y%m%d-%H%M%S") + f"-{os.getpid()}"
    names = (
        folder / f"damaged-{stamp}{more}.db" for more in itertools.chain([""], (f"-{i}" for i in itertools.count(1)))
    )
    aside = next(name for name in names if not name.exists())
    for suffix in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            (folder / (DATABASE + suffix)).rename(folder / (aside.name + suffix))
    return aside
