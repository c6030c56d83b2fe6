"""What a store on a server promises besides the contract."""

import json
import pickle
import struct
import time
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from nbcache.entry.edit import Edit
from nbcache.entry.records import EntryMeta, Filter, Spending, Touch
from nbcache.stores import RedisStore
from nbcache.stores.redis import rows
from nbcache.stores.redis.clock import ServerClock
from tests.servers.redis_server import RedisServer, program
from tests.stores.contract.entries import key_of, put, row
from tests.support.paths import ROOT


def raw(store: RedisStore) -> Any:
    """The server itself, as another program sees it."""
    return store.server.listing


def slot_of(store: RedisStore, key: str) -> int:
    """Where the columns have an entry."""
    slot: int = struct.unpack_from("<I", raw(store).get(f"{store.root}e:{key}"), 8)[0]
    return slot


def test_two_stores_with_one_prefix_are_one(store: RedisStore, server: RedisServer, prefix: str) -> None:
    other = RedisStore(server.url(prefix))
    key = put(store, 1, b"payload", "a.ipynb")
    other.touch([Touch(key, "b.ipynb", 1, time.time())])
    assert other.get(key) == b"payload"
    assert store.page()[0].notebooks == ("a.ipynb", "b.ipynb")
    other.close()


def test_stores_with_other_prefixes_and_other_programs_keys_are_left_alone(
    store: RedisStore, server: RedisServer
) -> None:
    neighbour = RedisStore(server.url("neighbour"))
    kept = put(neighbour, 1)
    raw(store).set("somebody's", "value")
    put(store, 1)
    store.clear([meta.key for meta in store.page()])
    store.check(fix=True)
    assert neighbour.get(kept) == b"payload"
    assert raw(store).get("somebody's") == b"value"
    neighbour.close()


def test_all_keys_of_a_prefix_are_in_one_slot(store: RedisStore, prefix: str) -> None:
    put(store, 1, b"payload", "a.ipynb", ttl=60)
    put(store, 2)
    store.delete(key_of(2))
    store.record([Spending("s", 1, 1.0, "a.ipynb", None, "m")])
    names = raw(store).keys(f"*{prefix}*")
    assert len(names) > 10
    assert all(name.startswith(f"{{{prefix}}}:".encode()) for name in names)


def test_a_hit_is_one_command(store: RedisStore) -> None:
    key = put(store, 1)
    before = raw(store).info("stats")["total_commands_processed"]
    store.get(key)
    store.get(key)
    assert raw(store).info("stats")["total_commands_processed"] - before - 1 == 2


def test_entries_of_deleted_ones_take_their_places(store: RedisStore) -> None:
    for _ in range(3):
        keys = [put(store, number, ttl=60 if number % 2 else None) for number in range(20)]
        store.clear(keys)
    put(store, "last")
    assert raw(store).strlen(store.root + "c:created") == 20 * 8
    assert [meta.key for meta in store.page()] == [key_of("last")]


def test_the_server_forgets_an_entry_an_hour_after_it_has_expired(store: RedisStore) -> None:
    key, forever = put(store, 1, ttl=60), put(store, 2)
    assert 3_600 < raw(store).ttl(f"{store.root}e:{key}") <= 3_660
    assert raw(store).ttl(f"{store.root}e:{forever}") == -1
    assert store.edit([key], Edit(sets_expiry=True)) == 1
    assert raw(store).ttl(f"{store.root}e:{key}") == -1


def test_an_expired_entry_that_has_explained_a_miss_explains_no_other(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, other = put(store, 1, ttl=10), put(store, 2, ttl=10)
    now = time.time() + 7_200
    monkeypatch.setattr(time, "time", lambda: now)
    monkeypatch.setattr(ServerClock, "ahead", lambda _: 0.0)
    assert store.tombstone(key, now) is not None
    put(store, "new")  # what has expired for so long is deleted
    assert store.get(key, include_expired=True) is None
    assert store.tombstone(key, now) is None
    assert store.tombstone(other, now) is not None


def test_a_ttl_may_be_longer_than_any_server_takes(store: RedisStore) -> None:
    key = put(store, 1, ttl=1e15)
    assert store.get(key) == b"payload"


def test_what_the_server_has_evicted_is_listed_no_longer(store: RedisStore) -> None:
    keys = [put(store, number) for number in range(10)]
    raw(store).delete(*(f"{store.root}e:{key}" for key in keys[:4]))
    assert {meta.key for meta in store.page()} == set(keys[4:])
    assert store.totals().entries == 6


def test_totals_are_right_soon_after_the_server_has_evicted(store: RedisStore) -> None:
    keys = [put(store, number) for number in range(10)]
    raw(store).delete(*(f"{store.root}e:{key}" for key in keys))
    for _ in range(200):
        put(store, "new")
    assert store.totals().entries == 1


def test_check_finds_what_is_wrong_and_mends_it(store: RedisStore) -> None:
    gone, other, wrong = (put(store, name, b"payload", "a.ipynb", ttl=60) for name in ("gone", "other", "wrong"))
    server = raw(store)
    slot = slot_of(store, wrong)
    unlisted = slot_of(store, other)
    server.delete(f"{store.root}e:{gone}")
    server.setrange(f"{store.root}c:model", slot * 8, b"\0" * 8)
    server.setrange(f"{store.root}c:created", unlisted * 8, b"\0\0\0\0\0\0\xf8\x7f")
    problems = [
        f"entry {gone[:8]} is listed, and not there",
        f"entry {wrong[:8]} is listed with values of another",
        f"entry {other[:8]} is in no list",
        "the totals are wrong",
    ]
    assert sorted(store.check()) == sorted(problems)
    assert sorted(store.check(fix=True)) == sorted(problems)
    assert store.check() == []
    assert {meta.key for meta in store.page(Filter(model="model"))} == {other, wrong}
    assert {meta.notebooks for meta in store.page()} == {("a.ipynb",)}
    assert store.totals().size_bytes == 14


@pytest.mark.parametrize(
    "planted", [b"", b"{}", b"no JSON", b"[1]", b"[" * 100_000, b'[5,"p","a","ok",1,[],null,null,null,null,null,null]']
)
def test_a_row_that_somebody_planted_is_damage_and_nothing_else(store: RedisStore, planted: bytes) -> None:
    good, bad = put(store, "good"), put(store, "bad")
    name = f"{store.root}e:{bad}"
    entry = raw(store).get(name)
    length = struct.unpack_from("<I", entry, 16)[0]
    raw(store).set(name, entry[:16] + struct.pack("<I", len(planted)) + entry[20:22] + planted + entry[22 + length :])
    start = struct.unpack_from("<I", entry, 12)[0] + len(planted) - length
    raw(store).setrange(name, 12, struct.pack("<I", start))
    assert [meta.key for meta in store.page()] == [good]
    assert [meta.key for meta, _ in store.stream(Filter())] == [good]
    assert store.edit([bad], Edit(add=("tag",))) == 0
    assert store.facets().model == ("model",)
    assert store.check(fix=True) == [f"the row of entry {bad[:8]} is damaged"]
    assert store.totals().entries == 1


def test_a_bound_counts_evictions_for_everybody(store: RedisStore, server: RedisServer, prefix: str) -> None:
    small = RedisStore(server.url(prefix), max_entries=2)
    for number in range(5):
        put(small, number)
    assert store.totals().evictions == 3
    small.close()


def test_a_store_goes_to_another_process_with_its_bounds(store: RedisStore) -> None:
    key = put(store, 1)
    store.bound(None, 7)
    other = pickle.loads(pickle.dumps(store))
    assert other.get(key) == b"payload"
    assert vars(other)["_max_entries"] == 7
    other.close()


def test_an_edit_of_what_somebody_else_replaces_meanwhile_loses_neither(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = put(store, 1, b"old")
    read = rows.read

    def replaced_meanwhile(parts: list[Any], ahead: float) -> EntryMeta:
        monkeypatch.setattr(rows, "read", read)
        store.put(key, b"new", replace(row(key), model="new"))
        return read(parts, ahead)

    monkeypatch.setattr(rows, "read", replaced_meanwhile)
    assert store.edit([key], Edit(add=("tag",))) == 1
    meta = store.page()[0]
    assert (store.get(key), meta.model, meta.tags) == (b"new", "new", ("tag",))


def test_the_ledger_moves_with_its_notebook(store: RedisStore) -> None:
    from nbcache.entry.records import SessionCall

    store.record([Spending("s", 1, 1.0, "old", None, "m", misses=1), Spending("s", 1, 1.0, "new", None, "m", misses=2)])
    store.record_calls("s", "old", [SessionCall("k", "m", 3)])
    store.rename("old", "new")
    assert store.spendings("old") == []
    assert [row.misses for row in store.spendings("new")] == [3]
    assert [call.calls for call in store.last_calls("new")] == [3]
    assert store.last_calls("old") == []


def test_the_last_two_sessions_of_a_notebook_are_kept(store: RedisStore) -> None:
    from nbcache.entry.records import SessionCall

    for number, session in enumerate(("one", "two", "three")):
        store.record_calls(session, "a.ipynb", [SessionCall(session, "m", 1, when=number)])
    store.record_calls("three", "a.ipynb", [SessionCall("three", "m", 2, when=5)])
    assert [(call.key, call.calls) for call in store.last_calls("a.ipynb")] == [("three", 2)]
    assert [call.key for call in store.last_calls("a.ipynb", but="three")] == ["two"]
    assert store.last_calls("b.ipynb") == []
    assert len(raw(store).keys(f"{store.root}calls:*")) == 2


def test_an_entry_takes_little_beside_its_payload() -> None:
    with RedisServer(program()) as server:
        store = RedisStore(server.url())
        put(store, "first")
        before = raw(store).info("memory")["used_memory"]
        prompt, payload = "What is the answer to this question? " * 3, b"x" * 1_000
        described = EntryMeta("", "gpt-4o-mini", prompt, prompt, "ok", 0, notebooks=("ann:a.ipynb",), provider="openai")
        described = replace(described, input_tokens=10, output_tokens=20, seconds=1.5, client="langchain")
        for number in range(5_000):
            key = key_of(number)
            meta = replace(described, key=key, cell=f"cell {number % 50}", created=time.time())
            store.put(key, payload, meta)
        taken = (raw(store).info("memory")["used_memory"] - before) / 5_000 - len(payload)
        assert taken < 1_200
        store.close()


def test_an_entry_that_was_written_before_is_read(store: RedisStore) -> None:
    golden = json.loads((ROOT / "tests/golden/redis_entry_v2.json").read_text())
    key, payload = golden["key"], bytes.fromhex(golden["payload"])
    raw(store).set(f"{store.root}e:{key}", bytes.fromhex(golden["entry"]))
    raw(store).hset(f"{store.root}counts", "incomplete", 1)  # it is in no list yet
    assert store.root.endswith(":2:")
    assert store.get(key) == payload
    assert store.page() == [golden_row(key, payload)]


def golden_row(key: str, payload: bytes) -> EntryMeta:
    made = EntryMeta(key, "gpt-4o-mini", "What is a monad? 🦜", "A monoid, you know", "ok", 1_800_000_000.25)
    described = replace(made, tags=("t",), notebooks=("ann:a.ipynb", "bob:ü.ipynb"), cell="In [1]", provider="openai")
    counted = replace(
        described, input_tokens=10, output_tokens=20, cost_usd=Decimal("0.00012"), charged=True, seconds=1.5
    )
    return replace(counted, client="langchain", kind="call", expires=4_000_000_000.5, size_bytes=len(payload))
