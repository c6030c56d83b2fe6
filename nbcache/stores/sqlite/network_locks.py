"""A lock around each use of a database on a network file system, and what this machine remembers of its files, renewed.

SQLite's own locks are not enough there. It opens a file before it locks it, and by then the system may have kept pages of it, or its
size, from before another machine wrote. NFS looks again when a file is opened or locked, FUSE only after a second. So a lock on a file
of its own is held from before the database is opened until after it is closed, and the sizes are asked for anew.
"""

import contextlib
import errno
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from nbcache.errors import StoreError
from nbcache.stores.sqlite.folder import create
from nbcache.stores.sqlite.network_drives import network_of

try:
    import fcntl
except ImportError:  # Windows: its shares are locked as SQLite does it
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".lock"
_PAUSE = 0.005  # seconds between two tries
_TIMEOUT = 1.0  # seconds to wait for other machines
_AT_FDCWD, _AT_STATX_FORCE_SYNC, _STATX_BASIC_STATS, _STATX_SIZE = -100, 0x2000, 0x7FF, 256  # of Linux


def lock(database: Path, *, shared: bool) -> int | None:
    """Lock the database's use, for many readers or one writer. Returns a descriptor to close, or None where nothing can be locked.

    Raises sqlite3.OperationalError if it is locked, and StoreError on a file system without locks.
    """
    if fcntl is None:
        return None
    descriptor = _opened(database.with_name(database.name + SUFFIX))
    if descriptor is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_NB | (fcntl.LOCK_SH if shared else fcntl.LOCK_EX))
        except BlockingIOError:
            os.close(descriptor)
            raise sqlite3.OperationalError("database is locked") from None
        except OSError as error:
            os.close(descriptor)
            raise StoreError(
                f"{database.parent} is on a network file system without locks ({error.strerror}): NBCACHE_DIR names a folder "
                "on a disk of this machine"
            ) from error
    _look_again(database)
    return descriptor


def unlock(descriptor: int | None) -> None:
    """Release what `lock` has returned."""
    if descriptor is not None:
        os.close(descriptor)


@contextlib.contextmanager
def held(database: Path, *, shared: bool, seconds: float = 0.0) -> Iterator[None]:
    """Hold `lock` for a block, waiting so many seconds for it."""
    descriptor = _lock_within(seconds, database, shared=shared)
    try:
        yield
    finally:
        unlock(descriptor)


def on_network(database: Path, *, shared: bool) -> contextlib.AbstractContextManager[None]:
    """As `held`, if the database is on a network file system."""
    if network_of(database.parent) is None:
        return contextlib.nullcontext()
    return held(database, shared=shared, seconds=_TIMEOUT)


def _lock_within(seconds: float, database: Path, *, shared: bool) -> int | None:
    ends = time.monotonic() + seconds
    while True:
        try:
            return lock(database, shared=shared)
        except sqlite3.OperationalError:
            if time.monotonic() > ends:
                raise
        time.sleep(_PAUSE)


def _opened(path: Path) -> int | None:
    """The lock file, made if it isn't there. None if there is none, and the folder can only be read."""
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    with contextlib.suppress(OSError):  # it is there, or can't be made
        create(path)
    try:
        return os.open(path, os.O_RDWR | flags)
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.EROFS, errno.ENOENT}:
            raise StoreError(f"{path} can't be used: {error.strerror or error}") from error
    with contextlib.suppress(OSError):
        return os.open(path, os.O_RDONLY | flags)
    return None


def _look_again(database: Path) -> None:
    """Let the system ask for the database and its journal anew, rather than take what it remembers of their names and sizes."""
    journal = database.with_name(f"{database.name}-journal")
    with contextlib.suppress(OSError):
        create(journal)  # if another machine has deleted it, only this notices
    if (statx := _statx()) is not None:
        for path in (database, journal):
            statx(os.fsencode(path))


@cache
def _statx() -> Callable[[bytes], object] | None:
    """The system's `statx`, which is told to ask the server. None if there is none."""
    import ctypes  # noqa: PLC0415 - few stores are on a network file system

    try:
        function = ctypes.CDLL(None).statx
    except (AttributeError, OSError, TypeError):  # not on Linux
        return None

    def statx(path: bytes) -> object:
        return function(
            _AT_FDCWD, path, _AT_STATX_FORCE_SYNC, _STATX_BASIC_STATS, ctypes.create_string_buffer(_STATX_SIZE)
        )

    return statx
