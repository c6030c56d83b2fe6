"""The store's folder and its database file, before SQLite opens it."""

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from enum import Enum
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
_HEADER = 100  # bytes of a database
COMPANIONS = ("-wal", "-shm", "-journal")  # SQLite's own files beside it
_CACHEDIR_TAG = """\
Signature: 8a477f597d28d172789f06886806bc55
# This folder holds answers that nbcache keeps. It can be deleted: the calls are then paid again.
# The form of this file: Cache Directory Tagging, bford.info/cachedir
"""
_MARKS = {".gitignore": "*\n", "CACHEDIR.TAG": _CACHEDIR_TAG}


class Kind(Enum):
    """What the database file is."""

    NEW = "new"
    OURS = "ours"
    NEWER = "newer"
    FOREIGN = "foreign"
    NO_FILE = "no file"
    DAMAGED = "damaged"


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
        elif any(_is_cut(folder / name, text) for name, text in _MARKS.items()):
            _mark(folder)
        database = folder / DATABASE
        if not database.exists():
            with contextlib.suppress(FileExistsError):  # another process was faster
                _create(database)
    except OSError as error:
        raise StoreError(f"{folder} can't be used: {error.strerror or error}") from error


def _mark(folder: Path) -> None:
    """Keep the folder out of git and of backups. On a full disk leave nothing behind, rather than empty files."""
    try:
        for name, text in _MARKS.items():
            with contextlib.suppress(FileExistsError):
                _create(folder / name)
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


def _create(path: Path) -> None:
    """Make an empty file with the permissions of its folder; SQLite gives its own files the same."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with contextlib.suppress(OSError, AttributeError):  # a file system, or a system, without permissions
            os.fchmod(descriptor, stat.S_IMODE(path.parent.stat().st_mode) & 0o666)
    finally:
        os.close(descriptor)


def kind_of(database: Path) -> Kind:
    """What the file is, by its header alone: nothing else of another program's file is read.

    SQLite reads it, not Python: to close a file of Python's would remove this process's locks, and let other processes
    delete the log that it writes to (sqlite.org/howtocorrupt.html, 2.2).
    """
    try:
        if not _are_files(database):
            return Kind.NO_FILE
        size = database.stat().st_size if database.exists() else 0
        if size < _HEADER:
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
    for options in ("mode=ro&immutable=1", "mode=ro"):  # without its log, and with it
        with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?{options}", timeout=0, uri=True)) as header:
            try:
                ((application,),) = header.execute("PRAGMA application_id")
                ((version,),) = header.execute("PRAGMA user_version")
            except sqlite3.DatabaseError as error:
                if "malformed" in str(error) and "immutable" in options:
                    continue  # a process that was killed, or had no room, has moved a part of the log into the file
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
