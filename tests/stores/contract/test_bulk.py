"""Stores that store many entries in one transaction."""

from collections.abc import Iterator

import pytest

from nbcache.entry.records import EntryMeta
from nbcache.stores.base import Bulk
from tests.stores.contract.entries import key_of, put, row
from tests.support.rows import FullStore

NEEDS = (Bulk,)


def test_entries_that_are_put_together_are_all_there(store: FullStore) -> None:
    keys = [key_of(number) for number in range(20)]
    put(store, 3, b"old", ttl=10)
    store.put_all((key, key.encode(), row(key)) for key in keys)
    store.put_all([])
    assert [store.get(key) for key in keys] == [key.encode() for key in keys]
    assert all(meta.expires is None for meta in store.page())


def test_where_one_of_them_fails_none_is_stored(store: FullStore) -> None:
    def entries() -> Iterator[tuple[str, bytes, EntryMeta]]:
        yield key_of(1), b"payload", row(key_of(1))
        raise RuntimeError("the file ends here")

    with pytest.raises(RuntimeError):
        store.put_all(entries())
    assert store.get(key_of(1)) is None
