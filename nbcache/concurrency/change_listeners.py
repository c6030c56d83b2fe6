"""Functions that are called whenever numbers, entries or settings may have changed."""

import contextlib
import os
from collections.abc import Callable

_listeners: list[Callable[[], None]] = []


def listen(changed: Callable[[], None]) -> Callable[[], None]:
    """Call `changed`, in any thread, whenever numbers, entries or settings may have changed.

    This includes a cache that is turned on later. Returns a function that ends it.
    """
    _listeners.append(changed)

    def stop() -> None:
        with contextlib.suppress(ValueError):
            _listeners.remove(changed)

    return stop


def tell() -> None:
    """Call all listeners."""
    for changed in _listeners:
        changed()


if hasattr(os, "register_at_fork"):  # the listeners belong to the parent
    os.register_at_fork(after_in_child=_listeners.clear)
