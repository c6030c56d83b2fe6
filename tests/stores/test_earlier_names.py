"""A store that a user has written for nbcache 0.4, whose protocol had other names, goes on."""

import warnings
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel

import nbcache
from nbcache.stores import MemoryStore, Store, base


class EarlierStore:
    """All that the protocol of 0.4 asked for."""

    url = "earlier://"

    def __init__(self) -> None:
        self.memory = MemoryStore()

    def get(self, key: str, *, wait: bool = True, stale: bool = False) -> bytes | None:
        return self.memory.get(key, wait=wait, include_expired=stale)

    def version(self) -> object:
        return None

    def gone(self, *args: Any, **options: Any) -> tuple[str, float] | None:
        return self.memory.tombstone(*args, **options)

    def alike(self, *args: Any) -> list[str]:
        return self.memory.similar(*args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.memory, name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *dir(self.memory)]


def test_it_is_used_with_all_that_it_can_do_and_its_author_is_told() -> None:
    earlier: Any = EarlierStore()
    with pytest.warns(DeprecationWarning, match=r"EarlierStore has .* 0\.4: version\(\) is now change_token\(\)"):
        nbcache.install(earlier, ttl=1e-6)
    store = nbcache.installed().store
    assert all(
        isinstance(store, capability)
        for capability in (
            Store,
            base.Listable,
            base.Searchable,
            base.LedgerStore,
            base.Tombstones,
            base.ChangeTracking,
        )
    )
    model = FakeListChatModel(responses=["one", "two"])
    assert [model.invoke("q").content for _ in range(2)] == ["one", "two"]
    assert list(nbcache.last().why) == ["new", "expired"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nbcache.install(store, mode="replay")  # as `reinstall` does
    assert model.invoke("q").content == "two"
    assert nbcache.stats(lifetime=True).misses == 2
