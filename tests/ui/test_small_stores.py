"""Stores that can do little: calls are answered, money is counted, and what can't be done is said."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from langchain_core.language_models import FakeListChatModel
from langchain_openai import ChatOpenAI

import nbcache
from nbcache import NbcacheError, ReplayMiss
from nbcache.entry.records import EntryMeta
from nbcache.errors import StoreBusyError, UnsupportedError
from nbcache.stores import Store
from nbcache.ui.jupyter.notebook_renames import rename
from nbcache.ui.panel.board import Board
from tests.servers import canned as c
from tests.servers.canned import Canned
from tests.support.small_stores import DictStore, ListedStore
from tests.ui.jupyter.test_magics import loaded, run, shell  # noqa: F401 - fixtures

Run = Callable[..., str]
SMALL = pytest.mark.parametrize("new", [DictStore, ListedStore])


def model(*answers: str) -> FakeListChatModel:
    return FakeListChatModel(responses=list(answers or ("one", "two", "three")))


@pytest.fixture
def server() -> Iterator[Canned]:
    with Canned() as running:
        yield running


@pytest.fixture
def key() -> str:
    """The key of the call that was made on a store which can't list its entries."""
    nbcache.install(DictStore())
    model("an answer").invoke("a question")
    (made,) = nbcache.last().key
    return str(made)


# Calls


@SMALL
def test_a_call_is_paid_once_and_money_is_counted(new: Callable[[], Store], server: Canned) -> None:
    nbcache.install(new(), prices={"m": {"input": 2, "output": 8}})
    server.reply(c.chat("m", {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}))
    client = ChatOpenAI(model="m", base_url=f"{server.url}/v1", api_key="sk-test", max_retries=0)
    for _ in range(3):
        client.invoke("q")
    stats = nbcache.stats()
    assert (stats.hits, stats.misses, stats.errors) == (2, 1, 0)
    assert (stats.spent_usd, stats.saved_usd) == (Decimal("0.006"), Decimal("0.012"))
    assert stats.entries == (None if new is DictStore else 1)
    nbcache.install(nbcache.installed().store)
    assert (nbcache.stats().hits, nbcache.stats().spent_usd) == (2, Decimal("0.006"))


@SMALL
def test_a_stream_is_played(new: Callable[[], Store]) -> None:
    nbcache.install(new())
    chat = model()
    first = [chunk.content for chunk in chat.stream("q")]
    assert [chunk.content for chunk in chat.stream("q")] == first == list("one")
    assert (nbcache.stats().hits, nbcache.stats().misses) == (1, 1)


async def test_a_store_that_has_to_wait_is_asked_in_a_thread() -> None:
    threads: list[int] = []

    class Remote(DictStore):  # type: ignore[misc, valid-type]  # made of the docstring
        def get(self, key: str, *, wait: bool = True, include_expired: bool = False) -> bytes | None:
            if not wait:
                raise StoreBusyError("over the network")
            threads.append(threading.get_ident())
            return super().get(key, include_expired=include_expired)  # type: ignore[no-any-return]

    nbcache.install(Remote())
    chat = model()
    assert [(await chat.ainvoke("q")).content for _ in range(2)] == ["one", "one"]
    assert threading.get_ident() not in threads
    assert await asyncio.gather(*(chat.abatch(["q"]) for _ in range(2)))
    assert (nbcache.stats().hits, nbcache.stats().misses) == (3, 1)


def test_replay_plays_what_the_store_has() -> None:
    nbcache.install(DictStore(), ttl=1e-6)
    chat = model()
    chat.invoke("q")
    nbcache.install(nbcache.installed().store, mode="replay")
    assert chat.invoke("q").content == "one"
    with pytest.raises(ReplayMiss, match=r"never recorded\n.*isn't in the store"):
        chat.invoke("another")


def test_a_store_without_bounds_is_not_said_to_keep_within_some() -> None:
    with pytest.raises(ValueError, match="dict:// can't be bounded"):
        nbcache.install(DictStore(), max_entries=3)


def test_a_renamed_notebook_goes_on(tmp_path: Path) -> None:
    nbcache.install(DictStore(), notebook=tmp_path / "old.ipynb")
    model().invoke("q")
    with pytest.warns(nbcache.NbcacheWarning, match="new.ipynb"):
        rename(tmp_path / "old.ipynb", tmp_path / "new.ipynb")
    assert model().invoke("q").content == "one"
    assert (nbcache.stats().hits, nbcache.installed().notebook) == (1, (tmp_path / "new.ipynb").as_posix())


# In a notebook


@pytest.fixture
def small(loaded: Run, shell: InteractiveShell) -> Run:  # noqa: F811 - fixtures' names
    shell.user_ns["store"] = DictStore()
    loaded("import nbcache; cache = nbcache.install(store)")
    for _ in range(2):
        loaded("model.invoke('What is a monad?')")
    return loaded


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("", "stored: unknown: this store can't list its entries"),
        ("on", "stored:    unknown: this store can't list its entries"),
        ("stats", "calls:  this session: 1 hit, 1 miss (50% hits)"),
        ("stats", "stored: unknown: this store can't list its entries"),
        ("stats --cell", "1 call · 1 hit"),
        ("stats --by model", ""),
        ("last", ""),
        ("where", "store: dict://"),
        ("plan", "this session's calls, made again in mode `on`: 2 hits, nothing to pay"),
        ("why", "which is nearest isn't known: the store dict:// can't search its entries"),
        ("export out.jsonl --used", "out.jsonl: 1 recording"),
    ],
)
def test_magics_tell_what_is_known(small: Run, line: str, text: str) -> None:
    assert text in small(f"%llmcache {line}")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("ls", "the store dict:// can't list its entries"),
        ("clear", "the store dict:// can't list its entries"),
        ("clear --unused", "the store dict:// can't list its entries"),
        ("clear --dry-run --match monad", "the store dict:// can't list its entries"),
        ("export out.jsonl", "the store dict:// can't list its entries"),
        ("show abc", "write all 40 digits of the key"),
        ("evict abc", "the store dict:// can't delete entries"),
        ("check", "the store dict:// can't be checked"),
        ("stats --lifetime", "the store dict:// keeps no ledger: only this session's calls are counted"),
    ],
)
def test_magics_say_what_the_store_can_not_do(small: Run, line: str, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        small(f"%llmcache {line}")
    small("print(model.invoke('What is a monad?').content)")
    assert nbcache.stats().hits == 2


def test_a_plan_before_the_first_call_says_that_no_session_is_kept(loaded: Run, shell: InteractiveShell) -> None:  # noqa: F811
    shell.user_ns["store"] = DictStore()
    loaded("import nbcache; cache = nbcache.install(store)")
    assert "the store dict:// keeps no earlier one" in loaded("%llmcache plan")


def test_an_entry_is_shown_by_its_whole_key(key: str) -> None:
    record = nbcache.show(key)
    assert (record.prompt, record.answer, record.meta.key) == ("human: a question", "an answer", key)
    assert record.meta.size_bytes > 0
    with pytest.raises(UnsupportedError, match="write all 40 digits"):
        nbcache.show(key[:8])
    with pytest.raises(nbcache.UnknownKeyError):
        nbcache.show("0" * 40)


def test_entries_go_from_one_small_store_to_another(key: str, tmp_path: Path) -> None:
    nbcache.export_cassette(tmp_path / "cassette.jsonl", used=True)
    nbcache.install(DictStore())
    done = nbcache.import_cassette(tmp_path / "cassette.jsonl")
    assert (done.new, done.same) == (1, 0)
    assert nbcache.import_cassette(tmp_path / "cassette.jsonl").same == 1
    model("an answer").invoke("a question")
    assert nbcache.stats().hits == 1


# In the panel


def ask(kind: str, **message: Any) -> dict[str, Any]:
    return Board().ask({"type": kind, **message})


def test_the_panel_says_that_entries_can_not_be_listed(key: str) -> None:
    state = Board().state()
    assert (state["listable"], state["hits"], state["misses"]) == (False, 0, 1)
    assert (state["entries"], state["size"]) == ("unknown", "this store can't list its entries")
    assert (state["evictions"], state["errors"]) == (0, 0)
    for kind in ("page", "clear", "evict shown"):
        with pytest.raises(NbcacheError, match="the store dict:// can't list its entries"):
            ask(kind, place=state["place"], total=1)
    with pytest.raises(NbcacheError, match="the store dict:// can't delete entries"):
        ask("evict", key=key)


def test_the_panel_shows_an_entry_without_the_hits_that_nobody_counts(key: str) -> None:
    entry = ask("entry", key=key)
    facts = dict(entry["facts"])
    assert (facts["Key"], facts["Model"]) == (key, "FakeListChatModel")
    assert "Hits" not in facts
    (miss,) = ask("misses")["rows"]
    assert "which is nearest isn't known" in ask("why", number=miss["number"])["text"]
    ask("renew", key=key)
    model("an answer").invoke("a question")
    assert (nbcache.stats().hits, nbcache.stats().misses) == (0, 2)


def test_a_store_that_only_lists_is_shown_with_its_entries() -> None:
    nbcache.install(ListedStore())
    chat = model()
    for question in ("one?", "two?", "one?"):
        chat.invoke(question)
    state = Board().state()
    assert (state["listable"], state["entries"], state["hits"]) == (True, 2, 1)
    assert [row["hits"] for row in ask("page", sort="hits")["rows"]] == [1, 0]
    with pytest.raises(NbcacheError, match="the store listed:// can't search its entries"):
        ask("page", search="one")
    with pytest.raises(UnsupportedError, match="keeps no ledger"):
        nbcache.stats(lifetime=True)
    (key,) = nbcache.entries().key[:1]
    assert nbcache.evict(key[:8]).key == key
    assert nbcache.clear().deleted == 1
    assert nbcache.stats().entries == 0


def test_a_store_may_delete_and_not_list() -> None:
    class Deleting(DictStore):  # type: ignore[misc, valid-type]  # made of the docstring
        def delete(self, key: str) -> bool:
            return self._entries.pop(key, None) is not None

    nbcache.install(Deleting())
    chat = model()
    chat.invoke("q")
    (key,) = nbcache.last().key
    assert isinstance(nbcache.evict(key), EntryMeta)
    assert chat.invoke("q").content == "two"
