"""Hits that are answered before LangChain has done its work: nobody can tell them from the others, but by the time they take."""

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.callbacks import (
    AsyncCallbackManager,
    BaseCallbackHandler,
    CallbackManager,
    get_usage_metadata_callback,
)
from langchain_core.globals import set_debug
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import set_config_context
from langchain_core.tracers.context import tracing_v2_enabled
from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI

import nbcache
from nbcache.cache.lookup import Lookup
from nbcache.session import installation
from tests.servers.provider import Provider

CLIENTS: dict[str, Callable[[Provider], BaseChatModel]] = {
    "ChatOpenAI": lambda provider: ChatOpenAI(model="gpt-4o-mini", **provider.openai),
    "ChatAnthropic": lambda provider: ChatAnthropic(model_name="claude-for-tests", **provider.anthropic),
    "ChatOllama": lambda provider: ChatOllama(model="llama3", **provider.ollama),
}
CHAT = [SystemMessage("Be terse."), HumanMessage("q"), AIMessage("a"), HumanMessage("And then?")]


class Way:
    """Which way the hits took: `early` ones, and `long` lookups that LangChain asked for."""

    def __init__(self) -> None:
        self.early = self.long = 0


@pytest.fixture
def way() -> Iterator[Way]:
    way = Way()
    known, find, afind = Lookup.find_known, Lookup.find, Lookup.afind

    def early(self: Lookup, *args: Any, **kwargs: Any) -> Any:
        answer = known(self, *args, **kwargs)
        way.early += bool(getattr(answer, "payload", b""))
        return answer

    def long(self: Lookup, *args: Any, **kwargs: Any) -> Any:
        way.long += 1
        return find(self, *args, **kwargs)

    async def along(self: Lookup, *args: Any, **kwargs: Any) -> Any:
        way.long += 1
        return await afind(self, *args, **kwargs)

    with mock.patch.multiple(Lookup, find_known=early, find=long, afind=along):
        yield way


@pytest.fixture(params=CLIENTS)
def model(request: pytest.FixtureRequest, provider: Provider, tmp_path: Path) -> Iterator[BaseChatModel]:
    nbcache.install(tmp_path / "store")
    model = CLIENTS[request.param](provider)
    for _ in range(2):  # the first call completes the model
        model.invoke("before")
    return model  # type: ignore[return-value]


def ask(model: BaseChatModel, prompt: Any, config: RunnableConfig | None = None, *, is_async: bool) -> AIMessage:
    return asyncio.run(model.ainvoke(prompt, config)) if is_async else model.invoke(prompt, config)


def without_id(message: BaseMessage) -> dict[str, Any]:
    return {**message.__dict__, "id": None}


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    "prompt", ["q", CHAT, [("system", "Be terse."), ("human", "q")]], ids=["text", "chat", "pairs"]
)
def test_an_early_hit_is_the_message_that_langchain_hands_out(
    model: BaseChatModel, prompt: Any, is_async: bool, way: Way
) -> None:
    for _ in range(2):
        ask(model, prompt, is_async=is_async)
    way.early = way.long = 0
    hits = [ask(model, prompt, is_async=is_async) for _ in range(2)]
    assert (way.early, way.long) == (2, 0)
    with mock.patch.object(nbcache.NotebookCache, "known_call", return_value=None):
        others = [ask(model, prompt, is_async=is_async) for _ in range(2)]
    assert (way.early, way.long) == (2, 2)
    assert without_id(hits[0]) == without_id(others[0])
    assert type(hits[0]) is type(others[0])
    assert hits[0].model_dump(exclude={"id"}) == others[0].model_dump(exclude={"id"})
    assert len({each.id for each in (*hits, *others)}) == 4
    assert [nbcache.info(each).hit for each in hits] == [True, True]  # type: ignore[union-attr]
    hits[0].response_metadata["edited"] = True
    assert "edited" not in ask(model, prompt, is_async=is_async).response_metadata


@pytest.mark.parametrize("is_async", [False, True])
def test_a_hit_late_in_a_long_chat_is_early(model: BaseChatModel, is_async: bool, way: Way) -> None:
    """The entry is large, since it has all of the chat. The answer isn't."""
    noise = random.Random(1)
    chat = [
        message
        for turn in range(100)
        for message in (HumanMessage(f"{turn}"), AIMessage(noise.randbytes(2_000).hex(), id=f"run-{turn}"))
    ]
    chat.append(HumanMessage("q"))
    answer, _ = (ask(model, chat, is_async=is_async) for _ in range(2))
    way.early = way.long = 0
    configs: list[RunnableConfig | None] = [None, {"callbacks": [Listener()]}]
    again = [ask(model, chat, config, is_async=is_async) for config in configs * 2]
    assert nbcache.stats().size_bytes > 150_000  # type: ignore[operator]
    assert (way.early, way.long) == (4, 0)
    assert [without_id(each) for each in again] == [without_id(again[0])] * 4
    assert again[0].content == answer.content


def test_each_early_hit_is_counted_and_saves_what_it_would_have_cost(provider: Provider, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store", prices={"gpt-4o-mini": {"input": 1, "output": 2}})
    model = CLIENTS["ChatOpenAI"](provider)
    for _ in range(10):
        model.invoke("q")
    stats = nbcache.stats()
    assert (stats.hits, stats.misses, len(provider.requests)) == (9, 1, 1)
    assert stats.spent_usd
    assert stats.saved_usd == 9 * stats.spent_usd


def test_the_first_hits_of_a_new_kernel_are_early_once_the_model_is_known(
    provider: Provider, tmp_path: Path, way: Way
) -> None:
    model = CLIENTS["ChatOpenAI"](provider)
    nbcache.install(tmp_path / "store")
    for number in range(5):
        model.invoke(f"q {number}")
    nbcache.uninstall()
    nbcache.install(tmp_path / "store")
    way.early = way.long = 0
    for number in range(5):
        model.invoke(f"q {number}")
    assert way.early >= 4
    assert len(provider.requests) == 5


class Listener(BaseCallbackHandler):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    def on_chat_model_start(self, serialized: Any, messages: Any, **_: Any) -> None:
        self.events.append(("start", [message.content for message in messages[0]]))

    def on_llm_end(self, response: Any, **_: Any) -> None:
        self.events.append(("end", without_id(response.generations[0][0].message)))


@pytest.mark.parametrize("is_async", [False, True])
def test_who_listens_hears_of_an_early_hit_as_of_any_other(model: BaseChatModel, is_async: bool, way: Way) -> None:
    for _ in range(2):
        ask(model, "q", is_async=is_async)
    way.early = way.long = 0
    early, other = Listener(), Listener()
    ask(model, "q", {"callbacks": [early]}, is_async=is_async)
    assert (way.early, way.long) == (1, 0)
    with mock.patch.object(nbcache.NotebookCache, "known_call", return_value=None):
        ask(model, "q", {"callbacks": [other]}, is_async=is_async)
    assert early.events == other.events
    assert [name for name, _ in early.events] == ["start", "end"]


class ChunkListener(Listener):
    """One for whom LangChain streams a call, as it does for those of `astream_events`."""

    def tap_output_iter(self, _: Any, output: Any) -> Any:
        return output

    def tap_output_aiter(self, _: Any, output: Any) -> Any:
        return output

    def on_llm_new_token(self, token: Any, **_: Any) -> None:
        self.events.append(("token", token))


@pytest.mark.parametrize("is_async", [False, True])
def test_who_listens_to_chunks_hears_them_whoever_listened_before(model: BaseChatModel, is_async: bool) -> None:
    by_hand = Listener()
    for name in ("tap_output_iter", "tap_output_aiter", "on_llm_new_token"):
        setattr(by_hand, name, partial(getattr(ChunkListener, name), by_hand))
    for listener in (Listener(), ChunkListener(), Listener(), by_hand):
        for _ in range(3):
            listener.events.clear()
            ask(model, "q", {"callbacks": [listener]}, is_async=is_async)
            tokens = [text for name, text in listener.events if name == "token"]
            assert bool(tokens) == (type(listener) is ChunkListener or listener is by_hand)


def test_tokens_are_counted_by_langchains_own_counter(model: BaseChatModel) -> None:
    model.invoke("q")
    with get_usage_metadata_callback() as usage:
        model.invoke("q")
        model.invoke("q")
    assert sum(each["total_tokens"] for each in usage.usage_metadata.values()) > 0


def test_a_tracer_a_debugger_and_a_run_around_hear_the_call(
    model: BaseChatModel, capsys: pytest.CaptureFixture[str]
) -> None:
    model.invoke("q")
    listener = Listener()
    with set_config_context({"callbacks": [listener]}) as context:
        context.run(model.invoke, "q")
    assert [name for name, _ in listener.events] == ["start", "end"]
    chain = ChatPromptTemplate.from_messages([("human", "{text}")]) | model | StrOutputParser()
    chain.invoke({"text": "q"}, {"callbacks": [listener]})
    assert [name for name, _ in listener.events] == ["start", "end"] * 2
    set_debug(True)
    try:
        model.invoke("q")
    finally:
        set_debug(False)
    assert "llm/end" in capsys.readouterr().out
    with mock.patch("langchain_core.tracers.langchain.LangChainTracer.on_chat_model_start") as started:
        with tracing_v2_enabled(client=mock.Mock()):
            model.invoke("q")
        assert started.called


def test_a_mode_of_a_call_a_block_or_a_model_holds(provider: Provider, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store")
    model = CLIENTS["ChatOpenAI"](provider)
    asks: list[Callable[[], Any]] = [
        lambda: model.invoke("q", {"metadata": {"nbcache": "off"}}),
        lambda: model.with_config(metadata={"nbcache": "off"}).invoke("q"),
        lambda: model.model_copy(update={"metadata": {"nbcache": "off"}}).invoke("q"),
    ]
    for _ in range(3):
        model.invoke("q")
    for number, each in enumerate(asks, start=2):
        each()
        assert len(provider.requests) == number
    with nbcache.mode("off"):
        model.invoke("q")
    with nbcache.mode("refresh"):
        model.invoke("q")
    assert len(provider.requests) == len(asks) + 3
    model.invoke("q")
    assert len(provider.requests) == len(asks) + 3


def test_samples_rules_and_eviction_hold(provider: Provider, tmp_path: Path) -> None:
    cache = nbcache.install(tmp_path / "store")
    model = CLIENTS["ChatOpenAI"](provider)
    for _ in range(3):
        model.invoke("q")
    for _ in range(2):
        with nbcache.mode(samples=True):
            model.invoke("q")
            model.invoke("q")
    assert len(provider.requests) == 2  # the second sample
    key = nbcache.info(model.invoke("q")).key  # type: ignore[union-attr]
    nbcache.evict(key)
    model.invoke("q")
    assert len(provider.requests) == 3
    cache.refresh_once(key)
    model.invoke("q")
    model.invoke("q")
    assert len(provider.requests) == 4
    nbcache.install(tmp_path / "store", exclude=["gpt-4o-mini"])
    model.invoke("q")
    assert len(provider.requests) == 5


def test_a_call_that_misses_reads_the_store_once(provider: Provider, tmp_path: Path) -> None:
    cache = nbcache.install(tmp_path / "store")
    model = CLIENTS["ChatOpenAI"](provider)
    for number in range(3):
        model.invoke(f"before {number}")
    with mock.patch.object(cache.store, "get", wraps=cache.store.get) as get:
        model.invoke("new")
    assert get.call_count == 1
    assert nbcache.stats().misses == 4


@pytest.mark.parametrize("is_async", [False, True])
def test_the_early_key_of_a_call_that_misses_is_worked_out_once(model: BaseChatModel, is_async: bool) -> None:
    for _ in range(2):
        ask(model, "before", is_async=is_async)
    known = nbcache.NotebookCache.known_call
    with mock.patch.object(nbcache.NotebookCache, "known_call", autospec=True, side_effect=known) as told:
        for number, config in enumerate((None, RunnableConfig(callbacks=[Listener()])), start=1):
            ask(model, f"new {number}", config, is_async=is_async)
            assert told.call_count == number


@pytest.mark.parametrize("is_async", [False, True])
def test_who_listens_to_a_call_that_misses_is_worked_out_by_langchain_alone(
    model: BaseChatModel, is_async: bool
) -> None:
    for _ in range(2):
        ask(model, "before", is_async=is_async)
    managers = AsyncCallbackManager if is_async else CallbackManager
    with mock.patch.object(managers, "configure", side_effect=managers.configure) as configure:
        ask(model, "new", is_async=is_async)
    assert configure.call_count == 1


def test_a_call_that_misses_though_the_model_has_a_listener_reads_the_store_once(
    provider: Provider, tmp_path: Path
) -> None:
    cache, listener = nbcache.install(tmp_path / "store"), Listener()
    model = CLIENTS["ChatOpenAI"](provider)
    model.callbacks = [listener]  # of the model itself: who listens is known late
    for number in range(3):
        model.invoke(f"before {number}")
    with mock.patch.object(cache.store, "get", wraps=cache.store.get) as get:
        model.invoke("new")
    assert get.call_count == 1
    model.invoke("new")
    assert (nbcache.stats().misses, nbcache.stats().hits) == (4, 1)


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("streams", [False, True])
def test_a_call_that_misses_is_written_by_langchain_no_second_time(
    model: BaseChatModel, is_async: bool, streams: bool
) -> None:
    """Neither prompt nor model, and the store is read once; a callback that listens changes nothing."""

    async def stream(question: str, config: Any) -> None:
        assert [chunk async for chunk in model.astream(question, config)]

    def miss(question: str, config: Any) -> None:
        if not streams:
            ask(model, question, config, is_async=is_async)
        elif is_async:
            asyncio.run(stream(question, config))
        else:
            assert list(model.stream(question, config))

    for number in range(2):  # an awaited call has a client of its own, which the first one makes
        miss(f"before {number}", None)
    store = installation.installed().store
    for number, config in enumerate((None, RunnableConfig(callbacks=[Listener()]))[: 1 if streams else 2]):
        with (
            mock.patch.object(HumanMessage, "to_json", autospec=True, side_effect=HumanMessage.to_json) as to_json,
            mock.patch.object(json, "dumps", side_effect=json.dumps) as dumped,
            mock.patch.object(store, "get", wraps=store.get) as get,
        ):
            miss(f"new {number}", config)
        assert (to_json.call_count, get.call_count) == (0, 1)
        assert not [call for call in dumped.call_args_list if "lc" in call.args[0]]  # as LangChain writes a model
    assert nbcache.stats().errors == 0


def test_a_method_that_somebody_wraps_sees_each_call(provider: Provider, tmp_path: Path) -> None:
    """As programs that watch LangChain do, before the cache is on or after."""
    seen: list[str] = []
    original = BaseChatModel.generate

    def generate(model: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append("generate")
        return original(model, *args, **kwargs)

    with mock.patch.object(BaseChatModel, "generate", generate):
        nbcache.install(tmp_path / "store")
        model = CLIENTS["ChatOpenAI"](provider)
        for _ in range(4):
            model.invoke("q")
        nbcache.uninstall()
    assert len(seen) == 4
    nbcache.install(tmp_path / "store")
    for _ in range(2):
        model.invoke("q")
    with mock.patch.object(BaseChatModel, "generate", generate):
        for _ in range(3):
            model.invoke("q")
    assert len(seen) == 7
    assert len(provider.requests) == 1


def test_a_class_that_does_more_does_it_at_each_call(provider: Provider, tmp_path: Path) -> None:
    seen: list[str] = []

    class Invoking(ChatOpenAI):
        def invoke(self, *args: Any, **kwargs: Any) -> AIMessage:
            seen.append("invoke")
            return super().invoke(*args, **kwargs)

    class Generating(ChatOpenAI):
        def generate(self, *args: Any, **kwargs: Any) -> Any:
            seen.append("generate")
            return super().generate(*args, **kwargs)

    nbcache.install(tmp_path / "store")
    for cls in (Invoking, Generating):
        model = cls(model="gpt-4o-mini", **provider.openai)
        for _ in range(4):
            model.invoke("q")
    assert seen == ["invoke"] * 4 + ["generate"] * 4
    assert len(provider.requests) == 2


def test_without_the_cache_nothing_is_answered_early(model: BaseChatModel, provider: Provider) -> None:
    paid = len(provider.requests)
    nbcache.uninstall()
    model.invoke("before")
    assert len(provider.requests) == paid + 1
