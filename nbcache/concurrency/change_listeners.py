"""Who is told whenever numbers, entries or settings may have changed."""

import contextlib
import os
from collections.abc import Callable

_listeners: list[Callable[[], None]] = []


def listen(changed: Callable[[], None]) -> Callable[[], None]:
    """Call `changed`, in any thread, whenever numbers, entries or settings may have changed.

    Those of a cache that is turned on later count, too. What is returned ends that.
    """
    _listeners.append(changed)

    def stop() -> None:
        with contextlib.suppress(ValueError):
            _listeners.remove(changed)

    return stop


def tell() -> None:
    """Tell all who listen."""
    for changed in _listeners:
        changed()


if hasattr(os, "register_at_fork"):  # who listens lives in the parent
    os.register_at_fork(after_in_child=_listeners.clear)
