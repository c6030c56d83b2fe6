"""A folder with a server behind it, whose user is Ann."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nbcache.stores import DiskStore, RedisStore, Store, TieredStore
from tests.servers.redis_server import RedisServer
from tests.stores.redis.conftest import own_server, prefix, server

__all__ = ["own_server", "prefix", "server"]
Tiers = Callable[..., TieredStore]


@pytest.fixture(autouse=True)
def _as_ann(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBCACHE_OWNER", "ann")


@pytest.fixture
def far(server: RedisServer, prefix: str) -> Iterator[RedisStore]:
    """The team's store."""
    made = RedisStore(server.url(prefix))
    yield made
    assert made.check() == []
    made.close()


@pytest.fixture
def near(tmp_path: Path) -> Iterator[DiskStore]:
    """The store in Ann's folder."""
    made = DiskStore(tmp_path / "ann" / ".nbcache")
    yield made
    assert made.check() == []
    made.close()


@pytest.fixture
def tiers() -> Iterator[Tiers]:
    """Makes a store of these tiers; it is closed after the test."""
    made: list[TieredStore] = []

    def a_store(*stores: Store) -> TieredStore:
        made.append(TieredStore(stores))
        return made[-1]

    yield a_store
    for each in made:
        each.close()


@pytest.fixture
def own(own_server: RedisServer) -> Iterator[RedisStore]:
    """A store on a server that the test may stop."""
    made = RedisStore(own_server.url())
    yield made
    made.close()
