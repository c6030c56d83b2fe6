"""A pool of SQLite connections for all threads, and the retry of operations on a busy database."""

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
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from nbcache.concurrency.locks import Lock
from nbcache.concurrency.running_frames import is_around, is_running
from nbcache.errors import StoreBusyError, StoreError
from nbcache.stores.sqlite.connection import Connection

if TYPE_CHECKING:
    from nbcache.stores.sqlite.opening_modes import Access

_T = TypeVar("_T")

_FORK_TIMEOUT = 3.0  # seconds that a fork waits for what other threads do in SQLite
_IDLE = 4  # connections kept open when nobody needs them
_FRESH = 0.001  # seconds for which nobody asks again whether another process has written
_FRESH_ENOUGH = 0.005  # the same while a thread asks: it may have to wait as long for its turn, and all others for it
_NO_WAIT = 10.0  # seconds after a timeout in which nobody waits again


class _OwnWrites:
    """How often this process has written to any store."""

    def __init__(self) -> None:
        self.count = 0


own_writes = _OwnWrites()


class Tokens(NamedTuple):
    """Two values, to be compared with earlier ones.

    `changes` is equal only while nobody has written to the file, and `foreign` only while nobody but this pool's writer has.
    `foreign` is None if that isn't known now.
    """

    changes: tuple[int, int]
    foreign: tuple[int, int] | None


_NO_TOKENS = 0.0, -1, Tokens((0, 0), None)


class Pool:
    """Connections to one database file. Each is held by one frame at a time.

    The pool knows the frame that holds a connection. After an interrupt has ended the frame, it takes the connection back.
    """

    def __init__(self, access: "Access") -> None:
        self.database = access.database
        self._access = access
        self._keeps = _IDLE if access.keeps_open else 0
        self._is_stamped = access.source is not None
        self._local = threading.local()
        self.inode = inode_of(self.database)
        self._open: list[Connection] = []  # all that are open
        self._idle: list[Connection] = []  # those that nobody holds
        self._lent: dict[FrameType, Connection | None] = {}
        self._watching = Lock()
        self._watch: Connection | None = None  # reads only, to notice the writes of others
        self._watch_number = 0
        self._tokens: tuple[float, int, Tokens] = _NO_TOKENS
        self._writers: list[Connection] = []  # the writer, while nobody holds it
        # The writer, and its `data_version`, which its own commits don't change.
        self._writer: tuple[Connection, int] | None = None
        self._seen = -1  # the last number of `_watch`
        self._foreign = 0  # how often others may have written
        self._closed = False
        self._looked = self._recovered = 0.0
        _pools.add(self)

    @property
    def held(self) -> Connection:
        """The connection that this thread holds."""
        held: Connection = self._local.connection
        return held

    def hold(self, *, writes: bool = False) -> "_Hold":
        """Hold a connection (`held`) for as long as the block runs; one that `writes` is the writer."""
        return _Hold(self, writes=writes)

    def acquire(self) -> Connection:
        """A connection for the calling function, until it calls `release`."""
        return self.acquire_for(sys._getframe(1))  # noqa: SLF001 - the frame that holds it from now on

    def acquire_for(self, frame: FrameType) -> Connection:
        """As `acquire`, for `frame`."""
        self._begin(frame)
        try:
            connection = self._lent[frame] = self._idle.pop() if self._idle else self._connect()
        except IndexError:  # another thread was faster
            connection = self._lent[frame] = self._connect()
        except BaseException:
            self._lent.pop(frame, None)
            raise
        return connection

    def acquire_writer(self, frame: FrameType | None = None) -> Connection:
        """As `acquire`, the one connection by which this pool writes. By its `data_version` the writes of others are known."""
        frame = frame or sys._getframe(1)  # noqa: SLF001 - as in `acquire`
        self._begin(frame)
        try:
            try:
                connection = self._lent[frame] = self._writers.pop()
            except IndexError:
                with self._watching:  # where another thread may be looking at its number
                    connection = self._lent[frame] = self._writers.pop() if self._writers else self._new_writer()
        except BaseException:
            self._lent.pop(frame, None)
            raise
        return connection

    def release(self, connection: Connection, frame: FrameType | None = None) -> None:
        """Return `connection` to the pool."""
        frame = frame or sys._getframe(1)  # noqa: SLF001 - as in `acquire`
        if connection.in_transaction:  # an interrupt came between two statements
            connection.execute("ROLLBACK")
        self._lent[frame] = None
        is_writer = self._writer is not None and connection is self._writer[0]
        if self._closed or not self._keeps or (not is_writer and len(self._idle) >= self._keeps):
            self._close(connection)
        elif is_writer:
            self._writers.append(connection)
        else:
            self._idle.append(connection)
        self._lent.pop(frame, None)

    def recover(self, within: float = 0.0) -> None:
        """Take back the connections of functions that an interrupt has ended: their transactions would lock everybody out.

        Done at most once in `within` seconds.
        """
        now = time.monotonic()
        if now - self._recovered < within:
            return
        self._recovered = now
        for frame in list(self._lent):
            if not is_running(frame) and (connection := self._lent.pop(frame, None)) is not None:
                self._close(connection)

    def tokens(self) -> "Tokens | None":
        """Values by which it is known whether anybody has written to the file. None if that can't be known.

        What this process writes is seen at once, what others write after a millisecond, or after five while another thread
        asks: to ask SQLite takes longer than all else of a hit from memory. Raises sqlite3.Error.
        """
        if not self._keeps:
            return None
        now, writes = time.monotonic(), own_writes.count
        when, writes_then, tokens = self._tokens
        age = now - when
        if writes_then == writes and (age < _FRESH or (age < _FRESH_ENOUGH and self._watching.is_held)):
            return tokens
        # In a variable, the frame would refer to itself, and keep all that its callers have until garbage is collected.
        self._begin(sys._getframe())  # noqa: SLF001 - this one is in SQLite
        try:
            with self._watching:
                when, writes_then, tokens = self._tokens
                if when > now and writes_then == own_writes.count:  # another thread has read it while this one waited
                    return tokens
                if self._watch is None:
                    self._watch = self._connect()
                    self._watch_number, self._seen = next(_watches), -1
                read_at, writes = time.monotonic(), own_writes.count
                tokens = self._read_tokens(self._watch)
                self._tokens = read_at, writes, tokens
                return tokens
        finally:
            self._lent.pop(sys._getframe(), None)  # noqa: SLF001 - as above

    def _read_tokens(self, watch: Connection) -> "Tokens":
        changes = version_of(watch)
        is_known = True
        if changes != self._seen:
            have_written = self._others_have_written()
            is_known = have_written is not None
            if is_known:
                self._seen = changes
                self._foreign += bool(have_written)
        return Tokens((self._watch_number, changes), (self._watch_number, self._foreign) if is_known else None)

    def _others_have_written(self) -> bool | None:
        """Whether anybody but the writer may have written since this was last asked. None while the writer is at work.

        Its `data_version` is read after that of `_watch`. So what others write between the two is noticed now, and what
        they write later is noticed the next time.
        """
        if self._writer is None:
            return True
        writer, before = self._writer
        if not self._writers:
            return None if writer in self._lent.values() else True
        taken = self._writers.pop()
        self._writer = taken, version_of(taken)
        self._writers.append(taken)
        return self._writer != (writer, before)

    def _new_writer(self) -> Connection:
        """Open the writer. The caller holds `_watching`."""
        writer = self._connect(writes=True)
        self._writer = writer, version_of(writer)
        if self._watch is not None and (changes := version_of(self._watch)) != self._seen:  # nobody knows by whom
            self._seen = changes
            self._foreign += 1
        return writer

    def is_overtaken(self) -> bool:
        """Whether a file that is read without locks has been written to since it was opened."""
        return self._is_stamped and self._access.is_overtaken()

    def moved(self, within: float = 0.0) -> bool:
        """Whether another file has this name by now, or none. An answer is remembered for `within` seconds."""
        if self._is_stamped and self._access.is_overtaken():
            return True
        now = time.monotonic()
        if now - self._looked < within:
            return False
        if inode_of(self.database) != self.inode:
            return True
        self._looked = now
        return False

    def close(self) -> None:
        """Close idle connections; the others are closed when they are released."""
        self._closed = True
        self._begin(sys._getframe())  # noqa: SLF001 - as above
        try:
            self._close_all()
        finally:
            self._lent.pop(sys._getframe(), None)  # noqa: SLF001 - as above

    def before_fork(self, until: float) -> None:
        """Close everything: SQLite's locks do not survive a fork.

        A child with an open connection would take the parent's locks for its own, and lose what it writes. If another
        thread is in SQLite at the fork, SQLite's own locks stay locked in the child.
        """
        pause = 0.0005
        while any(not is_around(frame) for frame in list(self._lent)) and time.monotonic() < until:
            time.sleep(pause)
            self.recover(within=0.005)
            pause = min(2 * pause, 0.02)
        self._close_all()

    def after_fork_in_child(self) -> None:
        """Forget the parent's connections. Its other threads do not run here, and so release nothing."""
        if self._open and self.inode is not None:
            _inherited[self.inode] = self._open
        self._lent, self._open, self._idle = {}, [], []
        self._writers, self._writer = [], None
        self._watch, self._tokens = None, _NO_TOKENS
        self._local = threading.local()

    def _begin(self, frame: FrameType) -> None:
        """Register `frame` before it calls SQLite; waits for a fork that is under way."""
        self._lent[frame] = None
        while _forking:  # either the fork sees this frame, or this sees the fork
            self._lent.pop(frame, None)
            time.sleep(0.0005)
            self._lent[frame] = None

    def _close_all(self) -> None:
        """Close all connections that no running function holds."""
        self.recover()
        with self._watching:
            self._watch, self._tokens = None, _NO_TOKENS
            self._idle.clear()
            self._writers.clear()
            lent = list(self._lent.values())
            for connection in [each for each in self._open if each not in lent]:
                self._close(connection)

    def _close(self, connection: Connection) -> None:
        connection.close()
        with suppress(ValueError):
            self._open.remove(connection)

    def _connect(self, *, writes: bool = False) -> Connection:
        if self.inode in _inherited:
            raise StoreError(f"{self.database} was being written when this process was forked: it can't be used here")
        self._open.append(connection := self._access.connect(writes=writes))
        return connection


class _Hold:
    """Holds a connection for a block, by the frame of the block."""

    def __init__(self, pool: Pool, *, writes: bool) -> None:
        self._pool = pool
        self._acquire = pool.acquire_writer if writes else pool.acquire_for

    def __enter__(self) -> None:
        self._frame = sys._getframe(1)  # noqa: SLF001 - as above
        self._pool._local.connection = self._acquire(self._frame)  # noqa: SLF001 - one of us

    def __exit__(self, *_: object) -> None:
        local = self._pool._local  # noqa: SLF001 - as above
        connection = local.connection
        del local.connection
        self._pool.release(connection, self._frame)


_watches = itertools.count()  # never the same again: another file may have been opened under this name
_pools: "weakref.WeakSet[Pool]" = weakref.WeakSet()
_forking: list[None] = []  # not empty while a fork is under way
# Files to which this process has connections of its parent. They are neither used nor closed: to close is to use.
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
    """Retries an operation on a busy database until a timeout. After a timeout it does not wait again for a while.

    It waits again as soon as the database was free once.
    """

    def __init__(self) -> None:
        self._no_wait_until = 0.0

    def retry(self, attempt: Callable[[], _T], seconds: float, name: str) -> _T:
        """Call `attempt` until the database is not busy, for at most `seconds`; then raise StoreBusyError."""
        deadline = None
        while True:
            try:
                done = attempt()
            except Exception as error:
                if not is_busy(error):
                    raise
                now = time.monotonic()
                if deadline is None:
                    deadline = now + (seconds if now >= self._no_wait_until else 0.0)
                if now >= deadline:
                    if seconds:
                        self._no_wait_until = now + _NO_WAIT
                    raise StoreBusyError(f"{name} is locked by another process") from error
                time.sleep(random.uniform(0.001, 0.01))  # noqa: S311 - so that many don't wait in step
            else:
                self._no_wait_until = 0.0
                return done


def is_busy(error: BaseException) -> bool:
    """Whether another connection is in the way. diskcache's Timeout has the reason as its context."""
    cause = error if isinstance(error, sqlite3.Error) else error.__context__
    return isinstance(cause, sqlite3.OperationalError) and ("locked" in str(cause) or "busy" in str(cause))


def version_of(connection: Connection) -> int:
    """SQLite's `data_version`: a number that changes when anybody else has written."""
    number: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return number


def inode_of(path: Path) -> tuple[int, int] | None:
    """Device and inode of the file. None if there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - on the path of every lookup
    except OSError:
        return None
    return status.st_dev, status.st_ino
