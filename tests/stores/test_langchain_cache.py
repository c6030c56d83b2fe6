"""Any LangChain cache as a store: answers come back exactly, and the cache's weaknesses are nobody's wrong answer."""

import multiprocessing
import pickle
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.messages import AIMessage
from langchain_core.outputs import Generation
from langchain_openai import ChatOpenAI

import nbcache
from nbcache import NbcacheWarning
from nbcache.errors import StoreBusyError, StoreError
from nbcache.stores import LangChainStore
from tests.servers.provider import Answer, Provider
from tests.stores.contract.entries import Clock, key_of, put, row
from tests.support import worker_functions
from tests.support.langchain_caches import Answering, TextFiles
from tests.support.paths import ROOT

GOLDEN = ROOT / "tests/golden"
KEY = key_of("golden")
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "time", lambda: made.now)
    return made


@pytest.fixture
def texts(tmp_path: Path) -> TextFiles:
    return TextFiles(tmp_path / "texts")


def openai(provider: Provider) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o-mini", **provider.openai)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_chat_with_tool_calls_comes_back_whole_from_a_cache_that_keeps_texts_only(
    streamed: bool, provider: Provider, texts: TextFiles
) -> None:
    nbcache.install(LangChainStore(texts))
    provider.answer(Answer(tool_calls=(("weather", {"city": "Bern"}),)))

    def message() -> AIMessage:
        nbcache.installed().flush()
        model = openai(provider).bind_tools([TOOL])
        if not streamed:
            return model.invoke("q")
        chunks = list(model.stream("q"))
        assert len(chunks) > 1
        whole = chunks[0]
        for chunk in chunks[1:]:
            whole += chunk  # type: ignore[assignment]  # of the same class
        return whole

    live, hit = message(), message()
    assert live.tool_calls == hit.tool_calls
    assert live.tool_calls[0]["args"] == {"city": "Bern"}
    mark = {"total_cost": 0} if hit.usage_metadata else {}  # LangChain's, of a hit
    assert (hit.usage_metadata or {}) == {**(live.usage_metadata or {}), **mark}
    assert type(live) is type(hit)
    assert len(provider.requests) == 1
    assert nbcache.stats().hits == 1


async def test_an_answer_is_found_on_an_event_loop(provider: Provider, texts: TextFiles) -> None:
    nbcache.install(LangChainStore(texts))
    assert len({(await openai(provider).ainvoke("q")).text for _ in range(3)}) == 1
    assert len(provider.requests) == 1


def test_a_cache_in_memory_is_asked_at_once_and_another_in_a_thread(texts: TextFiles) -> None:
    assert LangChainStore(InMemoryCache()).get(KEY, wait=False) is None
    with pytest.raises(StoreBusyError):
        LangChainStore(texts).get(KEY, wait=False)


def test_evicting_overwrites_and_never_clears(provider: Provider, texts: TextFiles) -> None:
    store = LangChainStore(texts)
    nbcache.install(store)
    openai(provider).invoke("q")
    key = str(nbcache.last()["key"].iloc[0])
    assert store.delete(key)
    assert not store.delete(key)
    assert store.get(key, include_expired=True) is None
    assert len(list(texts.folder.iterdir())) == 1
    openai(provider).invoke("q")
    assert len(provider.requests) == 2
    assert store.get(key) is not None


@pytest.mark.parametrize(("name", "ttl"), [("forever", None), ("expiring", 60.0)])
def test_the_text_of_version_1_is_this_and_is_read_by_every_later_one(
    name: str, ttl: float | None, clock: Clock
) -> None:
    text = (GOLDEN / f"langchain_text_v1_{name}.txt").read_text()
    cache = Answering(None)
    LangChainStore(cache).put(KEY, b"payload \0\xff", row(KEY), ttl)
    assert cache.answer == [Generation(text=text)]
    store = LangChainStore(Answering([Generation(text=text)]))
    assert store.get(KEY) == b"payload \0\xff"
    clock.advance(60)
    assert store.get(KEY) == (None if ttl else b"payload \0\xff")


def with_text(change: Any) -> list[Generation]:
    return [Generation(text=change((GOLDEN / "langchain_text_v1_forever.txt").read_text()))]


@pytest.mark.parametrize(
    "found",
    [
        *([], "text", [None], [Generation(text="")], [Generation(text="an answer of another program")]),
        with_text(lambda text: text.replace(":1:", ":2:")),
        with_text(lambda text: text[:-4]),
        with_text(lambda text: text[:20]),
        with_text(lambda text: text[:20] + ("A" if text[20] != "A" else "B") + text[21:]),
        with_text(lambda text: text + "é"),
        with_text(lambda text: text) * 2,
    ],
)
def test_what_is_no_entry_of_this_version_or_damaged_is_a_miss(found: Any) -> None:
    assert LangChainStore(Answering(with_text(str))).get(KEY) == b"payload \0\xff"
    assert LangChainStore(Answering(found)).get(KEY) is None


def test_the_text_of_another_key_is_a_miss() -> None:
    store = LangChainStore(Answering(None))
    assert store.get(put(store, "one")) == b"payload"
    assert store.get(key_of("another"), include_expired=True) is None
    assert not store.delete(key_of("a third"))


def test_what_a_semantic_cache_finds_for_a_similar_prompt_is_a_miss(provider: Provider) -> None:
    nbcache.install(LangChainStore(Answering(None)))
    provider.answer("cats", "dogs")
    answers = [openai(provider).invoke(prompt).text for prompt in ("two cats", "two dogs", "two dogs")]
    assert answers == ["cats", "dogs", "dogs"]
    assert len(provider.requests) == 2


def test_a_cache_that_fails_is_a_miss_and_one_warning(provider: Provider) -> None:
    nbcache.install(LangChainStore(Answering(ValueError("no such table\nat all"))))
    with pytest.warns(NbcacheWarning) as caught:
        assert all(openai(provider).invoke("q").text for _ in range(3))
    assert [str(each.message) for each in caught] == [
        r"nbcache could not look up an answer: langchain://Answering failed: no such table\nat all. The call goes on without the cache"
    ]
    assert len(provider.requests) == 3


@pytest.mark.parametrize("answer", [None, OSError("timed out")])
def test_a_cache_that_waits_long_for_nothing_is_left_alone_for_a_while(
    answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    class Slow(Answering):
        lookups = 0

        def lookup(self, prompt: str, llm_string: str) -> Any:
            now[0] += 3
            self.lookups += 1
            return super().lookup(prompt, llm_string)

    store = LangChainStore(cache := Slow(answer))
    with_error = isinstance(answer, Exception)
    for expected in (1, 1, 1):
        if cache.lookups or with_error:
            with pytest.raises(StoreError):
                store.get(KEY)
        else:
            assert store.get(KEY) is None
        assert cache.lookups == expected
    cache.answer = None
    now[0] += 1.5
    store.get(KEY)
    assert cache.lookups == 2


def test_nbcaches_own_cache_and_what_is_no_cache_are_refused(tmp_path: Path) -> None:
    cache = nbcache.install(tmp_path / "store")
    with pytest.raises(ValueError, match="nbcache's own"):
        LangChainStore(cache)
    with pytest.raises(ValueError, match="nbcache's own"):
        LangChainStore(type("Mine", (type(cache),), {})(tmp_path / "other"))
    with pytest.raises(TypeError, match="give a LangChain cache"):
        LangChainStore("sqlite")  # type: ignore[arg-type]  # what a user may write


def test_its_name_shows_nothing_that_the_cache_has() -> None:
    store = LangChainStore(Answering("redis://:hunter2@cache.lab"))
    assert store.url == "langchain://Answering"
    assert "hunter2" not in repr(store)


def test_a_worker_process_joins_where_the_cache_can_be_pickled(provider: Provider, texts: TextFiles) -> None:
    nbcache.install(LangChainStore(texts))
    url = provider.openai["base_url"]
    paid = worker_functions.ask(url, 1)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(worker_functions.ask, (url, 1)) == paid
    assert len(provider.requests) == 1


def test_a_worker_process_is_not_given_a_copy_of_a_cache_in_memory() -> None:
    store = LangChainStore(InMemoryCache())
    put(store, 1)
    with pytest.raises(TypeError, match="of one process"):
        pickle.dumps(store)
    nbcache.install(store)
    process = multiprocessing.get_context("spawn").Process(target=time.time)
    with pytest.warns(NbcacheWarning, match="can't join this cache"):
        process.start()
    process.join(60)
    assert process.exitcode == 0


def test_worker_processes_join_without_a_tier_that_is_of_one_process(provider: Provider, tmp_path: Path) -> None:
    nbcache.install(store=[tmp_path / "store", LangChainStore(InMemoryCache())])
    url = provider.openai["base_url"]
    paid = worker_functions.ask(url, 1)
    with pytest.warns(NbcacheWarning, match="go on without langchain://InMemoryCache") as warned:
        pool = multiprocessing.get_context("spawn").Pool(2)
    with pool:
        assert pool.apply(worker_functions.ask, (url, 1)) == paid
    assert len(warned) == 1
    assert len(provider.requests) == 1


def test_a_session_on_it_gives_no_warning(provider: Provider) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nbcache.install(LangChainStore(InMemoryCache()))
        assert len({openai(provider).invoke("q").text for _ in range(2)}) == 1
        assert nbcache.stats().hits == 1
        nbcache.uninstall()
    assert len(provider.requests) == 1
