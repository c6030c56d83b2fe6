"""Looking at the rows of a store."""

from nbcache.entry.records import EntryMeta, Filter
from nbcache.stores import DiskStore, MemoryStore, Store
from nbcache.stores.base import Listable

FullStore = MemoryStore | DiskStore  # with every capability but one


def full(store: Store) -> FullStore:
    """`store`, to ask for what not every store can do."""
    assert isinstance(store, FullStore)
    return store


def row_of(store: Listable, key: str) -> EntryMeta | None:
    """The row of one entry."""
    found = [meta for meta in store.page(Filter(key=key)) if meta.key == key]
    return found[0] if found else None
