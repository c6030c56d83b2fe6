"""A small pool of SQLite connections for all threads, and how long to wait for another process."""

import itertools
import os
import random
import sqlite3
import sys
import threading
import time
import weakref
from _thread import interrupt_main
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TypeVar

from nbcache.concurrency.locks import Lock
from nbcache.concurrency.running_frames import is_around, is_running
from nbcache.errors import StoreBusyError, StoreError
from nbcache.stores.sqlite.access import Access
from nbcache.stores.sqlite.connection import Connection, connect

_T = TypeVar("_T")

_FORK_TIMEOUT = 3.0  # seconds that a fork waits for what other threads do in SQLite
_IDLE = 4  # connections kept open when nobody needs them
_FRESH = 0.001  # seconds for which nobody asks again whether another process has written
_NO_WAIT = 10.0  # seconds after a wait in vain during which no lookup waits again


class _OwnWrites:
    """How often this process has written to any store."""

    def __init__(self) -> None:
        self.count = 0


own_writes = _OwnWrites()


class Pool:
    """Connections to one database file. Each is held by one frame at a time.

    What is lent is known by the frame that has it, so that it can be taken back from one that an interrupt has ended.
    """

    def __init__(self, access: Access) -> None:
        self.database = access.database
        self._access = access
        self._keeps = _IDLE if access.keeps_open else 0
        self._local = threading.local()
        self.inode = inode_of(self.database)
        self._open: list[Connection] = []  # all that are open
        self._idle: list[Connection] = []  # those that nobody has
        self._lent: dict[FrameType, Connection | None] = {}
        self._watching = Lock()
        self._watch: Connection | None = None  # tells what others write, so it never writes itself
        self._watch_number = 0
        self._last_version = 0.0, -1, (0, 0)
        self._closed = False
        self._looked = self._recovered = 0.0
        _pools.add(self)

    @property
    def held(self) -> Connection:
        """The connection that this thread holds."""
        held: Connection = self._local.connection
        return held

    def hold(self) -> "_Hold":
        """Hold a connection (`held`) for as long as the block runs."""
        return _Hold(self)

    def acquire(self) -> Connection:
        """A connection that nobody else has until the calling function gives it back."""
        return self.acquire_for(sys._getframe(1))  # noqa: SLF001 - the frame that has it from now on

    def acquire_for(self, frame: FrameType) -> Connection:
        """As `take`, for `frame`."""
        self._begin(frame)
        try:
            connection = self._lent[frame] = self._idle.pop() if self._idle else self._connect()
        except IndexError:  # another thread was faster
            connection = self._lent[frame] = self._connect()
        except BaseException:
            self._lent.pop(frame, None)
            raise
        return connection

    def release(self, connection: Connection, frame: FrameType | None = None) -> None:
        """Let others have `connection`."""
        frame = frame or sys._getframe(1)  # noqa: SLF001 - as in `take`
        if connection.in_transaction:  # an interrupt came between two statements
            connection.execute("ROLLBACK")
        self._lent[frame] = None
        if self._closed or len(self._idle) >= self._keeps:
            self._close(connection)
        else:
            self._idle.append(connection)
        self._lent.pop(frame, None)

    def recover(self, within: float = 0.0) -> None:
        """Take back what functions have that an interrupt has ended: a transaction of theirs would lock everybody out.

        That is looked at anew after `within` seconds.
        """
        now = time.monotonic()
        if now - self._recovered < within:
            return
        self._recovered = now
        for frame in list(self._lent):
            if not is_running(frame) and (connection := self._lent.pop(frame, None)) is not None:
                self._close(connection)

    def data_version(self) -> tuple[int, int]:
        """A value that is equal only while nobody has written to the file. Raises sqlite3.Error.

        A write of this process changes it at once, a write of another process within a millisecond: to ask SQLite takes
        longer than the rest of a hit from memory.
        """
        now, writes = time.monotonic(), own_writes.count
        checked, written, version = self._last_version
        if now - checked < _FRESH and written == writes:
            return version
        frame = sys._getframe()  # noqa: SLF001 - this one is in SQLite
        self._begin(frame)
        try:
            with self._watching:
                if self._watch is None:
                    self._watch = self._connect()
                    self._watch_number = next(_watches)
                version = self._watch_number, self._watch.execute("PRAGMA data_version").fetchone()[0]
                self._last_version = now, writes, version
                return version
        finally:
            self._lent.pop(frame, None)

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
        frame = sys._getframe()  # noqa: SLF001 - as above
        self._begin(frame)
        try:
            self._close_all()
        finally:
            self._lent.pop(frame, None)

    def before_fork(self, until: float) -> None:
        """Close everything: SQLite's locks and what it knows of them don't survive a fork.

        A child that inherits an open connection takes the parent's locks for its own, and loses what it writes. One that
        is forked while another thread is in SQLite may find SQLite's own locks taken for good.
        """
        pause = 0.0005
        while any(not is_around(frame) for frame in list(self._lent)) and time.monotonic() < until:
            time.sleep(pause)
            self.recover(within=0.005)
            pause = min(2 * pause, 0.02)
        self._close_all()

    def after_fork_in_child(self) -> None:
        """Connect again as need be. The parent's other threads are not here to let go of anything."""
        if self._open and self.inode is not None:
            _inherited[self.inode] = self._open
        self._lent, self._open, self._idle = {}, [], []
        self._watch, self._last_version = None, (0.0, -1, (0, 0))
        self._local = threading.local()

    def _begin(self, frame: FrameType) -> None:
        """Note that `frame` is going to be in SQLite, once no fork is under way."""
        self._lent[frame] = None
        while _forking:  # whoever forks has seen the note, or this sees the fork
            self._lent.pop(frame, None)
            time.sleep(0.0005)
            self._lent[frame] = None

    def _close_all(self) -> None:
        """Close all that no running function has."""
        self.recover()
        with self._watching:
            self._watch, self._last_version = None, (0.0, -1, (0, 0))
            self._idle.clear()
            lent = list(self._lent.values())
            for connection in [each for each in self._open if each not in lent]:
                self._close(connection)

    def _close(self, connection: Connection) -> None:
        connection.close()
        with suppress(ValueError):
            self._open.remove(connection)

    def _connect(self) -> Connection:
        if self.inode in _inherited:
            raise StoreError(f"{self.database} was being written when this process was forked: it can't be used here")
        self._open.append(connection := connect(self.database, self._access.options, self._access.pragmas))
        return connection


class _Hold:
    """A connection held for a block; the frame that has it is that of the block."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def __enter__(self) -> None:
        self._frame = sys._getframe(1)  # noqa: SLF001 - as above
        self._pool._local.connection = self._pool.acquire_for(self._frame)  # noqa: SLF001 - one of us

    def __exit__(self, *_: object) -> None:
        local = self._pool._local  # noqa: SLF001 - as above
        connection = local.connection
        del local.connection
        self._pool.release(connection, self._frame)


_watches = itertools.count()  # never the same again: another file may have been opened under this name
_pools: "weakref.WeakSet[Pool]" = weakref.WeakSet()
_forking: list[None] = []  # not empty while a fork is under way
# Files of which this process has connections of its parent's. Neither used nor closed, which would be a use.
_inherited: dict[tuple[int, int], list[Connection]] = {}


def _before_fork() -> None:
    _forking.append(None)
    try:
        _close_everything()
    except KeyboardInterrupt:  # what is raised before a fork is only printed
        _close_everything()
        interrupt_main()


def _close_everything() -> None:
    until = time.monotonic() + _FORK_TIMEOUT
    for pool in list(_pools):
        pool.before_fork(until)


def _after_fork_in_child() -> None:
    for pool in list(_pools):
        pool.after_fork_in_child()
    _forking.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_forking.clear, after_in_child=_after_fork_in_child)


class BusyRetry:
    """Waits for a busy database, but not again and again: after one wait in vain, not at all until it was free, or for a while."""

    def __init__(self) -> None:
        self._sulking_until = 0.0

    def retry(self, attempt: Callable[[], _T], seconds: float, name: str) -> _T:
        """Do `attempt` until it isn't turned away, for at most `seconds`. Raises StoreBusyError after that."""
        deadline = None
        while True:
            try:
                done = attempt()
            except Exception as error:
                if not is_busy(error):
                    raise
                now = time.monotonic()
                if deadline is None:
                    deadline = now + (seconds if now >= self._sulking_until else 0.0)
                if now >= deadline:
                    if seconds:
                        self._sulking_until = now + _NO_WAIT
                    raise StoreBusyError(f"{name} is locked by another process") from error
                time.sleep(random.uniform(0.001, 0.01))  # noqa: S311 - so that many don't wait in step
            else:
                self._sulking_until = 0.0
                return done


def is_busy(error: BaseException) -> bool:
    """Whether another connection is in the way. diskcache's Timeout hides why: the reason is its context."""
    cause = error if isinstance(error, sqlite3.Error) else error.__context__
    return isinstance(cause, sqlite3.OperationalError) and ("locked" in str(cause) or "busy" in str(cause))


def inode_of(path: Path) -> tuple[int, int] | None:
    """Which file has this name now; None where there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - on the path of every lookup
    except OSError:
        return None
    return status.st_dev, status.st_ino
