"""Whether code still runs: a frame that is on no stack holds nothing any more, whatever it was interrupted at.

Python may raise KeyboardInterrupt between any two steps, also between taking a thing and noting that it is to be given
back. So what is taken is noted with the frame of who takes it; a frame of a generator, which rests on no stack, takes
nothing that it keeps over a `yield`.
"""

import gc
import operator
import sys
from collections.abc import Iterable
from types import FrameType

# Until 3.11.9 a collection of garbage that begins within `sys._current_frames` may end in a deadlock (CPython issue 106883):
# what it calls may let other threads run, while Python's list of threads is locked. From 3.12 on none begins there.
_MAY_COLLECT = sys.version_info < (3, 11, 9)


def is_running(frame: FrameType) -> bool:
    """Whether `frame` is on the stack of any thread."""
    return is_around(frame) or any(_is_among(frame, top) for top in _tops())


def is_around(frame: FrameType) -> bool:
    """Whether `frame` is on this thread's stack."""
    return _is_among(frame, sys._getframe(1))  # noqa: SLF001 - as above


def _tops() -> Iterable[FrameType]:
    """The innermost frame of each thread.

    (`frame.clear` would tell of a frame whether it runs. But in a forked child those of the parent's other threads seem
    to, and one that doesn't run loses its variables.)
    """
    if not (_MAY_COLLECT and gc.isenabled()):
        return sys._current_frames().values()  # noqa: SLF001 - there is no other way
    # Three calls in one step of Python's, between which neither an interrupt nor another thread can come.
    steps = gc.disable, sys._current_frames, gc.enable  # noqa: SLF001 - as above
    _, frames, _ = map(operator.call, steps)
    assert frames is not None
    return frames.values()


def _is_among(frame: FrameType, top: FrameType | None) -> bool:
    while top is not None:
        if top is frame:
            return True
        top = top.f_back
    return False
