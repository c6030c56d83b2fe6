"""Rests between the steps of work in the background, so that it hardly slows what the user's threads do.

Python runs one thread at a time. A thread that has waited for a file or a network may wait five milliseconds more until
another one lets it go on. So the work in the background is done in steps of a few milliseconds. While other threads use the
processor it takes a twentieth of the time, and half of it otherwise.
"""

import time

_BUSY_SHARE = 0.2  # of the time: other threads that use the processor for longer are busy
_BUSY_RESTS = 19  # times as long as the work before
_LONGEST = 0.5  # seconds


class Rests:
    """The rests of one thread, which begins its work now."""

    def __init__(self) -> None:
        self._began = time.thread_time()

    def rest(self) -> None:
        """Rest after a step: as long as it took, and much longer while other threads are busy."""
        worked = time.thread_time() - self._began
        began, used = time.monotonic(), time.process_time()
        time.sleep(min(worked, _LONGEST))
        if time.process_time() - used > _BUSY_SHARE * (time.monotonic() - began):
            time.sleep(min((_BUSY_RESTS - 1) * worked, _LONGEST))
        self._began = time.thread_time()
