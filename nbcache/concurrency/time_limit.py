"""A bound on the time that a search by somebody's own regular expression may take."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SECONDS = 10.0


class TooSlowError(ValueError):
    """A search that took longer."""


@contextlib.contextmanager
def time_limit() -> Iterator[None]:
    """Raise TooSlowError when the block takes longer than `SECONDS`.

    That is done by the system's alarm, which Python's `re` heeds in the middle of a search. It is not to be had in a
    thread, on Windows, or where something else uses it: there the block takes as long as it takes.
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
