"""Mode `replay`: recorded answers are played, and nothing is ever sent."""

import asyncio
import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import openai
import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.globals import set_llm_cache
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

import nbcache
from nbcache import ReplayMiss
from nbcache.cache import modes
from nbcache.cache.misses.swallowed import take_swallowed
from nbcache.session import installation
from tests.servers.embedder import Embedder
from tests.servers.provider import Answer, Provider


def chat(provider: Provider, **settings: Any) -> ChatOpenAI:
    return ChatOpenAI(**{"model": "gpt-4o-mini", "max_retries": 0, **provider.openai, **settings})


def replay(folder: Path, **settings: Any) -> None:
    nbcache.uninstall()
    nbcache.install(folder, mode="replay", **settings)


# What is played


def test_a_recorded_answer_is_played(provider: Provider, store: Path) -> None:
    said = chat(provider).invoke("q")
    replay(store)
    again = chat(provider).invoke("q")
    assert again.text == said.text
    assert len(provider.requests) == 1
    assert (nbcache.stats().hits, nbcache.stats().misses) == (1, 0)
    found = nbcache.info(again)
    assert found is not None
    assert found.hit


def test_a_miss_tells_no_secret(provider: Provider, store: Path) -> None:
    key, other = "sk-" + "Ab1" * 12, "sk-" + "Cd2" * 12
    chat(provider).invoke(f"use {key}, and be brief")
    for mode in ("replay", "on"):
        nbcache.install(store, mode=mode, notebook="uno.ipynb")
        if mode == "replay":
            Path("one.llmcache.jsonl").touch()
            with pytest.raises(ReplayMiss, match=r"beside it: one\.llmcache\.jsonl; NBCACHE_CASSETTE") as missed:
                chat(provider).invoke(f"use {other}, and be long")
            told = str(missed.value)
        else:
            chat(provider).invoke(f"use {other}, and be long")
            told = str(nbcache.why())
        assert "[secret], and be long" in told
        assert key not in told
        assert other not in told


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_every_status_is_played_as_it_was_recorded(provider: Provider, store: Path, reason: str) -> None:
    provider.answer(Answer("half an ans", finish_reason=reason))
    chat(provider).invoke("q")
    replay(store)
    assert chat(provider).invoke("q").text == "half an ans"
    assert len(provider.requests) == 1


def test_what_has_expired_and_is_still_there_is_played(
    provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = nbcache.install(tmp_path / "store", ttl=3600.0)
    said = chat(provider).invoke("q")
    cache.flush()
    (row,) = cache.contents().entries()
    assert row.expires is not None
    monkeypatch.setattr(time, "time", lambda: row.expires + 1)
    replay(tmp_path / "store")
    assert chat(provider).invoke("q").text == said.text


def test_the_endpoint_does_not_count(provider: Provider, store: Path) -> None:
    said = chat(provider).invoke([SystemMessage("be brief"), HumanMessage("q")])
    replay(store)
    with Provider() as elsewhere:
        model = chat(provider, **elsewhere.openai)
        assert model.invoke([SystemMessage("be brief"), HumanMessage("q")]).text == said.text
        with pytest.raises(ReplayMiss):
            model.invoke([SystemMessage("be verbose"), HumanMessage("q")])
        assert elsewhere.requests == []


def test_streams_play_their_chunks(provider: Provider, store: Path) -> None:
    live = [chunk.text for chunk in chat(provider).stream("q")]
    replay(store)
    assert [chunk.text for chunk in chat(provider).stream("q")] == live
    assert len(provider.requests) == 1


def test_samples_are_played_in_their_order(provider: Provider, store: Path) -> None:
    provider.answer("one", "two")
    with nbcache.mode(samples=True):
        [chat(provider).invoke("q") for _ in range(2)]
    replay(store)
    with nbcache.mode(samples=True):
        assert [chat(provider).invoke("q").text for _ in range(2)] == ["one", "two"]
        with pytest.raises(ReplayMiss):
            chat(provider).invoke("q")


async def test_awaited_calls_are_played(provider: Provider, store: Path) -> None:
    said = await chat(provider).ainvoke("q")
    replay(store)
    assert (await chat(provider).ainvoke("q")).text == said.text
    assert len([chunk async for chunk in chat(provider).astream("q")]) >= 1
    with pytest.raises(ReplayMiss):
        await chat(provider).ainvoke("new")
    assert len(provider.requests) == 1


# What is not sent

Ask = Callable[[Provider], Any]


def _embed(provider: Provider) -> Any:
    return nbcache.wrap(OpenAIEmbeddings(**provider.openai, check_embedding_ctx_length=False)).embed_query("q")


def _sdk(provider: Provider) -> openai.OpenAI:
    return nbcache.wrap(openai.OpenAI(**provider.openai, max_retries=0))


ASKED: dict[str, Ask] = {
    "invoke": lambda p: chat(p).invoke("new"),
    "stream": lambda p: list(chat(p).stream("new")),
    "several streamed answers": lambda p: list(chat(p, n=2).stream("new")),
    "a batch": lambda p: chat(p).batch(["new", "newer"]),
    "a completion model": lambda p: OpenAI(**p.openai, max_retries=0).invoke("new"),
    "awaited": lambda p: asyncio.run(chat(p).ainvoke("new")),
    "a stream awaited": lambda p: asyncio.run(_read(chat(p).astream("new"))),
    "a model with cache=False": lambda p: chat(p, cache=False).invoke("new"),
    "a stream of a model with cache=False": lambda p: list(chat(p, cache=False).stream("new")),
    "a call without a key": lambda p: chat(p).invoke("new", tools=[{"type": "function", "function": object()}]),
    "an SDK's call": lambda p: _sdk(p).chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "new"}]
    ),
    "an SDK's call that isn't recorded": lambda p: _sdk(p).images.generate(prompt="a cat"),
    "embeddings": _embed,
    "a value": lambda _: installation.installed().get("new", model="m"),
}


async def _read(chunks: Any) -> list[Any]:
    return [chunk async for chunk in chunks]


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED.keys())
def test_what_was_not_recorded_is_not_sent(provider: Provider, store: Path, ask: Ask) -> None:
    replay(store)
    with pytest.raises(ReplayMiss):
        ask(provider)
    assert provider.requests == []


@pytest.mark.parametrize("mode", ["replay", "Replay"])
@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED.keys())
def test_replay_from_outside_can_not_be_weakened(
    provider: Provider, store: Path, ask: Ask, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbcache.uninstall()
    monkeypatch.setenv("NBCACHE_MODE", mode)
    nbcache.install(store, mode="on", exclude="*")
    installation.installed().switch(modes.settings("off"))
    with nbcache.mode("off"), pytest.raises(ReplayMiss):
        ask(provider)
    assert provider.requests == []


def test_neither_a_call_s_own_mode_nor_another_cache_weakens_it(
    provider: Provider, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbcache.uninstall()
    monkeypatch.setenv("NBCACHE_MODE", "replay")
    nbcache.install(store)
    with pytest.raises(ReplayMiss):
        chat(provider).invoke("new", config={"metadata": {"nbcache": "off"}})
    set_llm_cache(None)
    with pytest.raises(ReplayMiss, match="another cache"):
        chat(provider).invoke("new")
    with pytest.warns(nbcache.NbcacheWarning, match="stays on"):
        nbcache.uninstall()
    with pytest.raises(ReplayMiss):
        chat(provider).invoke("new")
    by_hand = nbcache.NotebookCache(store, mode="on")
    with pytest.raises(ReplayMiss):
        chat(provider, cache=by_hand).invoke("new")
    by_hand.close()
    assert provider.requests == []


def test_from_inside_a_call_may_ask_for_another_mode(provider: Provider, store: Path) -> None:
    replay(store)
    chat(provider).invoke("new", config={"metadata": {"nbcache": "off"}})
    with nbcache.mode("on"):
        chat(provider).invoke("newer")
    assert len(provider.requests) == 2


def test_one_call_can_ask_for_replay(provider: Provider, store: Path) -> None:
    said = chat(provider).invoke("q")
    asked: Any = {"metadata": {"nbcache": "replay"}}
    assert chat(provider).invoke("q", config=asked).text == said.text
    with pytest.raises(ReplayMiss):
        chat(provider).invoke("new", config=asked)
    with pytest.raises(ReplayMiss):
        list(chat(provider).stream("new", config=asked))
    assert len(provider.requests) == 1


def test_a_wrapped_client_sends_nothing_from_within_another_call(provider: Provider, store: Path) -> None:
    class Asks(BaseCallbackHandler):
        raise_error = True

        def on_llm_new_token(self, *_: Any, **__: Any) -> None:
            _sdk(provider).chat.completions.create(model="m", messages=[{"role": "user", "content": "q"}])

    list(chat(provider).stream("q"))
    replay(store)
    with pytest.raises(ReplayMiss):
        list(chat(provider).stream("q", config={"callbacks": [Asks()]}))
    assert len(provider.requests) == 1


# Who might swallow it


def test_fallbacks_and_retries_do_not_swallow_it(provider: Provider, store: Path) -> None:
    replay(store)
    with Provider() as other:
        chain = chat(provider).with_fallbacks([chat(provider, **other.openai)])
        with pytest.raises(ReplayMiss):
            chain.invoke("q")
        with pytest.raises(ReplayMiss):
            asyncio.run(chain.ainvoke("q"))
        with pytest.raises(ReplayMiss):
            (chat(provider) | StrOutputParser()).with_retry(stop_after_attempt=3).invoke("q")
        assert other.requests == []
    assert nbcache.stats().misses == 3
    assert provider.requests == []


def test_a_tool_of_an_agent_does_not_swallow_it(provider: Provider, store: Path) -> None:
    @tool
    def summarize(text: str) -> str:
        """Summarize a text."""
        return chat(provider).invoke(text).text

    replay(store)
    asked = AIMessage("", tool_calls=[{"name": "summarize", "args": {"text": "a long one"}, "id": "1"}])
    graph = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode([summarize], handle_tool_errors=True))
    graph.add_edge(START, "tools")
    with pytest.raises(ReplayMiss):
        graph.compile().invoke({"messages": [asked]})
    assert provider.requests == []


def test_a_miss_is_told_to_the_session_even_if_somebody_swallows_it(provider: Provider, store: Path) -> None:
    replay(store)
    thread = threading.Thread(target=_swallow, args=(lambda: chat(provider).invoke("q"),))
    thread.start()
    thread.join()
    (lost,) = take_swallowed()
    assert isinstance(lost, ReplayMiss)
    assert take_swallowed() == []


def _swallow(act: Callable[[], Any]) -> None:
    with contextlib.suppress(BaseException):  # as a bare `except` does
        act()


def test_the_message_names_the_call(provider: Provider, store: Path) -> None:
    replay(store)
    with pytest.raises(ReplayMiss, match=r"gpt-4o-mini 'When does the boat come\?' was never recorded") as miss:
        chat(provider).invoke("When does the boat come?")
    assert len(miss.value.key or "") == 40


def test_nothing_is_kept_in_replay(provider: Provider, store: Path) -> None:
    replay(store)
    installation.installed().put("q", "value", model="m")
    assert nbcache.stats().entries == 0


def test_embeddings_are_played(store: Path) -> None:
    with Embedder() as embedder:
        fixed: Any = {"api_key": "sk-test", "base_url": f"{embedder.url}/v1", "check_embedding_ctx_length": False}
        vectors = nbcache.wrap(OpenAIEmbeddings(**fixed)).embed_documents(["a", "b"])
        replay(store)
        again = nbcache.wrap(OpenAIEmbeddings(**fixed))
        assert again.embed_documents(["b", "a"]) == vectors[::-1]
        with pytest.raises(ReplayMiss):
            again.embed_documents(["a", "c"])
        assert len(embedder.requests) == 1


def test_clients_that_demand_a_key_can_be_made_without_one(
    store: Path, monkeypatch: pytest.MonkeyPatch, provider: Provider
) -> None:
    nbcache.uninstall()
    monkeypatch.setenv("ANTHROPIC_API_KEY", "mine")
    monkeypatch.setenv("NBCACHE_MODE", "replay")
    nbcache.install(store)
    with pytest.raises(ReplayMiss):
        ChatOpenAI(model="gpt-4o-mini").invoke("q")
    assert os.environ["ANTHROPIC_API_KEY"] == "mine"
    installation.end()
    assert "OPENAI_API_KEY" not in os.environ


def test_what_is_played_from_elsewhere_counts_for_the_recording(provider: Provider, tmp_path: Path) -> None:
    prices = {"gpt-4o-mini": {"input": 1_000_000, "output": 1_000_000}}
    given: dict[str, Any] = {"prices": prices, "notebook": tmp_path / "a.ipynb"}
    cache = nbcache.install(tmp_path / "store", **given)
    chat(provider).invoke("a")
    (row,) = cache.contents().entries()
    installation.end()
    nbcache.install(tmp_path / "store", mode="replay", **given)
    with Provider() as other:
        chat(other).invoke("a")
    last = nbcache.last().iloc[-1]
    assert (last["key"], last["model"]) == (row.key, row.model)
    assert nbcache.stats().saved_usd == row.cost_usd
    assert nbcache.clear(unused=True, dry_run=True).entries == ()
    assert nbcache.export_cassette(tmp_path / "a.jsonl", used=True).entries == 1


def test_a_payload_in_the_place_of_another_is_no_answer_in_replay(provider: Provider, tmp_path: Path) -> None:
    provider.answer("one", "two")
    nbcache.install(tmp_path / "store")
    for text in ("a", "b"):
        chat(provider).invoke(text)
    installation.end()
    with closing(sqlite3.connect(tmp_path / "store" / "cache.db")) as database, database:
        (one, first), (two, second) = database.execute("SELECT rowid, value FROM Cache").fetchall()
        database.executemany("UPDATE Cache SET value = ? WHERE rowid = ?", [(second, one), (first, two)])
    nbcache.install(tmp_path / "store", mode="replay")
    for text in ("a", "b"):
        with pytest.raises(ReplayMiss):
            chat(provider).invoke(text)


def test_of_recordings_that_differ_in_what_is_a_secret_now_the_very_call_is_played(
    provider: Provider, tmp_path: Path
) -> None:
    provider.answer("one", "two")
    nbcache.install(tmp_path / "store")
    for order in ("order 123", "order 456"):
        chat(provider).invoke(order)
    nbcache.export_cassette(tmp_path / "a.jsonl")
    nbcache.install(tmp_path / "empty", mode="replay", cassette=tmp_path / "a.jsonl", secrets=[r"\d+"])
    assert [chat(provider).invoke(f"order {number}").text for number in (123, 456)] == ["one", "two"]
    with pytest.raises(ReplayMiss, match="several times"):
        chat(provider).invoke("order 789")
