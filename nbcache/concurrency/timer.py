"""A thread that does its work some time after it was woken, once for all wake-ups in that time."""

import contextlib
import os
import queue
from _thread import start_new_thread
from collections.abc import Callable
from queue import SimpleQueue


class Timer:
    """Does `work` in a thread of its own, `delay` seconds after `wake`, and again after each delay while it returns true.

    A call only does one or two steps here, which an interrupt can't leave half done.
    """

    def __init__(self, work: Callable[["Timer"], bool], delay: float) -> None:
        self._work = work
        self._delay = delay
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._end: SimpleQueue[None] = SimpleQueue()
        self.is_idle = (
            self._bell.empty
        )  # false: no need to `wake`. A hit looks here first, since this is no Python function
        self._process: int | None = None  # the one in which the thread runs: a forked child needs its own

    def wake(self) -> None:
        """Let the work be done soon. If no thread can be started, nothing happens."""
        if self._bell.empty() or self._process != os.getpid():
            if self._process != os.getpid():
                try:
                    start_new_thread(self._run, ())
                except RuntimeError:  # no more threads, or the interpreter is ending
                    return
                self._process = os.getpid()
            self._bell.put(None)

    def stop(self) -> None:
        """End the thread."""
        self._end.put(None)
        self._bell.put(None)

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return not self._end.empty()

    def _run(self) -> None:
        again = False
        while True:
            if not again:
                self._bell.get()
            with contextlib.suppress(queue.Empty):
                self._end.get(timeout=self._delay)
                self._end.put(None)  # for `is_stopped`
                return
            with contextlib.suppress(queue.Empty):
                while True:
                    self._bell.get_nowait()
            again = self._work(self)
