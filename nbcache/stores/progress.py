"""Progress of long work."""

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

Progress = Callable[[int, int], None]  # called with how many are done, and of how many
_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)


class Counted(Protocol[_T_co]):
    """Items whose number is known before the first of them is there."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[_T_co]: ...


def followed(items: Counted[_T], progress: Progress | None) -> Iterator[_T]:
    """Each of `items`; `progress` is called after each."""
    for number, item in enumerate(items, 1):
        yield item
        if progress is not None:
            progress(number, len(items))
