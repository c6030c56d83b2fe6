"""An interrupt at any moment of a request: the next requests get their own replies, from their own database."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from redis.connection import AbstractConnection

from nbcache.stores import RedisStore
from tests.servers.delaying_proxy import DelayingProxy
from tests.servers.redis_server import RedisServer, program
from tests.stores.contract.entries import key_of, put, row

_DELAY = 0.02  # seconds: the reply is not there yet when the next request begins


@pytest.fixture(scope="module")
def guarded() -> Iterator[DelayingProxy]:
    """A server with a password, behind a network."""
    with RedisServer(program(), "--requirepass", "hunter2", tcp=True) as running, DelayingProxy(running.port) as proxy:
        yield proxy


@pytest.fixture
def far(guarded: DelayingProxy, prefix: str) -> Iterator[RedisStore]:
    """A store with the entries 1 and 2. In the server's database 0 there are others of the same keys."""
    guarded.delay = 0
    for database, payload in (0, b"wrong"), (3, b"right"):
        made = RedisStore(f"redis://:hunter2@127.0.0.1:{guarded.port}/{database}?prefix={prefix}")
        for number in (1, 2):
            put(made, number, payload + b" %d" % number)
        if database == 0:
            made.close()
    guarded.delay = _DELAY
    yield made
    guarded.delay = 0
    made.close()


def interrupt(monkeypatch: pytest.MonkeyPatch, of: Any, name: str, passes: int = 0) -> None:
    """Interrupt the next call of a method, after so many that pass."""
    method, left = getattr(of, name), [passes]

    def interrupted(*arguments: Any, **options: Any) -> Any:
        if left[0] == 0:
            monkeypatch.setattr(of, name, method)
            raise KeyboardInterrupt
        left[0] -= 1
        return method(*arguments, **options)

    monkeypatch.setattr(of, name, interrupted)


def expect_right_answers(store: RedisStore) -> None:
    for number in (1, 2, 1):
        assert store.get(key_of(number)) == b"right %d" % number


def test_a_reply_that_nobody_has_read_is_no_reply_to_the_next_request(
    far: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(monkeypatch, redis.Redis, "parse_response")
    with pytest.raises(KeyboardInterrupt):
        far.get(key_of(1))
    expect_right_answers(far)


@pytest.mark.parametrize("passes", range(3))
def test_replies_to_a_batch_are_no_replies_to_the_next_request(
    far: RedisStore, monkeypatch: pytest.MonkeyPatch, passes: int
) -> None:
    entries = [(key_of(number), b"right %d" % number, row(key_of(number))) for number in (1, 2)]
    interrupt(monkeypatch, redis.client.Pipeline, "parse_response", passes)
    with pytest.raises(KeyboardInterrupt):
        far.put_all(entries)
    for number in (1, 2, 1):  # from the connections of batches
        assert far.entries([key_of(number)])[0][1] == b"right %d" % number


@pytest.mark.parametrize(
    ("name", "passes"),
    [("on_connect_check_health", 0), *((name, at) for name in ("send_command", "read_response") for at in range(3))],
)
def test_a_connection_without_its_password_or_database_is_not_used(
    far: RedisStore, monkeypatch: pytest.MonkeyPatch, name: str, passes: int
) -> None:
    far.close()
    interrupt(monkeypatch, AbstractConnection, name, passes)
    with pytest.raises(KeyboardInterrupt):
        far.get(key_of(1))
    expect_right_answers(far)
