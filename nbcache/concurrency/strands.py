"""Strands: sequences of calls that follow each other. A cell is one, and so is each task, thread and work item of a pool.

A strand's parent is found by the context that it inherits. A thread without an inherited context belongs to the cell.
"""

import asyncio
import contextlib
import itertools
import os
import sys
import threading
import time
from concurrent.futures import thread as pools
from contextvars import ContextVar, Token
from types import CodeType
from typing import Any, Self
from weakref import ref

MAIN = threading.main_thread().ident or 0
_RUN = pools._WorkItem.run.__code__  # noqa: SLF001 - it runs one work item of a pool
_WORK = pools._worker.__code__  # noqa: SLF001 - it runs all those that a thread of a pool gets


class Strand:
    """A strand, and its parent: None for the cell's own strand.

    `within` is its task or its work item of a pool, or None for other code of a thread.
    """

    __slots__ = ("_within", "is_task", "number", "parent", "root", "thread")

    def __init__(self, parent: "Strand | None", thread: int, within: object | None = None, *, is_task: bool) -> None:
        self.parent = parent
        self.root: Strand = self if parent is None else parent.root
        self.thread = thread
        # No `id`, which the next item of the pool may have, too.
        self._within = None if within is None else ref(within)
        self.is_task = is_task
        self.number = next(_numbers)

    def is_of(self, thread: int, within: object | None) -> bool:
        """Whether it is the strand of this thread, and of this task or work item in it."""
        if self._within is None or within is None:
            return self.thread == thread and self._within is within
        return self.thread == thread and self._within() is within

    def __reduce__(self) -> tuple[Any, ...]:
        """A worker's strands become children of the cell in the process that accounts for its calls."""
        return _of_worker, (os.getpid(), self.number, self.is_task)


_numbers = itertools.count()
_current: ContextVar[Strand | None] = ContextVar("nbcache_strand", default=None)
_call: ContextVar["tuple[Strand, float] | None"] = ContextVar("nbcache_strand_call", default=None)
_is_known: ContextVar[bool] = ContextVar("nbcache_is_known_context", default=False)
_root = Strand(None, MAIN, is_task=False)


def know_context() -> None:
    """Mark the context here, and all that will be copied from it, as known. A thread of the user's own begins with an empty one."""
    _is_known.set(True)


def inherits_context() -> bool:
    """Whether the code here runs in a known context, or in a copy of one: it would have what was set around it."""
    return _is_known.get()


def begin_cell() -> None:
    """Begin a cell: strands from before it are not parents of those that follow."""
    global _root  # noqa: PLW0603 - of the process, as the cell is
    thread, task = _thread_and_task()
    _root = Strand(None, thread, task, is_task=task is not None)
    _current.set(_root)
    know_context()


def strand_here() -> Strand:
    """The strand of the code that runs here."""
    thread, task = _thread_and_task()
    within = task or (None if thread == MAIN else _work_item())
    current = _current.get()
    if current is None or current.root is not _root:
        current = _root
    if current.is_of(thread, within):
        return current
    parent: Strand | None = current
    if task is None and current.thread == thread and not current.is_task:
        parent = current.parent  # the previous work item of this thread
    strand = Strand(parent or _root, thread, within, is_task=task is not None)
    _current.set(strand)
    return strand


def _thread_and_task() -> tuple[int, asyncio.Task[Any] | None]:
    """The thread, and the task if there is one."""
    loop = asyncio._get_running_loop()  # noqa: SLF001 - a quarter of what the public function takes
    return threading.get_ident(), None if loop is None else asyncio.current_task(loop)


def _of_worker(process: int, number: int, is_task: bool) -> Strand:  # noqa: FBT001 - as pickle passes it
    strand = _workers.get(of := (process, number))
    if strand is None or strand.root is not _root:
        strand = _workers[of] = Strand(_root, process, is_task=is_task)
        while len(_workers) > _MOST_WORKERS:
            del _workers[next(iter(_workers))]
    return strand


_workers: dict[tuple[int, int], Strand] = {}
_MOST_WORKERS = 1_000  # strands of workers that are kept


def call_here(now: float, seconds: float) -> tuple[Strand, float]:
    """The strand of a call that took so many seconds until `now`, and when it began (`time.perf_counter`)."""
    return _call.get() or (strand_here(), now - seconds)


class calling:  # noqa: N801 - used as a function: within `with calling()` ...
    """Within this block a call belongs to the present strand, even if other tasks make it."""

    __slots__ = ("_token",)

    def __enter__(self) -> Self:
        self._token: Token[Any] = _call.set((strand_here(), time.perf_counter()))
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ValueError):  # a coroutine that nobody finished: it is closed in another context
            _call.reset(self._token)


def pool_here() -> object | None:
    """What is one and the same for all threads of a pool. None in other threads."""
    return _local_of(_WORK, "work_queue")


def _work_item() -> object | None:
    """The work item that a pool's thread is doing; None in other threads."""
    return _local_of(_RUN, "self")


def _local_of(code: CodeType, name: str) -> object | None:
    """The value of a variable of the function with this code, if this thread is in it."""
    frame = sys._getframe(1)  # noqa: SLF001 - the stack is only read
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code is code:
            return frame.f_locals.get(name)
    return None
