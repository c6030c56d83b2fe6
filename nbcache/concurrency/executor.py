"""Threads of nbcache's own: for work that must not run on an event loop, or that an interrupt must not break off.

Python raises KeyboardInterrupt in the main thread only. Nothing here holds one of Python's locks in that thread: putting work
into the queue, starting a thread and the signal that work is done are single steps.
"""

import asyncio
import atexit
import contextlib
import contextvars
import functools
import os
import threading
import time
from _thread import LockType, allocate_lock, start_new_thread
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

_T = TypeVar("_T")
_Work = Callable[[], Callable[[], Any]]  # returns a function that signals its end

awaiting_loop: contextvars.ContextVar[asyncio.AbstractEventLoop | None] = contextvars.ContextVar(
    "awaiting_loop", default=None
)
"""The event loop that awaits the work of this thread. None where none does: there it may be blocked meanwhile."""

_READERS = 4
_EXIT_TIMEOUT = 5.0  # seconds that the end of the process waits for work that has begun


async def in_thread(work: Callable[[], _T], *, writes: bool = False) -> _T:
    """Do `work` in a thread of nbcache's own. The loop's default threads may all be busy with the user's tools.

    Work that `writes` is done one after the other, since several busy threads would leave the event loop too little time. It
    continues to its end even if its caller is cancelled.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def deliver(done: Callable[[Any], None], outcome: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(lambda: None if future.done() else done(outcome))

    def do() -> Callable[[], None]:
        awaiting_loop.set(loop)  # in a copy of the caller's context
        try:
            outcome = work()
        except BaseException as error:  # noqa: BLE001 - it is raised in the caller
            return functools.partial(deliver, future.set_exception, error)
        return functools.partial(deliver, future.set_result, outcome)

    if not _workers(os.getpid(), writes).give(functools.partial(contextvars.copy_context().run, do)):
        return work()
    return await future


def is_writing() -> bool:
    """Whether nbcache's writing thread is busy: a thread that lets it run would wait for its own turn again."""
    return _workers(os.getpid(), True).is_busy


def uninterrupted(work: Callable[[], _T]) -> _T:
    """Do `work` to its end. In the main thread, another thread does it, so that an interrupt ends only the waiting."""
    if threading.get_ident() != threading.main_thread().ident:
        return work()
    outcome: list[_T] = []
    errors: list[BaseException] = []
    done = allocate_lock()
    done.acquire()

    def do() -> Callable[[], None]:
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - it is raised in the caller
            errors.append(error)
        return done.release

    if not _workers(os.getpid(), False).give(functools.partial(contextvars.copy_context().run, do)):
        return work()
    done.acquire()
    if errors:
        raise errors[0]
    return outcome[0]


def in_background(work: Callable[[], object]) -> None:
    """Let a thread do `work`, without waiting for it. At the end of the process it is done at once, in this thread."""

    def do() -> Callable[[], None]:
        with contextlib.suppress(Exception):  # no caller waits for it
            work()
        return _nothing

    if not _workers(os.getpid(), False).give(do):
        work()


def _nothing() -> None:
    """The signal of work for which nobody waits."""


class _Workers:
    """A pool of threads, which do their work in the order in which it was given."""

    def __init__(self, max_threads: int) -> None:
        self._max_threads = max_threads
        self._process = os.getpid()
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._at_work: list[LockType] = []  # a lock for each thread, until it ends
        self._ended = False
        self.is_busy = False
        atexit.register(self._finish)

    def give(self, work: _Work) -> bool:
        """Let a thread do `work`. False if there is none and none can be started."""
        if self._ended:
            return False
        if len(self._at_work) < self._max_threads and not self._start() and not self._at_work:
            return False
        self.is_busy = True
        self._queue.put(work)
        return True

    def _start(self) -> bool:
        ends = allocate_lock()
        ends.acquire()
        try:
            start_new_thread(self._run, (ends,))
        except RuntimeError:  # no more threads, or the interpreter is ending
            return False
        self._at_work.append(ends)
        return True

    def _run(self, ends: LockType) -> None:
        while (work := self._queue.get()) is not None:
            done = work()
            self.is_busy = not self._queue.empty()
            done()
            del work, done
        ends.release()

    def _finish(self) -> None:
        """Wait for work that has begun: Python would end without waiting for these threads."""
        if self._process != os.getpid():  # forked
            return
        self._ended = True
        for _ in self._at_work:
            self._queue.put(None)
        until = time.monotonic() + _EXIT_TIMEOUT
        for ends in self._at_work:
            ends.acquire(timeout=max(0.0, until - time.monotonic()))


@functools.cache
def _workers(_process: int, writes: bool) -> _Workers:  # noqa: FBT001 - the key of the cache
    """The threads of this process. A forked child gets its own."""
    return _Workers(1 if writes else _READERS)
