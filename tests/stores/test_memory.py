"""MemoryStore's own."""

from nbcache.stores import MemoryStore
from tests.stores.contract.entries import put


def test_memory_store_has_the_clock_that_it_is_given() -> None:
    now = 100.0
    store = MemoryStore(clock=lambda: now)
    key = put(store, 1, ttl=10)
    now = 110.0
    assert store.get(key) is None
