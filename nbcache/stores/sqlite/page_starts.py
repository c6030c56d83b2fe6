"""Places in the order of entries, from which pages are read while nothing is written.

From a place on, a page is read from the index right there. To count all entries before it takes longer the farther in it is.
"""

import bisect
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from nbcache.concurrency.locks import Lock

if TYPE_CHECKING:
    from nbcache.entry.records import Filter

_MOST = 10_000  # places that are remembered: a megabyte or two


class Place(NamedTuple):
    """Where an entry is in the order: its value of the column, and its id."""

    value: object
    rowid: int


class PageOrder(NamedTuple):
    """The entries that a filter selects in one state of the store, in the order of a column.

    Without a `token` the state isn't known, and nothing is remembered. When the next entry `expires`, all places move.
    """

    token: object
    expires: object
    which: "Filter"
    column: str
    descending: bool


class PageStarts:
    """The last entry before some offset, for several offsets in each order. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._number = 0
        self._orders: OrderedDict[PageOrder, tuple[list[int], list[Place]]] = OrderedDict()

    def nearest(self, order: PageOrder, offset: int) -> tuple[int, Place | None]:
        """The nearest offset up to this one of which the place is known, and that place; (0, None) for the beginning."""
        with self._lock:
            offsets, places = self._orders.get(order, ((), ()))
            at = bisect.bisect_right(offsets, offset)
            return (offsets[at - 1], places[at - 1]) if at else (0, None)

    def keep(self, order: PageOrder, offset: int, place: Place) -> None:
        """Remember the last entry before this offset."""
        if order.token is None:
            return
        with self._lock:
            offsets, places = self._orders.setdefault(order, ([], []))
            self._orders.move_to_end(order)
            at = bisect.bisect_left(offsets, offset)
            if offsets[at : at + 1] == [offset]:
                return
            offsets.insert(at, offset)
            places.insert(at, place)
            self._number += 1
            while self._number > _MOST and len(self._orders) > 1:
                self._number -= len(self._orders.popitem(last=False)[1][0])
            if self._number > _MOST:  # of this order alone
                self._orders[order] = offsets, places = _apart(offsets, places, 2 * offsets[-1] // _MOST)
                self._number = len(offsets)


def _apart(offsets: list[int], places: list[Place], least: int) -> tuple[list[int], list[Place]]:
    """Those of the offsets, with their places, that are at least so far from the one before."""
    kept: list[tuple[int, Place]] = []
    for offset, place in zip(offsets, places, strict=True):
        if not kept or offset - kept[-1][0] >= least:
            kept.append((offset, place))
    return [offset for offset, _ in kept], [place for _, place in kept]
