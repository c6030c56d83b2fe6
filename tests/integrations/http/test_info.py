"""`nbcache.info` of what SDKs return: hit or miss, key, age and money."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import anthropic
import groq
import httpx
import httpx2
import ollama
import openai
import pytest
import requests
from google import genai
from langchain_openai import ChatOpenAI

import nbcache
from nbcache.session import installation
from tests.servers.provider import Provider
from tests.servers.wire import CHAT, MESSAGE, RESPONSE, ask, completion

pytestmark = pytest.mark.usefixtures("store")


def sdk(provider: Provider) -> openai.OpenAI:
    return openai.OpenAI(**provider.openai)


def gemini(provider: Provider) -> Any:
    client = genai.Client(api_key="k", http_options={"base_url": provider.url})
    return client.models.generate_content(model="gemini-2.0-flash", contents="q")


WAYS: dict[str, Callable[[Provider], Any]] = {
    "chat": lambda provider: ask(sdk(provider)),
    "async": lambda provider: asyncio.run(_asked(provider)),
    "a chunk": lambda provider: list(ask(sdk(provider), stream=True))[-1],
    "a response": lambda provider: sdk(provider).responses.create(**RESPONSE),
    "a raw response": lambda provider: sdk(provider).chat.completions.with_raw_response.create(**CHAT),
    "a message": lambda provider: anthropic.Anthropic(**provider.anthropic).messages.create(**MESSAGE),
    "groq": lambda provider: ask(groq.Groq(base_url=provider.url, api_key="k")),
    "gemini": gemini,
    "httpx": lambda provider: httpx.post(f"{provider.url}/v1/chat/completions", json=CHAT),
    "requests": lambda provider: requests.post(f"{provider.url}/v1/chat/completions", json=CHAT),
    "JSON": lambda provider: httpx.post(f"{provider.url}/v1/chat/completions", json=CHAT).json(),
    "LangChain": lambda provider: ChatOpenAI(model="gpt-4o-mini", **provider.openai).invoke("q"),
}


async def _asked(provider: Provider) -> Any:
    return await ask(openai.AsyncOpenAI(**provider.openai))


@pytest.mark.parametrize("way", WAYS)
def test_it_says_whether_it_was_a_hit_its_key_and_age(way: str, provider: Provider) -> None:
    live = nbcache.info(WAYS[way](provider))
    hit = nbcache.info(WAYS[way](provider))
    assert live is not None
    assert hit is not None
    assert (live.hit, hit.hit) == (False, True)
    assert live.key == hit.key == nbcache.entries()["key"][0]
    assert live.recorded == hit.recorded
    assert timedelta(0) < hit.age < timedelta(minutes=5)


def anthropic_stream(provider: Provider) -> Any:
    with anthropic.Anthropic(**provider.anthropic).messages.stream(**MESSAGE) as stream:
        list(stream)
    return stream


def chat_stream(provider: Provider) -> Any:
    with sdk(provider).chat.completions.stream(**CHAT) as stream:
        list(stream)
    return stream


def read_stream(provider: Provider) -> Any:
    stream = ask(sdk(provider), stream=True)
    list(stream)
    return stream


async def _read_stream(provider: Provider) -> Any:
    stream = await ask(openai.AsyncOpenAI(**provider.openai), stream=True)
    async for _ in stream:
        pass
    return stream


STREAMS: dict[str, Callable[[Provider], Any]] = {
    "openai": read_stream,
    "openai, async": lambda provider: asyncio.run(_read_stream(provider)),
    "openai's stream()": chat_stream,
    "anthropic": anthropic_stream,
}


@pytest.mark.parametrize("stream", STREAMS)
def test_of_a_stream_it_is_known_once_it_was_read_and_for_good(stream: str, provider: Provider) -> None:
    live = STREAMS[stream](provider)
    hit = STREAMS[stream](provider)
    outcomes = [nbcache.info(live), nbcache.info(hit)]
    assert [outcome and outcome.hit for outcome in outcomes] == [False, True]
    assert {outcome.key for outcome in outcomes if outcome} == {nbcache.entries()["key"][0]}


def test_a_stream_that_nobody_has_read_is_not_known_and_a_hit_is_at_once(provider: Provider) -> None:
    live = ask(sdk(provider), stream=True)
    assert nbcache.info(live) is None
    list(live)
    assert nbcache.info(live) is not None
    hit = nbcache.info(ask(sdk(provider), stream=True))
    assert hit is not None
    assert hit.hit


def fixed(**more: Any) -> Any:
    def answer(_: Any) -> Any:
        return httpx2.Response(200, json={**completion(), **more})

    return httpx2.Client(transport=httpx2.MockTransport(answer))


def test_it_says_what_it_cost_and_what_the_hit_saved() -> None:
    client = openai.OpenAI(api_key="k", http_client=fixed())
    live, hit = nbcache.info(ask(client)), nbcache.info(ask(client))
    assert live is not None
    assert hit is not None
    assert live.cost_usd == hit.cost_usd == hit.saved_usd == nbcache.stats().spent_usd
    assert hit.cost_usd
    assert live.saved_usd == Decimal(0)


def test_ollamas_answers_which_have_no_id_are_recognized_by_their_time() -> None:
    def answer(_: Any) -> httpx.Response:
        message = {"role": "assistant", "content": "Hi."}
        when = "2026-01-02T03:04:05.678901234Z"
        return httpx.Response(200, json={"model": "m", "created_at": when, "message": message, "done": True})

    client = ollama.Client(host="http://127.0.0.1:9", transport=httpx.MockTransport(answer))
    outcomes = [nbcache.info(client.chat(model="m", messages=[{"role": "user", "content": "q"}])) for _ in range(2)]
    assert [outcome and outcome.hit for outcome in outcomes] == [False, True]


def test_a_raw_response_and_googles_say_it_of_themselves_though_they_were_hit_since(provider: Provider) -> None:
    for way in ("a raw response", "httpx", "requests", "gemini"):
        nbcache.clear()
        live = WAYS[way](provider)
        WAYS[way](provider)
        outcome = nbcache.info(live)
        assert outcome is not None
        assert not outcome.hit


def test_of_a_parsed_object_the_last_call_with_its_answer_is_told(provider: Provider) -> None:
    live = ask(sdk(provider))
    ask(sdk(provider))
    outcome = nbcache.info(live)
    assert outcome is not None
    assert outcome.hit


def test_a_recording_that_replay_plays_is_recognized(provider: Provider, tmp_path: Path) -> None:
    client = sdk(provider)
    ask(client)
    nbcache.export_cassette(tmp_path / "c.jsonl")
    installation.reinstall(store=tmp_path / "empty", cassette=tmp_path / "c.jsonl", mode="replay")
    outcome = nbcache.info(ask(client))
    assert outcome is not None
    assert outcome.hit


def test_what_was_made_anew_is_told_apart_from_what_it_replaced(provider: Provider) -> None:
    client = sdk(provider)
    before = ask(client)
    assert nbcache.info(before) is not None
    with nbcache.mode("refresh"):
        after = ask(client)
    outcome = nbcache.info(after)
    assert outcome is not None
    assert not outcome.hit
    assert nbcache.info(before) is None


def test_an_id_that_two_answers_have_tells_nothing() -> None:
    client = openai.OpenAI(api_key="k", http_client=fixed())
    one = ask(client)
    assert nbcache.info(one) is not None
    ask(client, seed=1)
    assert nbcache.info(one) is None


def test_what_did_not_come_through_the_cache_or_is_not_kept_is_unknown(provider: Provider) -> None:
    client = sdk(provider)
    with nbcache.mode("off"):
        assert nbcache.info(ask(client)) is None
    for other in (None, 1, "chatcmpl-1", {}, object(), httpx.Response(200), {"id": 1}):
        assert nbcache.info(other) is None
    key = nbcache.info(answer := ask(client))
    assert key is not None
    nbcache.evict(key.key)
    nbcache.info(answer)
