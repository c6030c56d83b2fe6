"""What users' networks and programs do to requests: each library sends as without us, and a call is still paid once."""

import asyncio
import gc
import gzip
import json
import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import requests
import urllib3
import zstandard

import nbcache
from tests.servers.provider import Provider
from tests.servers.scripted import Reply, Scripted, Sent
from tests.servers.wire import CHAT, EVENTS, completion
from tests.support.paths import ROOT

PATH = "/v1/chat/completions"
STREAM = {**CHAT, "stream": True}
WHOLE = b"".join(EVENTS)

pytestmark = pytest.mark.usefixtures("store")


def by_httpx(url: str, body: Any, proxy: str | None, library: Any = httpx) -> tuple[int, bytes]:
    with library.Client(proxy=proxy, follow_redirects=True) as client:
        response = client.post(url, json=body)
        return response.status_code, response.content


def by_httpx2(url: str, body: Any, proxy: str | None) -> tuple[int, bytes]:
    return by_httpx(url, body, proxy, httpx2)


def by_async_httpx(url: str, body: Any, proxy: str | None) -> tuple[int, bytes]:
    async def run() -> tuple[int, bytes]:
        async with httpx.AsyncClient(proxy=proxy, follow_redirects=True) as client:
            response = await client.post(url, json=body)
            return response.status_code, response.content

    return asyncio.run(run())


def by_requests(url: str, body: Any, proxy: str | None) -> tuple[int, bytes]:
    with requests.Session() as session:
        session.trust_env = False
        response = session.post(url, json=body, proxies={"http": proxy} if proxy else {})
        return response.status_code, response.content


def by_aiohttp(url: str, body: Any, proxy: str | None) -> tuple[int, bytes]:
    async def run() -> tuple[int, bytes]:
        async with aiohttp.ClientSession() as session, session.post(url, json=body, proxy=proxy) as response:
            return response.status, await response.read()

    return asyncio.run(run())


LIBRARIES: dict[str, Callable[[str, Any, str | None], tuple[int, bytes]]] = {
    "httpx": by_httpx,
    "httpx2": by_httpx2,
    "httpx, async": by_async_httpx,
    "requests": by_requests,
    "aiohttp": by_aiohttp,
}
every_library = pytest.mark.parametrize("post", LIBRARIES.values(), ids=LIBRARIES)


def ok(_: Sent) -> Reply:
    return Reply([json.dumps(completion()).encode()])


# The way to the server


@every_library
def test_a_proxy_sends_what_is_not_in_the_cache_and_does_not_make_another_call(post: Any) -> None:
    with Scripted(ok) as proxy:
        url = "http://models.example" + PATH
        live, hit = post(url, CHAT, proxy.url), post(url, CHAT, proxy.url)
        assert live == hit == post(url, CHAT, None)  # no such host: without a proxy it would fail
        assert [sent.path for sent in proxy.requests] == [url]


@every_library
def test_a_redirect_to_a_model_is_followed_and_paid_once(post: Any) -> None:
    def reply(sent: Sent) -> Reply:
        return ok(sent) if sent.path == PATH else Reply([], status=307, headers={"Location": PATH})

    with Scripted(reply) as server:
        for path in ("/old/v1/chat/completions", "/llm"):
            assert post(server.url + path, CHAT, None) == post(server.url + path, CHAT, None)
        assert [sent.path for sent in server.requests].count(PATH) == 1
    assert nbcache.stats().entries == 1


def test_the_users_adapter_tries_again_and_that_is_one_call() -> None:
    statuses = [503, 503, 200]

    def reply(sent: Sent) -> Reply:
        status = statuses.pop(0)
        return ok(sent) if status == 200 else Reply([b"{}"], status=status)

    retry = urllib3.Retry(total=3, status_forcelist=[503], allowed_methods=None, backoff_factor=0)
    with Scripted(reply) as server, requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
        for _ in range(2):
            assert session.post(server.url + PATH, json=CHAT).json() == completion()
    assert (statuses, nbcache.stats().misses, nbcache.stats().hits) == ([], 1, 1)


def test_a_session_of_a_class_of_ones_own_keeps_its_ways() -> None:
    class Own(requests.Session):
        sends = 0

        def send(self, *args: Any, **kwargs: Any) -> Any:
            self.sends += 1
            return super().send(*args, **kwargs)

        def get_adapter(self, url: Any) -> Any:
            return super().get_adapter(url)

    seen: list[Any] = []
    with Scripted(ok) as server, Own() as session:
        session.hooks["response"].append(lambda response, **_: seen.append(response.headers.get("x-nbcache")))
        for _ in range(2):
            session.post(server.url + PATH, json=CHAT)
        assert (session.sends, seen, len(server.requests)) == (2, [None, "hit"], 1)


# Bodies


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
    "br": lambda data: data[::-1],  # which no library here can decode
}


@every_library
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["whole", "stream"])
def test_compressed_answers_with_characters_cut_between_chunks_are_kept(body: Any, encoding: str, post: Any) -> None:
    plain = WHOLE.replace(b"one ", "één ✓ ".encode()) if body is STREAM else json.dumps(completion("✓")).encode()
    data = ENCODERS[encoding](plain)
    kind = "text/event-stream" if body is STREAM else "application/json"
    pieces = [data[at : at + 3] for at in range(0, len(data), 3)]
    with Scripted(lambda _: Reply(pieces, kind, headers={"Content-Encoding": encoding})) as server:
        assert post(server.url + PATH, body, None) == post(server.url + PATH, body, None) == (200, plain)
        assert len(server.requests) == 1


@every_library
@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["whole", "stream"])
def test_zstd_is_kept_where_the_library_can_decode_it(body: Any, post: Any) -> None:
    """httpx can with a package that nbcache needs itself; the others from Python 3.14 on, or with `backports.zstd`."""
    plain = WHOLE if body is STREAM else json.dumps(completion("✓")).encode()
    kind = "text/event-stream" if body is STREAM else "application/json"
    data = ENCODERS["zstd"](plain)
    pieces = [data[at : at + 3] for at in range(0, len(data), 3)]

    def got() -> tuple[int, bytes] | None:
        try:
            answer: tuple[int, bytes] = post(server.url + PATH, body, None)
        except aiohttp.ClientError:
            return None
        return answer

    with Scripted(lambda _: Reply(pieces, kind, headers={"Content-Encoding": "zstd"})) as server:
        with nbcache.mode("off"):
            live = got()
        is_decoded = live == (200, plain)
        assert [got(), got()] == [live, live]
        assert len(server.requests) == (2 if is_decoded else 3)
    assert nbcache.stats().entries == is_decoded
    assert is_decoded or post not in {by_httpx, by_async_httpx}


@pytest.mark.parametrize("post", [by_httpx, by_httpx2, by_async_httpx, by_requests])
@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["whole", "stream"])
def test_what_a_library_cannot_decode_passes_as_it_came_and_is_not_kept(body: Any, post: Any) -> None:
    data = ENCODERS["br"](json.dumps(completion()).encode())
    with Scripted(lambda _: Reply([data], headers={"Content-Encoding": "br"})) as server:
        for _ in range(2):
            assert post(server.url + PATH, body, None) == (200, data)
        with httpx.Client() as client:
            assert client.post(server.url + PATH, json=body).headers["content-encoding"] == "br"
        assert len(server.requests) == 3
    assert (nbcache.stats().entries, nbcache.stats().errors) == (0, 0)


@every_library
def test_characters_of_a_plain_stream_may_be_cut_anywhere(post: Any) -> None:
    plain = WHOLE.replace(b"one ", "één ✓ ".encode())
    pieces = [plain[at : at + 1] for at in range(len(plain))]
    with Scripted(lambda _: Reply(pieces, "text/event-stream")) as server:
        assert post(server.url + PATH, STREAM, None) == post(server.url + PATH, STREAM, None) == (200, plain)
        assert len(server.requests) == 1


def stream_reply(_: Sent) -> Reply:
    return Reply(EVENTS, "text/event-stream")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_response_that_is_never_read_keeps_nothing_and_holds_nobody_up() -> None:
    async def by_aiohttp_unread() -> None:
        async with aiohttp.ClientSession() as session:
            await session.post(server.url + PATH, json=STREAM)

    with Scripted(stream_reply) as server:
        with httpx.Client() as client:
            client.send(client.build_request("POST", server.url + PATH, json=STREAM), stream=True)
        requests.post(server.url + PATH, json=STREAM, stream=True)
        asyncio.run(by_aiohttp_unread())
        gc.collect()
        assert nbcache.stats().entries == 0
        for post in LIBRARIES.values():
            assert post(server.url + PATH, STREAM, None) == (200, WHOLE)
        assert len(server.requests) == 4


def test_a_client_that_is_closed_early_ends_its_stream_and_keeps_nothing() -> None:
    with Scripted(stream_reply) as server:
        client = httpx.Client()
        response = client.send(client.build_request("POST", server.url + PATH, json=STREAM), stream=True)
        next(response.iter_raw())
        client.close()
        response.close()
        assert nbcache.stats().entries == 0
        assert by_httpx(server.url + PATH, STREAM, None) == (200, WHOLE)


def test_connections_go_back_to_the_pool() -> None:
    def reply(sent: Sent) -> Reply:
        return stream_reply(sent) if json.loads(sent.body).get("stream") else ok(sent)

    for session in (httpx.Client(), httpx2.Client(), requests.Session()):
        with Scripted(reply) as server, session:
            for seed in range(3):
                for body in (CHAT, STREAM):
                    assert session.post(server.url + PATH, json={**body, "seed": seed}).content
            assert (len(server.requests), len(server.connections)) == (6, 1)


# Event loops, threads and processes


NESTED = """
import asyncio, sys, httpx, nest_asyncio2, nbcache
nbcache.install(sys.argv[2])
nest_asyncio2.apply()

async def inner():
    async with httpx.AsyncClient() as client:
        body = {"model": "m", "messages": [{"role": "user", "content": "q"}]}
        return (await client.post(sys.argv[1], json=body)).content

async def outer():
    loop = asyncio.get_running_loop()
    return {loop.run_until_complete(inner()), asyncio.run(inner()), await inner()}

assert len(asyncio.run(outer())) == 1
"""


def test_a_loop_within_a_loop_is_served(provider: Provider, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-W",
        "error::nbcache.NbcacheWarning",
        "-c",
        NESTED,
        provider.url + PATH,
        str(tmp_path / "own"),
    ]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    assert len(provider.requests) == 1


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_another_event_loop_than_asyncios_is_served(library: Any) -> None:
    """Trio's, by anyio: here nothing waits, so the coroutine runs in one step without any loop."""
    sent: list[Any] = []

    def answer(request: Any) -> Any:
        sent.append(request)
        is_stream = json.loads(request.content).get("stream")
        return library.Response(200, content=WHOLE) if is_stream else library.Response(200, json=completion())

    async def run(body: Any) -> bytes:
        client = library.AsyncClient(transport=library.MockTransport(answer))
        async with client.stream("POST", f"https://a.example{PATH}", json=body) as response:
            return b"".join([piece async for piece in response.aiter_bytes()])

    def result(body: Any) -> Any:
        with pytest.raises(StopIteration) as end:
            run(body).send(None)
        return end.value.value

    for body in (CHAT, STREAM):
        assert result(body) == result(body) != b""
    assert len(sent) == 2
    assert nbcache.stats().errors == 0


def test_identical_calls_of_threads_by_different_libraries_are_one_request(provider: Provider) -> None:
    posts = [by_httpx, by_httpx2, by_requests] * 3
    with ThreadPoolExecutor(len(posts)) as threads, provider.hold() as answer:
        calls = [threads.submit(post, provider.url + PATH, CHAT, None) for post in posts]
        provider.wait_for(1)
        answer.set()
        assert len({call.result(30) for call in calls}) == 1
    assert len(provider.requests) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_finds_and_makes_calls(provider: Provider) -> None:
    made = by_httpx(provider.url + PATH, CHAT, None)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            same = [post(provider.url + PATH, CHAT, None) == made for post in (by_httpx, by_requests, by_aiohttp)]
            new = by_requests(provider.url + PATH, {**CHAT, "seed": 1}, None)
            code = 0 if all(same) and new[0] == 200 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(provider.requests) == 2


def test_threads_that_turn_it_on_and_off_while_requests_fly_lose_and_spoil_none(
    provider: Provider, tmp_path: Path
) -> None:
    before = [aiohttp.ClientSession._request, requests.Session.get_adapter, httpx.Client._transport_for_url]
    nbcache.uninstall()
    original = [aiohttp.ClientSession._request, requests.Session.get_adapter, httpx.Client._transport_for_url]
    assert not set(before) & set(original)
    stop = threading.Event()

    def switch() -> None:
        while not stop.is_set():
            nbcache.install(tmp_path / "other")
            nbcache.uninstall()

    posts = [*LIBRARIES.values()] * 6
    bodies = [{**CHAT, "seed": number % 7} for number in range(len(posts))]
    with ThreadPoolExecutor(6) as threads:
        switches = [threads.submit(switch) for _ in range(2)]
        calls = [
            threads.submit(post, provider.url + PATH, body, None) for post, body in zip(posts, bodies, strict=True)
        ]
        answers = [call.result(60) for call in calls]
        stop.set()
        for each in switches:
            each.result(60)
    echoes = {request.echo: request.body["seed"] for request in provider.requests}
    texts = [json.loads(body)["choices"][0]["message"]["content"] for _, body in answers]
    assert [echoes[text] for text in texts] == [body["seed"] for body in bodies]
    assert original == [aiohttp.ClientSession._request, requests.Session.get_adapter, httpx.Client._transport_for_url]
