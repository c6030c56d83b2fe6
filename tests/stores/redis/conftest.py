"""A server for the tests of a module, with an empty store for each test."""

import math
import socket
import threading
import uuid
from collections.abc import Iterator

import pytest

from nbcache.stores import RedisStore
from nbcache.stores.circuit_breaker import CircuitBreaker
from tests.servers.redis_server import RedisServer, program
from tests.stores.redis.outages import Lost


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(program()) as running:
        yield running


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A server that the test may stop and freeze."""
    with RedisServer(program(), tcp=True) as running:
        yield running
        running.go_on()


@pytest.fixture
def prefix() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def store(server: RedisServer, prefix: str) -> Iterator[RedisStore]:
    made = RedisStore(server.url(prefix))
    yield made
    assert made.check() == []
    made.close()


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> Lost:
    """Counts from now on. After a failure, the server is not tried again in this test."""
    counted, failed, set_timeout = Lost(), CircuitBreaker.failed, socket.socket.settimeout

    def noted(of: CircuitBreaker, begun: float) -> None:
        counted.waits.append((of, threading.get_ident()))
        failed(of, begun)

    def limited(of: socket.socket, seconds: float | None) -> None:
        counted.limits.append(math.inf if seconds is None else seconds)
        set_timeout(of, seconds)

    monkeypatch.setattr("nbcache.stores.circuit_breaker._FIRST", 10_000.0)
    monkeypatch.setattr(CircuitBreaker, "failed", noted)
    monkeypatch.setattr(socket.socket, "settimeout", limited)
    monkeypatch.setenv("NBCACHE_OWNER", "ann")
    return counted
