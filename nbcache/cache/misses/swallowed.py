"""The misses of mode `replay`, in case the user's code swallows the errors: they are reported after the cell or the test."""

from collections import deque

from nbcache.errors import ReplayMiss

# Of the whole process: they are still there if the cache is turned off before the end of the cell.
_lost: deque[ReplayMiss] = deque(maxlen=100)


def note_swallowed(miss: ReplayMiss) -> None:
    """Keep `miss` until the end of the cell or the test."""
    _lost.append(miss)


def take_swallowed() -> list[ReplayMiss]:
    """The misses since this was last called."""
    return [_lost.popleft() for _ in range(len(_lost))]
