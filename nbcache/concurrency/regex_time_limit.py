"""A time limit for searches by a regular expression of the user's own."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SECONDS = 10.0


class TooSlowError(ValueError):
    """A search that took too long."""


@contextlib.contextmanager
def time_limit() -> Iterator[None]:
    """Raise TooSlowError if the block takes longer than `SECONDS`.

    This uses the system's alarm, which interrupts Python's `re` within a search. There is no limit in a thread, on Windows, or
    where the alarm is in use.
    """
    if not _is_free():
        yield
        return
    before = signal.signal(signal.SIGALRM, _raise)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _is_free() -> bool:
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        return False
    return signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0) and signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


def _raise(_number: int, _frame: FrameType | None) -> None:
    raise TooSlowError
