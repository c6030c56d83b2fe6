"""A machine whose clock is wrong shares a store with machines whose clocks are right."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nbcache.entry.edit import Edit
from nbcache.entry.records import Filter, Touch
from nbcache.stores import DiskStore, RedisStore, TieredStore
from nbcache.stores.base import Leasing
from tests.servers.redis_server import RedisServer
from tests.stores.contract.entries import found, key_of, put, row

HOUR = 3600.0
NEAR = 60.0  # seconds: far more than a test takes, and far less than the clocks differ
OFF = (-HOUR, HOUR)
Wrong = Callable[[float], Any]
pytestmark = pytest.mark.parametrize("off", OFF, ids=["behind", "ahead"])


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> Wrong:
    """For a block the clock is wrong by so many seconds."""
    right = time.time

    @contextmanager
    def block(seconds: float) -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: right() + seconds)
            yield

    return block


@pytest.fixture
def laptop(server: RedisServer, prefix: str) -> Iterator[RedisStore]:
    """The store of the machine whose clock is wrong."""
    made = RedisStore(server.url(prefix))
    yield made
    made.close()


def test_what_a_wrong_machine_stores_lives_as_long_as_it_should(
    laptop: RedisStore, store: RedisStore, wrong: Wrong, off: float
) -> None:
    with wrong(off):
        short, long = put(laptop, "short", ttl=NEAR), put(laptop, "long", ttl=2 * HOUR)
        assert laptop.get(short) == laptop.get(long) == b"payload"
        assert abs(float(found(laptop, short).expires or 0) - time.time() - NEAR) < NEAR / 2
    assert store.get(short) == store.get(long) == b"payload"
    assert {meta.key for meta in store.page()} == {short, long}
    _pass(laptop, short)
    for seconds, each in ((0.0, store), (off, laptop)):
        with wrong(seconds):
            assert each.get(short) is None
            assert [meta.key for meta in each.page()] == [long]
            assert each.totals().entries == each.number(Filter()) == 1


def test_what_others_store_lives_as_long_as_it_should_on_a_wrong_machine(
    laptop: RedisStore, store: RedisStore, wrong: Wrong, off: float
) -> None:
    key = put(store, 1, ttl=NEAR)
    with wrong(off):
        assert laptop.get(key) == b"payload"
        assert [payload for _, payload in laptop.stream(Filter())] == [b"payload"]
        assert laptop.entries([key]) != []
        assert laptop.lease(key, "token", NEAR) == b"payload"
    _pass(store, key)
    with wrong(off):
        assert laptop.get(key) is None
        assert laptop.entries([key]) == []
        assert laptop.lease(key, "token", NEAR) is True
        assert laptop.tombstone(key, time.time()) is not None


def test_entries_stand_in_the_order_in_which_they_were_stored(
    laptop: RedisStore, store: RedisStore, wrong: Wrong, off: float
) -> None:
    first = _put(store, 1)
    with wrong(off):
        second = _put(laptop, 2)
    third = _put(store, 3)
    order = [third, second, first]
    assert [meta.key for meta in store.page()] == order
    assert all(abs(meta.created - time.time()) < NEAR for meta in store.page())
    with wrong(off):
        assert [meta.key for meta in laptop.page()] == order
        assert [row.key for row in laptop.select(Filter())] == order
        ages = [abs(created - time.time()) for created in laptop.columns()["created"]]
        assert max(ages) < NEAR


def test_what_is_old_or_unused_is_so_for_all(laptop: RedisStore, store: RedisStore, wrong: Wrong, off: float) -> None:
    keys = [put(store, 1)]
    with wrong(off):
        keys.append(put(laptop, 2))
        laptop.touch([Touch(keys[0], None, 1, time.time())])
        assert abs(float(found(laptop, keys[0]).last_hit or 0) - time.time()) < NEAR
    assert abs(float(found(store, keys[0]).last_hit or 0) - time.time()) < NEAR
    for seconds, each in ((0.0, store), (off, laptop)):
        with wrong(seconds):
            assert each.number(Filter(before=time.time() - NEAR)) == 0
            assert each.number(Filter(before=time.time() + NEAR)) == 2
            assert each.number(Filter(idle_since=time.time() - NEAR)) == 0
            assert each.number(Filter(idle_since=time.time() + NEAR)) == 2


def test_the_least_recently_used_entry_is_evicted_whoever_used_it(
    laptop: RedisStore, store: RedisStore, wrong: Wrong, off: float
) -> None:
    oldest = put(store, 1)
    with wrong(off):
        used = put(laptop, 2)
    unused = put(store, 3)
    with wrong(off):
        laptop.touch([Touch(key, None, 1, time.time() + NEAR) for key in (oldest, used)])
        laptop.bound(None, 3)
        newest = put(laptop, 4)
        assert {meta.key for meta in laptop.page()} == {oldest, used, newest}
        gone = laptop.tombstone(unused, time.time())
        assert gone is not None
        assert abs(gone[1] - time.time()) < NEAR


def test_an_entry_that_is_edited_keeps_its_times(
    laptop: RedisStore, store: RedisStore, wrong: Wrong, off: float
) -> None:
    key = put(store, 1, ttl=HOUR / 2)
    as_put = found(store, key)
    edit = Edit(add=("kept",), payload=lambda payload, *_, **__: payload)
    with wrong(off):
        assert laptop.edit([key], edit) == 1
    edited = found(store, key)
    assert edited.tags == ("kept",)
    assert edited.created == pytest.approx(as_put.created, abs=1)
    assert edited.expires == pytest.approx(as_put.expires, abs=1)
    with wrong(off):
        until = Edit(sets_expiry=True, expires=time.time() + NEAR, payload=lambda payload, *_, **__: payload)
        assert laptop.edit([key], until) == 1
    assert float(found(store, key).expires or 0) == pytest.approx(time.time() + NEAR, abs=NEAR / 2)


def test_a_local_store_gets_entries_with_its_own_times(
    laptop: RedisStore, store: RedisStore, tmp_path: Path, wrong: Wrong, off: float
) -> None:
    key = put(store, 1, ttl=HOUR / 2)
    with wrong(off):
        near = DiskStore(tmp_path / ".nbcache")
        tiers: Any = TieredStore([near, laptop])
        assert tiers.get(key) == b"payload"
        tiers.flush(30)
        filled = found(near, key)
        assert abs(filled.created - time.time()) < NEAR
        assert float(filled.expires or 0) == pytest.approx(time.time() + HOUR / 2, abs=NEAR)
        mine = put(tiers, 2, ttl=HOUR / 2)
        tiers.close()
    assert float(found(store, mine).expires or 0) == pytest.approx(time.time() + HOUR / 2, abs=NEAR)


def test_leases_do_not_depend_on_it(laptop: RedisStore, store: RedisStore, wrong: Wrong, off: float) -> None:
    key = key_of(1)
    assert isinstance(laptop, Leasing)
    with wrong(off):
        assert laptop.lease(key, "laptop", HOUR) is True
        laptop.renew({key: "laptop"}, HOUR)
    assert store.lease(key, "other", HOUR) is False
    with wrong(off):
        laptop.put_leased(key, b"answer", row(key), None, "laptop")
    assert store.lease(key, "other", HOUR) == b"answer"


def test_a_clock_that_is_set_right_counts_from_then_on(laptop: RedisStore, wrong: Wrong, off: float) -> None:
    with wrong(off):
        first = put(laptop, 1, ttl=NEAR)
    assert laptop.get(first) == b"payload"
    second = put(laptop, 2, ttl=NEAR)
    for key in (first, second):
        assert float(found(laptop, key).expires or 0) == pytest.approx(time.time() + NEAR, abs=NEAR / 2)


def test_a_hit_asks_for_no_time(laptop: RedisStore, server: RedisServer, wrong: Wrong, off: float) -> None:
    with wrong(off):
        keys = [put(laptop, 1), put(laptop, 2, ttl=HOUR)]
        before = _commands(server)
        for key in keys * 3:
            assert laptop.get(key) == b"payload"
        assert _commands(server) - before == 6


def test_a_user_who_may_not_ask_for_the_time_goes_by_the_own_clock(
    server: RedisServer, prefix: str, store: RedisStore, wrong: Wrong, off: float
) -> None:
    rights = f"resetkeys ~{{{prefix}}}:* +@all -@dangerous -time -info -config"
    server.client.execute_command("ACL SETUSER", "limited", "on", "nopass", *rights.split())
    limited = RedisStore(server.url(prefix).replace("unix://", "unix://limited:any@"))
    key = put(limited, 1, ttl=HOUR / 2)
    assert limited.get(key) == store.get(key) == b"payload"
    with wrong(off):
        own = put(limited, 2, ttl=2 * HOUR)
        assert limited.get(own) == b"payload"
        assert found(limited, own).created == pytest.approx(time.time(), abs=NEAR)
    limited.close()


def _put(store: RedisStore, number: int) -> str:
    """Store an entry of its own second: the clocks are known only so well as the server is quick."""
    key = key_of(number)
    store.put(key, b"payload", replace(row(key), created=time.time() + number))
    return key


def _commands(server: RedisServer) -> int:
    """How many commands of stores the server has been sent."""
    return sum(each["calls"] for name, each in server.client.info("commandstats").items() if "info" not in name)


def _pass(store: RedisStore, key: str) -> None:
    """Let an entry's time be over."""
    edit = Edit(sets_expiry=True, expires=time.time() - 1, payload=lambda payload, *_, **__: payload)
    assert store.edit([key], edit) == 1
