"""Calls of the SDKs over the wire: which are the same, what of their answers is kept, and how people see them."""

import gzip
import json
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nbcache
from nbcache import NbcacheWarning
from nbcache.codec import payload as codec
from nbcache.entry.records import Filter
from nbcache.entry.text import prompt_text
from nbcache.integrations.http.apis.framing import DONE
from nbcache.integrations.http.apis.framing import EVENTS as FRAMING
from nbcache.integrations.http.apis.recorder import Recorder
from nbcache.integrations.http.exchange import Exchange
from nbcache.integrations.http.httpx_transport import http_request
from nbcache.integrations.http.model_call import ModelCall, model_call
from nbcache.keys.key import call_key
from nbcache.session import installation
from nbcache.stores import MemoryStore
from nbcache.ui.panel.transcript import Part, answer_chat, prompt_chat
from tests.servers.provider import Answer, Provider
from tests.servers.wire import (
    ASKED,
    CHAT,
    EVENTS,
    MESSAGE,
    RESPONSE,
    TOOL,
    StreamWire,
    Wire,
    answered,
    ask,
    chunk,
    completion,
    event,
    said,
    streamed,
)
from tests.support.sdk_calls import SCENARIOS

# Which calls are the same


def key_of(call: ModelCall) -> str:
    exchange = Exchange.of(nbcache.NotebookCache(MemoryStore()), call)
    return call_key(exchange.prompt, "", exchange.call).key


def key(client: Any, call: Callable[[Any], Any]) -> str | None:
    """The key of the call that is made of `client`; None where it would pass through."""
    found: list[str | None] = []

    def look(request: httpx2.Request) -> httpx2.Response:
        call = model_call(http_request(request))
        found.append(None if call is None or call.effect else key_of(call))
        return httpx2.Response(418)

    http = httpx2.Client(transport=httpx2.MockTransport(look))
    with pytest.raises((openai.APIStatusError, anthropic.APIStatusError)):
        call(client.with_options(http_client=http, max_retries=0))
    return found[0]


OPENAI = openai.OpenAI(api_key="sk-test")
ANTHROPIC = anthropic.Anthropic(api_key="sk-test")
AZURE = openai.AzureOpenAI(
    azure_endpoint="https://a.openai.azure.com", azure_deployment="mine", api_version="1", api_key="sk-test"
)


def chat_key(client: Any = OPENAI, **more: Any) -> str | None:
    return key(client, lambda sdk: ask(sdk, **more))


def message_key(client: Any = ANTHROPIC, **more: Any) -> str | None:
    return key(client, lambda sdk: sdk.messages.create(**{**MESSAGE, **more}))


def response_key(**more: Any) -> str | None:
    return key(OPENAI, lambda sdk: sdk.responses.create(**{**RESPONSE, **more}))


def test_whatever_may_change_the_answer_makes_another_call() -> None:
    spelled = json.dumps([{"role": "user", "content": "What is a monad?"}])
    as_system: Any = [{"role": "system", "content": "Be terse."}, *ASKED]
    keys = [
        chat_key(),
        chat_key(model="gpt-4o"),
        chat_key(messages=[{"role": "user", "content": "What is a functor?"}]),
        chat_key(messages=[{"role": "user", "content": [{"type": "text", "text": "What is a monad?"}]}]),
        chat_key(temperature=0),
        chat_key(temperature=None),
        chat_key(stream=True),
        chat_key(stream=True, stream_options={"include_usage": True}),
        chat_key(extra_headers={"openai-beta": "x"}),
        chat_key(extra_headers={"openai-beta": "y"}),
        chat_key(extra_query={"q": "1"}),
        chat_key(extra_body={"reasoning": {"effort": "high"}}),
        chat_key(tools=[TOOL]),
        chat_key(OPENAI.with_options(base_url="https://elsewhere.example/v1")),
        chat_key(OPENAI.with_options(organization="o")),
        chat_key(AZURE),
        chat_key(
            openai.AzureOpenAI(
                base_url="https://a.openai.azure.com/openai/deployments/yours", api_version="1", api_key="k"
            )
        ),
        chat_key(AZURE.with_options(api_version="2")),
        response_key(),
        response_key(input=spelled),
        response_key(input=ASKED),
        response_key(instructions=None),
        key(OPENAI, lambda sdk: sdk.responses.create(model="gpt-4o-mini", input="What is a monad?")),
        key(OPENAI, lambda sdk: sdk.responses.create(model="gpt-4o-mini", input=as_system)),
        response_key(previous_response_id="resp_1"),
        response_key(previous_response_id="resp_2"),
        response_key(stream=True),
        key(OPENAI, lambda sdk: sdk.completions.create(model="gpt-4o-mini", prompt=spelled)),
        key(OPENAI, lambda sdk: sdk.completions.create(model="gpt-4o-mini", prompt=["What is a monad?"])),
        key(OPENAI, lambda sdk: sdk.completions.create(model="gpt-4o-mini", prompt='["What is a monad?"]')),
        key(OPENAI, lambda sdk: sdk.completions.create(model="gpt-4o-mini", prompt=[1, 2])),
        message_key(),
        message_key(max_tokens=101),
        message_key(system=[{"type": "text", "text": "Be terse."}]),
        message_key(stream=True),
        message_key(extra_headers={"anthropic-beta": "x"}),
        key(ANTHROPIC, lambda sdk: sdk.beta.messages.create(**MESSAGE, betas=["b-1"])),
        key(ANTHROPIC, lambda sdk: sdk.messages.create(model="claude-for-tests", max_tokens=100, messages=as_system)),
    ]
    assert None not in keys
    assert len(set(keys)) == len(keys)


def test_what_cannot_change_the_answer_makes_no_other_call() -> None:
    assert chat_key() == chat_key(openai.OpenAI(api_key="sk-other", timeout=3, max_retries=7))
    assert chat_key() == chat_key(extra_headers={"traceparent": "1", "Authorization": "Bearer other"}, timeout=3)
    assert chat_key() == chat_key(stream=False)
    assert message_key() == message_key(anthropic.Anthropic(auth_token="other"))
    assert chat_key(AZURE) == chat_key(
        openai.AzureOpenAI(
            azure_endpoint="https://a.openai.azure.com", azure_deployment="mine", api_version="1", azure_ad_token="t"
        )
    )
    assert chat_key(stream=True) == key(OPENAI, lambda sdk: list(sdk.chat.completions.stream(**CHAT).__enter__()))
    signed = {"x-amz-date": "1", "x-amz-security-token": "2", "x-amz-content-sha256": "3"}
    assert chat_key(extra_headers=signed) == chat_key()


PROMISED = {
    "chat": "d0d00c3049b2b186015553e40a3e079a97510285",
    "stream": "3195141ad12cdd9d15906b0ffe0783807970c0c5",
    "completion": "53173712e18790a11086439a974b03b2159f7b49",
    "response": "2ad9d53b7df58ca1be0549b4c5abd179b482fc9b",
    "message": "2b6177cf1b89b991bb57b95e8cc41d8df398a11d",
    "azure": "a6eafe2e00d017e071f79caf08f858c64dbc9173",
}


def test_keys_are_a_promise() -> None:
    """Of requests as they were written when the keys were: no release of an SDK changes these."""
    beta = {"anthropic-version": "2023-06-01", "anthropic-beta": "b-1"}
    requests: dict[str, tuple[str, Any, dict[str, str]]] = {
        "chat": ("https://api.openai.com/v1/chat/completions", {**CHAT, "temperature": 0.5}, {}),
        "stream": ("https://api.openai.com/v1/chat/completions", {**CHAT, "stream": True}, {}),
        "completion": ("https://api.openai.com/v1/completions", {"model": "m", "prompt": "What?"}, {}),
        "response": ("https://api.openai.com/v1/responses", RESPONSE, {}),
        "message": ("https://api.anthropic.com/v1/messages", MESSAGE, beta),
        "azure": (
            "https://a.openai.azure.com/openai/deployments/mine/chat/completions?api-version=1",
            CHAT,
            {"api-key": "sk-test"},
        ),
    }
    found = {}
    for name, (url, body, headers) in requests.items():
        call = model_call(http_request(httpx2.Request("POST", url, headers=headers, json=body)))
        assert call is not None
        found[name] = key_of(call)
    assert found == PROMISED


# What is kept


def test_errors_are_the_sdks_own_and_never_kept(client: Any, provider: Provider) -> None:
    provider.fail(500)
    with pytest.raises(openai.InternalServerError, match="status 500"):
        said(client)
    provider.fail(429)
    with pytest.raises(openai.RateLimitError):
        streamed(client)
    assert nbcache.stats().entries == 0
    assert said(client) == said(client)
    assert streamed(client) == streamed(client)
    assert len(provider.requests) == 4


@pytest.mark.usefixtures("store")
def test_the_sdk_tries_again_as_it_always_does(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai.OpenAI, "_sleep_for_retry", lambda *_, **__: None)
    client = nbcache.wrap(openai.OpenAI(**provider.openai, max_retries=2))
    provider.fail(500, times=2)
    assert said(client) == said(client)
    assert len(provider.requests) == 3
    assert nbcache.stats().entries == 1


LIMITED = {"max_completion_tokens": 9}


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("body", "more", "status", "hits"),
    [
        (completion(), {}, "ok", 1),
        (completion("cut", "length"), {}, "cut off", 0),
        (completion("cut", "length"), LIMITED, "cut off", 1),
        (completion("", "content_filter"), {}, "filtered", 0),
        (completion(None, refusal="I won't."), {}, "filtered", 0),
        (completion(None), {}, "empty", 0),
        (
            completion(
                None,
                "tool_calls",
                tool_calls=[{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            ),
            {},
            "ok",
            1,
        ),
        (
            completion(
                None,
                "tool_calls",
                tool_calls=[{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}],
            ),
            {},
            "ok",
            1,
        ),
        (completion(None, "function_call", function_call={"name": "f", "arguments": "{}"}), {}, "ok", 1),
        (
            {**completion(), "choices": [*completion()["choices"], *completion("cut", "length")["choices"]]},
            {},
            "cut off",
            0,
        ),
    ],
)
def test_only_a_whole_answer_is_handed_out_again(
    body: dict[str, Any], more: dict[str, Any], status: str, hits: int
) -> None:
    wire = Wire(lambda _: httpx2.Response(200, json=body))
    client = wire.openai()
    assert ask(client, **more) == ask(client, **more)
    assert nbcache.stats().hits == hits
    assert len(wire.requests) == 2 - hits
    assert nbcache.entries()["status"].tolist() == [status]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("answer", "status", "hits"),
    [
        (Answer("whole"), "ok", 1),
        (Answer("cut", finish_reason="length"), "cut off", 0),
        (Answer("bad", finish_reason="content_filter"), "filtered", 0),
        (Answer(tool_calls=(("weather", {"city": "Rome"}),)), "ok", 1),
        (Answer(), "empty", 0),
    ],
)
@pytest.mark.parametrize("kind", ["chat", "chat, stream", "response", "completion, stream", "message, stream"])
def test_the_status_is_told_of_streams_and_of_every_api(
    kind: str, answer: Answer, status: str, hits: int, provider: Provider
) -> None:
    if kind.startswith("completion") and answer.tool_calls:
        return  # it knows no tools
    sdk, run = SCENARIOS[kind]
    is_anthropic = sdk == "Anthropic"
    client = nbcache.wrap(
        anthropic.Anthropic(**provider.anthropic) if is_anthropic else openai.OpenAI(**provider.openai)
    )
    provider.answer(answer, answer)
    run(client)
    run(client)
    assert nbcache.entries()["status"].tolist() == [status]
    hits = 1 if is_anthropic and status == "cut off" else hits  # whoever asks Anthropic sets a limit
    assert (nbcache.stats().hits, len(provider.requests)) == (hits, 2 - hits)


BAD_BODIES: list[dict[str, Any]] = [
    {"error": {"message": "overloaded"}},
    {"choices": [{"index": 0, "message": {"content": "half"}, "finish_reason": "error"}]},
    {"choices": [{"index": 0, "message": {"content": "half"}, "error": {"code": 502}, "finish_reason": "stop"}]},
    {"detail": "what?"},
]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("body", BAD_BODIES)
def test_a_failure_that_is_told_with_status_200_is_not_kept(body: dict[str, Any]) -> None:
    wire = Wire(lambda _: httpx2.Response(200, json=body))
    client = wire.openai()
    ask(client)
    ask(client)
    assert (len(wire.requests), nbcache.stats().entries) == (2, 0)


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.usefixtures("store")
def test_only_status_200_and_the_like_is_kept(is_stream: bool) -> None:
    body = b"".join(EVENTS) if is_stream else json.dumps(completion()).encode()
    wire = Wire(lambda _: httpx2.Response(400, content=body, headers={"content-type": "text/event-stream"}))
    client = wire.openai()
    for _ in range(2):
        with pytest.raises(openai.BadRequestError):
            ask(client, stream=is_stream)
    assert (len(wire.requests), nbcache.stats().entries) == (2, 0)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("status", ["failed", "in_progress", "queued", "cancelled"])
def test_a_response_that_is_not_finished_is_not_kept(status: str) -> None:
    wire = Wire(lambda _: httpx2.Response(200, json={"id": "r", "status": status, "output": [], "error": None}))
    client = wire.openai()
    client.responses.create(**RESPONSE)
    client.responses.create(**RESPONSE)
    assert (len(wire.requests), nbcache.stats().entries) == (2, 0)


@pytest.mark.usefixtures("store")
@pytest.mark.filterwarnings("ignore::nbcache.NbcacheWarning")
def test_an_answer_that_is_not_understood_reaches_the_user_and_is_not_kept() -> None:
    wire = Wire(lambda _: httpx2.Response(200, json={**completion(), "choices": ["what?"]}))
    client = wire.openai()
    for _ in range(2):
        assert client.chat.completions.with_raw_response.create(**CHAT).http_response.json()["choices"] == ["what?"]
    assert (len(wire.requests), nbcache.stats().entries) == (2, 0)


# Streams


def passed(recorder: Recorder, part: bytes) -> bytes:
    recorder.feed(part)
    return b"".join(iter(recorder.take, None))


PARTS = st.lists(st.sampled_from([*EVENTS, b": waiting\n\n", b"data: x\r\n\r\n", b"\n"])).map(b"".join)


@given(PARTS, st.data())
def test_every_byte_passes_at_once_and_in_its_order_however_it_comes(body: bytes, data: st.DataObject) -> None:
    places = sorted(data.draw(st.sets(st.integers(0, len(body)))))
    recorder, came = Recorder(FRAMING, DONE), b""
    for start, end in zip([0, *places], [*places, len(body)], strict=True):
        came += passed(recorder, body[start:end])
        assert came == body[:end]
    assert b"".join(FRAMING.split(body)) == body
    whole, done, _ = body.partition(EVENTS[-1])
    assert recorder.ended == bool(done)
    assert recorder.recorded == whole + done


@pytest.mark.usefixtures("store")
def test_a_stream_passes_through_at_once() -> None:
    wire = StreamWire(EVENTS)
    stream = ask(wire.openai(), stream=True)
    assert next(stream).choices[0].delta.content == "one "
    assert wire.bodies[0].sent == EVENTS[:1]
    assert next(stream).choices[0].delta.content == "two "
    assert wire.bodies[0].sent == EVENTS[:2]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    "pieces",
    [
        EVENTS,
        [b"".join(EVENTS)],
        [bytes([byte]) for byte in b"".join(EVENTS)],
        [b"".join(EVENTS).replace(b"\n", b"\r\n")],
        [bytes([byte]) for byte in b"".join(EVENTS).replace(b"\n", b"\r\n")],
        [b": waiting\n\n", *EVENTS, b": bye\n\n"],
    ],
    ids=["event by event", "all at once", "byte by byte", "CRLF", "CRLF byte by byte", "comments"],
)
def test_a_stream_is_kept_however_it_comes(pieces: list[bytes]) -> None:
    wire = StreamWire(pieces)
    client = wire.openai()
    assert streamed(client) == streamed(client) == "one two three"
    assert len(wire.requests) == 1
    assert wire.bodies[0].closed
    assert nbcache.entries()["answer"].tolist() == ["one two three"]


@pytest.mark.usefixtures("store")
def test_a_hit_comes_event_by_event() -> None:
    client = StreamWire([b"".join(EVENTS)]).openai()
    for _ in range(2):
        with client.chat.completions.with_streaming_response.create(**CHAT, stream=True) as response:
            assert list(response.http_response.iter_raw()) == EVENTS


def test_what_comes_after_the_end_passes_and_is_no_part_of_the_answer() -> None:
    class Counted(MemoryStore):
        puts = 0

        def put(self, *told: Any) -> None:
            self.puts += 1
            super().put(*told)

    store = Counted()
    nbcache.install(store)
    pieces = [*EVENTS, b": bye\n\n", b": bye\n\n"]
    client = StreamWire(pieces).openai()
    came = []
    for _ in range(2):
        with client.chat.completions.with_streaming_response.create(**CHAT, stream=True) as response:
            came.append(list(response.http_response.iter_raw()))
    assert came == [pieces, EVENTS]
    assert store.puts == 1


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_stream_that_is_read_in_part_is_closed_and_not_kept(count: int) -> None:
    wire = StreamWire([b"".join(EVENTS)])  # whatever of it has come already
    client = wire.openai()
    with ask(client, stream=True) as stream:
        for _ in range(count):
            next(stream)
    assert wire.bodies[0].closed
    assert nbcache.stats().entries == 0
    assert streamed(client) == "one two three"
    assert len(wire.requests) == 2


@pytest.mark.usefixtures("store")
async def test_an_async_stream_that_is_read_in_part_is_closed_and_not_kept() -> None:
    wire = StreamWire([b"".join(EVENTS)])
    http = httpx2.AsyncClient(transport=wire.transport)
    client = nbcache.wrap(openai.AsyncOpenAI(api_key="sk-test", http_client=http))
    async with await ask(client, stream=True) as stream:
        await anext(stream)
    assert wire.bodies[0].closed
    assert nbcache.stats().entries == 0
    for _ in range(2):
        assert [c.choices[0].delta.content async for c in await ask(client, stream=True)] == ["one ", "two ", "three"]
    assert len(wire.requests) == 2
    assert wire.bodies[1].closed


@pytest.mark.usefixtures("store")
@pytest.mark.filterwarnings("ignore:nbcache. a stream from:nbcache.NbcacheWarning")
@pytest.mark.parametrize(
    "pieces",
    [
        EVENTS[:-1],
        [chunk("the mark is [DONE]\n\n")],
        [chunk("half"), event({"error": {"message": "overloaded"}}), event("[DONE]")],
        [chunk("half", finish_reason="error"), event("[DONE]")],
        [],
    ],
    ids=["no end", "the end as text", "an error", "a failed choice", "nothing"],
)
def test_a_stream_that_is_not_whole_is_not_kept(pieces: list[bytes]) -> None:
    wire = StreamWire(pieces)
    client = wire.openai()
    for _ in range(2):
        with client.chat.completions.with_streaming_response.create(**CHAT, stream=True) as response:
            assert b"".join(response.http_response.iter_raw()) == b"".join(pieces)
    assert (len(wire.requests), nbcache.stats().entries, nbcache.stats().errors) == (2, 0, 0)


@pytest.mark.usefixtures("store")
def test_whoever_streams_from_a_server_that_never_says_the_end_is_told() -> None:
    with pytest.warns(NbcacheWarning, match="ended before it was complete"):
        streamed(StreamWire(EVENTS[:-1]).openai())


@pytest.mark.usefixtures("store")
def test_a_stream_that_breaks_raises_the_sdks_error_and_is_not_kept() -> None:
    wire = StreamWire(EVENTS[:2], fails=True)
    with pytest.raises(openai.APIConnectionError):
        streamed(wire.openai())
    assert wire.bodies[0].closed
    assert nbcache.stats().entries == 0


@pytest.mark.usefixtures("store")
def test_a_stream_of_anthropics_that_fails_is_not_kept() -> None:
    begun = {"type": "message_start", "message": {"id": "m", "content": [], "role": "assistant", "usage": {}}}
    failed = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    wire = StreamWire([event(begun, "message_start"), event(failed, "error")])
    client = wire.anthropic()
    for _ in range(2):
        with pytest.raises(anthropic.APIStatusError, match="busy"):
            list(client.messages.create(**MESSAGE, stream=True))
    wire = StreamWire([event(begun), event(failed), event({"type": "message_stop"})])  # read by one who doesn't mind
    with wire.anthropic().messages.with_streaming_response.create(**MESSAGE, stream=True) as response:
        assert len(list(response.http_response.iter_raw())) == 3
    assert nbcache.stats().entries == 0


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("is_stream", [False, True])
def test_a_compressed_answer_comes_back_the_same(is_stream: bool) -> None:
    told = b"".join(EVENTS) if is_stream else json.dumps(completion()).encode()
    packed = gzip.compress(told)
    kind = "text/event-stream" if is_stream else "application/json"
    wire = StreamWire(
        [packed[:20], packed[20:]], content_type=kind, content_encoding="gzip", content_length=str(len(packed))
    )
    client = wire.openai()
    ways = [streamed(client) if is_stream else said(client) for _ in range(2)]
    assert ways == [["hi", "one two three"][is_stream]] * 2
    assert len(wire.requests) == 1


@pytest.mark.usefixtures("store")
def test_half_an_emoji_is_no_reason_to_fail() -> None:
    wire = StreamWire([chunk("\ud83d"), chunk("\ude00", finish_reason="stop"), EVENTS[-1]])
    client = wire.openai()
    first = [c.choices[0].delta.content for c in ask(client, stream=True)]
    again = [c.choices[0].delta.content for c in ask(client, stream=True)]
    assert first == again == ["\ud83d", "\ude00"]
    assert len(wire.requests) == 1
    assert nbcache.stats().errors == 0


# Money, and what people see


@pytest.mark.usefixtures("store")
def test_paid_and_saved_are_told_at_the_providers_own_prices() -> None:
    client = Wire(answered()).openai()
    said(client)
    said(client)
    stats = nbcache.stats()
    assert stats.spent_usd == stats.saved_usd == Decimal("0.00045")  # 1,000 in at $0.15, 500 out at $0.60 a million
    assert (stats.unpriced_hits, stats.unpriced_misses, stats.estimated) == (0, 0, 0)
    (row,) = nbcache.entries().to_dict("records")
    assert (row["model"], row["provider"], row["input_tokens"], row["output_tokens"]) == (
        "gpt-4o-mini",
        "openai",
        1000,
        500,
    )
    assert row["cost_usd"] == Decimal("0.00045")


@pytest.mark.usefixtures("store")
def test_a_stream_is_paid_by_the_usage_that_it_tells_and_else_estimated() -> None:
    usage = event({"id": "c", "model": "gpt-4o-mini", "choices": [], "usage": completion()["usage"]})
    streamed(StreamWire([*EVENTS[:-1], usage, EVENTS[-1]]).openai(), stream_options={"include_usage": True})
    assert (nbcache.stats().spent_usd, nbcache.stats().estimated) == (Decimal("0.00045"), 0)
    streamed(StreamWire([e.replace(b'"m"', b'"gpt-4o-mini"') for e in EVENTS]).openai())
    assert nbcache.stats().estimated == 1


@pytest.mark.usefixtures("store")
def test_anthropics_own_cache_is_counted_as_anthropic_prices_it() -> None:
    usage = {
        "input_tokens": 100,
        "cache_creation_input_tokens": 1000,
        "cache_read_input_tokens": 10_000,
        "output_tokens": 1,
    }
    message = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [],
        "usage": usage,
    }
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 200}},
        {"type": "message_stop"},
    ]
    wire = StreamWire([event(each, each["type"]) for each in events])
    for _ in range(2):
        list(wire.anthropic().messages.create(**MESSAGE, stream=True))
    # per million: $3 in, $15 out, $3.75 written, $0.30 read
    assert nbcache.stats().spent_usd == nbcache.stats().saved_usd == Decimal("0.01005")
    (row,) = nbcache.entries().to_dict("records")
    assert (row["input_tokens"], row["output_tokens"], row["answer"]) == (11_100, 200, "Hello")


@pytest.mark.usefixtures("store")
def test_the_time_of_who_reads_a_stream_is_not_the_models(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, gone = time.perf_counter, [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock() + gone[0])
    for _ in ask(StreamWire(EVENTS).openai(), stream=True):
        gone[0] += 1000
    (seconds,) = nbcache.entries()["seconds"]
    assert 0 < seconds < 1000


def test_a_model_on_another_host_has_no_price(client: Any) -> None:
    said(client)
    said(client)
    stats = nbcache.stats()
    assert (stats.spent_usd, stats.unpriced_hits, stats.unpriced_misses) == (None, 1, 1)


@pytest.mark.usefixtures("store")
def test_an_azure_deployment_is_called_by_the_model_that_answers() -> None:
    wire = Wire(answered())
    client = nbcache.wrap(
        openai.AzureOpenAI(
            azure_endpoint="https://a.openai.azure.com",
            api_version="1",
            api_key="sk-test",
            http_client=httpx2.Client(transport=wire.transport),
        )
    )
    assert said(client, model="mine") == said(client, model="mine") == "hi"
    assert [request.url.path for request in wire.requests] == ["/openai/deployments/mine/chat/completions"]
    assert nbcache.stats().unpriced_misses == 0
    assert nbcache.entries()["provider"].tolist() == ["azure"]


def test_last_tells_hits_and_misses(client: Any) -> None:
    said(client)
    said(client)
    with nbcache.mode("off"):
        said(client)
    rows = nbcache.last().to_dict("records")
    assert [(row["hit"], row["why"], row["model"]) for row in rows] == [
        (False, "new", "gpt-4o-mini"),
        (True, "", "gpt-4o-mini"),
        (False, "off", "gpt-4o-mini"),
    ]


@pytest.mark.usefixtures("store")
def test_show_tells_prompt_answer_and_call() -> None:
    Wire(
        lambda _: httpx2.Response(
            200,
            json={
                "id": "m",
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "Sure."},
                    {"type": "tool_use", "id": "t", "name": "look", "input": {"at": 1}},
                ],
                "stop_reason": "tool_use",
                "usage": {},
            },
        )
    ).anthropic().messages.create(**MESSAGE)
    (key,) = nbcache.entries()["key"]
    found = nbcache.show(key)
    assert found.prompt == "system: Be terse.\n\nuser: What is a monad?"
    assert found.answer == 'Sure.\nlook({"at": 1})'
    assert found.meta.prompt == "What is a monad?"
    assert found.meta.answer == "Sure."
    assert found.identity["class"] == ["anthropic", "/v1/messages"]
    assert found.identity["options"] == {"max_tokens": 100, "model": "claude-for-tests"}
    assert found.identity["endpoint"] == "https://api.anthropic.com"


ANTHROPIC_CHAT: Any = [
    {"role": "user", "content": [{"type": "image", "source": {}}, {"type": "text", "text": "What is it?"}]},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "s"},
            {"type": "tool_use", "id": "t", "name": "look", "input": {"at": 1}},
        ],
    },
    {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "a cloud"}]}],
    },
]
OPENAI_CHAT: Any = [
    {
        "role": "user",
        "content": [{"type": "image_url", "image_url": {"url": "u"}}, {"type": "text", "text": "What is it?"}],
    },
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "t", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}],
    },
    {"role": "tool", "tool_call_id": "t", "content": "a cloud"},
]
RESPONSES_CHAT: Any = [
    {
        "role": "user",
        "content": [{"type": "input_image", "image_url": "u"}, {"type": "input_text", "text": "What is it?"}],
    },
    {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "Hm."}]},
    {"type": "function_call", "call_id": "t", "name": "look", "arguments": '{"at": 1}'},
    {"type": "function_call_output", "call_id": "t", "output": "a cloud"},
]


@pytest.mark.parametrize("messages", [ANTHROPIC_CHAT, OPENAI_CHAT, RESPONSES_CHAT])
def test_a_chat_is_shown_as_who_said_what(messages: Any) -> None:
    prompt = json.dumps(messages)
    parts = [(said.role, part.kind, part.text) for said in prompt_chat(prompt) for part in said.parts]
    assert parts[:2] == [("user", "image", "[an image]"), ("user", "text", "What is it?")]
    assert ("assistant", "tool call", '{\n  "at": 1\n}') in parts
    assert parts[-1][1:] == ("tool result", "a cloud")
    assert (("assistant", "reasoning", "Hm.") in parts) == (messages is not OPENAI_CHAT)
    text = prompt_text(prompt)
    assert 'look({"at": 1})' in text
    assert text.endswith("a cloud")


def test_a_text_that_is_json_of_something_else_is_shown_as_it_is() -> None:
    for text in (
        '[{"role": "admin", "name": "Bob"}]',
        '[{"type": "circle", "r": 3}]',
        '[{"role": 3, "content": ""}]',
        '[{"a"',
    ):
        assert prompt_text(text) == text


@pytest.mark.usefixtures("store")
def test_an_answer_is_shown_with_reasoning_calls_and_refusals() -> None:
    output = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"type": "web_search_call", "id": "w", "status": "completed"},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "A cloud.", "annotations": []}],
        },
        {"type": "function_call", "call_id": "t", "name": "look", "arguments": '{"at": 1}'},
    ]
    body = {"id": "r", "object": "response", "status": "completed", "model": "m", "output": output, "error": None}
    Wire(lambda _: httpx2.Response(200, json=body)).openai().responses.create(**RESPONSE)
    (meta,) = installation.installed().contents().entries()
    assert (meta.answer, meta.status) == ("A cloud.", "ok")
    (answer,) = answer_chat(installation.installed().contents().open(meta.key)[1].plain())
    assert answer.parts == (
        Part("reasoning", "Hm."),
        Part("other", "[web_search_call]"),
        Part("text", "A cloud."),
        Part("tool call", '{\n  "at": 1\n}', "look"),
    )


def test_entries_are_found_by_the_words_of_prompt_and_answer(client: Any, provider: Provider) -> None:
    provider.answer("An endofunctor, mostly.")
    streamed(client)
    cache = installation.installed()
    cache.ledger.index()
    for word, count in (("monad", 1), ("endofunctor", 1), ("choices", 0), ("delta", 0)):
        assert len(cache.contents().page(Filter(words=(word,)), limit=5)) == count, word


def test_no_key_of_the_users_reaches_the_store(provider: Provider, store: Path) -> None:
    secrets = ["sk-very-secret", "bearer-secret", "header-secret", "mcp-secret", "extra-secret"]
    client = nbcache.wrap(
        openai.OpenAI(base_url=f"{provider.url}/v1", api_key=secrets[0], default_headers={"x-my-auth": secrets[2]})
    )
    tools: Any = [{"type": "mcp", "server_label": "s", "headers": {"Authorization": secrets[1], "x-key": secrets[3]}}]
    client.responses.create(**RESPONSE, tools=tools, extra_body={"api_key": secrets[4], "my_token": secrets[4]})
    streamed(client)
    nbcache.wrap(anthropic.Anthropic(base_url=provider.url, api_key=secrets[0])).messages.create(**MESSAGE)
    cache = installation.installed()
    cache.flush()
    told = b""
    for key in nbcache.entries()["key"]:
        payload = cache.store.get(key)
        assert payload is not None
        whole = codec.read(payload, key)
        told += json.dumps([whole.plain(), repr(whole.header())]).encode()
    assert b"monad" in told
    told += b"".join(path.read_bytes() for path in store.rglob("*") if path.is_file())
    assert not [secret for secret in secrets if secret.encode() in told]


@pytest.mark.usefixtures("store")
def test_of_an_answers_headers_only_its_ids_are_kept() -> None:
    headers = {"x-request-id": "req_1", "set-cookie": "session=secret", "x-ratelimit-remaining-requests": "3"}
    client = Wire(answered(headers=headers)).openai()
    live = client.chat.completions.with_raw_response.create(**CHAT)
    hit = client.chat.completions.with_raw_response.create(**CHAT)
    assert live.headers["x-ratelimit-remaining-requests"] == "3"
    assert dict(hit.headers) == {"content-type": "application/json", "x-request-id": "req_1", "x-nbcache": "hit"}
    assert hit.parse()._request_id == live.parse()._request_id == "req_1"
    assert hit.elapsed.total_seconds() >= 0
