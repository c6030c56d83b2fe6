"""The stores that the contract is run with. A store of yours is one line in `STORES`.

Stores on a server are run with each server that the machine has.

A test module says in `NEEDS` which capabilities its tests are about; they are run with every store that has these. With
`IN_TIERS = False` they are not run with stores in tiers.
"""

import contextlib
import importlib.util
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache

from nbcache.stores import DiskStore, LangChainStore, MemoryStore, Store, TieredStore
from nbcache.stores.base import Bounded, Checkable
from nbcache.stores.redis.clock import ServerClock
from tests.servers.redis_server import RedisServer, programs
from tests.stores.contract.entries import Clock
from tests.support.small_stores import DictStore, ListedStore

STORES: dict[str, Callable[[Path], Store]] = {
    "memory": lambda _: MemoryStore(clock=lambda: time.time()),  # noqa: PLW0108 - looked up anew each time
    "disk": DiskStore,
    "dict": lambda _: DictStore(),
    "listed": lambda _: ListedStore(),
    "langchain": lambda _: LangChainStore(InMemoryCache()),
    "memory and disk": lambda folder: TieredStore([STORES["memory"](folder), DiskStore(folder)]),
    "disk and memory": lambda folder: TieredStore([DiskStore(folder), STORES["memory"](folder)]),
}
SERVERS = programs()
SEALED = "sealed "  # before the name of the store that keeps the entries
SECRET = "a secret of all contract tests"
Make = Callable[..., Any]  # a store, with the capabilities that the module needs


def _on_server(url: str) -> Store:
    from nbcache.stores import RedisStore

    return RedisStore(url)


def _at_momento(port: int) -> Store:
    from datetime import timedelta

    from momento import CacheClient, Configurations

    from nbcache.stores import MomentoStore
    from tests.servers.momento_server import credentials

    client = CacheClient(Configurations.Laptop.latest(), credentials(port), timedelta(hours=1))
    return MomentoStore(client, "team", ensure_cache_exists=port > 0)


if importlib.util.find_spec("momento") is not None:
    STORES["momento"] = lambda _: _at_momento(0)  # that of a test is on a local server that speaks Momento's protocol
STORES |= dict.fromkeys(SERVERS, lambda _: _on_server("redis://localhost"))  # that of a test is on a server of its own
BEHIND = "disk and "
STORES |= {
    f"{BEHIND}{name}": lambda folder: TieredStore([DiskStore(folder), _on_server("redis://localhost")])
    for name in SERVERS
}


def _sealed(inner: Store) -> Store:
    from nbcache.stores.sealed.store import sealed

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBCACHE_SECRET", SECRET)
        return sealed(inner)


STORES |= {
    SEALED + name: lambda folder, new=new: _sealed(new(folder))  # type: ignore[misc]
    for name, new in STORES.items()
    if " and " not in name
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test of stores with each that has what it needs."""
    if "make" in metafunc.fixturenames:
        needs = getattr(metafunc.module, "NEEDS", ())
        in_tiers = getattr(metafunc.module, "IN_TIERS", True)
        names = [name for name in STORES if _has(STORES[name], needs) and (in_tiers or " and " not in name)]
        metafunc.parametrize("make", names, indirect=True)


def _has(new: Callable[[Path], Store], needs: tuple[type, ...]) -> bool:
    store = new(Path("never-used"))
    return all(isinstance(store, capability) for capability in needs)


@pytest.fixture
def clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time, which stands still until the test advances it. With Momento it is the server's alone: gRPC needs one that goes."""
    made = Clock()
    parameters = getattr(request.node, "callspec", None)
    if parameters is None or parameters.params.get("make") not in {"momento", f"{SEALED}momento"}:
        monkeypatch.setattr(time, "time", lambda: made.now)
        monkeypatch.setattr(ServerClock, "ahead", lambda _: 0.0)
    return made


@pytest.fixture(scope="session")
def url_of() -> Iterator[Callable[[str], str]]:
    """The URL of an empty store, on the server of this name, which is started at first use."""
    running: dict[str, RedisServer] = {}
    with contextlib.ExitStack() as servers:

        def url(name: str) -> str:
            if name not in running:
                running[name] = servers.enter_context(RedisServer(SERVERS[name]))
            return running[name].url(uuid.uuid4().hex)

        yield url


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock, url_of: Callable[[str], str]) -> Iterator[Make]:
    """Makes a store with the bounds that it is given; it is checked and closed after the test."""
    stores: list[Store] = []
    servers = contextlib.ExitStack()

    def a_store(max_entries: int | None = None, max_bytes: int | None = None) -> Store:
        name, folder = request.param.removeprefix(SEALED), tmp_path / f"store{len(stores)}"
        if (server := name.removeprefix(BEHIND)) in SERVERS:
            store = _on_server(url_of(server))
            store = store if name == server else TieredStore([DiskStore(folder), store])
        elif name == "momento":
            from tests.servers.momento_server import MomentoServer

            momento = servers.enter_context(MomentoServer(max_item=5_000_000, clock=lambda: clock.now))
            store = _at_momento(momento.port)
        else:
            store = STORES[name](folder)
        store = store if name == request.param else _sealed(store)
        if isinstance(store, Bounded):
            store.bound(max_bytes, max_entries)
        stores.append(store)
        return store

    yield a_store
    for store in stores:
        if isinstance(store, Checkable):
            assert store.check() == []
        store.close()
    servers.close()


@pytest.fixture
def store(make: Make) -> Any:
    return make()
