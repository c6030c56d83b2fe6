"""The stores that the contract is run with. A store of yours is one line in `STORES`.

A test module says in `NEEDS` which capabilities its tests are about; they are run with every store that has these.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nbcache.stores import DiskStore, MemoryStore, Store
from nbcache.stores.base import Bounded, Checkable
from tests.stores.contract.entries import Clock
from tests.support.small_stores import DictStore, ListedStore

STORES: dict[str, Callable[[Path], Store]] = {
    "memory": lambda _: MemoryStore(clock=lambda: time.time()),  # noqa: PLW0108 - looked up anew each time
    "disk": DiskStore,
    "dict": lambda _: DictStore(),
    "listed": lambda _: ListedStore(),
}
Make = Callable[..., Any]  # a store, with the capabilities that the module needs


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test of stores with each that has what it needs."""
    if "make" in metafunc.fixturenames:
        needs = getattr(metafunc.module, "NEEDS", ())
        metafunc.parametrize("make", [name for name in STORES if _has(STORES[name], needs)], indirect=True)


def _has(new: Callable[[Path], Store], needs: tuple[type, ...]) -> bool:
    store = new(Path("never-used"))
    return all(isinstance(store, capability) for capability in needs)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time, which stands still until the test advances it."""
    made = Clock()
    monkeypatch.setattr(time, "time", lambda: made.now)
    return made


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Make]:
    """Makes a store with the bounds that it is given; it is checked and closed after the test."""
    stores: list[Store] = []

    def a_store(max_entries: int | None = None, max_bytes: int | None = None) -> Store:
        store = STORES[request.param](tmp_path / f"store{len(stores)}")
        if isinstance(store, Bounded):
            store.bound(max_bytes, max_entries)
        stores.append(store)
        return store

    yield a_store
    for store in stores:
        if isinstance(store, Checkable):
            assert store.check() == []
        store.close()


@pytest.fixture
def store(make: Make) -> Any:
    return make()
