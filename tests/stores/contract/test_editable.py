"""What `Editable` promises: entries that exist get other tags, or another time at which they expire."""

from dataclasses import replace

import pytest
from langchain_core.outputs import Generation

from nbcache import codec
from nbcache.codec.header import EntryHeader
from nbcache.entry.edit import Edit
from nbcache.entry.records import EntryMeta, Filter, Totals
from nbcache.stores.base import Editable
from tests.stores.contract.entries import NOW, Clock, found, key_of, put
from tests.support.rows import FullStore, row_of

NEEDS = (Editable,)


def answer(store: FullStore, name: str, *tags: str, ttl: float | None = None) -> str:
    """Store a whole entry, as an update does."""
    meta = EntryMeta(key_of(name), "model", "prompt", "answer", "ok", NOW, tags=tags)
    payload = codec.encode(
        [Generation(text=f"answer {name}")],
        EntryHeader(meta, "prompt", "{}", ""),
        reusable=True,
        expires=ttl is not None,
    )
    store.put(meta.key, payload, meta, ttl)
    return meta.key


def payload_of(store: FullStore, key: str) -> codec.Payload:
    payload = store.get(key)
    assert payload is not None
    return codec.read(payload, key)


def test_tags_are_added_and_removed_in_the_row_and_in_the_payload(store: FullStore) -> None:
    first, second = answer(store, "1", "old"), answer(store, "2")
    before = payload_of(store, first)
    assert store.edit([first, second], Edit(add=("new", "naïve ☃"))) == 2
    assert sorted(found(store, first).tags) == sorted(("old", "new", "naïve ☃"))
    assert {meta.key for meta in store.page(Filter(tag="new"))} == {first, second}
    assert store.totals(Filter(tag="new")).entries == 2
    assert store.facets().tag == ("naïve ☃", "new", "old")
    after = payload_of(store, first)
    assert (after.generations()[0].text, after.header().prompt) == ("answer 1", "prompt")
    assert sorted(after.header().meta.tags) == sorted(("old", "new", "naïve ☃"))
    assert replace(after.header().meta, tags=()) == replace(before.header().meta, tags=())
    assert store.edit([first, second], Edit(remove=("new", "nobody has it"))) == 2
    assert sorted(found(store, first).tags) == sorted(payload_of(store, first).header().meta.tags)
    assert store.page(Filter(tag="new")) == []


def test_size_and_totals_are_those_of_the_payload_afterwards(store: FullStore) -> None:
    key = answer(store, "1")
    store.edit([key], Edit(add=tuple(f"tag {number}" for number in range(200))))
    size = len(store.get(key) or b"")
    assert found(store, key).size_bytes == size
    assert store.totals() == Totals(1, size, 0)
    assert store.totals(Filter(tag="tag 7")) == Totals(1, size, 0)


def test_entries_that_are_so_already_are_not_counted(store: FullStore) -> None:
    key, other = answer(store, "1", "draft"), answer(store, "2")
    assert store.edit([key, other, key_of("nobody")], Edit(add=("draft",))) == 1
    assert store.edit([key, other], Edit(remove=("new",))) == 0
    assert store.edit([key, other], Edit(sets_expiry=True)) == 0


@pytest.mark.parametrize("had", [None, 10.0, 1_000.0])
def test_expiry_is_set_whatever_it_was_and_a_hit_knows_it(store: FullStore, clock: Clock, had: float | None) -> None:
    key = answer(store, "1", "tag", ttl=had)
    assert store.edit([key], Edit(sets_expiry=True, expires=NOW + 100)) == 1
    assert found(store, key).expires == NOW + 100
    assert payload_of(store, key).expires
    clock.advance(99)
    assert store.get(key) is not None
    clock.advance(1)
    assert store.get(key) is None
    assert store.page() == []
    assert store.edit([key], Edit(sets_expiry=True)) == 0  # it is no entry any more


def test_expiry_is_removed(store: FullStore, clock: Clock) -> None:
    key = answer(store, "1", ttl=10.0)
    assert store.edit([key], Edit(sets_expiry=True)) == 1
    clock.advance(1e6)
    assert not payload_of(store, key).expires
    assert found(store, key).expires is None


def test_what_has_expired_by_that_leaves_a_tombstone_as_others_do(store: FullStore, clock: Clock) -> None:
    key = answer(store, "1")
    store.edit([key], Edit(sets_expiry=True, expires=NOW + 10))
    clock.advance(20)
    assert store.tombstone(key, clock.now) == ("expired", NOW + 10)


def test_hits_owners_and_age_stay(store: FullStore, clock: Clock) -> None:
    key = put(store, 1, b"payload", "a.ipynb", "b.ipynb")
    before = found(store, key)
    clock.advance(100)
    store.edit([key], Edit(add=("t",), sets_expiry=True, expires=NOW + 1_000))
    assert row_of(store, key) == replace(before, tags=("t",), expires=NOW + 1_000)
    assert store.get(key) == b"payload"  # what is no payload of nbcache's stays as it is


def test_progress_is_told(store: FullStore) -> None:
    keys = [answer(store, str(number)) for number in range(5)]
    told: list[tuple[int, int]] = []
    store.edit(keys, Edit(add=("t",)), lambda done, of: told.append((done, of)))
    assert told[-1] == (5, 5)
