"""The store's folder and its database file, before SQLite opens it."""

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

from nbcache.errors import StoreError, warn_once

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

DATABASE = "cache.db"  # what diskcache calls it
APPLICATION_ID = 0x6E626361  # "nbca": the file is ours
# Increased by a change of the tables, of the keys, or of what payloads may hold: an earlier nbcache then leaves the store
# alone and says to upgrade. Else it would take what is new for damage.
STORE_VERSION = 7
_LAST_VERSION = 9_999  # what is beyond is damage
COMPANIONS = ("-wal", "-shm", "-journal")  # SQLite's own files beside it
_CACHEDIR_TAG = """\
Signature: 8a477f597d28d172789f06886806bc55
# This folder holds answers that nbcache keeps. It can be deleted: the calls are then paid again.
# The form of this file: Cache Directory Tagging, bford.info/cachedir
"""
_MARKS = {".gitignore": "*\n", "CACHEDIR.TAG": _CACHEDIR_TAG}


def prepare(folder: Path) -> None:
    """Make the folder and an empty database file in it, if they are not there.

    A new folder is for its owner alone (0700, files 0600) and brings its own `.gitignore` and
    `CACHEDIR.TAG`. One that exists keeps its permissions, and new files in it follow them: it may be a
    team's.
    """
    try:
        if not folder.is_dir():
            with contextlib.suppress(FileExistsError):
                folder.mkdir(mode=0o700, parents=True)
            _mark(folder)
        elif may_write(folder) and any(_is_cut(folder / name, text) for name, text in _MARKS.items()):
            _mark(folder)
        database = folder / DATABASE
        if not database.exists():
            with contextlib.suppress(FileExistsError):  # another process was faster
                create(database)
    except OSError as error:
        raise StoreError(f"{folder} can't be used: {error.strerror or error}") from error


def may_write(folder: Path) -> bool:
    """Whether this user may write to the folder and, if it is there, to its database: on a mount for reading nobody may."""
    database = folder / DATABASE
    may = os.access(folder, os.W_OK | os.X_OK)
    return may and (os.access(database, os.W_OK) or not os.path.lexists(database))


def _mark(folder: Path) -> None:
    """Keep the folder out of git and of backups. On a full disk leave nothing behind, rather than empty files."""
    try:
        for name, text in _MARKS.items():
            with contextlib.suppress(FileExistsError):
                create(folder / name)
            if _is_cut(folder / name, text):
                (folder / name).write_text(text)
    except OSError:
        for name, text in _MARKS.items():
            if _is_cut(folder / name, text):
                (folder / name).unlink()
        with contextlib.suppress(OSError):  # others have put something into it
            folder.rmdir()
        raise


def _is_cut(path: Path, text: str) -> bool:
    """Whether the file is there, and ends before `text` does."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode) or path.stat().st_size >= len(text.encode()):
            return False
        return text.startswith(path.read_text())
    except (OSError, UnicodeDecodeError):
        return False


def warn_of_others(folder: Path) -> None:
    """Warn once if other users may write answers into this folder."""
    with contextlib.suppress(OSError):
        status, database = folder.stat(), (folder / DATABASE).stat()
        others = status.st_mode & stat.S_IWOTH or (status.st_mode & stat.S_IWGRP and not is_mine(status))
        if hasattr(os, "getuid") and (others or not is_mine(database)):
            warn_once(
                f"others {folder}",
                f"nbcache: other users can write to {folder}, or have: whoever does can change the answers that you get",
            )


def create(path: Path) -> None:
    """Make an empty file with the permissions of its folder; SQLite gives its own files the same."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with contextlib.suppress(OSError, AttributeError):  # a file system, or a system, without permissions
            os.fchmod(descriptor, stat.S_IMODE(path.parent.stat().st_mode) & 0o666)
    finally:
        os.close(descriptor)


def is_mine(status: os.stat_result) -> bool:
    """Whether the file with this status is the user's."""
    return not hasattr(os, "getuid") or status.st_uid == os.getuid()


def is_newer(version: int) -> bool:
    """Whether a newer nbcache has written a store of this version."""
    return STORE_VERSION < version <= _LAST_VERSION


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the lock to open, make or set aside the database. Raises what SQLite raises for a locked database."""
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
