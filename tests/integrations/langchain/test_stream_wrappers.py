"""Streams: paid once, played as they came, and one answer with `invoke`."""

import asyncio
import operator
import time
from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel, FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI, OpenAI
from langgraph.graph import END, START, MessagesState, StateGraph

import nbcache
from nbcache.session import installation
from tests.servers.provider import Answer, Provider

TEXT = "Streams are long, and come word by word."


def openai(provider: Provider, **settings: Any) -> ChatOpenAI:
    return ChatOpenAI(**{"model": "gpt-4o-mini", **provider.openai, **settings})


CHATS: dict[str, Callable[[Provider], Any]] = {
    "ChatOpenAI": openai,
    "responses": lambda provider: openai(provider, use_responses_api=True),
    "v1": lambda provider: openai(provider, output_version="v1"),
    "ChatAnthropic": lambda provider: ChatAnthropic(model_name="claude-for-tests", **provider.anthropic),
    "ChatOllama": lambda provider: ChatOllama(model="llama3", **provider.ollama),
}


@pytest.fixture(autouse=True)
def installed(tmp_path: Any) -> None:
    nbcache.install(tmp_path / "store")


@pytest.fixture(params=CHATS)
def chat(request: pytest.FixtureRequest, provider: Provider) -> Any:
    provider.answer(TEXT)
    return CHATS[request.param](provider)


def bare(chunk: AIMessageChunk) -> dict[str, Any]:
    """A chunk without its run's id."""
    return {**chunk.model_dump(), "id": None}


def joined(chunks: list[Any]) -> AIMessageChunk:
    whole: AIMessageChunk = reduce(operator.add, chunks)
    return whole


async def collected(stream: Any) -> list[Any]:
    return [item async for item in stream]


def again(folder: Any = None) -> None:
    """As in a new kernel: nothing is in memory any more."""
    store = installation.installed().store
    nbcache.uninstall()
    nbcache.install(store)


def test_a_stream_is_paid_once_and_played_as_it_came(chat: Any, provider: Provider) -> None:
    live = list(chat.stream("q"))
    assert len(live) > 3
    hit = list(chat.stream("q"))
    again()
    assert [bare(chunk) for chunk in hit] == [bare(chunk) for chunk in live]
    assert [bare(chunk) for chunk in chat.stream("q")] == [bare(chunk) for chunk in live]
    assert len(provider.requests) == 1
    assert joined(hit).text == TEXT
    assert len({chunk.id for chunk in hit}) == 1
    assert {chunk.id for chunk in hit}.isdisjoint({chunk.id for chunk in live})


async def test_an_awaited_stream_too_and_they_share_their_answers(chat: Any, provider: Provider) -> None:
    live = await collected(chat.astream("q"))
    assert [bare(chunk) for chunk in await collected(chat.astream("q"))] == [bare(chunk) for chunk in live]
    assert [bare(chunk) for chunk in chat.stream("q")] == [bare(chunk) for chunk in live]
    assert len(provider.requests) == 1


def test_a_streamed_answer_serves_invoke(chat: Any, provider: Provider) -> None:
    live = joined(list(chat.stream("q")))
    hit = chat.invoke("q")
    assert isinstance(hit, AIMessage)
    assert not isinstance(hit, AIMessageChunk)
    assert (hit.text, hit.tool_calls) == (live.text, live.tool_calls)
    assert (
        hit.response_metadata.items()
        >= {name: value for name, value in live.response_metadata.items() if name != "output_version"}.items()
    )
    assert len(provider.requests) == 1


def test_an_invoked_answer_serves_a_stream(chat: Any, provider: Provider) -> None:
    live = chat.invoke("q")
    hit = joined(list(chat.stream("q")))
    assert hit.text == live.text == TEXT
    assert hit.usage_metadata == live.usage_metadata
    assert len(provider.requests) == 1


def test_tool_calls_and_usage_are_played(provider: Provider) -> None:
    provider.answer(Answer(tool_calls=(("weather", {"city": "Ulm"}), ("weather", {"city": "Bern"}))))
    model = openai(provider, stream_usage=True).bind_tools([{"name": "weather", "description": "", "parameters": {}}])
    live, hit = joined(list(model.stream("q"))), joined(list(model.stream("q")))
    assert hit.tool_calls == live.tool_calls
    assert [call["args"]["city"] for call in hit.tool_calls] == ["Ulm", "Bern"]
    assert hit.usage_metadata == live.usage_metadata != None  # noqa: E711 - both are, and are something
    assert model.invoke("q").tool_calls == live.tool_calls
    assert len(provider.requests) == 1


def test_invoked_tool_calls_are_streamed(provider: Provider) -> None:
    provider.answer(Answer(tool_calls=(("weather", {"city": "Ulm"}),)))
    model = openai(provider).bind_tools([{"name": "weather", "description": "", "parameters": {}}])
    live = model.invoke("q")
    assert joined(list(model.stream("q"))).tool_calls == live.tool_calls


def test_a_completion_model_streams_once(provider: Provider) -> None:
    model = OpenAI(model="gpt-3.5-turbo-instruct", **provider.openai)
    live = list(model.stream("q"))
    assert list(model.stream("q")) == live
    assert model.invoke("q") == "".join(live)
    assert len(provider.requests) == 1


@pytest.mark.parametrize("read", [0, 1, 3])
def test_a_stream_that_is_not_read_to_its_end_is_not_kept(read: int, chat: Any, provider: Provider) -> None:
    stream = chat.stream("q")
    for _ in range(read):
        next(stream)
    stream.close()
    assert nbcache.stats().entries == 0
    provider.answer(TEXT)
    assert joined(list(chat.stream("q"))).text == TEXT
    assert nbcache.stats().entries == 1


async def test_an_awaited_stream_that_is_left_is_not_kept(chat: Any, provider: Provider) -> None:
    stream = chat.astream("q")
    await anext(stream)
    await stream.aclose()
    assert nbcache.stats().entries == 0


def test_a_half_read_stream_is_in_nobodys_way(provider: Provider) -> None:
    model = openai(provider)
    stream = model.stream("q")
    next(stream)
    assert model.invoke("q").text == joined(list(model.stream("q"))).text
    list(stream)
    assert nbcache.stats().entries == 1


def test_a_stream_that_breaks_off_is_not_kept(provider: Provider) -> None:
    class Breaks(FakeListChatModel):
        def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
            yield ChatGenerationChunk(message=AIMessageChunk(content="half"))
            raise ConnectionError

    with pytest.raises(ConnectionError):
        list(Breaks(responses=["x"]).stream("q"))
    assert nbcache.stats().entries == 0


def test_what_the_reader_does_to_a_chunk_is_not_kept(provider: Provider) -> None:
    model = openai(provider)
    text = ""
    for chunk in model.stream("q"):
        text += chunk.text
        chunk.content = "changed"
        chunk.response_metadata["changed"] = True
    hit = joined(list(model.stream("q")))
    assert hit.text == text
    assert "changed" not in hit.response_metadata


def test_what_the_reader_does_to_a_played_chunk_is_not_played_again(chat: Any, provider: Provider) -> None:
    live = [bare(chunk) for chunk in chat.stream("q")]
    for chunk in chat.stream("q"):
        chunk.response_metadata["changed"] = True
        if isinstance(chunk.content, list):
            for block in chunk.content:
                block["text"] = "changed"
    assert [bare(chunk) for chunk in chat.stream("q")] == live


def test_chunks_come_at_once(provider: Provider) -> None:
    made: list[str] = []

    class Slow(GenericFakeChatModel):
        def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
            for word in ("one", "two"):
                made.append(word)
                yield ChatGenerationChunk(message=AIMessageChunk(content=word))

    stream = Slow(messages=iter([])).stream("q")
    assert next(stream).content == "one"
    assert made == ["one"]


def test_langchains_own_test_of_streaming_passes() -> None:
    """There it is marked as failing: "Abstraction does not support caching for streaming yet"."""
    model = FakeListChatModel(responses=["goodbye"], cache=True)
    assert "".join(str(chunk.content) for chunk in model.stream("some input")) == "goodbye"
    assert nbcache.stats().entries == 1


def test_modes_hold_for_streams(provider: Provider) -> None:
    model = openai(provider)
    for mode, requests, entries in (("off", 1, 0), ("read-only", 2, 0), ("on", 3, 1), ("refresh", 4, 1), ("on", 4, 1)):
        with nbcache.mode(mode):
            list(model.stream("q"))
        assert (len(provider.requests), nbcache.stats().entries) == (requests, entries)
    list(model.stream("q", config={"metadata": {"nbcache": "off"}}))
    assert len(provider.requests) == 5
    list(openai(provider, cache=False).stream("q"))
    assert len(provider.requests) == 6


def test_streams_are_counted_and_known(provider: Provider) -> None:
    model = openai(provider)
    live = list(model.stream("q"))
    hit = list(model.stream("q"))
    told = nbcache.stats()
    assert (told.hits, told.misses) == (1, 1)
    for message, was_hit in ((live[0], False), (hit[0], True)):
        info = nbcache.info(message)
        assert info is not None
        assert info.hit is was_hit


def test_several_choices_are_not_taken_for_one(provider: Provider) -> None:
    model = openai(provider, n=2)
    list(model.stream("q"))
    assert len(model.generate([[HumanMessage("q")]]).generations[0]) == 2
    list(model.stream("q"))
    assert len(provider.requests) == 3


def test_another_option_is_another_stream(provider: Provider) -> None:
    model = openai(provider)
    for options in ({}, {"stop": ["x"]}, {"temperature": 0.5}):
        list(model.stream("q", **options))
        list(model.stream("q", **options))
    assert len(provider.requests) == 3
    model.invoke("q", temperature=0.5)
    assert len(provider.requests) == 3


# Callbacks and events


class Tokens(BaseCallbackHandler):
    """Notes what a handler is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def on_llm_new_token(self, token: Any, *, chunk: Any = None, **kwargs: Any) -> None:
        self.told.append(("token", token, type(chunk).__name__))

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        generation = response.generations[0][0]
        self.told.append(("end", generation.text, generation.generation_info))

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        self.told.append(("error", error))


def test_handlers_are_told_the_same(chat: Any) -> None:
    live, hit = Tokens(), Tokens()
    list(chat.stream("q", config={"callbacks": [live]}))
    list(chat.stream("q", config={"callbacks": [hit]}))
    assert hit.told == live.told
    assert len(live.told) > 3


def shape(events: list[Any]) -> list[Any]:
    """Events without their runs' ids."""
    told = []
    for event in events:
        data = event["data"]
        content = {name: getattr(value, "content", value) for name, value in data.items() if name != "input"}
        told.append((event["event"], event["name"], content))
    return told


async def test_events_of_a_stream_are_the_same(chat: Any, provider: Provider) -> None:
    live = shape(await collected(chat.astream_events("q", version="v2")))
    hit = shape(await collected(chat.astream_events("q", version="v2")))
    assert hit == live
    assert [name for name, *_ in live].count("on_chat_model_stream") > 3
    assert len(provider.requests) == 1


async def test_events_of_a_chain_that_invokes_are_the_same(chat: Any, provider: Provider) -> None:
    from langchain_core.runnables import RunnableLambda

    async def ask(question: str) -> str:
        return str((await chat.ainvoke(question)).text)

    chain = RunnableLambda(ask)
    live = shape(await collected(chain.astream_events("q", version="v2")))
    hit = shape(await collected(chain.astream_events("q", version="v2")))
    assert hit == live
    assert [name for name, *_ in live].count("on_chat_model_stream") > 3
    assert len(provider.requests) == 1


def protocol(stream: Any) -> list[Any]:
    """The events of `stream_events(version="v3")` without ids."""
    return [{name: value for name, value in event.items() if name != "id"} for event in stream]


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
def test_protocol_events_are_the_same(chat: Any, provider: Provider) -> None:
    live = protocol(chat.stream_events("q", version="v3"))
    hit = protocol(chat.stream_events("q", version="v3"))
    assert hit == live
    assert len(live) > 3
    assert len(provider.requests) == 1
    assert joined(list(chat.stream("q"))).text == TEXT
    assert len(provider.requests) == 1


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
async def test_awaited_protocol_events_are_the_same(chat: Any, provider: Provider) -> None:
    live = protocol([event async for event in await chat.astream_events("q", version="v3")])
    hit = protocol([event async for event in await chat.astream_events("q", version="v3")])
    assert hit == live
    assert len(provider.requests) == 1


def graph(model: Any) -> Any:
    built = StateGraph(MessagesState)
    built.add_node("ask", lambda state: {"messages": [model.invoke(state["messages"])]})
    built.add_edge(START, "ask")
    built.add_edge("ask", END)
    return built.compile()


def test_langgraph_streams_the_same_messages(chat: Any, provider: Provider) -> None:
    def streamed() -> list[Any]:
        asked = {"messages": [HumanMessage("q", id="1")]}
        return [
            (message.content, type(message).__name__, told["langgraph_node"])
            for message, told in graph(chat).stream(asked, stream_mode="messages")
        ]

    live = streamed()
    again()
    assert streamed() == live
    assert len(live) > 3
    assert len(provider.requests) == 1


async def test_langgraph_streams_the_same_messages_awaited(chat: Any, provider: Provider) -> None:
    async def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await chat.ainvoke(state["messages"])]}

    built: Any = StateGraph(MessagesState)
    built.add_node("ask", ask)
    built.add_edge(START, "ask")

    async def streamed() -> list[Any]:
        asked = {"messages": [HumanMessage("q", id="1")]}
        return [message.content async for message, _ in built.compile().astream(asked, stream_mode="messages")]

    live = await streamed()
    assert await streamed() == live
    assert len(live) > 3
    assert len(provider.requests) == 1


def test_a_model_that_streams_by_itself_is_paid_once(provider: Provider) -> None:
    model = openai(provider, streaming=True)
    live = model.invoke("q")
    hit = model.invoke("q")
    assert (hit.text, hit.response_metadata) == (live.text, live.response_metadata)
    assert len(provider.requests) == 1


class Refuses(InMemoryRateLimiter):
    """A rate limiter that lets a number of calls through, and then none."""

    def acquire(self, *, blocking: bool = True) -> bool:
        self.available_tokens -= 1
        assert self.available_tokens >= 0
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        return self.acquire()


async def test_a_hit_does_not_wait_for_a_rate_limiter(provider: Provider) -> None:
    limiter = Refuses()
    limiter.available_tokens = 1
    model = openai(provider, rate_limiter=limiter)
    tokens = Tokens()
    list(model.stream("q"))
    list(model.stream("q"))
    await collected(model.astream("q"))
    model.invoke("q", config={"callbacks": [tokens]})
    await collected(graph(model).astream({"messages": [("user", "q")]}, stream_mode="messages"))
    with pytest.raises(AssertionError):
        list(model.stream("another"))
    assert len(provider.requests) == 1


def test_what_a_model_counts_it_counts_in_itself() -> None:
    model = FakeListChatModel(responses=["a", "b"], rate_limiter=InMemoryRateLimiter(requests_per_second=1000))
    assert joined(list(model.stream("q"))).content == "a"
    assert joined(list(model.stream("p"))).content == "b"


# The format


def test_chunks_cost_little_room(provider: Provider) -> None:
    provider.answer(" ".join(f"word{i}" for i in range(500)), " ".join(f"word{i}" for i in range(500)))
    model = openai(provider)
    assert len(list(model.stream("streamed"))) > 500
    model.invoke("invoked")
    sizes = dict(zip(nbcache.entries()["prompt"], nbcache.entries()["size_bytes"], strict=True))
    assert sizes["streamed"] < 2.5 * sizes["invoked"]


def test_chunks_of_a_class_of_ones_own_pass_and_are_not_kept() -> None:
    """All that would be left of them at the end is what the reader has, and may have changed."""

    class Own(ChatGenerationChunk):
        pass

    class Model(FakeListChatModel):
        def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
            yield Own(message=AIMessageChunk(content="x"))

    stream = Model(responses=["never"]).stream("q")
    next(stream).content = "changed"
    with pytest.warns(nbcache.NbcacheWarning, match="Own"):
        list(stream)
    assert (nbcache.stats().entries, nbcache.stats().misses) == (0, 1)


def test_a_chunk_that_cannot_even_be_compared_passes() -> None:
    class Odd:
        def __eq__(self, other: object) -> bool:
            raise RuntimeError("more than one value")

        __hash__ = None  # type: ignore[assignment]

    class Model(FakeListChatModel):
        def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
            yield ChatGenerationChunk(message=AIMessageChunk(content="x", additional_kwargs={"odd": Odd()}))

    with pytest.warns(nbcache.NbcacheWarning, match="not cached"):
        assert joined(list(Model(responses=["never"]).stream("q"))).content == "x"


def test_a_model_that_streams_for_itself_keeps_its_answer_alone() -> None:
    class Drafts(FakeListChatModel):
        def _generate(self, *args: Any, **kwargs: Any) -> Any:
            for _ in range(2):
                list(self._stream(*args, **kwargs))
            return super()._generate(*args, **kwargs)

        def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
            yield ChatGenerationChunk(message=AIMessageChunk(content="draft"))

    model = Drafts(responses=["final"])
    assert model.invoke("q").content == "final"
    assert joined(list(model.stream("q"))).content == "final"


def test_what_the_reader_sets_meanwhile_is_a_setting_and_no_counter() -> None:
    class Seeded(FakeListChatModel):
        seed: int = 0

        @property
        def _identifying_params(self) -> dict[str, Any]:
            return {}

        def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
            for word in ("seed", str(self.seed)):
                yield ChatGenerationChunk(message=AIMessageChunk(content=word))

    model = Seeded(responses=["never"])
    for seed in (1, 2):
        for _ in model.stream("q"):
            model.seed = seed
    assert [joined(list(Seeded(responses=["never"], seed=seed).stream("p"))).content for seed in (1, 2, 3)] == [
        "seed1",
        "seed2",
        "seed3",
    ]


class Says(BaseChatModel):
    """A model that answers with one message, and never streams."""

    message: AIMessage

    @property
    def _llm_type(self) -> str:
        return "says"

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.message.model_copy())])


def test_an_invalid_tool_call_stays_invalid() -> None:
    class Streams(Says):
        def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
            raise AssertionError("it is a hit")

    call: Any = {"name": "delete", "args": '{"path": "/a', "id": "1", "error": "JSON", "type": "invalid_tool_call"}
    model = Streams(message=AIMessage("", invalid_tool_calls=[call]))
    model.invoke("q")
    (chunk,) = model.stream("q")
    assert isinstance(chunk, AIMessageChunk)
    assert (chunk.tool_calls, chunk.invalid_tool_calls) == ([], [call])
    listened = model.invoke("q", config={"callbacks": [Tokens()]})
    assert (listened.tool_calls, listened.invalid_tool_calls) == ([], [call])
    assert graph(model).invoke({"messages": [("user", "q")]}, stream_mode="values")["messages"][-1].tool_calls == []


def test_what_began_while_it_was_off_is_not_kept(provider: Provider) -> None:
    model = openai(provider)
    with nbcache.mode("off"):
        stream = model.stream("q")
        next(stream)
    list(stream)
    assert nbcache.stats().entries == 0


def test_tags_and_metadata_of_the_model_itself_hold_for_its_streams(provider: Provider) -> None:
    nbcache.install("memory://", exclude=["draft"])
    for settings in ({"tags": ["draft"]}, {"metadata": {"nbcache": "off"}}):
        list(openai(provider, **settings).stream("q"))
        OpenAI(model="m", **provider.openai, **settings).invoke("q")
    assert nbcache.stats().entries == 0


class Counts(InMemoryRateLimiter):
    """A rate limiter that counts the calls which it lets through."""

    def acquire(self, *, blocking: bool = True) -> bool:
        self.available_tokens += 1
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        return self.acquire()


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
async def test_each_request_waits_for_the_rate_limiter_once(provider: Provider) -> None:
    limiter = Counts()
    model = openai(provider, rate_limiter=limiter)

    def waited() -> tuple[float, int]:
        return limiter.available_tokens, len(provider.requests)

    list(model.stream("q"))
    list(model.stream("q"))
    await collected(model.astream("q"))
    model.invoke("q", config={"callbacks": [Tokens()]})
    assert waited() == (1, 1)
    list(model.stream("q", n=2))
    list(openai(provider, rate_limiter=limiter, cache=False).stream("q"))
    list(openai(provider, rate_limiter=limiter, cache=InMemoryCache()).stream("q"))
    assert waited() == (4, 4)
    list(model.stream_events("p", version="v3"))
    assert waited() == (5, 5)
    nbcache.uninstall()
    list(model.stream("q"))
    assert waited() == (6, 6)


def test_a_model_that_cannot_stream_counts_in_itself_with_a_rate_limiter_too() -> None:
    class Counted(Says):
        calls: int = 0

        def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
            self.calls += 1
            return ChatResult(generations=[ChatGeneration(message=AIMessage(f"call {self.calls}"))])

    model = Counted(message=AIMessage("never"), rate_limiter=Counts())
    assert [joined(list(model.stream(q))).content for q in "qp"] == ["call 1", "call 2"]


def test_streams_of_several_choices_are_counted(provider: Provider) -> None:
    list(openai(provider).stream("q", n=2))
    assert nbcache.stats().misses == 1
    assert nbcache.last()["why"][0] == "not cacheable"


async def test_tasks_that_are_cancelled_mid_stream_leave_nothing(provider: Provider) -> None:
    model = openai(provider)
    with provider.hold():
        task = asyncio.create_task(collected(model.astream("q")))
        await asyncio.to_thread(provider.wait_for, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert nbcache.stats().entries == 0
    assert await collected(model.astream("q"))
    assert len(provider.requests) == 2


def test_the_readers_own_time_is_not_the_models(provider: Provider) -> None:
    model = openai(provider)
    clock = time.perf_counter
    late = 0.0

    def later() -> float:
        return clock() + late

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "perf_counter", later)
        for _ in model.stream("q"):
            late += 1000
    assert nbcache.entries()["seconds"][0] < 1000


def test_a_model_that_cannot_be_told_streams_all_the_same(provider: Provider) -> None:
    class Untellable(ChatOpenAI):
        def _get_llm_string(self, *args: Any, **kwargs: Any) -> str:
            raise RuntimeError("no words")

    model = Untellable(model="gpt-4o-mini", **provider.openai)
    with pytest.warns(nbcache.NbcacheWarning, match="no words"):
        assert joined(list(model.stream("q"))).text
    assert nbcache.stats().entries == 0
