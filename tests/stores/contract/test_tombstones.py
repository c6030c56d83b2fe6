"""Stores that can explain why an entry is no longer there."""

import pytest

from nbcache.stores import memory
from nbcache.stores.base import Bounded, Listable, Tombstones
from nbcache.stores.redis import scripts
from nbcache.stores.sqlite import tombstones
from tests.stores.contract.conftest import Make
from tests.stores.contract.entries import Clock, key_of, put
from tests.support.rows import FullStore

NEEDS = (Tombstones, Bounded, Listable)


def _why(gone: tuple[str, float] | None) -> str | None:
    return None if gone is None else gone[0]


def test_evicted_entry_is_told_once(make: Make, clock: Clock) -> None:
    bounded = make(max_entries=2)
    evicted, _, _ = (put(bounded, n) for n in range(3))
    told = [_why(bounded.tombstone(key, clock.now)) for key in (evicted, key_of("never"), evicted)]
    assert told == ["evicted", None, None]


def test_deleted_and_cleared_entries_say_so_once(store: FullStore, clock: Clock) -> None:
    by_hand, cleared, both = (put(store, n) for n in range(3))
    store.delete(by_hand)
    store.clear([cleared, both])
    reasons = [store.tombstone(key, clock.now) for key in (by_hand, cleared, cleared)]
    assert reasons == [("evicted by hand", clock.now), ("cleared", clock.now), None]
    assert store.tombstone(both, clock.now, keep=True) == store.tombstone(both, clock.now) == ("cleared", clock.now)
    assert store.tombstone(both, clock.now) is None


def test_what_another_notebook_keeps_has_no_tombstone(store: FullStore, clock: Clock) -> None:
    shared = put(store, "shared", b"payload", "a.ipynb", "b.ipynb")
    store.clear([shared], owner="a.ipynb")
    assert store.tombstone(shared, clock.now) is None
    store.clear([shared], owner="b.ipynb")
    assert _why(store.tombstone(shared, clock.now)) == "cleared"


def test_an_entry_that_had_expired_before_it_was_cleared_has_expired(store: FullStore, clock: Clock) -> None:
    expired = put(store, 1, b"payload", ttl=10)
    clock.advance(20)
    assert store.clear([expired]).deleted == 0
    assert store.tombstone(expired, clock.now) == ("expired", clock.now - 10)


def test_of_many_cleared_entries_the_newest_are_known(
    store: FullStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tombstones, "MOST", 3)
    monkeypatch.setattr(memory, "_TOMBSTONES", 3)
    monkeypatch.setattr(scripts, "TOMBSTONES", 3)
    keys = []
    for n in range(5):
        clock.advance(1)
        keys.append(put(store, n))
    store.clear(keys[::-1])  # the newest first, as `clear` lists them
    assert [_why(store.tombstone(key, clock.now)) for key in keys] == [None, None, *["cleared"] * 3]


def test_a_miss_from_before_the_eviction_is_not_told_of_it(make: Make, clock: Clock) -> None:
    bounded = make(max_entries=1)
    evicted = put(bounded, 1)
    missed = clock.now
    clock.advance(5)
    put(bounded, 2)
    assert bounded.tombstone(evicted, missed) is None
    assert _why(bounded.tombstone(evicted, clock.now)) == "evicted"


def test_expired_entry_is_told_once(store: FullStore, clock: Clock) -> None:
    expired = put(store, 1, b"payload", ttl=10)
    clock.advance(20)
    assert store.get(expired) is None
    assert [store.tombstone(expired, clock.now - 11), store.tombstone(expired, clock.now)] == [
        None,
        ("expired", clock.now - 10),
    ]
    put(store, 2)
    assert store.tombstone(expired, clock.now) is None
