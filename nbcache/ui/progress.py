"""A line that shows the progress of long work."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nbcache.ui.printing import rewrite

_DELAY = 1.0  # seconds before the line is shown
_INTERVAL = 0.1  # seconds between two updates


@contextmanager
def progress(done: str) -> Iterator[Callable[[int, int], None]]:
    """Gives a function of a count and its total, which shows them on stderr after `done` if the block takes a while."""
    began = shown = time.monotonic()
    width = 0

    def show(count: int, of: int) -> None:
        nonlocal shown, width
        if sys.stderr is None or not (sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel.")):
            return  # a file would keep every update
        now = time.monotonic()
        if now - began > _DELAY and now - shown > _INTERVAL:
            shown, text = now, f"{done} {count:,} of {of:,}"
            rewrite(f"{text:<{width}}")
            width = len(text)

    try:
        yield show
    finally:
        if width:
            rewrite(" " * width)
            rewrite("")
