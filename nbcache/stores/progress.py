"""How far long work is."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Progress = Callable[[int, int], None]  # is told how many of how many are done
_T = TypeVar("_T")


def followed(items: Sequence[_T], progress: Progress | None) -> Iterator[_T]:
    """Each of `items`, of which `progress` is told when it is done."""
    for number, item in enumerate(items, 1):
        yield item
        if progress is not None:
            progress(number, len(items))
