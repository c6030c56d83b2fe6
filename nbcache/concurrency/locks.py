"""A lock that nobody can leave held: not an interrupt, not a thread that has ended, not a fork."""

import contextlib
import sys
import time
from _thread import LockType, allocate_lock
from collections import deque
from types import FrameType
from typing import Any

from nbcache.concurrency.running_frames import is_around, is_running

_SOON, _LATE = 0.01, 0.2  # seconds after which a waiter looks whether the holder still runs: at first, and at last
_YIELD = 5e-5  # seconds in which one who waits can wake


class Lock:
    """A lock for `with`, which a thread may take again within functions that it calls while it holds it.

    Its holder is the frame with the `with`, noted in the one step that takes the lock (`dict.setdefault`). Where that
    frame is on no stack any more, the lock is free, whatever kept the frame from giving it back.
    """

    def __init__(self) -> None:
        # "holder": the frame. Once a holder is lost it stays here for good, and "next" has what stands in this one's place.
        self._state: dict[str, Any] = {}
        self._bells: deque[LockType] = deque()  # one for each who waits

    def __enter__(self) -> None:
        frame = sys._getframe(1)  # noqa: SLF001 - the frame that takes it
        if self._state.setdefault("holder", frame) is not frame:
            self._wait(frame)

    def __exit__(self, *_: object) -> None:
        state = self._state
        if state.get("holder") is not sys._getframe(1):  # noqa: SLF001 - as above
            return  # it was taken further out
        del state["holder"]
        if self._bells:
            self._ring()

    def _wait(self, frame: FrameType) -> None:
        pause = _SOON
        while True:
            state = self._state
            holder = state.setdefault("holder", frame)
            if holder is frame or is_around(holder):
                return
            if self._is_left(state, holder, pause):
                self._state = state.setdefault("next", {})
            pause = min(2 * pause, _LATE)

    def _is_left(self, state: dict[str, Any], holder: FrameType, pause: float) -> bool:
        """Wait until the holder lets go, or for so many seconds; whether it has left the lock for good."""
        bell = allocate_lock()
        bell.acquire()
        self._bells.append(bell)
        try:
            if state.get("holder") is not holder or bell.acquire(timeout=pause):
                return False
        finally:
            with contextlib.suppress(ValueError):
                self._bells.remove(bell)
        # Looked at twice: in between it may have let go, and another have taken the lock.
        return not is_running(holder) and state.get("holder") is holder

    def _ring(self) -> None:
        """Let one who waits try again."""
        with contextlib.suppress(IndexError):  # they have stopped waiting
            self._bells.popleft().release()
            time.sleep(_YIELD)  # else who holds the interpreter takes the lock again before anybody wakes
