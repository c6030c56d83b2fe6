"""Looking at the rows of a store."""

from nbcache.entry.models import EntryMeta, Filter
from nbcache.stores import Store


def row_of(store: Store, key: str) -> EntryMeta | None:
    """The row of one entry."""
    found = [meta for meta in store.page(Filter(key=key)) if meta.key == key]
    return found[0] if found else None
