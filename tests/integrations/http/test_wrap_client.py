"""The OpenAI and Anthropic SDKs' own clients: paid once, with the SDK's own objects, live and from the cache."""

import asyncio
import gc
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from langchain_openai import ChatOpenAI

import nbcache
from nbcache import NbcacheWarning
from nbcache.cache import modes
from nbcache.session import installation
from nbcache.stores import MemoryStore
from tests.servers.provider import Provider
from tests.servers.wire import ASKED, CHAT, MESSAGE, RESPONSE, Wire, answered, ask, completion, said, streamed
from tests.support.paths import ROOT
from tests.support.sdk_calls import ASYNC, SCENARIOS, outcomes


@pytest.fixture
def aclient(provider: Provider, store: Path) -> Any:
    return nbcache.wrap(openai.AsyncOpenAI(**provider.openai, max_retries=0))


# Every kind of call


def run_in_new_process(url: str, folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.sdk_calls", url, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_every_kind_of_call_is_paid_once_and_comes_back_equal_in_a_new_process(
    provider: Provider, tmp_path: Path
) -> None:
    first = run_in_new_process(provider.url, tmp_path / "store")
    assert len(provider.requests) == len(SCENARIOS) + len(ASYNC)
    again = run_in_new_process(provider.url, tmp_path / "store")
    assert again == first
    assert len(provider.requests) == len(SCENARIOS) + len(ASYNC)


@pytest.mark.usefixtures("store")
def test_a_wrapped_client_gives_what_a_plain_one_gives(provider: Provider) -> None:
    wrapped = outcomes(provider.url)
    nbcache.uninstall()
    provider.requests.clear()  # its answers are numbered
    assert outcomes(provider.url) == wrapped


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_hit_is_equal_to_the_live_answer_and_of_its_type(name: str, provider: Provider) -> None:
    sdk, run = SCENARIOS[name]
    given = provider.openai if sdk == "OpenAI" else provider.anthropic
    client = nbcache.wrap(getattr(anthropic if sdk == "Anthropic" else openai, sdk)(**given))
    live, hit = run(client), run(client)
    assert hit == live
    assert type(hit) is type(live)
    assert len(provider.requests) == 1
    stats = nbcache.stats()
    assert (stats.hits, stats.misses, stats.entries, stats.errors) == (1, 1, 1, 0)


@pytest.mark.usefixtures("store")
async def test_sync_and_async_share_their_answers(provider: Provider) -> None:
    sync, later = openai.OpenAI(**provider.openai), openai.AsyncOpenAI(**provider.openai)
    assert (await ask(nbcache.wrap(later))) == ask(nbcache.wrap(sync))
    assert len(provider.requests) == 1


# What the client stays


@pytest.mark.usefixtures("store")
def test_the_wrapped_client_is_of_the_same_class_and_settings() -> None:
    given = openai.AzureOpenAI(
        azure_endpoint="https://example.openai.azure.com",
        api_version="2024-06-01",
        api_key="sk-test",
        timeout=7,
        max_retries=5,
        default_headers={"x-team": "blue"},
        default_query={"q": "1"},
        _strict_response_validation=True,
    )
    before, http = dict(vars(given)), dict(vars(given._client))
    wrapped = nbcache.wrap(given)
    assert type(wrapped) is openai.AzureOpenAI
    assert wrapped is not given
    for name in ("base_url", "timeout", "max_retries", "_custom_headers", "default_query", "_api_version"):
        assert getattr(wrapped, name) == getattr(given, name), name
    assert wrapped._strict_response_validation
    assert vars(given) == before
    assert vars(given._client) == http


@pytest.mark.usefixtures("store")
def test_the_sdks_classes_are_never_touched(provider: Provider) -> None:
    from anthropic.resources.messages import Messages
    from openai.resources.chat.completions import Completions
    from openai.resources.responses import Responses

    classes = [openai.OpenAI, anthropic.Anthropic, Completions, Responses, Messages]
    classes += [httpx2.Client, httpx2.HTTPTransport, httpx2.Response, openai._base_client.SyncHttpxClientWrapper]
    before = [dict(vars(cls)) for cls in classes]
    wrapped = nbcache.wrap(openai.OpenAI(**provider.openai))
    said(wrapped)
    streamed(wrapped)
    nbcache.wrap(anthropic.Anthropic(**provider.anthropic)).messages.create(**MESSAGE)
    cached_properties = {"__annotations__", "__signature__"}
    for cls, was in zip(classes, before, strict=True):
        assert {n: v for n, v in vars(cls).items() if n not in cached_properties} == {
            n: v for n, v in was.items() if n not in cached_properties
        }


def test_wrapping_twice_wraps_once(client: Any, provider: Provider) -> None:
    again = nbcache.wrap(client)
    assert again is client
    assert said(again) == said(client)
    assert len(provider.requests) == 1
    assert (nbcache.stats().misses, nbcache.stats().hits) == (1, 1)


def test_a_copy_of_a_wrapped_client_is_wrapped_too(client: Any, provider: Provider) -> None:
    assert said(client.with_options(timeout=3)) == said(client)
    assert len(provider.requests) == 1


def test_where_only_langchains_calls_are_cached_a_wrapped_client_is_and_the_given_one_is_not(
    provider: Provider, tmp_path: Path
) -> None:
    nbcache.install(tmp_path / "store", clients="langchain")
    given = openai.OpenAI(**provider.openai)
    wrapped = nbcache.wrap(given)
    said(given)
    said(given)
    assert (len(provider.requests), nbcache.stats().misses) == (2, 0)
    assert said(wrapped) == said(wrapped)
    assert len(provider.requests) == 3


@pytest.mark.usefixtures("store")
def test_the_given_client_goes_on_when_the_wrapped_one_is_gone(provider: Provider) -> None:
    given = openai.OpenAI(**provider.openai)
    said(nbcache.wrap(given))
    gc.collect()
    assert not given.is_closed()
    assert said(given) == provider.requests[0].echo
    assert said(given, seed=1) == provider.requests[1].echo


@pytest.mark.usefixtures("store")
def test_the_wrapped_client_goes_on_when_the_given_one_is_gone(provider: Provider) -> None:
    wrapped = nbcache.wrap(openai.OpenAI(**provider.openai))
    gc.collect()
    stream = ask(wrapped, stream=True)
    gc.collect()
    assert len(list(stream)) > 2


@pytest.mark.usefixtures("store")
def test_both_share_their_connections_so_that_closing_one_closes_both(provider: Provider) -> None:
    given = openai.OpenAI(**provider.openai)
    wrapped = nbcache.wrap(given)
    said(wrapped)
    given.close()
    with pytest.raises(RuntimeError, match="closed"):
        said(wrapped)
    given = openai.OpenAI(**provider.openai)
    with nbcache.wrap(given) as wrapped:
        said(wrapped)
    assert given.is_closed()
    with pytest.raises(RuntimeError, match="closed"):
        said(wrapped)


@pytest.mark.usefixtures("store")
async def test_an_async_client_is_closed_alike(provider: Provider) -> None:
    given = openai.AsyncOpenAI(**provider.openai)
    async with nbcache.wrap(given) as wrapped:
        await ask(wrapped)
    assert given.is_closed()


@pytest.mark.usefixtures("store")
def test_hooks_proxies_and_transports_of_the_users_own_http_client_stay() -> None:
    seen: list[str] = []
    wire = Wire(answered("hi"))
    http = httpx2.Client(
        event_hooks={"request": [lambda request: seen.append(request.url.path)]},
        mounts={"all://": wire.transport},
        headers={"x-team": "blue"},
    )
    client = nbcache.wrap(openai.OpenAI(base_url="https://models.example/v1", api_key="sk-test", http_client=http))
    assert said(client) == said(client) == "hi"
    assert seen == ["/v1/chat/completions"] * 2
    assert [request.headers["x-team"] for request in wire.requests] == ["blue"]


@pytest.mark.usefixtures("store")
def test_clients_of_the_older_httpx_are_cached_too(provider: Provider) -> None:
    with httpx.Client() as http:
        client = nbcache.wrap(openai.OpenAI(**provider.openai, http_client=http))  # type: ignore[arg-type]  # it takes both
        assert said(client) == said(client)
        assert streamed(client) == streamed(client) != ""
    assert len(provider.requests) == 2


@pytest.mark.parametrize("what", [None, "openai", openai, openai.OpenAI, object()])
def test_what_is_no_client_is_refused_and_told_what_would_be(what: Any) -> None:
    with pytest.raises(TypeError, match=r"AsyncOpenAI.*AsyncAnthropic|is a class: wrap an object"):
        nbcache.wrap(what)


# What is not covered


def nothing(_: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(
        200, json={"data": [{"embedding": [1.0]}], "object": "list", "id": "x", "status": "queued", "output": []}
    )


PASSES: dict[str, Callable[[Any], Any]] = {
    "models": lambda sdk: sdk.models.list(),
    "batches": lambda sdk: sdk.batches.create(
        completion_window="24h", endpoint="/v1/chat/completions", input_file_id="f"
    ),
    "images": lambda sdk: sdk.images.edit(image=b"x", prompt="x"),
    "a transcription": lambda sdk: sdk.audio.transcriptions.create(file=b"x", model="m"),
    "a stored completion": lambda sdk: sdk.chat.completions.update("id", metadata={}),
    "a stored response": lambda sdk: sdk.responses.retrieve("id"),
    "tokens of a response": lambda sdk: sdk.responses.input_tokens.count(model="m", input="x"),
    "a compaction": lambda sdk: sdk.responses.compact(model="m", input="x"),
    "in the background": lambda sdk: sdk.responses.create(**RESPONSE, background=True),
    "a conversation": lambda sdk: sdk.responses.create(**RESPONSE, conversation="conv_1"),
    "another method": lambda sdk: sdk.put("/chat/completions", body=CHAT, cast_to=object),
    "a thread's message": lambda sdk: sdk.post("/threads/t/messages", body=MESSAGE, cast_to=object),
}
ANTHROPIC_PASSES: dict[str, Callable[[Any], Any]] = {
    "tokens": lambda sdk: sdk.messages.count_tokens(model="m", messages=ASKED),
    "batches": lambda sdk: sdk.messages.batches.create(requests=[]),
    "models": lambda sdk: sdk.models.list(),
    "a thread's message": lambda sdk: sdk.post("/v1/threads/t/messages", body=MESSAGE, cast_to=object),
}


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("sdk", "call"),
    [*(("openai", call) for call in PASSES.values()), *(("anthropic", call) for call in ANTHROPIC_PASSES.values())],
    ids=[*PASSES, *(f"Anthropic's {name}" for name in ANTHROPIC_PASSES)],
)
def test_what_is_not_covered_passes_through(sdk: str, call: Callable[[Any], Any]) -> None:
    wire = Wire(nothing)
    client = getattr(wire, sdk)()
    call(client)
    call(client)
    stats = nbcache.stats()
    assert len(wire.requests) == 2
    assert (stats.hits, stats.entries) == (0, 0)


def test_without_a_cache_it_is_a_plain_client(provider: Provider, tmp_path: Path) -> None:
    client = nbcache.wrap(openai.OpenAI(**provider.openai))
    assert said(client) == said(client)
    assert len(provider.requests) == 2
    nbcache.install(tmp_path / "store")
    assert said(client) == said(client)
    assert len(provider.requests) == 3
    nbcache.uninstall()
    assert said(client) == said(client)
    assert len(streamed(client)) > 0
    assert len(provider.requests) == 6


@pytest.mark.usefixtures("store")
def test_within_a_call_of_langchains_only_that_is_counted(provider: Provider) -> None:
    inner = nbcache.wrap(openai.OpenAI(**provider.openai))
    model = ChatOpenAI(model="gpt-4o-mini", http_client=inner._client, **provider.openai)
    assert model.invoke("q").content == model.invoke("q").content
    assert [chunk.content for chunk in model.stream("r")]
    stats = nbcache.stats()
    assert (stats.misses, stats.hits, stats.entries, len(provider.requests)) == (2, 1, 2, 2)


# Modes and settings


def test_modes_hold_as_for_every_call(client: Any, provider: Provider) -> None:
    provider.answer("one", "two", "three", "four", "five")
    assert said(client) == "one"
    with nbcache.mode("off"):
        assert said(client) == "two"
    with nbcache.mode("refresh"):
        assert said(client) == "three"
    with nbcache.mode("read-only"):
        assert said(client) == "three"
        assert said(client, seed=1) == "four"
    assert said(client) == "three"
    assert said(client, seed=1) == "five"
    assert len(provider.requests) == 5


def test_modes_hold_for_streams_wherever_they_are_read(client: Any, provider: Provider) -> None:
    provider.answer("one", "two", "three")
    with nbcache.mode("off"):
        begun = ask(client, stream=True)
    assert len(list(begun)) > 1
    assert nbcache.stats().entries == 0
    assert streamed(client) == "two"
    with nbcache.mode("refresh", tags="again"):
        begun = ask(client, stream=True)
    with nbcache.mode("read-only"):
        assert len(list(begun)) > 1
    assert streamed(client) == "three"
    assert nbcache.entries()["tags"].tolist() == ["again"]


def test_the_mode_of_a_cell_holds_for_its_streams_in_the_next_cell_too(client: Any, provider: Provider) -> None:
    cache = installation.installed()
    cache.enter_cell("one", modes.settings("off"))
    begun = ask(client, stream=True)
    cache.leave_cell()
    assert len(list(begun)) > 1
    assert nbcache.stats().entries == 0
    assert streamed(client) == streamed(client)
    assert len(provider.requests) == 2


def test_samples_are_draws_of_their_own_also_for_streams_that_run_at_once(client: Any, provider: Provider) -> None:
    provider.answer("a", "b")

    def draw() -> list[str]:
        with nbcache.mode(samples=True):
            streams = [ask(client, stream=True), ask(client, stream=True)]
            return ["".join(c.choices[0].delta.content or "" for c in stream) for stream in streams]

    assert draw() == draw() == ["a", "b"]
    assert len(provider.requests) == 2


def test_a_stream_that_is_not_read_gives_its_draw_back(client: Any, provider: Provider) -> None:
    provider.answer("lost", "a")
    with nbcache.mode(samples=True):
        ask(client, stream=True).close()
        assert streamed(client) == "a"
    assert streamed(client) == "a"
    assert len(provider.requests) == 2


def test_the_users_rules_hold(provider: Provider, tmp_path: Path) -> None:
    client = nbcache.wrap(openai.OpenAI(**provider.openai))
    nbcache.install(
        tmp_path / "store",
        exclude="gpt-4o",
        normalize=r"\d\d:\d\d",
        should_store=lambda answer: "no" not in (answer if isinstance(answer, str) else answer.text),
    )
    assert said(client, model="gpt-4o") == said(client, model="gpt-4o")
    assert len(provider.requests) == 2
    at = [said(client, messages=[{"role": "user", "content": f"It is 12:0{i}."}]) for i in range(3)]
    assert len(set(at)) == 1
    assert len(provider.requests) == 3
    provider.answer("no", "no")
    assert said(client, seed=1) == said(client, seed=1) == "no"
    assert len(provider.requests) == 5


# Calls at the same time


async def test_identical_calls_at_once_are_one_request(aclient: Any, provider: Provider) -> None:
    answers = await asyncio.gather(*(ask(aclient) for _ in range(20)))
    assert len(provider.requests) == 1
    assert {answer.choices[0].message.content for answer in answers} == {provider.requests[0].echo}
    assert (nbcache.stats().misses, nbcache.stats().hits) == (1, 19)


def test_identical_calls_of_threads_are_one_request(client: Any, provider: Provider) -> None:
    with ThreadPoolExecutor(8) as threads, provider.hold() as answer:
        calls = [threads.submit(said, client) for _ in range(8)]
        provider.wait_for(1)
        answer.set()
        assert {call.result() for call in calls} == {provider.requests[0].echo}
    assert len(provider.requests) == 1


def test_identical_streams_at_once_wait_for_nobody(client: Any, provider: Provider) -> None:
    provider.answer("one", "two")
    first, second = ask(client, stream=True), ask(client, stream=True)
    texts = ["".join(c.choices[0].delta.content or "" for c in stream) for stream in (second, first)]
    assert texts == ["two", "one"]
    assert len(provider.requests) == 2


def test_a_stream_that_nobody_reads_holds_up_no_other_thread(client: Any, provider: Provider) -> None:
    begun = ask(client, stream=True)
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(streamed, client).result(20) == provider.requests[1].echo
    begun.close()


async def test_a_cancelled_call_holds_nobody_up(aclient: Any, provider: Provider) -> None:
    with provider.hold() as answer:
        call = asyncio.create_task(ask(aclient))
        await asyncio.to_thread(provider.wait_for, 1)
        follower = asyncio.create_task(ask(aclient))
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.to_thread(provider.wait_for, 2)
        answer.set()
        assert (await follower).choices[0].message.content == provider.requests[1].echo
    assert not installation.installed()._lookup.flights._leases
    assert (await ask(aclient)).choices[0].message.content == provider.requests[1].echo
    assert len(provider.requests) == 2


@pytest.mark.usefixtures("store")
def test_an_interrupt_holds_nobody_up() -> None:
    interrupts = [KeyboardInterrupt(), None]

    def answer(_: httpx2.Request) -> httpx2.Response:
        if (interrupt := interrupts.pop(0)) is not None:
            raise interrupt
        return httpx2.Response(200, json=completion())

    client = Wire(answer).openai()
    with pytest.raises(KeyboardInterrupt):
        said(client)
    done: list[str] = []
    other = threading.Thread(target=lambda: done.append(said(client)))
    other.start()
    other.join(20)
    assert done == ["hi"]


@pytest.mark.usefixtures("store")
def test_a_timeout_is_the_sdks_own(provider: Provider) -> None:
    client = nbcache.wrap(openai.OpenAI(**provider.openai, max_retries=0, timeout=0.05))
    with provider.hold(), pytest.raises(openai.APITimeoutError):
        said(client)
    assert nbcache.stats().entries == 0


# When something of ours fails


@pytest.mark.filterwarnings("ignore::nbcache.NbcacheWarning")
def test_where_the_store_fails_the_call_goes_on(provider: Provider) -> None:
    class Broken(MemoryStore):
        def get(self, key: str, *, wait: bool = True, include_expired: bool = False) -> bytes | None:
            raise OSError("no disk")

        def put(self, *_: Any) -> None:
            raise OSError("no disk")

    nbcache.install(Broken())
    client = nbcache.wrap(openai.OpenAI(**provider.openai))
    assert said(client) == said(client)
    assert streamed(client) == streamed(client)
    assert len(provider.requests) == 4


def test_where_a_call_cannot_be_told_it_goes_on_uncached(
    client: Any, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbcache.integrations.http.exchange.counted_body", lambda *_: 1 / 0)
    with pytest.warns(NbcacheWarning, match="could not work out the key"):
        assert said(client) == provider.requests[0].echo
    assert streamed(client) == provider.requests[1].echo
    assert (nbcache.stats().entries, nbcache.stats().errors) == (0, 2)
