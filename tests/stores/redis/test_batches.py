"""Money and hits that a server wrote when nobody waited for it any longer: they count once."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from nbcache.costs.ledger import Ledger
from nbcache.entry.records import Spending, Touch
from nbcache.errors import StoreError
from nbcache.stores import RedisStore
from nbcache.stores.redis import batches
from nbcache.stores.redis.scripts import run
from tests.servers.redis_server import RedisServer, until
from tests.stores.contract.entries import NOW, found, key_of, put

KEY = key_of(1)
SPENT = Spending("s", 1, NOW, "a.ipynb", None, "m", misses=1, spent_usd=Decimal("0.1"))


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a server again soon after it was silent."""
    monkeypatch.setattr("nbcache.stores.circuit_breaker._FIRST", 0.01)
    monkeypatch.setattr("nbcache.stores.circuit_breaker._LONGEST", 0.05)


@pytest.fixture
def own(own_server: RedisServer) -> Any:
    made = RedisStore(own_server.url())
    put(made, 1)
    yield made
    made.close()


def worked(write: Callable[[], object]) -> bool:
    try:
        write()
    except StoreError:
        return False
    return True


def record(store: RedisStore) -> None:
    store.record([SPENT])


def touch(store: RedisStore) -> None:
    store.touch([Touch(KEY, None, 1, NOW)])


def counted(store: RedisStore) -> tuple[int, Decimal, int]:
    rows = store.spendings()
    return sum(row.misses for row in rows), sum((row.spent_usd for row in rows), Decimal(0)), found(store, KEY).hits


ONCE = {record: (1, Decimal("0.1"), 0), touch: (0, Decimal(0), 1)}


def times(number: int, write: Any) -> tuple[Any, ...]:
    return tuple(number * each for each in ONCE[write])


@pytest.mark.parametrize("write", ONCE)
def test_what_a_frozen_server_writes_later_is_not_written_again(
    write: Any, own: RedisStore, own_server: RedisServer
) -> None:
    other = RedisStore(own_server.url())
    write(own)  # the server has the script now
    own_server.freeze()
    with pytest.raises(StoreError, match="does not answer"):
        write(own)
    own_server.go_on()
    until(lambda: counted(other) == times(2, write))  # late, but written
    until(lambda: worked(lambda: write(own)))
    assert counted(other) == times(2, write)
    write(own)  # another one that is equal
    assert counted(other) == times(3, write)
    assert other.check() == []
    other.close()


@pytest.mark.parametrize("write", ONCE)
def test_what_a_server_has_lost_is_written_again(write: Any, own: RedisStore, own_server: RedisServer) -> None:
    own_server.stop()
    with pytest.raises(StoreError):
        write(own)
    own_server.start()
    until(lambda: worked(lambda: put(own, 1)))
    write(own)
    assert counted(own) == ONCE[write]


def test_a_ledger_that_writes_again_counts_each_call_once(own: RedisStore, own_server: RedisServer) -> None:
    other, ledger = RedisStore(own_server.url()), Ledger(own, "a.ipynb")
    other.record([Spending("t", 1, NOW, "b.ipynb", None, "m")])  # the server has the script now
    own_server.freeze()
    ledger.missed(None, "m", "new")
    ledger.flush()
    own_server.go_on()
    until(lambda: counted(other)[0] == 1)  # late, but written
    ledger.missed(None, "m", "new")  # in the same execution of a cell

    def is_written() -> bool:
        ledger.flush()
        return counted(other)[0] >= 2

    until(is_written)
    ledger.close()
    assert counted(other)[0] == ledger.session().misses == 2
    other.close()


@pytest.mark.parametrize("silent_at", [1, 2, 3])
def test_each_part_of_a_large_batch_is_written_once(
    silent_at: int, store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    import redis

    parts = list[str]()

    def silent(client: Any, root: str, name: str, arguments: Any) -> None:
        parts.append(arguments[1])
        run(client, root, name, arguments)
        if len(parts) == silent_at:
            raise redis.TimeoutError

    monkeypatch.setattr(batches, "run", silent)
    rows = [Spending("s", number, NOW, "a.ipynb", None, "m", misses=1) for number in range(500)]
    assert not worked(lambda: store.record(rows))
    until(lambda: worked(lambda: store.record(rows)))
    assert len(parts) == 4  # what was acknowledged is not sent again
    assert [row.misses for row in store.spendings()] == [1] * 500


def test_what_a_server_remembers_of_batches_is_bounded_and_expires(
    store: RedisStore, server: RedisServer, prefix: str
) -> None:
    for _ in range(510):
        record(store)
    (done,) = server.client.keys(f"{{{prefix}}}:2:done:*")
    assert server.client.llen(done) == 500
    assert 0 < server.client.ttl(done) <= 604_800
    assert store.spendings()[0].misses == 510
