"""Calls that `replay` didn't make. Something may have swallowed the error: who runs cells or tests asks at their end."""

from collections import deque

from nbcache.errors import ReplayMiss

# Of this process: a cache that is turned off in between takes none along.
_lost: deque[ReplayMiss] = deque(maxlen=100)


def note_swallowed(miss: ReplayMiss) -> None:
    """Keep `miss` until somebody asks."""
    _lost.append(miss)


def take_swallowed() -> list[ReplayMiss]:
    """The errors since the last time."""
    return [_lost.popleft() for _ in range(len(_lost))]
