"""Stores that can't list their entries, alone and behind one that can: each front end says so, and does what it can."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.language_models import FakeListChatModel

import nbcache
from nbcache.errors import UnsupportedError
from nbcache.stores import LangChainStore
from nbcache.ui.panel.board import Board
from tests.ui.jupyter.test_magics import loaded, run, shell  # noqa: F401 - fixtures

Run = Callable[..., str]
NOTE = "langchain://InMemoryCache can't list entries: this shows what this machine has stored"


@pytest.fixture
def remote() -> LangChainStore:
    return LangChainStore(InMemoryCache())


def ask(remote: Any, *before: Any) -> None:
    nbcache.install([*before, remote] if before else remote)
    FakeListChatModel(responses=["one"]).invoke("q")


def test_a_list_says_what_stands_behind_it_unlisted(
    remote: LangChainStore,
    tmp_path: Path,
    loaded: Run,  # noqa: F811
) -> None:
    ask(remote, tmp_path / "store")
    assert NOTE in loaded("%llmcache ls")
    assert NOTE in loaded("%llmcache where")
    assert len(nbcache.entries()) == 1
    state = Board().state()
    assert (state["listable"], state["unlisted"]) == (True, NOTE)


def test_a_store_whose_entries_are_all_listed_says_nothing_of_it(tmp_path: Path, loaded: Run) -> None:  # noqa: F811
    nbcache.install(tmp_path / "store")
    assert "can't list" not in loaded("%llmcache ls") + loaded("%llmcache where")
    assert Board().state()["unlisted"] == ""


def test_alone_it_says_what_to_put_before_it(remote: LangChainStore) -> None:
    ask(remote)
    with pytest.raises(UnsupportedError, match=r'put `disk` before it, store=\["disk", …\]'):
        nbcache.entries()
    assert Board().state()["unlisted"] == ""
    key = str(nbcache.last()["key"].iloc[0])
    assert nbcache.show(key).answer == "one"
    nbcache.evict(key)
    assert remote.get(key) is None
    assert nbcache.stats().misses == 1


def test_an_eviction_reaches_the_tier_that_can_not_list(remote: LangChainStore, tmp_path: Path) -> None:
    ask(remote, tmp_path / "store")
    nbcache.installed().flush()
    key = str(nbcache.last()["key"].iloc[0])
    nbcache.evict(key)
    assert remote.get(key) is None


@pytest.mark.parametrize(
    ("place", "made"), [("momento://team", "MomentoStore"), ("langchain://SQLiteCache", "LangChainStore")]
)
def test_its_name_is_no_place_and_the_error_says_what_to_write(place: str, made: str) -> None:
    with pytest.raises(ValueError, match=rf"made in code: nbcache\.install\(nbcache\.stores\.{made}"):
        nbcache.install(place)
