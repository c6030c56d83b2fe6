"""A small pool of SQLite connections for all threads, and how long to wait for another process."""

import os
import random
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from nbcache.errors import StoreBusyError

_T = TypeVar("_T")

_IDLE = 4  # connections kept open when nobody needs them
_SULK = 10.0  # seconds after a wait in vain during which nobody waits again


class Pool:
    """Connections to one database file. Each is held by one thread at a time."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._local = threading.local()
        self._inode = _inode(database)
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        self._looked = 0.0
        # A connection must not be used across a fork: the child starts with none.
        os.register_at_fork(after_in_child=_forgetter(self))

    @property
    def held(self) -> sqlite3.Connection:
        """The connection that this thread holds."""
        held: sqlite3.Connection = self._local.connection
        return held

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold a connection (`held`) for as long as the block runs."""
        self._local.connection = self.take()
        try:
            yield
        finally:
            connection = self.held
            del self._local.connection
            self.give_back(connection)

    def take(self) -> sqlite3.Connection:
        """A connection that nobody else has until it is given back."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def give_back(self, connection: sqlite3.Connection) -> None:
        """Let others have `connection`."""
        if self._closed or len(self._idle) >= _IDLE:
            connection.close()
        else:
            self._idle.append(connection)

    def moved(self, within: float = 0.0) -> bool:
        """Whether the file under this name is no longer the one that was opened; looked at anew after `within` seconds."""
        now = time.monotonic()
        if now - self._looked < within:
            return False
        self._looked = now
        return _inode(self._database) != self._inode

    def close(self) -> None:
        """Close what nobody holds; what somebody does is closed when they are done."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def forget(self) -> None:
        """Start anew in a forked child, without touching the parent's connections."""
        _abandoned.extend(self._idle)
        self._idle = []
        self._local = threading.local()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._database, timeout=0, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous = NORMAL")  # in WAL mode a killed process loses nothing
        connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten
        connection.execute("PRAGMA mmap_size = 67108864")
        return connection


_abandoned: list[sqlite3.Connection] = []


def _forgetter(pool: Pool) -> Callable[[], None]:
    """A fork hook that doesn't keep the pool alive: hooks can't be taken back."""
    reference = weakref.ref(pool)

    def forget() -> None:
        if (alive := reference()) is not None:
            alive.forget()

    return forget


class Patience:
    """Waits for a busy database, but not again and again: after one wait in vain, not at all for a while."""

    def __init__(self) -> None:
        self._sulking_until = 0.0

    def retry(self, attempt: Callable[[], _T], seconds: float, name: str) -> _T:
        """Do `attempt` until it isn't turned away, for at most `seconds`. Raises StoreBusyError after that."""
        deadline = None
        while True:
            try:
                return attempt()
            except Exception as error:
                if not is_busy(error):
                    raise
                now = time.monotonic()
                if deadline is None:
                    deadline = now + (seconds if now >= self._sulking_until else 0.0)
                if now >= deadline:
                    if seconds:
                        self._sulking_until = now + _SULK
                    raise StoreBusyError(f"{name} is locked by another process") from error
                time.sleep(random.uniform(0.001, 0.01))  # noqa: S311 - so that many don't wait in step


def is_busy(error: BaseException) -> bool:
    """Whether another connection is in the way. diskcache's Timeout hides why: the reason is its context."""
    cause = error if isinstance(error, sqlite3.Error) else error.__context__
    return isinstance(cause, sqlite3.OperationalError) and ("locked" in str(cause) or "busy" in str(cause))


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - on the path of every lookup
    except OSError:
        return None
    return found.st_dev, found.st_ino
