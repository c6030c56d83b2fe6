"""A clock that is ahead or behind for a while costs no answer."""

from pathlib import Path

import pytest

import nbcache
from nbcache.stores import DiskStore, MemoryStore
from nbcache.stores.view import Contents
from tests.faults.test_faults import Echo, ask
from tests.stores.sqlite.test_store import key_of, row
from tests.support.clock import Clock
from tests.support.rows import FullStore

HOUR, DAY = 3600.0, 86_400.0


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> FullStore:
    return DiskStore(tmp_path / "store") if request.param == "disk" else MemoryStore(clock=clock)


def put(store: FullStore, name: object, ttl: float | None = None) -> str:
    key = key_of(str(name))
    store.put(key, b"payload", row(key), ttl)
    return key


def test_answers_stored_after_the_clock_was_put_right_are_kept_though_there_are_bounds(
    tmp_path: Path, clock: Clock
) -> None:
    nbcache.install(tmp_path / "store", max_entries=10)
    model = Echo()
    clock.ahead = 30 * DAY
    ask(model, *(f"old {n}" for n in range(10)))
    clock.ahead = 0
    ask(model, *(f"new {n}" for n in range(10)))
    ask(model, *(f"new {n}" for n in range(10)))
    assert model.calls == 20


def test_what_is_hit_after_the_clock_was_put_right_is_used_last(tmp_path: Path, clock: Clock) -> None:
    nbcache.install(tmp_path / "store", max_entries=3)
    model = Echo()
    clock.ahead = 30 * DAY
    ask(model, "a", "b", "c")
    clock.ahead = 0
    ask(model, "a")
    nbcache.installed().flush()
    ask(model, "d", "a")
    assert model.calls == 4


def test_a_clock_that_is_ahead_for_a_while_deletes_nothing(store: FullStore, clock: Clock) -> None:
    key = put(store, "week", 7 * DAY)
    for jump in (30 * DAY, 30 * DAY + HOUR / 2):
        clock.ahead = jump
        assert store.get(key) is None
        put(store, f"other {jump}")
        store.delete(put(store, f"cleared {jump}"))
        assert store.page()
    clock.ahead = 0
    assert store.get(key) == b"payload"


def test_what_expired_long_ago_is_deleted(store: FullStore, clock: Clock) -> None:
    key = put(store, "day", DAY)
    for days in (0.5, 1.5, 2.0, 2.5):
        clock.ahead = days * DAY
        put(store, "other")
    assert store.get(key, include_expired=True) is None
    assert store.tombstone(key, clock()) is not None


def test_what_was_stored_while_the_clock_was_ahead_lives_no_longer_than_others(store: FullStore, clock: Clock) -> None:
    put(store, "before")
    clock.ahead = 30 * DAY
    key = put(store, "ahead", 7 * DAY)
    clock.ahead = 0
    put(store, "after")
    assert store.get(key) == b"payload"
    clock.ahead = 6.9 * DAY
    assert store.get(key) == b"payload"
    clock.ahead = 7.1 * DAY
    assert store.get(key) is None


def test_hits_alone_put_right_what_was_stored_while_the_clock_was_ahead(tmp_path: Path, clock: Clock) -> None:
    nbcache.install(tmp_path / "store", ttl=7 * DAY)
    model = Echo()
    clock.ahead = 30 * DAY
    ask(model, "q")
    clock.ahead = 0
    ask(model, "q")
    nbcache.installed().flush()
    clock.ahead = 7.1 * DAY
    ask(model, "q")
    assert model.calls == 2


def test_clearing_takes_what_has_expired_along_and_does_not_count_it(store: FullStore, clock: Clock) -> None:
    contents = Contents(store)
    key = put(store, "day", DAY)
    put(store, "kept")
    clock.ahead = 2 * DAY
    done = contents.clear()
    assert (done.deleted, [meta.key for meta in done.entries]) == (1, [key_of("kept")])
    clock.ahead = 0
    assert store.get(key) is None
