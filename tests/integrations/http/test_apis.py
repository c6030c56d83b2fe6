"""The APIs of other providers: their own clients, which nobody wrapped, are paid once, and so is whoever speaks to them."""

import asyncio
import inspect
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

import nbcache
from tests.servers.loopback import Handler, Loopback
from tests.servers.provider import Answer, Provider
from tests.support.paths import ROOT

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CITY = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
ASKED: Any = [{"role": "user", "content": "What is a monad?"}]
Run = Callable[[Any], Any]


def google(url: str) -> Any:
    from google import genai

    return genai.Client(api_key="sk-test", http_options={"base_url": url})


def ollama(url: str) -> Any:
    import ollama as sdk

    return sdk.Client(host=url)


def async_ollama(url: str) -> Any:
    import ollama as sdk

    return sdk.AsyncClient(host=url)


def groq(url: str) -> Any:
    import groq as sdk

    return sdk.Groq(api_key="sk-test", base_url=url)


async def every(stream: Any) -> list[Any]:
    return [part async for part in await stream]


GEMINI: Any = {"model": "gemini-2.5-flash", "contents": "What is a monad?"}
FUNCTION = {
    "function_declarations": [{"name": "weather", "description": "The weather.", "parameters_json_schema": CITY}]
}
FORCED = {"function_calling_config": {"mode": "ANY"}}
LLAMA: Any = {"model": "llama3.2", "messages": ASKED}
GROQ: Any = {"model": "llama-3.3-70b-versatile", "messages": ASKED}
CALLS: dict[str, tuple[Callable[[str], Any], Run]] = {
    "google": (google, lambda sdk: sdk.models.generate_content(**GEMINI)),
    "google, settings": (
        google,
        lambda sdk: sdk.models.generate_content(
            **GEMINI, config={"system_instruction": "Be terse.", "temperature": 0.5, "max_output_tokens": 99}
        ),
    ),
    "google, a chat": (google, lambda sdk: [sdk.chats.create(model="gemini-2.5-flash").send_message("Hello!")]),
    "google, a tool": (
        google,
        lambda sdk: sdk.models.generate_content(**GEMINI, config={"tools": [FUNCTION], "tool_config": FORCED}),
    ),
    "google, json": (
        google,
        lambda sdk: sdk.models.generate_content(
            **GEMINI, config={"response_mime_type": "application/json", "response_json_schema": CITY}
        ),
    ),
    "google, stream": (google, lambda sdk: list(sdk.models.generate_content_stream(**GEMINI))),
    "ollama": (ollama, lambda sdk: sdk.chat(**LLAMA)),
    "ollama, settings": (ollama, lambda sdk: sdk.chat(**LLAMA, options={"temperature": 0}, format=CITY)),
    "ollama, a tool": (ollama, lambda sdk: sdk.chat(**LLAMA, tools=[TOOL])),
    "ollama, stream": (ollama, lambda sdk: list(sdk.chat(**LLAMA, stream=True))),
    "ollama, generate": (ollama, lambda sdk: sdk.generate(model="llama3.2", prompt="Once", system="Be terse.")),
    "ollama, generate, stream": (ollama, lambda sdk: list(sdk.generate(model="llama3.2", prompt="Once", stream=True))),
    "ollama, async": (async_ollama, lambda sdk: sdk.chat(**LLAMA, options={"seed": 1})),
    "ollama, async stream": (async_ollama, lambda sdk: every(sdk.chat(**LLAMA, options={"seed": 2}, stream=True))),
    "groq": (groq, lambda sdk: sdk.chat.completions.create(**GROQ)),
    "groq, a tool": (groq, lambda sdk: sdk.chat.completions.create(**GROQ, tools=[TOOL], tool_choice="required")),
    "groq, stream": (groq, lambda sdk: list(sdk.chat.completions.create(**GROQ, stream=True))),
}


def outcome(name: str, url: str) -> str:
    """What a call gives back, in its own words, without what says when and over which line it came."""
    connect, run = CALLS[name]
    came = run(connect(url))
    if inspect.isawaitable(came):
        came = asyncio.run(_awaited(came))
    return json.dumps([_plain(each) for each in (came if isinstance(came, list) else [came])])


async def _awaited(came: Any) -> Any:
    return await came


def _plain(value: Any) -> Any:
    fields = value.model_dump(mode="json", exclude={"sdk_http_response"})
    return {"class": type(value).__qualname__, "fields": fields}


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", CALLS)
def test_a_hit_is_equal_to_the_live_answer(name: str, provider: Provider) -> None:
    live, hit = outcome(name, provider.url), outcome(name, provider.url)
    assert hit == live
    assert len(provider.requests) == 1
    stats = nbcache.stats()
    assert (stats.misses, stats.hits, stats.entries, stats.errors) == (1, 1, 1, 0)
    nbcache.uninstall()
    provider.requests.clear()  # its answers are numbered
    assert outcome(name, provider.url) == live


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(("name", "model"), [(name, CALLS[name][0]) for name in ("google", "ollama", "groq")])
def test_an_entry_says_what_was_asked_and_answered_and_what_that_took(
    name: str, model: Any, provider: Provider
) -> None:
    provider.answer(Answer("A way to chain steps."))
    outcome(name, provider.url)
    entry = nbcache.entries().iloc[0]
    assert (entry["prompt"], entry["answer"]) == ("What is a monad?", "A way to chain steps.")
    assert entry["model"] in {"gemini-2.5-flash", "llama3.2", "llama-3.3-70b-versatile"}
    assert entry["input_tokens"] > 0
    assert entry["output_tokens"] > 0
    assert nbcache.show(entry["key"]).prompt == ("user: What is a monad?")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", ["google", "google, stream", "ollama", "ollama, stream", "groq, stream"])
def test_an_answer_that_was_cut_off_or_filtered_is_a_recording_and_no_hit(name: str, provider: Provider) -> None:
    reasons = ["length"] if name.startswith("ollama") else ["length", "content_filter"]
    for reason in reasons:
        provider.requests.clear()
        provider.answer(Answer("half", finish_reason=reason), Answer("half", finish_reason=reason))
        outcome(name, provider.url)
        outcome(name, provider.url)
        assert len(provider.requests) == 2


CODE = """
import sys, nbcache
from tests.integrations.http.test_apis import CALLS, outcome
nbcache.install(sys.argv[2])
for name in CALLS:
    print(outcome(name, sys.argv[1]))
"""


@pytest.mark.slow
def test_in_a_new_process_nothing_is_sent_and_every_answer_is_equal(provider: Provider, tmp_path: Any) -> None:
    command = [sys.executable, "-c", CODE, provider.url, str(tmp_path / "store")]
    runs = [subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False) for _ in range(2)]
    assert [run.stderr for run in runs] == ["", ""]
    assert runs[0].stdout == runs[1].stdout
    assert len(provider.requests) == len(CALLS)


# Those whose clients are not installed here: their requests, as their documentation has them


class _Handler(Handler):
    def respond(self) -> None:
        self.body()
        self.server.owner.count += 1
        kind, body = self.server.owner.replies[self.path.partition("?")[0]]
        self.send(200, kind, body)


class Canned(Loopback):
    """A server with one reply for each path."""

    def __init__(self, replies: dict[str, tuple[str, bytes]]) -> None:
        self.replies, self.count = replies, 0
        super().__init__(_Handler)


def _json(body: Any) -> tuple[str, bytes]:
    return "application/json", json.dumps(body).encode()


def _events(*events: dict[str, Any]) -> tuple[str, bytes]:
    return "text/event-stream", b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def _lines(*lines: dict[str, Any]) -> tuple[str, bytes]:
    return "application/stream+json", b"".join(json.dumps(line).encode() + b"\n" for line in lines)


_VECTORS = {
    "object": "list",
    "model": "m",
    "data": [{"index": 0, "embedding": [0.5, 1.0]}],
    "usage": {"total_tokens": 7},
}
_RANKING = {"model": "m", "results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]}
_COHERE = {
    "id": "1",
    "message": {"role": "assistant", "content": [{"type": "text", "text": "hi there"}]},
    "finish_reason": "COMPLETE",
    "usage": {"billed_units": {"input_tokens": 5, "output_tokens": 2}},
}
_COHERE_EVENTS = _events(
    {"type": "message-start", "id": "1", "delta": {"message": {"role": "assistant", "content": []}}},
    {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
    {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "hi "}}}},
    {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "there"}}}},
    {"type": "content-end", "index": 0},
    {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": _COHERE["usage"]}},
)
_FIRST = {"text": "hi there", "generation_id": "g", "finish_reason": "COMPLETE", "meta": {"billed_units": {}}}
_FIRST_LINES = _lines(
    {"event_type": "stream-start", "is_finished": False},
    {"event_type": "text-generation", "text": "hi there", "is_finished": False},
    {"event_type": "stream-end", "is_finished": True, "finish_reason": "COMPLETE", "response": _FIRST},
)
_MISTRAL = {"choices": [{"index": 0, "message": {"content": "hi there"}, "finish_reason": "stop"}], "model": "m"}
_CLAUDE = {"content": [{"type": "text", "text": "hi there"}], "stop_reason": "end_turn", "model": "claude-sonnet-4-5"}
_VERTEX = "/v1/projects/p/locations/l/publishers"


def _candidate(text: str, **more: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, **more}]}


REQUESTS: dict[str, tuple[str, dict[str, Any], tuple[str, bytes], str]] = {
    "OpenAI's embeddings": ("/v1/embeddings", {"model": "m", "input": ["a"]}, _json(_VECTORS), "1 vector of 2 numbers"),
    "OpenAI's moderations": ("/v1/moderations", {"input": "a"}, _json({"results": [{"flagged": False}]}), "flagged"),
    "Voyage's embeddings": (
        "/v1/embeddings",
        {"model": "voyage-3", "input": ["a"], "input_type": "query"},
        _json(_VECTORS),
        "1 vector of 2 numbers",
    ),
    "Jina's ranking": ("/v1/rerank", {"query": "q", "documents": ["a", "b"]}, _json(_RANKING), "1: 0.9\n0: 0.1"),
    "Cohere's chat": ("/v2/chat", {"model": "command-a", "messages": ASKED}, _json(_COHERE), "hi there"),
    "Cohere's stream": (
        "/v2/chat",
        {"model": "command-a", "messages": ASKED, "stream": True},
        _COHERE_EVENTS,
        "hi there",
    ),
    "Cohere's first chat": ("/v1/chat", {"message": "hi"}, _json(_FIRST), "hi there"),
    "Cohere's first stream": ("/v1/chat", {"message": "hi", "stream": True}, _FIRST_LINES, "hi there"),
    "Cohere's embeddings": (
        "/v2/embed",
        {"model": "embed-v4.0", "input_type": "search_query", "texts": ["a"]},
        _json({"embeddings": {"float": [[0.5, 1.0]]}}),
        "1 vector of 2 numbers",
    ),
    "Google's embeddings": (
        "/v1beta/models/gemini-embedding-001:batchEmbedContents",
        {"requests": [{"content": {"parts": [{"text": "a"}]}}]},
        _json({"embeddings": [{"values": [0.5, 1.0]}]}),
        "1 vector of 2 numbers",
    ),
    "Vertex's embeddings": (
        "/v1/projects/p/locations/l/publishers/google/models/gemini-embedding-001:predict",
        {"instances": [{"content": "a"}]},
        _json({"predictions": [{"embeddings": {"values": [0.5, 1.0]}}]}),
        "1 vector of 2 numbers",
    ),
    "Ollama's embeddings": (
        "/api/embed",
        {"model": "m", "input": "a"},
        _json({"embeddings": [[0.5, 1.0]]}),
        "1 vector",
    ),
    "Google's stream as an array": (
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
        {"contents": [{"parts": [{"text": "a"}]}]},
        _json([_candidate("hi "), _candidate("there", finishReason="STOP")]),
        "hi there",
    ),
    "Imagen": (
        "/v1beta/models/imagen-4.0-generate-001:predict",
        {"instances": [{"prompt": "A cat."}], "parameters": {"sampleCount": 1}},
        _json({"predictions": [{"bytesBase64Encoded": "AAAA" * 100, "mimeType": "image/png"}]}),
        "1 image (image/png), 300 B",
    ),
    "Claude at Vertex": (
        f"{_VERTEX}/anthropic/models/claude-sonnet-4-5@20250929:rawPredict",
        {"anthropic_version": "vertex-2023-10-16", "max_tokens": 9, "messages": ASKED},
        _json(_CLAUDE),
        "hi there",
    ),
    "Mistral at Vertex": (
        f"{_VERTEX}/mistralai/models/mistral-large-2411:rawPredict",
        {"model": "mistral-large-2411", "messages": ASKED},
        _json(_MISTRAL),
        "hi there",
    ),
    "Voyage's embeddings in context": (
        "/v1/contextualizedembeddings",
        {"model": "voyage-context-3", "inputs": [["a", "b"]]},
        _json({"data": [{"data": [{"embedding": [0.5, 1.0]}, {"embedding": [0.5, 1.0]}]}]}),
        "2 vectors of 2 numbers",
    ),
    "Jina's embeddings of tokens": (
        "/v1/embeddings",
        {"model": "jina-colbert-v2", "input": ["a"]},
        _json({"data": [{"embeddings": [[0.5, 1.0], [0.5, 1.0]]}]}),
        "2 vectors of 2 numbers",
    ),
    "Hugging Face's server": ("/generate", {"inputs": "Once"}, _json({"generated_text": "hi there"}), "hi there"),
    "Hugging Face's stream": (
        "/generate_stream",
        {"inputs": "Once"},
        _events(
            {"token": {"text": "hi "}, "generated_text": None},
            {"token": {"text": "there"}, "generated_text": "hi there", "details": {"finish_reason": "eos_token"}},
        ),
        "hi there",
    ),
    "Hugging Face's features": (
        "/hf-inference/models/BAAI/bge-small-en/pipeline/feature-extraction",
        {"inputs": ["a", "b"]},
        _json([[0.5, 1.0, 2.0], [0.5, 1.0, 2.0]]),
        "2 x 3 numbers",
    ),
    "Hugging Face's similarity": (
        "/hf-inference/models/BAAI/bge-small-en/pipeline/sentence-similarity",
        {"inputs": {"source_sentence": "a", "sentences": ["b", "c"]}},
        _json([0.5, 0.25]),
        "2 numbers",
    ),
    "Mistral's code": ("/v1/fim/completions", {"model": "m", "prompt": "def f"}, _json(_MISTRAL), "hi there"),
    "Mistral's agents": ("/v1/agents/completions", {"agent_id": "a", "messages": ASKED}, _json(_MISTRAL), "hi there"),
}


@pytest.fixture
def canned() -> Iterator[Canned]:
    with Canned({}) as server:
        yield server


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_sent_once_and_its_response_comes_back_byte_for_byte(name: str, canned: Canned) -> None:
    path, body, reply, text = REQUESTS[name]
    canned.replies[path] = reply
    live, hit = (httpx.post(canned.url + path, json=body) for _ in range(2))
    assert (live.content, hit.content) == (reply[1], reply[1])
    assert hit.headers["x-nbcache"] == "hit"
    assert canned.count == 1
    assert text in nbcache.show(nbcache.entries()["key"].iloc[0]).answer


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", ["Cohere's stream", "Cohere's first stream"])
def test_a_stream_that_broke_off_is_not_kept(name: str, canned: Canned) -> None:
    path, body, (kind, parts), _ = REQUESTS[name]
    canned.replies[path] = (kind, parts[: parts.rindex(b"COMPLETE") - 60])
    with pytest.warns(nbcache.NbcacheWarning, match="ended before it was complete"):
        httpx.post(canned.url + path, json=body)
    httpx.post(canned.url + path, json=body)
    assert canned.count == 2
    assert nbcache.stats().entries == 0


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    "parts",
    [
        [_candidate("half")],
        [_candidate("half"), {"error": {"code": 503, "message": "overloaded"}}],
        [_candidate("half"), {"error": {"code": 503}}, _candidate("", finishReason="STOP")],
    ],
    ids=["no end", "an error", "an error and an end"],
)
@pytest.mark.filterwarnings("ignore:nbcache. a stream from:nbcache.NbcacheWarning")
def test_an_array_that_is_not_whole_is_not_kept(parts: list[dict[str, Any]], canned: Canned) -> None:
    path, body, _, _ = REQUESTS["Google's stream as an array"]
    whole = _json([_candidate("half", finishReason="STOP")])[1]
    for content in (_json(parts)[1], whole[:-1]):
        canned.replies[path] = ("application/json", content)
        assert httpx.post(canned.url + path, json=body).content == content
    assert (canned.count, nbcache.stats().entries) == (2, 0)


@pytest.mark.usefixtures("store")
def test_hugging_faces_client_is_paid_once(canned: Canned) -> None:
    import huggingface_hub

    paths = {name: REQUESTS[name][0] for name in ("Hugging Face's server", "Hugging Face's features")}
    canned.replies = {path: REQUESTS[name][2] for name, path in paths.items()}
    canned.replies["/v1/chat/completions"] = _json(_MISTRAL)
    generate, features = (canned.url + path for path in paths.values())
    for _ in range(2):
        client = huggingface_hub.InferenceClient(api_key="hf_test", base_url=canned.url)
        said = client.chat_completion(ASKED).choices[0].message.content
        assert said == client.text_generation("Once", model=generate, max_new_tokens=5) == "hi there"
        assert client.feature_extraction("a", model=features).shape == (2, 3)
    assert canned.count == 3


@pytest.mark.usefixtures("store")
def test_anthropics_client_for_vertex_is_paid_once(canned: Canned) -> None:
    import anthropic

    path = "/projects/p/locations/l/publishers/anthropic/models/claude-sonnet-4-5@20250929:{}awPredict".format
    canned.replies[path("r")] = _json({**_CLAUDE, "id": "m", "type": "message", "role": "assistant", "usage": {}})
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "m", "content": [], "role": "assistant", "usage": {}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi there"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
    named = b"".join(b"event: %s\n%s" % (str(event["type"]).encode(), _events(event)[1]) for event in events)
    canned.replies[path("streamR")] = ("text/event-stream", named)
    asked: Any = {"model": "claude-sonnet-4-5@20250929", "max_tokens": 9, "messages": ASKED}
    for _ in range(2):
        client = anthropic.AnthropicVertex(project_id="p", region="l", access_token="t", base_url=canned.url)
        assert client.messages.create(**asked).content[0].text == "hi there"
        with client.messages.stream(**asked) as stream:
            assert stream.get_final_text() == "hi there"
    assert canned.count == 2
    assert nbcache.entries()["answer"].tolist() == ["hi there", "hi there"]


@pytest.mark.usefixtures("store")
def test_a_deployment_that_only_its_path_names_is_no_other_one_in_replay(canned: Canned) -> None:
    one, other = (f"/openai/deployments/{name}/chat/completions" for name in ("one", "other"))
    canned.replies[one] = _json(_MISTRAL)
    httpx.post(canned.url + one, json={"messages": ASKED})
    with nbcache.mode("replay"):
        assert httpx.post(canned.url + one, json={"messages": ASKED}).json() == _MISTRAL
        with pytest.raises(nbcache.ReplayMiss):
            httpx.post(canned.url + other, json={"messages": ASKED})


def other_google(url: str) -> Any:
    from google import genai

    http = {"base_url": url, "headers": {"x-goog-api-client": "other", "traceparent": "1"}, "timeout": 90_000}
    return genai.Client(api_key="sk-other", http_options=http)  # type: ignore[arg-type]


def other_ollama(url: str) -> Any:
    import ollama as sdk

    return sdk.Client(host=url, headers={"authorization": "other", "user-agent": "other"}, timeout=9)


def other_groq(url: str) -> Any:
    import groq as sdk

    return sdk.Groq(api_key="sk-other", base_url=url, max_retries=7, timeout=9, default_headers={"cookie": "a"})


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("connect", "other", "name"),
    [(google, other_google, "google"), (ollama, other_ollama, "ollama"), (groq, other_groq, "groq")],
    ids=["google", "ollama", "groq"],
)
def test_another_key_agent_timeout_or_trace_makes_no_other_call(
    connect: Any, other: Any, name: str, provider: Provider
) -> None:
    run = CALLS[name][1]
    for client in (connect, other):
        run(client(provider.url))
    assert len(provider.requests) == 1
