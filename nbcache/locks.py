"""Locks that survive a fork."""

import os
import threading
import weakref


class Lock:
    """A lock that one thread may take several times, and that a forked child finds free.

    The parent's other threads, which may have held it, are not there to let it go.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def begin_in_child(self) -> None:
        """Be free."""
        self._lock = threading.RLock()


_locks: "weakref.WeakSet[Lock]" = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for lock in list(_locks):
        lock.begin_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
