"""Whether a frame still runs. A frame that is on no stack holds nothing any more, wherever it was interrupted.

Python may raise KeyboardInterrupt between any two steps, such as taking a lock and noting that it must be released. So the
holder is recorded as the frame that takes it. A generator's frame leaves the stack at each `yield`, so a generator must not
hold anything over a `yield`.
"""

import gc
import operator
import sys
from types import FrameType

# Before 3.11.9, garbage collection within `sys._current_frames` may cause a deadlock (CPython issue 106883): it may let other
# threads run while Python's list of threads is locked. From 3.12 on it does not begin there.
_MAY_COLLECT = sys.version_info < (3, 11, 9)


def is_running(frame: FrameType) -> bool:
    """Whether `frame` is on the stack of any thread."""
    return is_around(frame) or any(_is_among(frame, top) for top in innermost_frames().values())


def is_around(frame: FrameType) -> bool:
    """Whether `frame` is on this thread's stack."""
    return _is_among(frame, sys._getframe(1))  # noqa: SLF001 - as above


def innermost_frames() -> dict[int, FrameType]:
    """The innermost frame of each thread, by the thread's identifier.

    (`frame.clear` raises for a frame that runs. But it also raises in a forked child for frames of the parent's other threads,
    and clears the variables of a frame that does not run.)
    """
    if not (_MAY_COLLECT and gc.isenabled()):
        return sys._current_frames()  # noqa: SLF001 - there is no other way
    # These three calls are one step for Python: neither an interrupt nor another thread can come between them.
    steps = gc.disable, sys._current_frames, gc.enable  # noqa: SLF001 - as above
    _, frames, _ = map(operator.call, steps)
    assert frames is not None
    return frames


def _is_among(frame: FrameType, top: FrameType | None) -> bool:
    while top is not None:
        if top is frame:
            return True
        top = top.f_back
    return False
