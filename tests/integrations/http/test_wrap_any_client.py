"""`nbcache.wrap` for the clients of every SDK and HTTP library: cached whatever the setting `clients` says."""

import asyncio
import gc
import inspect
import sys
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import anthropic
import boto3
import groq
import httpx
import httpx2
import ollama
import pytest
import requests
from google import genai
from huggingface_hub import AsyncInferenceClient, InferenceClient

import nbcache
from nbcache import ReplayMiss
from tests.servers.provider import Provider
from tests.servers.wire import ASKED, CHAT, MESSAGE

GEMINI: Any = {"model": "gemini-2.5-flash", "contents": "What is a monad?"}
LLAMA: Any = {"model": "llama3.2", "messages": ASKED}
CONVERSE: Any = {"modelId": "us.amazon.nova-lite-v1:0", "messages": [{"role": "user", "content": [{"text": "Hi"}]}]}
AWS: Any = {"aws_region": "us-east-1", "aws_access_key": "k", "aws_secret_key": "s"}
PATH = "/v1/chat/completions"


@pytest.fixture(autouse=True)
def no_hook(tmp_path: Path) -> None:
    """Only LangChain's calls are cached, and those of wrapped clients."""
    nbcache.install(tmp_path / "store", clients="langchain")


class Fern:
    """A client as those of Cohere are made: of parts, and with methods that stand in attributes."""

    def __init__(self, url: str) -> None:
        self._wrapper = Parts(httpx.Client(base_url=url))
        self.plain = self.chat
        method = self.chat

        def checked() -> Any:
            return method()

        self.chat = checked  # type: ignore[method-assign]  # as Cohere's do
        self.part = partial(Fern.chat, self)

    def chat(self) -> Any:
        return self._wrapper.parts[0]["http"].post(PATH, json=CHAT).json()


class Parts:
    def __init__(self, client: Any) -> None:
        self.parts = [{"http": client, "own": (self,)}]


def google(url: str) -> Any:
    return genai.Client(api_key="sk-test", http_options={"base_url": url})


def google_without_aiohttp(url: str) -> Any:
    options: Any = {"base_url": url, "async_client_args": {"transport": httpx2.AsyncHTTPTransport()}}
    return genai.Client(api_key="sk-test", http_options=options)


def post(client: Any) -> Any:
    return client.post(PATH, json=CHAT).json()


async def session(url: str) -> Any:
    return aiohttp.ClientSession(url)


async def apost(client: Any) -> Any:
    response = await client.post(PATH, json=CHAT)
    return await response.json() if isinstance(client, aiohttp.ClientSession) else response.json()


def bedrock(url: str, service: str = "bedrock-runtime") -> Any:
    keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "us-east-1"}
    return boto3.client(service, endpoint_url=url, **keys)


class Requests(requests.Session):
    """A session with a base URL, as people write it."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> Any:
        return super().request(method, self.base + url, *args, **kwargs)


CLIENTS: dict[str, tuple[Callable[[str], Any], Callable[[Any], Any]]] = {
    "google": (google, lambda sdk: sdk.models.generate_content(**GEMINI)),
    "google, a chat": (google, lambda sdk: sdk.chats.create(model="gemini-2.5-flash").send_message("Hello!")),
    "google, async": (google, lambda sdk: sdk.aio.models.generate_content(**GEMINI)),
    "google, async by httpx": (google_without_aiohttp, lambda sdk: sdk.aio.models.generate_content(**GEMINI)),
    "ollama": (lambda url: ollama.Client(host=url), lambda sdk: sdk.chat(**LLAMA)),
    "ollama, async": (lambda url: ollama.AsyncClient(host=url), lambda sdk: sdk.chat(**LLAMA)),
    "groq": (
        lambda url: groq.Groq(api_key="sk-test", base_url=url),
        lambda sdk: sdk.chat.completions.create(**CHAT),
    ),
    "groq, async": (
        lambda url: groq.AsyncGroq(api_key="sk-test", base_url=url),
        lambda sdk: sdk.chat.completions.create(**CHAT),
    ),
    "parts": (Fern, Fern.chat),
    "a method in an attribute": (Fern, lambda sdk: sdk.chat()),
    "a bound method": (Fern, lambda sdk: sdk.plain()),
    "a partial method": (Fern, lambda sdk: sdk.part()),
    "httpx": (lambda url: httpx.Client(base_url=url), post),
    "httpx2": (lambda url: httpx2.Client(base_url=url), post),
    "httpx, async": (lambda url: httpx.AsyncClient(base_url=url), apost),
    "httpx2, async": (lambda url: httpx2.AsyncClient(base_url=url), apost),
    "requests": (Requests, post),
    "aiohttp": (session, apost),
    "huggingface_hub": (
        lambda url: InferenceClient(base_url=url, token="hf_test"),
        lambda sdk: sdk.chat.completions.create(**CHAT),
    ),
    "huggingface_hub, async": (
        lambda url: AsyncInferenceClient(base_url=url, token="hf_test"),
        lambda sdk: sdk.chat.completions.create(**CHAT),
    ),
    "boto3": (bedrock, lambda sdk: sdk.converse(**CONVERSE)["output"]),
    "Anthropic's for Bedrock": (
        lambda url: anthropic.AnthropicBedrock(base_url=url, **AWS),
        lambda sdk: sdk.messages.create(**MESSAGE),
    ),
    "Anthropic's for Bedrock, async": (
        lambda url: anthropic.AsyncAnthropicBedrock(base_url=url, **AWS),
        lambda sdk: sdk.messages.create(**MESSAGE),
    ),
}


async def result(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


@pytest.mark.parametrize("name", CLIENTS)
def test_a_wrapped_client_is_cached_and_the_given_one_is_not(name: str, provider: Provider) -> None:
    make, call = CLIENTS[name]

    async def run() -> None:
        given = await result(make(provider.url))
        attributes = dict(vars(given))
        wrapped = nbcache.wrap(given)
        assert wrapped is not given
        assert dict(vars(given)) == attributes
        assert isinstance(wrapped, type(given))
        assert type(wrapped).__qualname__.rpartition(".")[2] == type(given).__name__
        answers = [await result(call(wrapped)) for _ in range(3)]
        answers = [getattr(answer, "text", answer) for answer in answers]  # Google's objects have the headers, too
        assert answers[0] == answers[1] == answers[2]
        assert len(provider.requests) == 1
        for _ in range(2):
            await result(call(given))
        assert len(provider.requests) == 3
        again = nbcache.wrap(wrapped)
        await result(call(again))
        for each in (given, wrapped):
            close = getattr(each, "aclose", None) or getattr(each, "close", None)
            close = getattr(each, "aio", each).aclose if hasattr(each, "aio") else close
            if close is not None:
                await result(close())

    asyncio.run(run())
    stats = nbcache.stats()
    assert (len(provider.requests), stats.misses, stats.hits, stats.errors) == (3, 1, 3, 0)


def test_where_every_client_is_cached_a_wrapped_one_counts_once(provider: Provider, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store", clients="all")

    async def run(make: Any, call: Any) -> None:
        given = await result(make(provider.url))
        for client in (nbcache.wrap(given), given):
            await result(call(client))
        if inspect.iscoroutinefunction(getattr(given, "close", None)):
            await given.close()

    for name in ("requests", "aiohttp", "httpx", "httpx, async"):
        asyncio.run(run(*CLIENTS[name]))
    stats = nbcache.stats()
    assert (len(provider.requests), stats.misses, stats.hits) == (1, 1, 7)


@pytest.mark.parametrize("name", ["google", "ollama", "parts", "requests", "httpx"])
def test_a_wrapped_client_and_the_given_one_outlive_each_other(name: str, provider: Provider) -> None:
    make, call = CLIENTS[name]
    given = make(provider.url)
    call(nbcache.wrap(given))
    gc.collect()
    call(given)
    wrapped = nbcache.wrap(given)
    del given
    gc.collect()
    with nbcache.mode("refresh"):
        call(wrapped)
    assert len(provider.requests) == 3


def test_closing_a_wrapped_session_closes_the_given_one(provider: Provider) -> None:
    async def run() -> None:
        given = aiohttp.ClientSession(provider.url)
        async with nbcache.wrap(given) as wrapped:
            await apost(wrapped)
        assert given.closed
        with pytest.raises(RuntimeError, match="closed"):
            await apost(given)

    asyncio.run(run())


def test_an_adapter_that_is_mounted_later_sends(provider: Provider) -> None:
    given = Requests(provider.url)
    wrapped = nbcache.wrap(given)

    class Refusing(requests.adapters.HTTPAdapter):
        def send(self, *args: Any, **kwargs: Any) -> Any:
            raise requests.ConnectionError("refused")

    post(wrapped)
    given.mount("http://", Refusing())
    with pytest.raises(requests.ConnectionError, match="refused"):
        post(wrapped)


@pytest.mark.parametrize("what", [sys, types.SimpleNamespace(a=1), [httpx], Exception("x"), lambda: 0])
def test_what_holds_no_client_is_refused_and_not_changed(what: Any) -> None:
    before = dict(getattr(what, "__dict__", {}))
    with pytest.raises(TypeError, match=r"no client that nbcache can cache|is a function|only tools are"):
        nbcache.wrap(what)
    assert getattr(what, "__dict__", {}) == before


@pytest.mark.parametrize("clients", ["all", "langchain"])
def test_a_wrapped_client_of_boto3_is_cached_once_and_sends_nothing_in_replay(
    clients: str, provider: Provider, tmp_path: Path
) -> None:
    nbcache.install(tmp_path / "store", clients=clients)
    wrapped = nbcache.wrap(bedrock(provider.url))
    assert nbcache.wrap(wrapped) is wrapped
    live = wrapped.converse(**CONVERSE)
    pieces = [list(wrapped.converse_stream(**CONVERSE)["stream"]) for _ in range(2)]
    assert pieces[0] == pieces[1]
    wrapped.count_tokens(modelId="m", input={"converse": {"messages": CONVERSE["messages"]}})
    stats, sent = nbcache.stats(), len(provider.requests)
    assert (stats.hits, stats.misses, stats.entries, sent) == (1, 3, 2, 3)  # counting tokens is a miss
    with nbcache.mode("replay"):
        hit = wrapped.converse(**CONVERSE)
        for call in (wrapped.converse, wrapped.converse_stream):
            with pytest.raises(ReplayMiss):
                call(**{**CONVERSE, "modelId": "another"})
        with pytest.raises(ReplayMiss):
            wrapped.count_tokens(modelId="m", input={"converse": {"messages": CONVERSE["messages"]}})
    assert (hit["output"], hit["ResponseMetadata"]["HTTPHeaders"]["x-nbcache"]) == (live["output"], "hit")
    assert len(provider.requests) == sent


def test_a_client_of_another_service_of_aws_is_refused(provider: Provider) -> None:
    with pytest.raises(TypeError, match="s3 calls no model"):
        nbcache.wrap(bedrock(provider.url, "s3"))


def test_a_wrapped_client_of_hugging_face_streams_and_sends_nothing_in_replay(provider: Provider) -> None:
    wrapped = nbcache.wrap(InferenceClient(base_url=provider.url, token="hf_test"))
    live, hit = (list(wrapped.chat.completions.create(**CHAT, stream=True)) for _ in range(2))
    assert live == hit
    assert len(live) > 1
    with nbcache.mode("replay"), pytest.raises(ReplayMiss):
        wrapped.chat.completions.create(**CHAT, temperature=0.5)
    assert len(provider.requests) == 1
