"""An event loop in a thread of its own."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from nbcache.concurrency.locks import Lock

_T = TypeVar("_T")
_ENDS_WITHIN = 1.0  # seconds
_NAME = "nbcache-warm"  # of the thread


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
            self._thread.join(_ENDS_WITHIN)
