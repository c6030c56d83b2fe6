"""Stores whose entries can be read with their payloads, one after the other."""

from collections.abc import Collection

from nbcache.entry.records import Filter
from nbcache.stores.base import Streamable
from tests.stores.contract.entries import Clock, key_of, put
from tests.support.rows import FullStore

NEEDS = (Streamable,)


def streamed(store: FullStore, which: Filter = Filter(), keys: Collection[str] | None = None) -> list[bytes]:  # noqa: B008
    return [payload for _, payload in store.stream(which, keys)]


def test_all_entries_come_with_their_rows_the_newest_first(store: FullStore, clock: Clock) -> None:
    for number in range(600):
        clock.advance(1)
        put(store, number, b"%d" % number)
    entries = store.stream(Filter())
    assert len(entries) == 600
    assert [(row.key, payload) for row, payload in entries] == [
        (key_of(number), b"%d" % number) for number in reversed(range(600))
    ]
    assert [row for row, _ in entries] == store.page()


def test_those_that_are_selected_come(store: FullStore, clock: Clock) -> None:
    put(store, 1, b"theirs", "b.ipynb")
    put(store, 2, b"mine", "a.ipynb")
    put(store, 3, b"expired", "a.ipynb", ttl=5)
    put(store, 4, b"shared", "a.ipynb", "b.ipynb")
    clock.advance(10)
    assert sorted(streamed(store)) == [b"mine", b"shared", b"theirs"]
    assert sorted(streamed(store, Filter(notebook="a.ipynb"))) == [b"mine", b"shared"]
    assert sorted(streamed(store, Filter(notebook="a.ipynb", include_expired=True))) == [b"expired", b"mine", b"shared"]
    assert streamed(store, Filter(notebook="a.ipynb"), {key_of(1), key_of(2), key_of(9)}) == [b"mine"]
    assert streamed(store, keys=()) == []


def test_the_store_can_be_written_while_its_entries_are_read(store: FullStore) -> None:
    for number in range(600):
        put(store, number, b"%d" % number)
    read: list[bytes] = []
    for row, payload in store.stream(Filter()):
        if len(read) % 100 == 0:
            store.delete(row.key)
            put(store, f"new {row.key}")
        read.append(payload)
    assert sorted(read) == sorted(b"%d" % number for number in range(600))


def test_a_clear_shows_how_far_it_is(store: FullStore) -> None:
    keys = [put(store, number) for number in range(40)]
    shown: list[tuple[int, int]] = []
    store.clear(keys, progress=lambda done, of: shown.append((done, of)))
    assert shown[-1] == (40, 40)
    assert shown == sorted(shown)
