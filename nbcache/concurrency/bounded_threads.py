"""A few threads for work that the caller hands out one by one.

The caller waits while all threads are busy, in short waits, so that an interrupt reaches it on every system.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

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
