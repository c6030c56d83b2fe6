"""A store in tiers: lookups go down, hits fill what is above, and what is stored, deleted or edited reaches all of them."""

import pickle
import time
from typing import Any

import pytest

from nbcache.entry.edit import Edit
from nbcache.entry.records import EntryMeta, Touch
from nbcache.errors import StoreBusyError, StoreReadOnlyError
from nbcache.stores import DiskStore, MemoryStore, ReadOnly, RedisStore, TieredStore
from nbcache.stores.base import Editable, LedgerStore, Listable, Remote, Tombstones
from tests.stores.contract.entries import found, key_of, put, row
from tests.stores.contract.test_editable import answer
from tests.stores.tiers.conftest import Tiers
from tests.support.rows import row_of

ENOUGH = 30.0  # seconds for what takes milliseconds
NOTEBOOK = "a.ipynb"


def ann(near: DiskStore, notebook: str = NOTEBOOK) -> str:
    """Her name on the server, of a notebook beside her folder."""
    return f"ann:{near.folder.parent / notebook}"


@pytest.fixture
def store(near: DiskStore, far: RedisStore, tiers: Tiers) -> Any:
    return tiers(near, far)


# An answer


def test_an_answer_is_in_the_first_tier_at_once_and_in_the_others_soon(
    store: Any, near: DiskStore, far: RedisStore
) -> None:
    key = put(store, 1, b"payload", NOTEBOOK)
    assert near.get(key) == b"payload"
    store.flush(ENOUGH)
    assert far.get(key) == b"payload"
    assert found(near, key).notebooks == (NOTEBOOK,)
    assert found(far, key).notebooks == (ann(near),)


def test_an_answer_whose_notebook_is_not_known_is_the_users_on_the_server(store: Any, far: RedisStore) -> None:
    key = put(store, 1)
    store.flush(ENOUGH)
    assert found(far, key).notebooks == ("ann",)


def test_an_answer_lives_as_long_in_each_tier(store: Any, near: DiskStore, far: RedisStore) -> None:
    key = put(store, 1, ttl=1000)
    store.flush(ENOUGH)
    ends = [found(each, key).expires or 0 for each in (near, far)]
    assert ends[1] == pytest.approx(ends[0], abs=100)


def test_a_hit_of_a_lower_tier_fills_the_tiers_above(near: DiskStore, far: RedisStore, tiers: Tiers) -> None:
    memory = MemoryStore()
    store: Any = tiers(memory, near, far)
    far.put(key_of(1), b"payload", row(key_of(1), "bob:b.ipynb", ann(near)), 1000)
    assert store.get(key_of(1)) == b"payload"
    store.flush(ENOUGH)
    for each in (memory, near):
        assert each.get(key_of(1)) == b"payload"
        assert found(each, key_of(1)).expires == pytest.approx(found(far, key_of(1)).expires, abs=100)
    assert found(near, key_of(1)).notebooks == (NOTEBOOK,)  # other users own it on the server alone


def test_a_copy_never_outlives_its_source(store: Any, near: DiskStore, far: RedisStore) -> None:
    far.put(key_of(1), b"payload", row(key_of(1)), 0.5)
    assert store.get(key_of(1)) == b"payload"
    store.flush(ENOUGH)
    time.sleep(0.5)
    assert store.get(key_of(1)) is None
    assert near.get(key_of(1)) is None


def test_whoever_hits_an_entry_owns_it_there_too(store: Any, near: DiskStore, far: RedisStore) -> None:
    far.put(key_of(1), b"payload", row(key_of(1), "bob:b.ipynb"))
    assert store.get(key_of(1)) == b"payload"
    store.touch([Touch(key_of(1), NOTEBOOK, 1, time.time())])
    store.flush(ENOUGH)
    assert found(near, key_of(1)).notebooks == (NOTEBOOK,)
    assert set(found(far, key_of(1)).notebooks) == {"bob:b.ipynb", ann(near)}
    assert found(far, key_of(1)).hits == 1


def test_a_hit_of_the_first_tier_asks_no_other(near: DiskStore, tiers: Tiers) -> None:
    silent = RedisStore("redis://127.0.0.1:1/0")  # any request to it would warn
    store: Any = tiers(near, silent)
    near.put(key_of(1), b"payload", row(key_of(1)))
    store.touch([Touch(key_of(1), NOTEBOOK, 1, time.time())])
    assert store.get(key_of(1)) == b"payload"
    assert store.get(key_of(1), wait=False) == b"payload"
    assert store.get_owned(key_of(1), wait=False) == b"payload"


def test_on_an_event_loop_the_first_tier_answers_at_once_and_a_server_is_asked_in_a_thread(
    store: Any, near: DiskStore
) -> None:
    near.put(key_of(1), b"payload", row(key_of(1)))
    assert near.get(key_of(1)) is not None  # it is open
    assert store.get(key_of(1), wait=False) == b"payload"
    with pytest.raises(StoreBusyError):
        store.get(key_of(2), wait=False)


def test_a_large_payload_is_handed_out_as_the_first_tier_does(store: Any, near: DiskStore) -> None:
    key = put(store, 1, bytes(1_000_000))
    assert type(near.get_owned(key)) is type(store.get_owned(key)) is memoryview
    assert type(store.get(key)) is bytes


def test_what_the_first_tier_evicts_is_still_a_hit(near: DiskStore, far: RedisStore, tiers: Tiers) -> None:
    store: Any = tiers(near, far)
    store.bound(None, 1)
    for number in range(3):
        put(store, number)
        store.flush(ENOUGH)
    assert near.totals().entries == 1
    assert [store.get(key_of(number)) for number in range(3)] == [b"payload"] * 3
    store.flush(ENOUGH)


# Deletes and edits


def test_a_deleted_entry_is_gone_in_every_tier(store: Any, near: DiskStore, far: RedisStore) -> None:
    key, other = put(store, 1), put(store, 2)
    store.flush(ENOUGH)
    assert store.delete(key) is True
    assert store.delete(key) is False
    assert [each.get(key) for each in (store, near, far)] == [None] * 3
    assert far.get(other) is not None


def test_a_deleted_entry_that_only_the_server_has_is_gone(store: Any, far: RedisStore) -> None:
    put(far, 1)
    assert store.delete(key_of(1)) is True
    assert store.get(key_of(1)) is None


def test_an_answer_that_is_deleted_before_it_was_sent_is_not_sent(store: Any, far: RedisStore) -> None:
    for number in range(50):
        key = put(store, number)
        store.delete(key)
    store.flush(ENOUGH)
    assert far.page() == []


def test_a_deleted_entry_can_be_stored_again(store: Any, near: DiskStore, far: RedisStore) -> None:
    store.delete(put(store, 1, b"old"))
    put(store, 1, b"new")
    store.flush(ENOUGH)
    assert [each.get(key_of(1)) for each in (near, far)] == [b"new"] * 2


def test_a_clear_takes_nothing_from_others(store: Any, near: DiskStore, far: RedisStore) -> None:
    mine, shared = put(store, 1, b"payload", NOTEBOOK), put(store, 2, b"payload", NOTEBOOK)
    store.flush(ENOUGH)
    far.touch([Touch(shared, "bob:b.ipynb", 1, time.time())])
    assert store.clear([mine, shared], owner=NOTEBOOK).deleted == 2
    assert near.page() == []
    assert [meta.key for meta in far.page()] == [shared]
    assert found(far, shared).notebooks == ("bob:b.ipynb",)


def test_a_clear_of_all_owners_is_one_in_every_tier(store: Any, near: DiskStore, far: RedisStore) -> None:
    key = put(store, 1, b"payload", NOTEBOOK)
    store.flush(ENOUGH)
    far.touch([Touch(key, "bob:b.ipynb", 1, time.time())])
    store.clear([key])
    assert near.page() == far.page() == []


def test_an_edit_reaches_every_tier(near: DiskStore, far: RedisStore, tiers: Tiers) -> None:
    store: Any = tiers(near, far)
    key = answer(store, "1")
    store.flush(ENOUGH)
    ends = time.time() + 1000
    assert store.edit([key], Edit(add=("new",), sets_expiry=True, expires=ends)) == 1
    for each in (near, far):
        assert found(each, key).tags == ("new",)
        assert found(each, key).expires == pytest.approx(ends, abs=0.01)
    assert near.get(key) == far.get(key)


# Tiers that are only read


def test_a_tier_that_is_only_read_is_never_written(near: DiskStore, far: RedisStore) -> None:
    key = put(far, 1)
    before = _keys(far)
    store: Any = TieredStore([near, ReadOnly(far)])
    assert store.get(key) == b"payload"
    new = put(store, 2, b"payload", NOTEBOOK)
    store.touch([Touch(key, NOTEBOOK, 1, time.time())])
    store.delete(key)
    store.clear([new])
    store.flush(ENOUGH)
    store.close()
    assert _keys(far) == before


def _keys(store: RedisStore) -> dict[bytes, bytes]:
    client: Any = store.server.calls
    return {name: client.dump(name) for name in client.scan_iter(f"{store.root}*".replace("{", "[{]"))}


def test_an_entry_of_a_tier_that_is_only_read_does_not_come_back_once_it_was_deleted(
    near: DiskStore, far: RedisStore
) -> None:
    key = put(far, 1, b"the teacher's")
    store: Any = TieredStore([near, ReadOnly(far)])
    assert store.get(key) == b"the teacher's"
    store.delete(key)
    assert store.get(key) is None
    store.close()
    again: Any = TieredStore([near, ReadOnly(far)])
    assert again.get(key) is None
    put(again, 1, b"mine")
    assert again.get(key) == b"mine"
    again.close()


def test_with_no_tier_that_may_be_written_answers_are_read_and_the_ledger_is_in_memory(
    near: DiskStore, far: RedisStore
) -> None:
    key = put(far, 1)
    put(near, 2)
    store: Any = TieredStore([ReadOnly(near), ReadOnly(far)])
    assert store.get(key) == b"payload"
    assert [meta.key for meta in store.page()] == [key_of(2)]
    assert [isinstance(store, each) for each in (Listable, LedgerStore, Tombstones)] == [True, False, False]
    with pytest.raises(StoreReadOnlyError):
        put(store, 3)
    with pytest.raises(StoreReadOnlyError):
        store.delete(key)
    store.touch([Touch(key, NOTEBOOK, 1, time.time())])
    store.close()


# Capabilities and processes


def test_the_tiers_can_what_the_first_one_can(near: DiskStore, far: RedisStore, tiers: Tiers) -> None:
    from tests.support.small_stores import DictStore

    assert isinstance(tiers(near, far), Remote)
    assert isinstance(tiers(near, far), Editable)
    assert not isinstance(tiers(near, MemoryStore()), Remote)
    assert not isinstance(tiers(DictStore(), near), Listable)


def test_another_process_gets_tiers_of_its_own_at_the_same_places(
    near: DiskStore, far: RedisStore, tiers: Tiers
) -> None:
    store = TieredStore([MemoryStore(), near, ReadOnly(far)])
    key = put(store, 1)
    store.flush(ENOUGH)
    other = pickle.loads(pickle.dumps(store))
    assert other.url == store.url
    assert other.get(key) == b"payload"
    assert row_of(near, key) is not None
    for each in (store, other):
        each.close()


def test_a_store_that_is_there_twice_is_refused(near: DiskStore) -> None:
    with pytest.raises(ValueError, match="there twice"):
        TieredStore([near, DiskStore(near.folder)])


def test_what_is_no_store_is_refused() -> None:
    with pytest.raises(TypeError, match="give stores"):
        TieredStore(["disk"])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="give stores"):
        TieredStore([MemoryStore])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="at least one"):
        TieredStore([])


def test_a_late_answer_replaces_none_of_the_server_by_whom_the_lease_was_lost(
    store: Any, near: DiskStore, far: RedisStore
) -> None:
    key = key_of(1)
    assert store.lease(key, "late", 600.0) is True
    far.release(key, "late", failed=True)  # as after the seconds for which it lasts
    assert far.lease(key, "next", 600.0) is True
    far.put_leased(key, b"of the next", row(key), None, "next")
    store.put_leased(key, b"late", row(key), None, "late")
    store.flush(ENOUGH)
    assert far.get(key) == b"of the next"
    assert near.get(key) == b"late"  # the own answer, as it was shown
    put(store, 1, b"refreshed")  # by a call without a lease
    store.flush(ENOUGH)
    assert far.get(key) == b"refreshed"


def test_a_late_answer_is_sent_where_the_server_has_none(store: Any, far: RedisStore) -> None:
    key = key_of(1)
    store.lease(key, "late", 600.0)
    far.release(key, "late", failed=True)
    store.put_leased(key, b"late", row(key), None, "late")
    store.flush(ENOUGH)
    assert far.get(key) == b"late"


def test_rows_go_with_their_entries(store: Any, near: DiskStore, far: RedisStore) -> None:
    key = key_of(1)
    meta = EntryMeta(*(key, "model", "prompt", "answer", "cut off", 1.0), tags=("tag",), cell="cell", seconds=2.0)
    store.put(key, b"payload", meta)
    store.flush(ENOUGH)
    for each in (near, far):
        assert (found(each, key).tags, found(each, key).seconds) == (("tag",), 2.0)
        assert found(each, key).status == "cut off"
