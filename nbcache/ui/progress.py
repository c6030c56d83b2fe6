"""A line that tells how far long work is."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nbcache.ui.terminal import rewrite

_PATIENCE = 1.0  # seconds before it is shown
_EVERY = 0.1  # seconds


@contextmanager
def progress(done: str) -> Iterator[Callable[[int, int], None]]:
    """Within the block, what it gives shows on stderr how many of how many are `done`, once that takes a while."""
    began = shown = time.monotonic()
    width = 0

    def show(count: int, of: int) -> None:
        nonlocal shown, width
        if sys.stderr is None or not (sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel.")):
            return  # a file, which keeps what it is told
        now = time.monotonic()
        if now - began > _PATIENCE and now - shown > _EVERY:
            shown, text = now, f"{done} {count:,} of {of:,}"
            rewrite(f"{text:<{width}}")
            width = len(text)

    try:
        yield show
    finally:
        if width:
            rewrite(" " * width)
            rewrite("")
