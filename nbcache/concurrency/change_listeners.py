"""Functions that are called whenever numbers, entries or settings may have changed."""

import contextlib
import os
from collections.abc import Callable

all_listeners: list[Callable[[], None]] = []


def listen(changed: Callable[[], None]) -> Callable[[], None]:
    """Call `changed`, in any thread, whenever numbers, entries or settings may have changed.

    This includes a cache that is turned on later. Returns a function that ends it.
    """
    all_listeners.append(changed)

    def stop() -> None:
        with contextlib.suppress(ValueError):
            all_listeners.remove(changed)

    return stop


def tell() -> None:
    """Call all listeners."""
    for changed in all_listeners:
        changed()


if hasattr(os, "register_at_fork"):  # the listeners belong to the parent
    os.register_at_fork(after_in_child=all_listeners.clear)
