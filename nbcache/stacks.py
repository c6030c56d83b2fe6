"""Whether code still runs: a frame that is on no stack holds nothing any more, whatever it was interrupted at.

Python may raise KeyboardInterrupt between any two steps, also between taking a thing and noting that it is to be given
back. So what is taken is noted with the frame of who takes it; a frame of a generator, which rests on no stack, takes
nothing that it keeps over a `yield`.
"""

import gc
import sys
from _thread import allocate_lock
from collections.abc import Iterable
from types import FrameType

# Until these releases a collection of garbage within `sys._current_frames` could end in a deadlock (CPython issue 106883).
_IS_SAFE = sys.version_info >= (3, 12, 3) or (3, 11, 9) <= sys.version_info < (3, 12)
_PATIENCE = 0.05  # seconds for another thread that looks
_looking = allocate_lock()


def is_running(frame: FrameType) -> bool:
    """Whether `frame` is on the stack of any thread."""
    return is_around(frame) or any(_is_among(frame, top) for top in _tops())


def is_around(frame: FrameType) -> bool:
    """Whether `frame` is on this thread's stack."""
    return _is_among(frame, sys._getframe(1))  # noqa: SLF001 - as above


def _tops() -> Iterable[FrameType]:
    """The innermost frame of each thread."""
    if _IS_SAFE:
        return sys._current_frames().values()  # noqa: SLF001 - there is no other way
    is_mine = _looking.acquire(timeout=_PATIENCE)
    collects = gc.isenabled()
    try:
        gc.disable()
        return sys._current_frames().values()  # noqa: SLF001 - as above
    finally:
        if collects:
            gc.enable()
        if is_mine:
            _looking.release()


def _is_among(frame: FrameType, top: FrameType | None) -> bool:
    while top is not None:
        if top is frame:
            return True
        top = top.f_back
    return False
