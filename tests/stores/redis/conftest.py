"""A server for the tests of a module, with an empty store for each test."""

import uuid
from collections.abc import Iterator

import pytest

from nbcache.stores import RedisStore
from tests.servers.redis_server import RedisServer, program


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
