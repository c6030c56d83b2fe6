"""Threads of our own, for what must not run on an event loop, and for what no interrupt may break off.

Python raises KeyboardInterrupt in the main thread alone. Nothing here holds one of Python's own locks in that thread:
the queue, the threads' start and the signal that work is done are single steps.
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
_Work = Callable[[], Callable[[], Any]]  # returns what tells that it is done

_READERS = 4
_LAST_WAIT = 5.0  # seconds that the end of the process waits for work that was begun


async def in_thread(work: Callable[[], _T], *, writes: bool = False) -> _T:
    """Do `work` in a thread of our own: the loop's default ones may all be busy with the user's tools.

    What `writes` is done one after the other: several threads that work leave the event loop too little of the
    interpreter. It goes on to its end where nobody waits for it any more.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def deliver(done: Callable[[Any], None], outcome: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(lambda: None if future.done() else done(outcome))

    def do() -> Callable[[], None]:
        try:
            outcome = work()
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it
            return functools.partial(deliver, future.set_exception, error)
        return functools.partial(deliver, future.set_result, outcome)

    if not _workers(os.getpid(), writes).give(functools.partial(contextvars.copy_context().run, do)):
        return work()
    return await future


def is_writing() -> bool:
    """Whether a thread of ours has something to write, and would make whoever lets it run wait for its turn again."""
    return _workers(os.getpid(), True).is_busy


def uninterrupted(work: Callable[[], _T]) -> _T:
    """Do `work` to its end, in a thread, where this one may be interrupted; an interrupt ends the waiting only."""
    if threading.get_ident() != threading.main_thread().ident:
        return work()
    outcome: list[_T] = []
    errors: list[BaseException] = []
    done = allocate_lock()
    done.acquire()

    def do() -> Callable[[], None]:
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            errors.append(error)
        return done.release

    if not _workers(os.getpid(), False).give(functools.partial(contextvars.copy_context().run, do)):
        return work()
    done.acquire()
    if errors:
        raise errors[0]
    return outcome[0]


def in_background(work: Callable[[], object]) -> None:
    """Have `work` done by a thread, without waiting for it; here and now where the process ends."""

    def do() -> Callable[[], None]:
        with contextlib.suppress(Exception):  # nobody is there to be told
            work()
        return _nothing

    if not _workers(os.getpid(), False).give(do):
        work()


def _nothing() -> None:
    """What is to be done after work that nobody waits for."""


class _Workers:
    """At most so many threads, which do what they are given in its order."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._process = os.getpid()
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._at_work: list[LockType] = []  # a lock for each thread, until it ends
        self._ended = False
        self.is_busy = False
        atexit.register(self._finish)

    def give(self, work: _Work) -> bool:
        """Let a thread do `work`; false where there is none, and can't be one any more."""
        if self._ended:
            return False
        if len(self._at_work) < self._most and not self._start() and not self._at_work:
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
        """Let what was begun be done: the process would end without these threads."""
        if self._process != os.getpid():  # forked
            return
        self._ended = True
        for _ in self._at_work:
            self._queue.put(None)
        until = time.monotonic() + _LAST_WAIT
        for ends in self._at_work:
            ends.acquire(timeout=max(0.0, until - time.monotonic()))


@functools.cache
def _workers(_process: int, writes: bool) -> _Workers:  # noqa: FBT001 - the key of the cache
    """The threads of this process: a forked child has none of its parent's."""
    return _Workers(1 if writes else _READERS)
