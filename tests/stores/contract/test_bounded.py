"""Stores that can be kept small."""

from dataclasses import replace

import pytest

from nbcache.entry.records import Totals, Touch
from nbcache.errors import StoreError
from nbcache.stores.base import Bounded, Listable
from tests.stores.contract.conftest import Make
from tests.stores.contract.entries import Clock, counts_payloads_alone, key_of, put, row, use

IN_TIERS = False  # what the first one evicts, the others still have
NEEDS = (Bounded, Listable)


def test_bound_in_entries_evicts_the_least_recently_used(make: Make, clock: Clock) -> None:
    store = make(max_entries=3)
    keys = []
    for n in range(3):
        clock.advance(1)
        keys.append(put(store, n))
    use(store, clock, keys[0])
    for n in range(3, 5):
        clock.advance(1)
        keys.append(put(store, n))
    assert {meta.key for meta in store.page()} == {keys[0], keys[3], keys[4]}
    assert store.totals() == Totals(3, 21, 2)
    assert store.get(keys[1]) is None


def test_bound_in_bytes_evicts_until_there_is_room(make: Make, clock: Clock) -> None:
    store = make(max_bytes=100)
    counts_payloads_alone(store)
    keys = []
    for n in range(5):
        clock.advance(1)
        keys.append(put(store, n, b"x" * 20))
    assert store.totals() == Totals(5, 100, 0)
    clock.advance(1)
    large = put(store, "large", b"x" * 50)
    assert [meta.key for meta in store.page()] == [large, keys[4], keys[3]]
    assert store.totals() == Totals(3, 90, 3)


def test_replaced_entry_counts_once_and_is_used(make: Make, clock: Clock) -> None:
    store = make(max_entries=2, max_bytes=100)
    counts_payloads_alone(store)
    one, two = put(store, 1, b"x" * 40), None
    clock.advance(1)
    two = put(store, 2, b"x" * 40)
    clock.advance(1)
    put(store, 1, b"x" * 60)
    assert store.totals() == Totals(2, 100, 0)
    clock.advance(1)
    put(store, 3, b"x" * 40)
    assert store.get(two) is None
    assert store.get(one) is not None


def test_entry_that_was_just_put_is_never_the_one_evicted(make: Make, clock: Clock) -> None:
    store = make(max_entries=1)
    old = put(store, 1)
    store.touch([Touch(old, None, 1, clock.now + 1000)])
    new = key_of(2)
    store.put(new, b"payload", replace(row(new), created=clock.now - 1000))  # as an import would
    assert store.get(new) == b"payload"
    assert store.get(old) is None


def test_payload_larger_than_the_bound_is_refused_and_nothing_evicted(make: Make) -> None:
    store = make(max_bytes=100)
    counts_payloads_alone(store)
    key = put(store, 1, b"x" * 60)
    with pytest.raises(StoreError, match="max_bytes=100"):
        put(store, 2, b"x" * 101)
    with pytest.raises(StoreError):
        put(store, 1, b"y" * 101)
    assert store.get(key) == b"x" * 60
    assert store.totals() == Totals(1, 60, 0)
    put(store, 3, b"x" * 100)
    assert store.totals() == Totals(1, 100, 1)


def test_what_has_expired_never_pushes_out_what_lives(make: Make, clock: Clock) -> None:
    store = make(max_entries=3)
    kept = put(store, "kept")
    clock.advance(1)
    put(store, 1, ttl=10)
    put(store, 2, ttl=10)
    clock.advance(11)
    put(store, 3)
    assert store.get(kept) == b"payload"
    assert store.totals() == Totals(2, 14, 0)


def test_bound_set_later_holds_from_the_next_put_on(make: Make, clock: Clock) -> None:
    store = make()
    for n in range(5):
        clock.advance(1)
        put(store, n)
    store.bound(None, 2)
    assert store.totals().entries == 5
    clock.advance(1)
    put(store, 5)
    assert [meta.key for meta in store.page()] == [key_of(5), key_of(4)]
    assert store.totals().evictions == 4
    store.bound(None, None)
    put(store, 6)
    assert store.totals().entries == 3


@pytest.mark.parametrize("wrong", [0, -1])
@pytest.mark.parametrize("name", ["max_entries", "max_bytes"])
def test_wrong_bound_raises_at_once_and_says_what_to_write(make: Make, name: str, wrong: int) -> None:
    with pytest.raises(ValueError, match=f"{name}={wrong}: write .*, above zero"):
        make(**{name: wrong})
    store = make(max_entries=2)
    with pytest.raises(ValueError, match=name):
        store.bound(**{"max_entries": None, "max_bytes": None, name: wrong})
    for n in range(3):
        put(store, n)
    assert store.totals().entries == 2  # the bound of before holds


def test_many_entries_beyond_a_new_bound_are_evicted_in_turns_with_others(make: Make, clock: Clock) -> None:
    store = make()
    keys = [put(store, n) for n in range(250)]
    store.bound(None, 10)
    clock.advance(1)
    last = put(store, "last")
    assert store.totals().entries == 10
    assert store.totals().evictions == 241
    assert store.get(last) is not None
    assert store.tombstone(keys[0], clock.now) == ("evicted", clock.now)
