"""Progress of long work."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Progress = Callable[[int, int], None]  # called with how many are done, and of how many
_T = TypeVar("_T")


def followed(items: Sequence[_T], progress: Progress | None) -> Iterator[_T]:
    """Each of `items`; `progress` is called after each."""
    for number, item in enumerate(items, 1):
        yield item
        if progress is not None:
            progress(number, len(items))
