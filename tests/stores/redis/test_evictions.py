"""A server that evicts keys when its memory is full: what is listed is what is there, whatever it has taken."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from nbcache.entry.edit import Edit
from nbcache.entry.records import Filter, Touch
from nbcache.stores import RedisStore
from nbcache.stores.redis.columns import OF_ROW, OTHERS
from tests.servers.redis_server import RedisServer, program
from tests.stores.contract.entries import key_of, put, row

LISTS = [*(f"c:{name}" for name in (*OF_ROW, *OTHERS)), "lru", "due", "free", "counts", "gone", "gone_order"]


def raw(store: RedisStore) -> Any:
    """The server itself, as another program sees it."""
    return store.server.listing


def assert_lists_are_right(store: RedisStore, names: Iterable[object]) -> set[str]:
    """What is listed is what is there, while nothing more is evicted. Returns the keys."""
    limit = raw(store).config_get("maxmemory")["maxmemory"]
    raw(store).config_set("maxmemory", 0)
    there = {key for name in names if raw(store).exists(f"{store.root}e:{(key := key_of(name))}")}
    rows = store.page()
    assert {meta.key for meta in rows} == there
    assert len(rows) == len(there) == store.number(Filter()) == store.totals().entries
    assert store.totals().size_bytes == sum(meta.size_bytes for meta in rows)
    assert store.facets().model == (("model",) if there else ())
    assert store.check() == []
    raw(store).config_set("maxmemory", limit)
    return there


@pytest.mark.parametrize("policy", ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"])
@pytest.mark.parametrize("characters", [100, 20_000])
def test_entries_that_the_server_evicts_are_listed_no_longer(policy: str, characters: int) -> None:
    with RedisServer(program(), "--maxmemory", "4mb", "--maxmemory-policy", policy) as server:
        store = RedisStore(server.url())
        before = raw(store).info("stats")["evicted_keys"]
        number = 0
        while raw(store).info("stats")["evicted_keys"] - before < 50:
            for _ in range(50):
                put(store, number, b"x" * characters, "a.ipynb", ttl=3_600 + number)
                number += 1
        there = assert_lists_are_right(store, range(number))
        assert 0 < len(there) < number
        put(store, number, b"x" * characters, ttl=3_600)
        assert_lists_are_right(store, range(number + 1))
        store.close()


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_lists_are_right_on_a_server_that_evicts_any_key(policy: str) -> None:
    with RedisServer(program(), "--maxmemory", "6mb", "--maxmemory-policy", policy) as server:
        store = RedisStore(server.url())
        number = 0
        while raw(store).info("stats")["evicted_keys"] < 50:
            for _ in range(50):
                put(store, number, b"x" * 10_000, ttl=3_600 if number % 3 else None)
                number += 1
        assert 0 < len(assert_lists_are_right(store, range(number))) < number
        for _ in range(5):
            for _ in range(20):
                put(store, number, b"x" * 10_000)
                store.touch([Touch(key_of(number), "a.ipynb", 1, time.time())])
                number += 1
            assert_lists_are_right(store, range(number))
        store.close()


@pytest.fixture
def evicting(store: RedisStore) -> RedisStore:
    """A store with entries of all kinds."""
    for number in range(12):
        put(store, number, b"x" * number, "a.ipynb", ttl=600 if number % 2 else None)
    store.clear([key_of(0), key_of(1), key_of(2)])
    return store


@pytest.mark.parametrize("name", LISTS)
def test_a_store_heals_when_it_is_listed(evicting: RedisStore, name: str) -> None:
    raw(evicting).delete(evicting.root + name)
    assert len(assert_lists_are_right(evicting, range(12))) == 9
    assert {meta.notebooks for meta in evicting.page()} == {("a.ipynb",)}
    assert evicting.check() == []


@pytest.mark.parametrize("name", ["c:key", "c:hits", "lru", "due", "counts"])
@pytest.mark.parametrize("what", ["put", "replace", "touch", "edit", "delete", "clear", "list"])
def test_a_store_heals_after_whatever_was_done_first(evicting: RedisStore, name: str, what: str) -> None:
    assert raw(evicting).delete(evicting.root + name) == 1
    acts: dict[str, Callable[[], object]] = {
        "put": lambda: put(evicting, 12, b"x" * 12, "a.ipynb"),
        "replace": lambda: put(evicting, 5, b"new", "a.ipynb"),
        "touch": lambda: evicting.touch([Touch(key_of(5), "a.ipynb", 1, time.time())]),
        "edit": lambda: evicting.edit([key_of(5)], Edit(add=("t",))),
        "delete": lambda: evicting.delete(key_of(5)),
        "clear": lambda: evicting.clear([key_of(5), key_of(6)], owner="a.ipynb"),
        "list": evicting.totals,
    }
    acts[what]()
    there = assert_lists_are_right(evicting, range(13))
    assert len(there) == {"put": 10, "delete": 8, "clear": 7}.get(what, 9)
    put(evicting, 13, b"", "a.ipynb")
    assert_lists_are_right(evicting, range(14))
    assert evicting.check() == []


def test_an_entry_is_found_while_it_is_in_no_list_and_its_place_is_another_ones(evicting: RedisStore) -> None:
    raw(evicting).delete(evicting.root + "counts")
    put(evicting, "new", b"new")  # at the place that another entry had
    for number in range(3, 12):
        assert evicting.get(key_of(number)) == b"x" * number
    evicting.put(key_of(3), b"replaced", replace(row(key_of(3)), model="other"))
    assert {meta.key: meta.model for meta in evicting.page(Filter(model="other"))} == {key_of(3): "other"}
    assert evicting.get(key_of("new")) == b"new"
    assert evicting.totals().entries == 10


def test_hits_of_all_others_stay_when_one_entry_is_evicted(evicting: RedisStore) -> None:
    evicting.touch([Touch(key_of(5), None, 3, time.time())])
    raw(evicting).delete(f"{evicting.root}e:{key_of(4)}")
    evicting.evicted_keys = -1  # as if the server had counted it
    assert {meta.key: meta.hits for meta in evicting.page()}[key_of(5)] == 3
    assert evicting.totals().entries == 8


def test_a_server_that_has_evicted_nothing_more_is_not_looked_through_again(
    evicting: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbcache.stores.redis import rebuilding

    evicting.page()
    monkeypatch.setattr(rebuilding, "_forget_evicted", None)
    assert len(evicting.page()) == 9
