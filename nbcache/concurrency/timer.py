"""A thread that does its work a while after it is woken, once however often it was."""

import contextlib
import os
import queue
from _thread import start_new_thread
from collections.abc import Callable
from queue import SimpleQueue


class Timer:
    """Does `work` in a thread of its own, `delay` seconds after `wake`; again after as many, where it returns true.

    What a call does here is a step or two, none of which an interrupt can leave half done.
    """

    def __init__(self, work: Callable[["Timer"], bool], delay: float) -> None:
        self._work = work
        self._delay = delay
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._end: SimpleQueue[None] = SimpleQueue()
        self._process: int | None = None  # in which the thread runs: a forked child has none of its parent's

    def wake(self) -> None:
        """Let the work be done soon. Where there can be no thread, nothing happens."""
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
        """Whether it was told to end."""
        return not self._end.empty()

    def _run(self) -> None:
        again = False
        while True:
            if not again:
                self._bell.get()
            with contextlib.suppress(queue.Empty):
                self._end.get(timeout=self._delay)
                self._end.put(None)  # for whoever looks
                return
            with contextlib.suppress(queue.Empty):
                while True:
                    self._bell.get_nowait()
            again = self._work(self)
