"""A small pool of SQLite connections for all threads, and how long to wait for another process."""

import itertools
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
from nbcache.stores.access import Access
from nbcache.stores.connection import connect

_T = TypeVar("_T")

_FORK_PATIENCE = 3.0  # seconds that a fork waits for writes of other threads
_IDLE = 4  # connections kept open when nobody needs them
_FRESH = 0.001  # seconds for which nobody asks again whether another process has written
_SULK = 10.0  # seconds after a wait in vain during which nobody waits again


class _OwnWrites:
    """How often this process has written to any store."""

    def __init__(self) -> None:
        self.count = 0


own_writes = _OwnWrites()


class Pool:
    """Connections to one database file. Each is held by one thread at a time."""

    def __init__(self, access: Access) -> None:
        self.database = access.database
        self._access = access
        self._keeps = _IDLE if access.keeps_open else 0
        self._local = threading.local()
        self.inode = inode_of(self.database)
        self._idle: list[sqlite3.Connection] = []
        self._lent = 0
        self._forking = False
        self._changed = threading.Condition()
        self._watching = threading.Lock()
        self._watch: sqlite3.Connection | None = None  # tells what others write, so it never writes itself
        self._watch_number = 0
        self._told = 0.0, -1, (0, 0)
        self._closed = False
        self._looked = 0.0
        _pools.add(self)

    @property
    def held(self) -> sqlite3.Connection:
        """The connection that this thread holds."""
        held: sqlite3.Connection = self._local.connection
        return held

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold a connection (`held`) for as long as the block runs."""
        connection = self.take()
        self._local.connection = connection
        try:
            yield
        finally:
            del self._local.connection
            self.give_back(connection)

    def take(self) -> sqlite3.Connection:
        """A connection that nobody else has until it is given back."""
        with self._changed:
            while self._forking:
                self._changed.wait()
            self._lent += 1
            if self._idle:
                return self._idle.pop()
        try:
            return self._connect()
        except BaseException:
            self._returned()
            raise

    def give_back(self, connection: sqlite3.Connection) -> None:
        """Let others have `connection`."""
        if connection.in_transaction:  # an interrupt came between two statements
            connection.execute("ROLLBACK")
        with self._changed:
            if self._closed or len(self._idle) >= self._keeps:
                connection.close()
            else:
                self._idle.append(connection)
            self._returned()

    def version(self) -> tuple[int, int]:
        """What is equal only while nobody has written to the file. Raises sqlite3.Error where it can't be told.

        What this process writes is seen at once, what others write after a millisecond: asking takes longer
        than all else of a hit from memory.
        """
        now, writes = time.monotonic(), own_writes.count
        asked, written, told = self._told
        if now - asked < _FRESH and written == writes:
            return told
        with self._watching:
            if self._watch is None:
                self._watch = self._connect()
                self._watch_number = next(_watches)
            told = self._watch_number, self._watch.execute("PRAGMA data_version").fetchone()[0]
            self._told = now, writes, told
            return told

    def moved(self, within: float = 0.0) -> bool:
        """Whether the file of this name is no longer the one that was opened; looked at after `within` seconds anew."""
        now = time.monotonic()
        if now - self._looked < within:
            return False
        if inode_of(self.database) != self.inode:
            return True
        self._looked = now
        return False

    def close(self) -> None:
        """Close what nobody holds; what somebody does is closed when they are done."""
        self._closed = True
        self._close_idle()

    def before_fork(self) -> None:
        """Close everything: SQLite's locks and what it knows of them don't survive a fork.

        A child that inherits an open connection takes the parent's locks for its own, and loses what it writes.
        """
        with self._changed:
            self._forking = True
            self._changed.wait_for(lambda: self._lent == 0, timeout=_FORK_PATIENCE)
        self._close_idle()

    def after_fork(self, *, in_child: bool) -> None:
        """Connect again as need be."""
        if in_child:  # the parent's other threads are not here to let go of anything
            self._changed = threading.Condition()
            self._watching = threading.Lock()
            self._local = threading.local()
            self._lent = 0
        with self._changed:
            self._forking = False
            self._changed.notify_all()

    def _returned(self) -> None:
        with self._changed:
            self._lent -= 1
            if self._forking:
                self._changed.notify_all()

    def _close_idle(self) -> None:
        with self._changed:
            idle, self._idle = self._idle, []
        with self._watching:
            self._told = 0.0, -1, (0, 0)
            if self._watch is not None:
                idle.append(self._watch)
                self._watch = None
        for connection in idle:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        return connect(self.database, self._access.options, self._access.pragmas)


_watches = itertools.count()  # never the same again: another file may have been opened under this name
_pools: "weakref.WeakSet[Pool]" = weakref.WeakSet()


def _before_fork() -> None:
    for pool in list(_pools):
        pool.before_fork()


def _after_fork(*, in_child: bool) -> None:
    for pool in list(_pools):
        pool.after_fork(in_child=in_child)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=lambda: _after_fork(in_child=False),
        after_in_child=lambda: _after_fork(in_child=True),
    )


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


def inode_of(path: Path) -> tuple[int, int] | None:
    """Which file has this name now; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - on the path of every lookup
    except OSError:
        return None
    return found.st_dev, found.st_ino
