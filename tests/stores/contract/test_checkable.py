"""Stores that can be checked and repaired."""

from nbcache.entry.records import EntryMeta
from nbcache.errors import DamagedError
from nbcache.stores.base import Checkable, Listable
from tests.stores.contract.entries import found, put, row
from tests.support.rows import FullStore

NEEDS = (Checkable, Listable)


def test_check_with_a_reader_finds_and_mends_damaged_payloads(store: FullStore) -> None:
    good, bad, newer = put(store, 1, b"good", "a.ipynb"), put(store, 2, b"bad"), put(store, 3, b"newer")

    def read(payload: bytes, key: str) -> EntryMeta:
        if payload == b"bad":
            raise DamagedError(f"entry {key[:8]} is damaged")
        if payload == b"newer":
            raise DamagedError(f"entry {key[:8]} is newer", newer=True)
        return row(key)

    problems = [f"entry {bad[:8]} is damaged", f"entry {newer[:8]} is newer"]
    assert sorted(store.check(read=read)) == sorted(problems)
    assert store.totals().entries == 3  # to look is not to mend
    assert sorted(store.check(fix=True, read=read)) == sorted(problems)
    assert {meta.key for meta in store.page()} == {good, newer}
    assert store.get(newer) == b"newer"
    assert store.check(read=read) == [f"entry {newer[:8]} is newer"]
    assert found(store, good).notebooks == ("a.ipynb",)
