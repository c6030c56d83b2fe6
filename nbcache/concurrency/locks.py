"""A lock that can't be left held: not by an interrupt, a thread that has ended, or a fork."""

import contextlib
import sys
import time
from _thread import LockType, allocate_lock
from collections import deque
from types import FrameType
from typing import Any

from nbcache.concurrency.running_frames import is_around, is_running

_FIRST_CHECK, _LAST_CHECK = 0.01, 0.2  # seconds between a waiter's checks that the holder still runs: at first, at most
_YIELD = 5e-5  # seconds in which a waiter can wake up


class Lock:
    """A reentrant lock for `with`.

    Its holder is the frame with the `with`. It is recorded by the same step that takes the lock, `dict.setdefault`. Once that
    frame is on no stack, the lock is free, even if the frame never released it.
    """

    def __init__(self) -> None:
        # "holder" is the frame. If the holder has left the lock for good, it stays, and "next" is the state that replaces this one.
        self._state: dict[str, Any] = {}
        self._bells: deque[LockType] = deque()  # one for each waiter

    def __enter__(self) -> None:
        frame = sys._getframe(1)  # noqa: SLF001 - the frame that takes the lock
        if self._state.setdefault("holder", frame) is not frame:
            self._wait(frame)

    def __exit__(self, *_: object) -> None:
        state = self._state
        if state.get("holder") is not sys._getframe(1):  # noqa: SLF001 - as above
            return  # an outer frame took it
        del state["holder"]
        if self._bells:
            self._ring()

    @property
    def is_held(self) -> bool:
        """Whether somebody holds it just now."""
        return "holder" in self._state

    def _wait(self, frame: FrameType) -> None:
        pause = _FIRST_CHECK
        while True:
            state = self._state
            holder = state.setdefault("holder", frame)
            if holder is frame or is_around(holder):
                return
            if self._is_left(state, holder, pause):
                self._state = state.setdefault("next", {})
            pause = min(2 * pause, _LAST_CHECK)

    def _is_left(self, state: dict[str, Any], holder: FrameType, pause: float) -> bool:
        """Wait for the holder to release the lock, for `pause` seconds at most. Returns whether it has left the lock for good."""
        bell = allocate_lock()
        bell.acquire()
        self._bells.append(bell)
        try:
            if state.get("holder") is not holder or bell.acquire(timeout=pause):
                return False
        finally:
            with contextlib.suppress(ValueError):
                self._bells.remove(bell)
        # Checked twice: in between, the holder may have released the lock, and another have taken it.
        return not is_running(holder) and state.get("holder") is holder

    def _ring(self) -> None:
        """Wake up one waiter."""
        with contextlib.suppress(IndexError):  # no one waits any more
            self._bells.popleft().release()
            time.sleep(_YIELD)  # otherwise this thread may take the lock again before the waiter wakes up
