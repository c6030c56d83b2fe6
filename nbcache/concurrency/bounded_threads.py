"""A few threads for work that the caller hands out one by one, and an event loop in a thread of its own.

The caller waits while all threads are busy, in short waits, so that an interrupt reaches it on every system.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from nbcache.concurrency.locks import Lock

_T = TypeVar("_T")
_Work = Callable[[], object]
_STEP = 0.1  # seconds of one wait
_NAME = "nbcache-warm"  # of the threads


class BoundedThreads:
    """At most so many threads, each started when it is first needed. They don't keep the process from ending.

    `while_waiting` is called between waits.
    """

    def __init__(self, most: int, while_waiting: Callable[[], object]) -> None:
        self._most = most
        self._while_waiting = while_waiting
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self._free: SimpleQueue[None] = SimpleQueue()  # as many as there are threads without work
        self._threads: list[threading.Thread] = []

    def give(self, work: _Work) -> None:
        """Let a thread do `work`, as soon as one is free. `work` must not raise."""
        self._wait_for_a_free_one()
        self._work.put(work)

    def _wait_for_a_free_one(self) -> None:
        with contextlib.suppress(Empty):
            return self._free.get_nowait()
        if len(self._threads) < self._most:
            thread = threading.Thread(target=self._run, name=_NAME, daemon=True)
            thread.start()
            self._threads.append(thread)
            return None
        while True:
            self._while_waiting()
            with contextlib.suppress(Empty):
                return self._free.get(timeout=_STEP)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
            del work
            self._free.put(None)

    def end(self, within: float | None = None) -> None:
        """Let the threads end after their work, and wait for that, for at most `within` seconds."""
        ends = None if within is None else time.monotonic() + within
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            while thread.is_alive() and (ends is None or time.monotonic() < ends):
                self._while_waiting()
                thread.join(_STEP)


class LoopThread:
    """An event loop for the coroutines that threads wait for. It runs in a thread, from the first of them on.

    Its whole life is within a block of `around`.
    """

    def __init__(self, around: Callable[[], AbstractAsyncContextManager[object]]) -> None:
        self._around = around
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._end = asyncio.Event()

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """What a coroutine returns, which runs in a copy of this thread's context. Raises what it raises."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._started()).result()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                started = Future[asyncio.AbstractEventLoop]()
                self._thread = threading.Thread(target=asyncio.run, args=(self._serve(started),), daemon=True)
                self._thread.name = _NAME
                self._thread.start()
                self._loop = started.result()
            return self._loop

    async def _serve(self, started: "Future[asyncio.AbstractEventLoop]") -> None:
        async with self._around():
            started.set_result(asyncio.get_running_loop())
            await self._end.wait()

    def end(self) -> None:
        """End the loop, and cancel what still runs on it."""
        if self._loop is not None and self._thread is not None:
            with contextlib.suppress(RuntimeError):  # it is closed
                self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(_STEP * 10)
