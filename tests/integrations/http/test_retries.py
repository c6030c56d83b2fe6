"""What a client tries again is one call: one miss, with the time of all attempts."""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest

import nbcache
from tests.servers.provider import Provider
from tests.servers.wire import CHAT, MESSAGE, ask, completion, said, streamed

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for cls in (openai.OpenAI, openai.AsyncOpenAI, anthropic.Anthropic):
        sleep = _no_sleep if "Async" in cls.__name__ else (lambda *_, **__: None)
        monkeypatch.setattr(cls, "_sleep_for_retry", sleep)


async def _no_sleep(*_: Any, **__: Any) -> None:
    pass


def counts() -> tuple[int, int, int]:
    stats = nbcache.stats()
    return stats.misses, stats.hits, stats.unpriced_misses


WAYS: dict[str, Callable[[Provider], Any]] = {
    "openai": lambda provider: said(openai.OpenAI(**provider.openai)),
    "a stream": lambda provider: streamed(openai.OpenAI(**provider.openai)),
    "wrapped": lambda provider: said(nbcache.wrap(openai.OpenAI(**provider.openai))),
    "async": lambda provider: asyncio.run(_asked(provider)),
    "anthropic": lambda provider: anthropic.Anthropic(**provider.anthropic).messages.create(**MESSAGE),
}


async def _asked(provider: Provider) -> Any:
    return await ask(openai.AsyncOpenAI(**provider.openai))


@pytest.mark.parametrize("way", WAYS)
def test_attempts_of_an_sdk_are_one_miss(way: str, provider: Provider) -> None:
    provider.fail(500, times=2)
    WAYS[way](provider)
    assert len(provider.requests) == 3
    assert len(nbcache.last()) == 1
    misses, hits, _ = counts()
    assert (misses, hits) == (1, 0)
    WAYS[way](provider)
    assert counts()[:2] == (1, 1)


def test_a_call_whose_attempts_all_fail_is_one_miss_and_the_next_call_is_another(provider: Provider) -> None:
    client = openai.OpenAI(**provider.openai)
    for calls in (1, 2):
        provider.fail(500, times=3)
        with pytest.raises(openai.InternalServerError):
            said(client)
        assert counts() == (calls, 0, calls)
    said(client)
    assert counts()[0] == 3


def test_the_time_of_a_call_includes_its_attempts() -> None:
    answers = iter([httpx2.Response(500), httpx2.Response(200, json=completion())])

    def answer(_: httpx2.Request) -> httpx2.Response:
        end = time.perf_counter() + 0.05
        while time.perf_counter() < end:
            pass
        return next(answers)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    said(openai.OpenAI(api_key="sk-test", http_client=http))
    assert nbcache.last()["seconds"][0] >= 0.1


def test_attempts_are_one_miss_where_answers_are_not_kept(provider: Provider) -> None:
    client = openai.OpenAI(**provider.openai)
    for mode in ("off", "read-only", "refresh"):
        with nbcache.mode(mode):
            provider.fail(500, times=2)
            said(client)
    assert counts()[:2] == (3, 0)


def test_attempts_at_a_draw_of_samples_are_one_miss_each(provider: Provider) -> None:
    client = openai.OpenAI(**provider.openai)
    with nbcache.mode(samples=True):
        for _ in range(3):
            provider.fail(500)
            said(client)
    assert (counts()[0], nbcache.stats().entries) == (3, 3)


# Of clients that don't number their attempts


def attempts(url: str, times: int) -> None:
    for _ in range(times):
        httpx.post(f"{url}/v1/chat/completions", json=CHAT)


def test_the_same_request_that_failed_just_before_is_the_same_call(provider: Provider) -> None:
    provider.fail(500, times=2)
    attempts(provider.url, 3)
    assert counts()[0] == 1
    attempts(provider.url, 1)
    assert counts()[:2] == (1, 1)


def test_a_connection_that_failed_is_an_attempt_too() -> None:
    errors: list[Exception] = [httpx.ConnectError("no"), httpx.ReadTimeout("slow")]

    def answer(_: httpx.Request) -> httpx.Response:
        if errors:
            raise errors.pop()
        return httpx.Response(200, json=completion())

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        for _ in range(2):
            with pytest.raises(httpx.TransportError):
                client.post("https://a.example/v1/chat/completions", json=CHAT)
        client.post("https://a.example/v1/chat/completions", json=CHAT)
    assert counts()[0] == 1


def test_the_same_request_of_another_thread_or_a_later_cell_is_another_call(provider: Provider) -> None:
    provider.fail(500, times=3)
    attempts(provider.url, 1)
    thread = threading.Thread(target=attempts, args=(provider.url, 1))
    thread.start()
    thread.join()
    assert counts()[0] == 2
    nbcache.installed().enter_cell("c")
    attempts(provider.url, 1)
    assert counts()[0] == 3


def test_an_answer_that_is_not_understood_is_no_failed_attempt(tmp_path: Path) -> None:
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json={"choices": "?"}))) as client:
        for _ in range(2):
            client.post("https://a.example/v1/chat/completions", json=CHAT)
    assert counts()[0] == 2


def test_in_replay_each_call_that_is_not_made_is_a_miss(provider: Provider) -> None:
    with nbcache.mode("replay"):
        for _ in range(2):
            with pytest.raises(nbcache.ReplayMiss):
                attempts(provider.url, 1)
    assert counts()[0] == 2
    attempts(provider.url, 1)
    assert counts()[0] == 3
