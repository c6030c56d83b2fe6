"""Stores that can explain why an entry is no longer there."""

from nbcache.stores.base import Bounded, Listable, Tombstones
from tests.stores.contract.conftest import Make
from tests.stores.contract.entries import Clock, key_of, put
from tests.support.rows import FullStore

NEEDS = (Tombstones, Bounded, Listable)


def _why(gone: tuple[str, float] | None) -> str | None:
    return None if gone is None else gone[0]


def test_evicted_entry_is_told_once(make: Make, clock: Clock) -> None:
    bounded = make(max_entries=2)
    evicted, cleared, _ = (put(bounded, n) for n in range(3))
    bounded.delete(cleared)
    told = [_why(bounded.tombstone(key, clock.now)) for key in (evicted, cleared, key_of("never"), evicted)]
    assert told == ["evicted", None, None, None]


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
