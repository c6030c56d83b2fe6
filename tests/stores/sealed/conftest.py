"""Sealed stores: in memory, in a folder and on a server."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nbcache.stores import DiskStore, MemoryStore, RedisStore, Store
from nbcache.stores.sealed.store import SealedStore, sealed
from tests.servers.redis_server import RedisServer, program

SECRET, ANOTHER = "the secret of all of us", "the secret of somebody else"
Seal = Callable[..., SealedStore]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(program()) as running:
        yield running


@pytest.fixture
def url(server: RedisServer) -> str:
    return server.url(uuid.uuid4().hex)


@pytest.fixture(params=["memory", "disk", "redis"])
def inner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """The store that keeps the entries, without the secret."""
    store: Store
    if request.param == "redis":
        store = RedisStore(request.getfixturevalue("url"))
    else:
        store = MemoryStore() if request.param == "memory" else DiskStore(tmp_path / "store")
    yield store
    store.close()


@pytest.fixture
def seal(monkeypatch: pytest.MonkeyPatch) -> Seal:
    """Seals a store with a secret, and leaves none in the environment."""

    def a_store(inner: Store, secret: str = SECRET) -> SealedStore:
        with monkeypatch.context() as patch:
            patch.setenv("NBCACHE_SECRET", secret)
            return sealed(inner)

    return a_store
