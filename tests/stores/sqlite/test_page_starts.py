"""Places from which pages are read: a few thousand at most, of whichever order."""

import pytest

from nbcache.entry.records import Filter
from nbcache.stores.sqlite import page_starts
from nbcache.stores.sqlite.page_starts import PageOrder, PageStarts, Place


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> PageStarts:
    monkeypatch.setattr(page_starts, "_MOST", 100)
    return PageStarts()


def order(column: str) -> PageOrder:
    return PageOrder("token", None, Filter(), column, descending=True)


def kept(starts: PageStarts, of: PageOrder, until: int) -> int:
    """How many places are known up to this offset."""
    return len({starts.nearest(of, offset)[0] for offset in range(until)} - {0})


def test_places_of_one_order_are_bounded_and_spread_over_all_of_it(starts: PageStarts) -> None:
    of = order("created")
    for offset in range(1, 1_001):
        starts.keep(of, offset, Place(float(offset), offset))
    assert kept(starts, of, 1_001) <= 100
    for offset in range(100, 1_001):
        start, place = starts.nearest(of, offset)
        assert place == Place(float(start), start)
        assert offset - start <= 100


def test_places_of_other_orders_go_first(starts: PageStarts) -> None:
    for offset in range(1, 81):
        starts.keep(order("created"), offset, Place(float(offset), offset))
    for offset in range(1, 61):
        starts.keep(order("size"), offset, Place(offset, offset))
    assert kept(starts, order("created"), 100) == 0
    assert kept(starts, order("size"), 100) == 60
