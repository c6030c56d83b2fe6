"""Clients that nobody wrapped: while the cache is on, their calls of a model are paid once, whatever library makes them."""

import asyncio
import contextlib
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
import requests
from langchain_openai import ChatOpenAI

import nbcache
from nbcache import NotInstalledError, ReplayMiss
from tests.servers.provider import Provider
from tests.servers.wire import CHAT, EVENTS, MESSAGE, RESPONSE, Body, StreamWire, ask, completion, event, said, streamed
from tests.support.paths import ROOT

LIBRARIES = [httpx, httpx2]
CLIENTS = [*LIBRARIES, requests]


@pytest.fixture
def plain(provider: Provider, store: Path) -> Any:
    """OpenAI's own client, as nobody wrapped it."""
    return openai.OpenAI(**provider.openai, max_retries=0)


# Paid once


def test_a_plain_client_is_paid_once(plain: Any, provider: Provider) -> None:
    assert said(plain) == said(plain) == provider.requests[0].echo
    assert streamed(plain) == streamed(plain) == provider.requests[1].echo
    assert len(provider.requests) == 2
    stats = nbcache.stats()
    assert (stats.misses, stats.hits, stats.entries, stats.errors) == (2, 2, 2, 0)


def test_a_client_made_before_the_cache_was_on_is_cached_too(provider: Provider, tmp_path: Path) -> None:
    before = openai.OpenAI(**provider.openai)
    said(before)
    nbcache.install(tmp_path / "store")
    assert said(before) == said(before)
    assert len(provider.requests) == 2


async def test_async_clients_are_cached_alike(provider: Provider, store: Path) -> None:
    client = openai.AsyncOpenAI(**provider.openai)
    once, again = await ask(client), await ask(client)
    assert once == again == ask(openai.OpenAI(**provider.openai))
    assert len(provider.requests) == 1


def test_anthropics_client_is_cached_alike(provider: Provider, store: Path) -> None:
    client = anthropic.Anthropic(**provider.anthropic)
    assert client.messages.create(**MESSAGE) == client.messages.create(**MESSAGE)
    assert len(provider.requests) == 1


def test_a_call_by_the_hook_and_one_by_a_wrapped_client_are_the_same_call(plain: Any, provider: Provider) -> None:
    assert said(nbcache.wrap(plain)) == said(plain)
    assert nbcache.wrap(plain).responses.create(**RESPONSE) == plain.responses.create(**RESPONSE)
    assert streamed(plain) == streamed(nbcache.wrap(plain))
    stats = nbcache.stats()
    assert (len(provider.requests), stats.misses, stats.hits, stats.entries) == (3, 3, 3, 3)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("library", CLIENTS)
def test_a_request_that_no_sdk_makes_is_cached_by_its_path_and_body(library: Any, provider: Provider) -> None:
    url = f"{provider.url}/v1/chat/completions"
    one, two = library.post(url, json=CHAT), library.post(url, json=CHAT)
    assert one.json() == two.json()
    assert len(provider.requests) == 1
    assert ("x-nbcache" in one.headers, two.headers["x-nbcache"]) == (False, "hit")


CODE = """
import sys, nbcache
nbcache.install(sys.argv[2])
assert not {"httpx", "openai"} & set(sys.modules)
import httpx, openai
asked = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "q"}]}
print(httpx.post(sys.argv[1] + "/v1/chat/completions", json=asked).json()["choices"][0]["message"]["content"])
client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="sk-test")
print(client.chat.completions.create(**asked).choices[0].message.content)
"""


@pytest.mark.slow
def test_a_library_that_is_imported_later_is_hooked_then_and_a_new_process_pays_nothing(
    provider: Provider, tmp_path: Path
) -> None:
    command = [sys.executable, "-W", "error", "-c", CODE, provider.url, str(tmp_path / "store")]
    runs = [subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False) for _ in range(2)]
    assert [run.stderr for run in runs] == ["", ""]
    assert runs[0].stdout == runs[1].stdout == f"{provider.requests[0].echo}\n" * 2
    assert len(provider.requests) == 1


# The library `requests`


def lines(url: str, **given: Any) -> list[bytes]:
    with requests.post(f"{url}/v1/chat/completions", json={**CHAT, "stream": True}, **given) as response:
        return list(response.iter_lines())


@pytest.mark.usefixtures("store")
def test_a_stream_of_requests_is_played_as_it_came(provider: Provider) -> None:
    live, hit = lines(provider.url, stream=True), lines(provider.url, stream=True)
    assert live == hit == lines(provider.url)
    assert b"data: [DONE]" in live
    assert len(provider.requests) == 1
    assert said(openai.OpenAI(**provider.openai)) == provider.requests[1].echo  # whole, it is another call


@pytest.mark.usefixtures("store")
def test_the_same_request_by_another_library_is_the_same_call(provider: Provider) -> None:
    url = f"{provider.url}/v1/chat/completions"
    one, two = requests.post(url, json=CHAT), httpx.post(url, json=CHAT)
    assert one.json() == two.json()
    assert len(provider.requests) == 1


@pytest.mark.usefixtures("store")
def test_a_response_of_requests_is_as_its_own(provider: Provider) -> None:
    url = f"{provider.url}/v1/chat/completions"
    with requests.Session() as session:
        session.headers["x-team"] = "blue"
        live, hit = session.post(url, json=CHAT, timeout=9), session.post(url, json=CHAT, timeout=8)
        raw = session.post(url, json=CHAT, stream=True).raw
        assert raw.read(10) + raw.read() == live.content
    assert (hit.status_code, hit.url, hit.content, hit.encoding) == (200, url, live.content, live.encoding)
    assert hit.json() == live.json()
    assert hit.request.headers["x-team"] == "blue"
    assert type(hit) is requests.Response
    assert list(hit.iter_content(7)) == list(live.iter_content(7))
    assert len(provider.requests) == 1


@pytest.mark.usefixtures("store")
def test_what_requests_sends_as_a_file_or_a_form_passes_by(provider: Provider) -> None:
    url = f"{provider.url}/v1/chat/completions"
    given: dict[str, Any]
    with nbcache.mode("replay"):
        for given in ({"files": {"messages": b"{}"}}, {"data": {"messages": "x"}}):
            with contextlib.suppress(requests.ConnectionError):  # the server takes only JSON, of a known length
                requests.post(url, **given)
    assert nbcache.stats().misses == 0


@pytest.mark.usefixtures("store")
def test_errors_of_requests_are_its_own(provider: Provider) -> None:
    url = f"{provider.url}/v1/chat/completions"
    provider.fail(429, times=2)
    assert [requests.post(url, json=CHAT).status_code for _ in range(2)] == [429, 429]
    with provider.hold(), pytest.raises(requests.ReadTimeout):
        requests.post(url, json=CHAT, timeout=0.05)
    assert nbcache.stats().entries == 0
    with nbcache.mode("replay"), pytest.raises(ReplayMiss):
        requests.post(url, json=CHAT)


# Once, not twice


@pytest.mark.usefixtures("store")
def test_a_call_of_langchains_model_is_one_call(provider: Provider) -> None:
    model = ChatOpenAI(model="gpt-4o-mini", **provider.openai)
    assert model.invoke("q").content == model.invoke("q").content
    assert [chunk.content for chunk in model.stream("r")] == [chunk.content for chunk in model.stream("r")]
    stats = nbcache.stats()
    assert (stats.misses, stats.hits, stats.entries, len(provider.requests)) == (2, 2, 2, 2)


@pytest.mark.usefixtures("store")
async def test_an_async_call_of_langchains_model_is_one_call(provider: Provider) -> None:
    model = ChatOpenAI(model="gpt-4o-mini", **provider.openai)
    await asyncio.gather(*(model.ainvoke(text) for text in "abc"))
    assert [chunk async for chunk in model.astream("r")]
    stats = nbcache.stats()
    assert (stats.misses, stats.hits, stats.entries, len(provider.requests)) == (4, 0, 4, 4)


class ByRequests(httpx.BaseTransport):
    """Sends by another library, as LiteLLM's transport does."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = requests.post(str(request.url), request.read(), headers=dict(request.headers), stream=True)
        return httpx.Response(response.status_code, headers=dict(response.headers), content=response.iter_content(None))


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("call", [said, streamed])
def test_a_transport_that_sends_by_another_library_makes_one_call(call: Any, provider: Provider) -> None:
    with httpx.Client(transport=ByRequests()) as http:
        client = openai.OpenAI(**provider.openai, http_client=http)  # type: ignore[arg-type]  # it takes both
        assert call(client) == call(client)
    stats = nbcache.stats()
    assert (stats.misses, stats.hits, stats.entries, len(provider.requests)) == (1, 1, 1, 1)


@pytest.mark.usefixtures("store")
def test_what_langchain_is_told_not_to_cache_is_not_cached_below_it_either(provider: Provider) -> None:
    model = ChatOpenAI(model="gpt-4o-mini", cache=False, **provider.openai)
    usual = ChatOpenAI(model="gpt-4o-mini", **provider.openai)
    off: Any = {"metadata": {"nbcache": "off"}}
    for _ in range(2):
        model.invoke("q")
        usual.invoke("q", config=off)
        assert list(model.stream("q"))
        assert list(usual.stream("q", config=off))
    assert (len(provider.requests), nbcache.stats().entries) == (8, 0)


@pytest.mark.usefixtures("store")
def test_a_hit_has_the_id_of_its_request_and_no_cookies_or_rate_limits() -> None:
    limits = {"x-ratelimit-remaining-requests": "5", "set-cookie": "a=b", "retry-after": "9", "x-request-id": "req_1"}
    http: Any = httpx2.Client(
        transport=httpx2.MockTransport(lambda _: httpx2.Response(200, json=completion(), headers=limits))
    )
    client = openai.OpenAI(api_key="sk-test", http_client=http)
    live, hit = (client.chat.completions.with_raw_response.create(**CHAT) for _ in range(2))
    assert live.headers["x-ratelimit-remaining-requests"] == "5"
    assert hit.headers["x-nbcache"] == "hit"
    assert [name for name in limits if hit.headers.get(name) is not None] == ["x-request-id"]
    assert (hit.request_id, hit.parse()) == (live.request_id, live.parse())


# What passes by


def echo(request: Any) -> dict[str, Any]:
    return completion(f"{request.method} {request.url}")


OTHERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "another path": ("POST", "/v1/orders", {"json": CHAT}),
    "a path that only contains one": ("POST", "/v1/chat/completions/id", {"json": CHAT}),
    "another method": ("PUT", "/v1/chat/completions", {"json": CHAT}),
    "messages of a chat service": ("POST", "/v1/messages", {"json": {"to": "#general", "text": "hi"}}),
    "responses of a survey": ("POST", "/surveys/7/responses", {"json": {"answers": [1, 2]}}),
    "completions of a search box": ("POST", "/completions", {"json": {"query": "how to"}}),
    "a form": ("POST", "/v1/chat/completions", {"data": {"messages": "x"}}),
    "an upload": ("POST", "/v1/chat/completions", {"files": {"messages": b"x"}}),
    "no JSON": ("POST", "/v1/chat/completions", {"content": b"\xff\x00"}),
    "a list": ("POST", "/v1/chat/completions", {"json": [CHAT]}),
    "nothing": ("POST", "/v1/chat/completions", {}),
    "a query that looks like a path": ("POST", "/v1/x?next=/v1/chat/completions", {"json": CHAT}),
}


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_call_of_a_model_passes_by_in_every_mode(name: str, library: Any) -> None:
    method, path, given = OTHERS[name]
    sent: list[Any] = []

    def answer(request: Any) -> Any:
        sent.append(request)
        return library.Response(200, json=completion(str(len(sent))))

    for mode in ("on", "refresh", "replay"):
        with nbcache.mode(mode), library.Client(transport=library.MockTransport(answer)) as client:
            assert [client.request(method, f"https://a.example{path}", **given).is_success for _ in range(2)]
    assert len(sent) == 6
    assert (nbcache.stats().misses, nbcache.stats().entries) == (0, 0)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_body_that_is_made_while_it_is_sent_passes_by_and_is_sent_whole(library: Any) -> None:
    got: list[bytes] = []

    def answer(request: Any) -> Any:
        got.append(request.read())
        return library.Response(200, json=completion())

    with library.Client(transport=library.MockTransport(answer)) as client:
        for _ in range(2):
            client.post("https://a.example/v1/chat/completions", content=iter([b'{"messages"', b": []}"]))
    assert got == [b'{"messages": []}'] * 2
    assert nbcache.stats().entries == 0


# As without us


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("library", LIBRARIES)
def test_event_hooks_run_for_a_hit_and_transports_are_not_asked(library: Any) -> None:
    seen: list[str] = []
    sent: list[Any] = []

    def answer(request: Any) -> Any:
        sent.append(request)
        return library.Response(200, json=completion())

    hooks = {"request": [lambda _: seen.append("request")], "response": [lambda _: seen.append("response")]}
    with library.Client(event_hooks=hooks, mounts={"https://": library.MockTransport(answer)}) as client:
        for _ in range(2):
            client.post("https://a.example/v1/chat/completions", json=CHAT)
    assert seen == ["request", "response"] * 2
    assert len(sent) == 1


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_redirect_is_followed_and_never_kept(library: Any) -> None:
    sent: list[str] = []

    def answer(request: Any) -> Any:
        sent.append(request.url.host)
        if request.url.host == "old.example":
            return library.Response(307, headers={"location": "https://new.example/v1/chat/completions"})
        return library.Response(200, json=completion())

    with library.Client(transport=library.MockTransport(answer), follow_redirects=True) as client:
        for _ in range(2):
            assert client.post("https://old.example/v1/chat/completions", json=CHAT).is_success
    assert sent == ["old.example", "new.example", "old.example"]
    assert nbcache.stats().entries == 1


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("status", [301, 400, 401, 404, 429, 500, 503])
def test_an_error_is_the_callers_and_never_kept(status: int) -> None:
    sent: list[Any] = []

    def answer(request: Any) -> Any:
        sent.append(request)
        return httpx.Response(status, json=completion())

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        codes = [client.post("https://a.example/v1/chat/completions", json=CHAT).status_code for _ in range(2)]
    assert codes == [status] * 2
    assert len(sent) == 2
    assert nbcache.stats().entries == 0


@pytest.mark.usefixtures("store")
def test_a_client_of_a_class_of_ones_own_is_cached_and_keeps_its_ways() -> None:
    class Counting(httpx.Client):
        sends = 0

        def send(self, *args: Any, **kwargs: Any) -> httpx.Response:
            self.sends += 1
            return super().send(*args, **kwargs)

    sent: list[Any] = []

    def answer(request: Any) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json=completion())

    with Counting(transport=httpx.MockTransport(answer)) as client:
        attributes = dict(vars(client))
        for _ in range(3):
            client.post("https://a.example/v1/chat/completions", json=CHAT)
        assert client.sends == 3
        assert len(sent) == 1
        assert {**vars(client), "sends": 0} == {**attributes, "sends": 0}


@pytest.mark.usefixtures("store")
def test_a_closed_client_says_so_as_ever() -> None:
    client = httpx.Client()
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.post("https://a.example/v1/chat/completions", json=CHAT)


@pytest.mark.usefixtures("store")
async def test_an_async_stream_that_is_closed_early_closes_its_response_and_keeps_nothing() -> None:
    body = Body(EVENTS)

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=body)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as client:
        url = "https://a.example/v1/chat/completions"
        async with client.stream("POST", url, json={**CHAT, "stream": True}) as response:
            async for _ in response.aiter_lines():
                break
    assert body.closed
    assert nbcache.stats().entries == 0


# Modes and the setting


def test_off_looks_up_and_keeps_nothing(plain: Any, provider: Provider) -> None:
    with nbcache.mode("off"):
        said(plain)
        said(plain)
    assert nbcache.stats().entries == 0
    said(plain)
    said(plain)
    assert len(provider.requests) == 3


def test_in_replay_nothing_is_sent_by_any_client(plain: Any, provider: Provider) -> None:
    recorded = said(plain)
    provider.requests.clear()
    with nbcache.mode("replay"):
        assert said(plain) == recorded
        for call in (
            lambda: said(plain, seed=1),
            lambda: streamed(plain),
            lambda: plain.responses.create(**RESPONSE, background=True),
            lambda: httpx.post(f"{provider.url}/v1/chat/completions", json={**CHAT, "seed": 2}),
        ):
            with pytest.raises(ReplayMiss):
                call()
    assert provider.requests == []


@pytest.mark.parametrize("clients", ["langchain", ["anthropic"], []])
def test_an_api_that_is_not_named_is_not_cached_and_not_reached_in_replay(
    clients: Any, provider: Provider, tmp_path: Path
) -> None:
    nbcache.install(tmp_path / "store", clients=clients)
    client = openai.OpenAI(**provider.openai, max_retries=0)
    said(client)
    said(client)
    assert (len(provider.requests), nbcache.stats().misses) == (2, 0)
    provider.requests.clear()
    with nbcache.mode("replay"), pytest.raises(ReplayMiss, match="clients"):
        said(client)
    assert provider.requests == []


@pytest.mark.parametrize("clients", ["all", "openai", ["openai", "anthropic"], "openai,langchain"])
def test_an_api_that_is_named_is_cached_whatever_library_speaks_it(
    clients: Any, provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(clients, str):
        monkeypatch.setenv("NBCACHE_CLIENTS", clients)
        nbcache.install(tmp_path / "store")
    else:
        nbcache.install(tmp_path / "store", clients=clients)
    for _ in range(2):
        httpx.post(f"{provider.url}/v1/chat/completions", json=CHAT)
    assert len(provider.requests) == 1


def test_an_unknown_name_of_an_api_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError,
        match=r"clients='opneai': write all, langchain, or names of APIs: anthropic, bedrock, cohere, google, huggingface, ollama, openai; several as a list",
    ):
        nbcache.install(tmp_path / "store", clients="opneai")
    with pytest.raises(NotInstalledError):
        nbcache.installed()


# On and off


METHODS: list[Callable[[], Any]] = [
    lambda: requests.Session.get_adapter,
    lambda: httpx.Client._transport_for_url,
    lambda: httpx.AsyncClient._transport_for_url,
    lambda: httpx2.Client._transport_for_url,
    lambda: httpx2.AsyncClient._transport_for_url,
]


def test_uninstall_puts_back_the_very_same_functions(tmp_path: Path) -> None:
    before = [method() for method in METHODS]
    for _ in range(2):
        nbcache.install(tmp_path / "store")
        assert all(method() is not original for method, original in zip(METHODS, before, strict=True))
        nbcache.install(tmp_path / "other")
        nbcache.uninstall()
        assert all(method() is original for method, original in zip(METHODS, before, strict=True))


def test_threads_that_turn_it_on_and_off_while_requests_fly_lose_and_spoil_none(
    provider: Provider, tmp_path: Path
) -> None:
    client = openai.OpenAI(**provider.openai, max_retries=0)
    stop = threading.Event()

    def switch() -> None:
        while not stop.is_set():
            nbcache.install(tmp_path / "store")
            nbcache.uninstall()

    with ThreadPoolExecutor(6) as threads:
        switches = [threads.submit(switch) for _ in range(2)]
        texts = [str(i % 10) for i in range(80)]
        calls = [threads.submit(said, client, messages=[{"role": "user", "content": text}]) for text in texts]
        answers = [call.result(60) for call in calls]
        stop.set()
        for each in switches:
            each.result(60)
    echoes = {request.echo: request.body["messages"][0]["content"] for request in provider.requests}
    assert [echoes[answer] for answer in answers] == texts


# A reader who leaves at the part that says why the model stopped, as LiteLLM does

_MESSAGE: dict[str, Any] = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [],
    "stop_reason": None,
}
_DELTA: dict[str, Any] = {"stop_reason": "end_turn", "stop_sequence": None}
ANSWERED = [
    event(one, str(one["type"]))
    for one in (
        {"type": "message_start", "message": {**_MESSAGE, "usage": {"input_tokens": 1, "output_tokens": 0}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "hi"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": _DELTA, "usage": {"output_tokens": 1}},
    )
]
STOP = event({"type": "message_stop"}, "message_stop")


def read_to_the_stop_reason(client: Any) -> list[str]:
    seen: list[str] = []
    with client.messages.create(**MESSAGE, stream=True) as events:
        for each in events:
            seen.append(each.type)
            if each.type == "message_delta":
                return seen
    return seen


def test_a_reader_who_leaves_before_the_formal_end_of_an_answer_pays_once(store: Path) -> None:
    wire = StreamWire([*ANSWERED, STOP])
    assert read_to_the_stop_reason(wire.anthropic()) == read_to_the_stop_reason(wire.anthropic())
    assert [each.type for each in wire.anthropic().messages.create(**MESSAGE, stream=True)][-1] == "message_stop"
    assert len(wire.requests) == 1


def read_to_the_end(client: Any) -> None:
    assert [each.type for each in client.messages.create(**MESSAGE, stream=True)][-1] == "message_stop"
    with client.messages.stream(**MESSAGE) as events:
        assert events.get_final_text() == "hi"


async def aread_to_the_end(client: Any) -> None:
    assert [each.type async for each in await client.messages.create(**MESSAGE, stream=True)][-1] == "message_stop"
    async with client.messages.stream(**MESSAGE) as events:
        assert await events.get_final_text() == "hi"


@pytest.mark.filterwarnings("always")  # as an error, it would go to the log
@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("after", [[], [b": bye\n\n"]], ids=["nothing after it", "a comment after it"])
def test_who_reads_a_stream_of_anthropics_to_its_end_is_not_warned(
    is_async: bool, after: list[bytes], store: Path, recwarn: pytest.WarningsRecorder
) -> None:
    wire = StreamWire([*ANSWERED, STOP, *after])
    for _ in range(2):
        if is_async:
            http = httpx2.AsyncClient(transport=wire.transport)
            asyncio.run(aread_to_the_end(anthropic.AsyncAnthropic(api_key="sk-test", http_client=http, max_retries=0)))
        else:
            read_to_the_end(wire.anthropic())
    assert (len(wire.requests), nbcache.stats().entries) == (1, 1)
    assert [str(each.message) for each in recwarn if each.category is nbcache.NbcacheWarning] == []


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize("sent", [2, 4], ids=["before its answer is whole", "before its formal end"])
def test_who_reads_a_stream_that_is_cut_is_warned_once(
    sent: int, store: Path, recwarn: pytest.WarningsRecorder
) -> None:
    wire = StreamWire(ANSWERED[:sent])
    for _ in range(2):
        list(wire.anthropic().messages.create(**MESSAGE, stream=True))
    assert (len(wire.requests), nbcache.stats().entries) == (2, 0)
    (warned,) = [str(each.message) for each in recwarn if each.category is nbcache.NbcacheWarning]
    assert warned.endswith("a stream from /v1/messages is not cached: it ended before it was complete")


def test_an_answer_that_says_twice_why_it_stopped_is_recorded_once(store: Path) -> None:
    wire = StreamWire([*ANSWERED, ANSWERED[-1], STOP])
    live, hit = ([each.type for each in wire.anthropic().messages.create(**MESSAGE, stream=True)] for _ in range(2))
    assert (len(wire.requests), live) == (1, hit)


async def test_a_reader_who_awaits_and_leaves_before_the_formal_end_pays_once(store: Path) -> None:
    wire = StreamWire([*ANSWERED, STOP])
    for _ in range(2):
        http = httpx2.AsyncClient(transport=wire.transport)
        client = anthropic.AsyncAnthropic(api_key="sk-test", http_client=http, max_retries=0)
        async with await client.messages.create(**MESSAGE, stream=True) as events:
            async for each in events:
                if each.type == "message_delta":
                    break
    assert len(wire.requests) == 1


def test_a_stream_that_breaks_before_its_formal_end_is_as_without_the_cache(store: Path) -> None:
    wire = StreamWire(ANSWERED, fails=True)
    assert read_to_the_stop_reason(wire.anthropic())[-1] == "message_delta"  # who leaves there sees no error
    seen: list[str] = []
    with pytest.raises(httpx2.ReadError):
        seen.extend(each.type for each in wire.anthropic().messages.create(**MESSAGE, stream=True))
    assert (len(wire.requests), nbcache.stats().entries) == (2, 0)
