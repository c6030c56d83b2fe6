"""A cache that is compared, behind the same few calls as the others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .workload import Entry


@dataclass(frozen=True)
class Contender:
    """A cache, taken apart so that the timed loop calls nothing but the cache's own methods."""

    get: Callable[..., Any]
    put: Callable[..., Any]
    key: Callable[[Entry], tuple[Any, ...]]
    """The arguments of `get`; with `value` added, those of `put`."""
    value: Callable[[Entry], Any]
    right: Callable[[Entry, Any], bool]
    """Whether what `get` returned is what was put."""
    close: Callable[[], object] = lambda: None
    settle: Callable[[], object] = lambda: None
    """Do now what calls leave for later, so that it is not done in another's time."""
    nothing: Any = None
    """What `get` returns if there is nothing."""
