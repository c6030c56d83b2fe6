"""Tiers that have no rows: another LangChain cache, and Momento's service."""

import importlib.util
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.language_models import FakeListChatModel

import nbcache
from nbcache.stores import DiskStore, LangChainStore, Store
from tests.stores.contract.entries import found, key_of
from tests.stores.contract.test_editable import answer
from tests.stores.tiers.conftest import Tiers

ENOUGH = 30.0  # seconds for what takes milliseconds
NEEDS_MOMENTO = pytest.mark.skipif(importlib.util.find_spec("momento") is None, reason="the package momento is missing")


@pytest.fixture(params=["langchain", pytest.param("momento", marks=NEEDS_MOMENTO)])
def shared(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "langchain":
        yield LangChainStore(InMemoryCache())
        return
    from momento import CacheClient, Configurations

    from nbcache.stores import MomentoStore
    from tests.servers.momento_server import MomentoServer

    with MomentoServer() as server:
        client = CacheClient(Configurations.Laptop.latest(), server.credentials(), timedelta(hours=1))
        yield MomentoStore(client, "team")


@pytest.mark.parametrize("is_sealed", [False, True])
def test_a_copy_has_the_rest_of_its_sources_ttl(
    shared: Any, near: DiskStore, tiers: Tiers, monkeypatch: pytest.MonkeyPatch, *, is_sealed: bool
) -> None:
    if is_sealed:
        pytest.importorskip("cryptography")
        from nbcache.stores.sealed.store import sealed

        monkeypatch.setenv("NBCACHE_SECRET", "a secret of this test alone")
        shared = sealed(shared)
    begun = time.time()
    keys = [answer(shared, "1", ttl=1000), answer(shared, "2")]
    stored = time.time()
    store: Any = tiers(near, shared)
    assert all(store.get(key) for key in keys)
    store.flush(ENOUGH)
    expires, never = (found(near, key).expires for key in keys)
    assert never is None
    assert expires is not None
    assert begun + 1000 <= expires <= stored + 1000


def test_what_a_notebook_clears_is_no_hit_for_it_and_stays_for_others(
    shared: Any, near: DiskStore, tiers: Tiers, tmp_path: Path
) -> None:
    store: Any = tiers(near, shared)
    key = answer(store, "1")
    store.flush(ENOUGH)
    store.clear([key], owner="a.ipynb")
    assert store.get(key) is None
    store.close()
    assert tiers(near, shared).get(key) is None
    bobs = DiskStore(tmp_path / "bob" / ".nbcache")
    assert tiers(bobs, shared).get(key) is not None
    answer(store, "1")
    store.flush(ENOUGH)
    near.delete(key)
    assert store.get(key_of("1")) is not None  # stored anew


@NEEDS_MOMENTO
async def test_an_async_client_behind_a_folder_serves_async_calls(tmp_path: Path) -> None:
    from momento import CacheClientAsync, Configurations

    from nbcache.stores import MomentoStore
    from tests.servers.momento_server import MomentoServer

    def begin(name: str, client: Any) -> FakeListChatModel:
        nbcache.uninstall()
        nbcache.install(store=[tmp_path / name / ".nbcache", MomentoStore(client, "team")])
        return FakeListChatModel(responses=["one", "two"])

    with MomentoServer() as server:
        async with CacheClientAsync(Configurations.Laptop.latest(), server.credentials(), timedelta(hours=1)) as client:
            llm = begin("ann", client)
            assert (await llm.ainvoke("q")).content == "one"
            await _until(lambda: len(server.state.caches.get("team", {})) == 1)
            llm = begin("bob", client)
            assert (await llm.ainvoke("q")).content == "one"
            assert nbcache.stats().by_tier == {"momento://team": 1}
            with pytest.warns(nbcache.NbcacheWarning, match="async client") as warned:
                assert [llm.invoke(question).content for question in ("r", "s", "r")] == ["one", "two", "one"]
            assert len(warned) == 1


async def _until(is_so: Callable[[], bool]) -> None:
    import asyncio

    ends = time.monotonic() + ENOUGH
    while not is_so():
        assert time.monotonic() < ends
        await asyncio.sleep(0.01)
