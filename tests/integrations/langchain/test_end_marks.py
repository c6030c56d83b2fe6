"""Half an answer is no hit: a stream that a gateway lets go in the middle looks to a client like one that is done."""

import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langchain_anthropic import AnthropicLLM, ChatAnthropic
from langchain_aws import ChatBedrock, ChatBedrockConverse
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel, FakeListChatModel, FakeListLLM
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_google_genai import ChatGoogleGenerativeAI, GoogleGenerativeAI
from langchain_groq import ChatGroq
from langchain_mistralai import ChatMistralAI
from langchain_ollama import ChatOllama, OllamaLLM
from langchain_openai import ChatOpenAI, OpenAI
from pydantic import PrivateAttr

import nbcache
from nbcache.entry.finish_reasons import good_also
from nbcache.entry.status import CUT_OFF, OK, UNFINISHED
from nbcache.errors import NbcacheWarning
from nbcache.session import installation
from tests.entry.usage.test_usage_of_call import AWS, HAIKU, KEY, ON_BEDROCK, server
from tests.servers import canned as c
from tests.servers.canned import Canned, Reply

__all__ = ["server"]  # the fixture

Make = Callable[..., Any]


def openai(url: str, **settings: Any) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o-mini", base_url=url, max_retries=0, **KEY, **settings)


def _aws_events(reply: Reply, count: int) -> bytes:
    """The first events of a stream in AWS's framing: each begins with its length."""
    at = 0
    for _ in range(count):
        at += int.from_bytes(reply.body[at : at + 4], "big")
    return reply.body[:at]


def _events(reply: Reply, count: int) -> bytes:
    return b"\n\n".join(reply.body.split(b"\n\n")[:count]) + b"\n\n"


def _lines(reply: Reply, count: int) -> bytes:
    return b"\n".join(reply.body.split(b"\n")[:count]) + b"\n"


# A client, the stream that it is sent, how that is cut, and after how many of its events.
CLIENTS: dict[str, tuple[Make, Reply, Callable[[Reply, int], bytes], int]] = {
    "ChatOpenAI": (openai, c.chat_stream("gpt-4o-mini", c.OPENAI_USAGE), _events, 3),
    "responses": (
        lambda url, **more: openai(url, use_responses_api=True, **more),
        c.responses_stream("gpt-4o-mini"),
        *(_events, 5),
    ),
    "v1": (
        lambda url, **more: openai(url, use_responses_api=True, output_version="v1", **more),
        c.responses_stream("gpt-4o-mini"),
        _events,
        5,
    ),
    "ChatAnthropic": (
        lambda url, **more: ChatAnthropic(model_name=HAIKU, base_url=url, max_retries=0, **KEY, **more),
        c.anthropic_stream(HAIKU, c.ANTHROPIC_USAGE),
        *(_events, 3),
    ),
    "ChatGoogleGenerativeAI": (
        lambda url, **more: ChatGoogleGenerativeAI(model="gemini-2.5-flash", base_url=url, **KEY, **more),
        c.google_stream("gemini-2.5-flash"),
        *(_events, 1),
    ),
    "ChatBedrock": (
        lambda url, **more: ChatBedrock(model_id=ON_BEDROCK, endpoint_url=url, **AWS, **more),
        c.invoke_model_stream(),
        *(_aws_events, 3),
    ),
    "ChatMistralAI": (
        lambda url, **more: ChatMistralAI(
            model_name="mistral-small-latest", endpoint=url, max_retries=0, **KEY, **more
        ),
        c.chat_stream(
            "mistral-small-latest",
            None,
            last={"usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
        ),
        *(_events, 2),
    ),
    "ChatGroq": (
        lambda url, **more: ChatGroq(model="openai/gpt-oss-20b", base_url=url, max_retries=0, **KEY, **more),
        c.chat_stream("openai/gpt-oss-20b", None),
        *(_events, 3),
    ),
    "ChatOllama": (lambda url, **_: ChatOllama(model="llama3", base_url=url), c.ollama("llama3", chat=True), _lines, 1),
    "OllamaLLM": (lambda url, **_: OllamaLLM(model="llama3", base_url=url), c.ollama("llama3", chat=False), _lines, 1),
    "OpenAI": (
        lambda url, **more: OpenAI(model="gpt-3.5-turbo-instruct", base_url=url, max_retries=0, **KEY, **more),
        c.as_events(
            *(
                {"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]}
                for choice in (
                    {"index": 0, "text": "H", "finish_reason": None, "logprobs": None},
                    {"index": 0, "text": "i.", "finish_reason": "stop", "logprobs": None},
                )
            )
        ),
        *(_events, 1),
    ),
    "AnthropicLLM": (
        lambda url, **more: AnthropicLLM(model_name=HAIKU, base_url=url, max_retries=0, **KEY, **more),
        c.anthropic_stream(HAIKU, c.ANTHROPIC_USAGE),
        *(_events, 3),
    ),
    "GoogleGenerativeAI": (
        lambda url, **_: GoogleGenerativeAI(model="gemini-2.5-flash", base_url=url, **KEY),
        c.google_stream("gemini-2.5-flash"),
        *(_events, 1),
    ),
}
# Those that stream without being asked to, or whose `invoke` can be told to.
INVOKED = ("ChatOpenAI", "responses", "ChatAnthropic", "ChatMistralAI", "ChatGroq", "ChatOllama", "OllamaLLM", "OpenAI")


def streams(model: Any) -> str:
    return "".join(getattr(chunk, "text", chunk) for chunk in model.stream("q"))


async def streams_awaited(model: Any) -> str:
    return "".join([getattr(chunk, "text", chunk) async for chunk in model.astream("q")])


def text(answer: Any) -> str:
    return str(getattr(answer, "text", answer))


def statuses() -> list[str]:
    return [row.status for row in installation.installed().contents().entries()]


def made(name: str, server: Canned, **settings: Any) -> tuple[Any, Reply, Reply]:
    """A model, its stream, and half of that."""
    make, whole, cut, count = CLIENTS[name]
    return make(server.url, **settings), whole, replace(whole, body=cut(whole, count))


@pytest.fixture(autouse=True)
def installed() -> Iterator[None]:
    nbcache.install("memory://")
    yield
    good_also(())


@pytest.mark.parametrize("name", CLIENTS)
def test_half_a_stream_is_no_hit_and_a_whole_one_is(name: str, server: Canned) -> None:
    model, whole, half = made(name, server)
    server.reply(half, half, whole)
    with pytest.warns(NbcacheWarning, match="stream stopped without a sign"):
        streams(model)
    assert statuses() == [UNFINISHED]
    streams(model)
    assert len(server.replies) == 1  # it was made again
    assert [streams(model) for _ in range(2)] == ["Hi."] * 2
    assert statuses() == [OK]


@pytest.mark.parametrize("name", CLIENTS)
async def test_half_an_awaited_stream_is_no_hit_and_a_whole_one_is(name: str, server: Canned) -> None:
    model, whole, half = made(name, server)
    server.reply(half, whole)
    with pytest.warns(NbcacheWarning, match="stream stopped without a sign"):
        await streams_awaited(model)
    assert [await streams_awaited(model) for _ in range(3)] == ["Hi."] * 3
    assert not server.replies


@pytest.mark.parametrize("name", INVOKED)
async def test_an_invoke_that_streams_inside_keeps_half_an_answer_for_replay_alone(name: str, server: Canned) -> None:
    model, whole, half = made(name, server, streaming=True)
    server.reply(half, half, whole)
    with pytest.warns(NbcacheWarning, match="stream stopped without a sign"):
        first = text(model.invoke("q"))
    assert first == text(await model.ainvoke("q"))
    assert len(server.replies) == 1
    with nbcache.mode("replay"):
        assert text(model.invoke("q")) == first
    assert text(await model.ainvoke("q")) == text(model.invoke("q")) == "Hi."
    assert not server.replies


def test_half_a_stream_that_the_client_refuses_is_not_kept(server: Canned) -> None:
    whole = c.converse_stream()
    model = ChatBedrockConverse(model_id=ON_BEDROCK, endpoint_url=server.url, **AWS)
    server.reply(replace(whole, body=_aws_events(whole, 2)), whole)
    with pytest.raises(ConnectionError):
        streams(model)
    assert not statuses()
    assert [streams(model) for _ in range(2)] == ["Hi."] * 2


def test_half_the_arguments_of_a_tool_call_are_never_played(server: Canned) -> None:
    called = {"index": 0, "id": "1", "type": "function", "function": {"name": "pay", "arguments": '{"amount": 1'}}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    half = {
        **chunk,
        "choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": [called]}, "finish_reason": None}],
    }
    rest = {"index": 0, "function": {"arguments": "000}"}}
    more = {**chunk, "choices": [{"index": 0, "delta": {"tool_calls": [rest]}, "finish_reason": "tool_calls"}]}
    model = openai(server.url, streaming=True).bind_tools([{"name": "pay", "description": "", "parameters": {}}])
    server.reply(c.as_events(half, done=False), c.as_events(half, more))
    with pytest.warns(NbcacheWarning, match="stream stopped without a sign"):
        assert model.invoke("q").tool_calls[0]["args"] == {"amount": 1}
    assert [model.invoke("q").tool_calls[0]["args"] for _ in range(2)] == [{"amount": 1000}] * 2


def test_somebody_who_listens_to_an_invoke_changes_nothing(server: Canned) -> None:
    class Listens(BaseCallbackHandler):
        def on_llm_new_token(self, *args: Any, **kwargs: Any) -> None: ...

    model, whole, half = made("ChatOpenAI", server, streaming=True, callbacks=[Listens()])
    server.reply(half, whole)
    with pytest.warns(NbcacheWarning, match="stream stopped without a sign"):
        model.invoke("q")
    assert [model.invoke("q").text for _ in range(2)] == ["Hi."] * 2


def test_a_limit_of_tokens_doesnt_make_half_a_stream_whole(server: Canned) -> None:
    model, whole, half = made("ChatOpenAI", server, max_tokens=100)
    server.reply(half, whole)
    with pytest.warns(NbcacheWarning, match="stream stopped without a sign"):
        streams(model)
    assert streams(model) == "Hi."


def _without_reasons(*, done: bool, usage: bool) -> Reply:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    told: list[dict[str, Any]] = [
        {**chunk, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]} for text in ("H", "i.")
    ]
    counts = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return c.as_events(*told, *([{**chunk, "choices": [], "usage": counts}] if usage else []), done=done)


@pytest.mark.parametrize(("done", "usage"), [(True, False), (False, True), (True, True)])
async def test_a_server_that_gives_no_reasons_ends_its_streams_by_usage_or_a_mark(
    done: bool, usage: bool, server: Canned
) -> None:
    reply = _without_reasons(done=done, usage=usage)
    server.reply(reply, reply, reply)
    model = openai(server.url)
    assert [streams(model) for _ in range(2)] == ["Hi."] * 2
    assert [chunk.text async for chunk in model.astream("awaited")][:2] == ["H", "i."]
    assert [chunk.text async for chunk in model.astream("awaited")][:2] == ["H", "i."]
    assert openai(server.url, streaming=True).invoke("invoked").text == "Hi."
    assert openai(server.url, streaming=True).invoke("invoked").text == "Hi."
    assert not server.replies


def test_usage_that_comes_with_every_chunk_is_no_end(server: Canned) -> None:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    counts = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    deltas = [{"content": "The first"}, {"content": ""}]
    told = [{**chunk, "choices": [{"index": 0, "delta": delta}], "usage": counts} for delta in deltas]
    server.reply(c.as_events(*told, done=False))
    with pytest.warns(NbcacheWarning, match="stream stopped without a sign"):
        streams(openai(server.url))
    assert statuses() == [UNFINISHED]


def test_a_whole_answer_without_a_reason_is_one(server: Canned) -> None:
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    server.reply(c.as_json({**body, "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}}]}))
    model = openai(server.url)
    assert [model.invoke("q").text for _ in range(2)] == ["Hi."] * 2


def test_a_reason_that_nobody_knows_is_no_good_one_and_named_once(server: Canned) -> None:
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "steered_away"}
    reply = c.as_json({**body, "choices": [choice]})
    model = openai(server.url)
    server.reply(reply, reply, reply)
    with pytest.warns(NbcacheWarning, match=r"'steered_away'.*finish_reasons = \['steered_away'\]") as warned:
        assert [model.invoke("q").text for _ in range(2)] == ["Hi."] * 2
    assert len(warned) == 1
    assert statuses() == [UNFINISHED]
    good_also(["Steered_Away"])
    assert [model.invoke("another").text for _ in range(2)] == ["Hi."] * 2
    assert not server.replies


def test_a_pause_is_no_end(server: Canned) -> None:
    model, *_ = made("ChatAnthropic", server)
    server.reply(*[c.as_json({**c.anthropic(HAIKU, c.ANTHROPIC_USAGE), "stop_reason": "pause_turn"})] * 2)
    model.invoke("q")
    model.invoke("q")
    assert statuses() == [UNFINISHED]
    assert not server.replies


class Mine(BaseChatModel):
    """A model of one's own, which tells no reasons."""

    name_of: str = "mine"

    @property
    def _llm_type(self) -> str:
        return "mine"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"name_of": self.name_of}

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(
            generations=[ChatGeneration(message=AIMessage("whole", response_metadata={"finish_reason": "my own"}))]
        )

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        for word in ("who", "le"):
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))


@pytest.mark.parametrize(
    "model", [Mine(), FakeListChatModel(responses=["whole"]), FakeListLLM(responses=["whole"])], ids=repr
)
def test_a_stream_of_a_class_of_ones_own_is_whole_when_it_is_read_to_its_end(model: Any) -> None:
    assert [streams(model) for _ in range(2)] == ["whole"] * 2
    assert text(model.invoke("another")) == text(model.invoke("another")) == "whole"
    assert nbcache.stats().hits == 2
    assert statuses() == [OK, OK]


class Filters(ChatOpenAI):
    """Passes on of a provider's chunks no more than their texts."""

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        for chunk in super()._stream(*args, **kwargs):
            yield ChatGenerationChunk(message=AIMessageChunk(content=chunk.text))

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        async for chunk in super()._astream(*args, **kwargs):
            yield ChatGenerationChunk(message=AIMessageChunk(content=chunk.text))


async def test_a_class_derived_from_a_client_may_pass_on_what_it_likes(server: Canned) -> None:
    _, whole, half = made("ChatOpenAI", server)
    model = Filters(model="gpt-4o-mini", base_url=server.url, max_retries=0, **KEY)
    server.reply(half, whole)
    with pytest.warns(NbcacheWarning, match="stream stopped without a sign"):
        streams(model)
    assert [streams(model), await streams_awaited(model)] == ["Hi."] * 2
    assert not server.replies


class Wraps(Mine):
    """Makes its answers of another model's."""

    _inner: Any = PrivateAttr(default=None)

    def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(streams(self._inner)))])

    def _stream(self, messages: Any, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        for chunk in self._inner.stream(messages):
            yield ChatGenerationChunk(message=AIMessageChunk(content=chunk.text))


@pytest.mark.parametrize("way", [streams, lambda model: model.invoke("q").text])
def test_an_answer_made_of_half_an_answer_is_no_hit(way: Callable[[Any], str], server: Canned) -> None:
    inner, whole, half = made("ChatOpenAI", server)
    model = Wraps()
    model._inner = inner
    server.reply(half, whole)
    with pytest.warns(NbcacheWarning, match="stream stopped without a sign"):
        way(model)
    assert [way(model) for _ in range(2)] == ["Hi."] * 2
    assert not server.replies


def test_set_by_hand_half_an_answer_is_no_hit(server: Canned) -> None:
    from langchain_core.globals import set_llm_cache

    nbcache.uninstall()
    set_llm_cache(nbcache.NotebookCache("memory://"))
    model, whole, half = made("ChatOpenAI", server, streaming=True)
    server.reply(half, whole)
    with pytest.warns(NbcacheWarning, match="stream stopped without a sign"):
        model.invoke("q")
    assert [model.invoke("q").text for _ in range(2)] == ["Hi."] * 2


def test_half_an_answer_is_half_of_one_in_a_cassette_too(server: Canned, tmp_path: Path) -> None:
    model, whole, half = made("ChatOpenAI", server, max_tokens=10)
    server.reply(half)
    with pytest.warns(NbcacheWarning, match="stream stopped without a sign"):
        first = streams(model)
    nbcache.export_cassette(tmp_path / "x.jsonl")
    nbcache.install("memory://")
    nbcache.import_cassette(tmp_path / "x.jsonl")
    assert statuses() == [UNFINISHED]
    with nbcache.mode("replay"):
        assert streams(model) == first
    server.reply(whole)
    assert streams(model) == "Hi."


def test_a_cut_off_answer_of_a_call_with_a_limit_is_what_was_asked_for(server: Canned) -> None:
    server.reply(
        *[c.chat_stream("m", None, last={"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]})] * 2
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [streams(openai(server.url, max_tokens=2)) for _ in range(2)] == ["Hi."] * 2
    assert statuses() == [CUT_OFF]
