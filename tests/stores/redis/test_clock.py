"""Entries expire by the server's clock, whatever the clocks of the machines say."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from nbcache.entry.edit import Edit
from nbcache.entry.records import Filter, Totals
from nbcache.stores import RedisStore
from nbcache.stores.redis import rows
from nbcache.stores.redis.clock import ServerClock
from tests.servers.redis_server import RedisServer, program
from tests.stores.contract.entries import key_of, put, row

HOUR = 3600.0
SetClock = Callable[[float], None]


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """Puts this machine's clock so many seconds ahead of the server's."""
    real = time.time

    def set_ahead(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: real() + seconds)

    return set_ahead


def expires_at_server(store: RedisStore, key: str) -> float:
    entry: Any = store.server.calls.get(f"{store.root}e:{key}")
    return rows.expiry_in(entry) or 0


@pytest.mark.parametrize("wrong", [HOUR, -HOUR, 30.0, -30.0])
def test_an_entry_lives_as_long_as_it_should_wherever_it_is_stored(
    store: RedisStore, set_clock: SetClock, wrong: float
) -> None:
    now = time.time()
    set_clock(wrong)
    stored, edited = put(store, 1, ttl=60), put(store, 2)
    store.edit([edited], Edit(sets_expiry=True, expires=time.time() + 60))
    assert expires_at_server(store, stored) == pytest.approx(now + 60, abs=10)
    assert expires_at_server(store, edited) == pytest.approx(now + 60, abs=10)
    assert store.server.listing.ttl(f"{store.root}e:{edited}") == pytest.approx(60 + HOUR, abs=10)


@pytest.mark.parametrize("wrong", [HOUR, -HOUR])
def test_a_machine_whose_clock_is_wrong_has_the_hits_and_lists_of_the_others(
    store: RedisStore, set_clock: SetClock, wrong: float
) -> None:
    """What it is shown of an expiry is by its own clock, so that the rest of the time is right."""
    key = put(store, 1, ttl=60)
    set_clock(wrong)
    assert store.get(key) == b"payload"
    assert store.totals() == Totals(1, len(b"payload"))
    assert [meta.key for meta in store.page(Filter(key=key))] == [key]
    assert [meta.expires for meta in store.page()] == [pytest.approx(time.time() + 60, abs=10)]
    assert [meta.expires for meta, _ in store.entries([key])] == [pytest.approx(time.time() + 60, abs=10)]
    assert store.select(Filter()).clearing(None).deleted == 1
    assert store.lease(key, "token", 5) == b"payload"


def test_what_has_expired_is_over_on_a_machine_whose_clock_is_behind(store: RedisStore, set_clock: SetClock) -> None:
    now = time.time()
    key = put(store, 1, ttl=HOUR)
    set_clock(-2 * HOUR)
    store.edit([key], Edit(sets_expiry=True, expires=time.time() - 10))
    assert expires_at_server(store, key) == pytest.approx(now - 10, abs=10)
    assert store.get(key) is None
    assert store.page() == []
    assert store.entries([key]) == []
    assert store.lease(key, "token", 5) is True
    gone = store.tombstone(key, time.time())
    assert gone is not None
    why, when = gone
    assert why == "expired"
    assert when == pytest.approx(time.time() - 10, abs=10)


def test_the_server_is_asked_for_the_time_once_and_by_no_hit_that_does_not_need_it(store: RedisStore) -> None:
    def times() -> int:
        statistics = store.server.listing.info("commandstats")
        return int(statistics.get("cmdstat_time", {"calls": 0})["calls"])

    before = times()
    store.put_all([(key_of(1), b"payload", row(key_of(1)))])
    other = RedisStore(store.url)
    for _ in range(3):
        assert other.get(key_of(1)) == b"payload"
    assert times() == before + 1
    key = put(other, 2, ttl=60)
    for _ in range(3):
        assert other.get(key) == b"payload"
        assert store.get(key) == b"payload"
    assert times() == before + 2
    other.close()


def test_the_time_is_asked_again_when_the_clock_is_set_and_when_the_server_may_be_another(set_clock: SetClock) -> None:
    asked = []

    def ask() -> float:
        asked.append(1)
        return 1_000.0

    clock = ServerClock(ask)
    assert clock.now() == pytest.approx(1_000, abs=10)
    clock.now()
    assert len(asked) == 1
    set_clock(HOUR)
    assert clock.now() == pytest.approx(1_000, abs=10)
    assert len(asked) == 2
    clock.forget()
    clock.now()
    assert len(asked) == 3


def test_a_clock_that_is_right_is_taken_as_it_is(store: RedisStore) -> None:
    assert store.server.now() == pytest.approx(time.time(), abs=0.5)
    assert store.server.ahead() == 0


def test_a_user_who_may_not_ask_for_the_time_goes_by_the_own_clock() -> None:
    with RedisServer(program(), tcp=True) as server:
        server.client.acl_setuser(
            "default", enabled=True, nopass=True, keys=["*"], commands=["-time"], categories=["+@all"]
        )
        store = RedisStore(server.url())
        key = put(store, 1, ttl=60)
        assert store.get(key) == b"payload"
        assert expires_at_server(store, key) == pytest.approx(time.time() + 60, abs=10)
        store.close()
