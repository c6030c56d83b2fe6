"""Whether code still runs: a frame that is on no stack holds nothing any more, whatever it was interrupted at.

Python may raise KeyboardInterrupt between any two steps, also between taking a thing and noting that it is to be given
back. So what is taken is noted with the frame of who takes it; a frame of a generator, which rests on no stack, takes
nothing that it keeps over a `yield`.
"""

import sys
from types import FrameType


def is_running(frame: FrameType) -> bool:
    """Whether `frame` is on the stack of any thread."""
    return any(_is_among(frame, top) for top in sys._current_frames().values())  # noqa: SLF001 - there is no other way


def is_around(frame: FrameType) -> bool:
    """Whether `frame` is on this thread's stack."""
    return _is_among(frame, sys._getframe(1))  # noqa: SLF001 - as above


def _is_among(frame: FrameType, top: FrameType | None) -> bool:
    while top is not None:
        if top is frame:
            return True
        top = top.f_back
    return False
