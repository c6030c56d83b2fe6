"""Clients that send by aiohttp: their calls of a model are paid once, and all else of aiohttp is as ever."""

import asyncio
import gzip
import json
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import openai
import pytest
from aiohttp import web
from google import genai
from langchain_google_genai import ChatGoogleGenerativeAI

import nbcache
from nbcache import NbcacheWarning, ReplayMiss
from tests.servers.provider import Provider
from tests.servers.scripted import Reply, Scripted, Sent
from tests.servers.wire import CHAT, EVENTS, completion, said

PATH = "/v1/chat/completions"
STREAM = {**CHAT, "stream": True}
WHOLE = b"".join(EVENTS)


def post(url: str, body: Any = CHAT, **session: Any) -> Any:
    """The status, headers and bytes of one request."""

    async def send() -> Any:
        async with aiohttp.ClientSession(**session) as own, own.post(f"{url}{PATH}", json=body) as response:
            return response.status, dict(response.headers), await response.read()

    return asyncio.run(send())


# A hit is a response of aiohttp


@pytest.mark.usefixtures("store")
async def test_a_hit_is_a_response_as_aiohttp_makes_it(provider: Provider) -> None:
    async with aiohttp.ClientSession() as session:
        live = await session.post(provider.url + PATH, json=CHAT)
        async with session.post(provider.url + PATH, json=CHAT) as hit:
            assert type(hit) is type(live) is aiohttp.ClientResponse
            assert (hit.status, hit.reason, hit.ok, hit.method, hit.url) == (200, "OK", True, "POST", live.url)
            assert (hit.version, hit.history, hit.content_type) == (aiohttp.HttpVersion11, (), live.content_type)
            assert (live.headers.get("x-nbcache"), hit.headers["X-Nbcache"]) == (None, "hit")
            assert (b"x-nbcache", b"hit") in hit.raw_headers
            assert hit.request_info.real_url == live.url
            assert hit.get_encoding() == "utf-8"
            hit.raise_for_status()
            assert await hit.json() == await live.json()
            assert await hit.read() == await live.read()
            assert await hit.text() == await live.text()
        assert hit.closed
        hit.release()
        hit.close()
    stats = nbcache.stats()
    assert (len(provider.requests), stats.misses, stats.hits, stats.entries, stats.errors) == (1, 1, 1, 1, 0)


READERS: dict[str, Callable[[Any], Any]] = {
    "any": lambda content: content.iter_any(),
    "chunked": lambda content: content.iter_chunked(7),
    "chunks": lambda content: content.iter_chunks(),
    "lines": lambda content: content,
}


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["whole", "stream"])
async def test_a_body_is_read_in_every_way(body: Any, reader: str, provider: Provider) -> None:
    read = READERS[reader]
    bodies = []
    async with aiohttp.ClientSession() as session:
        for _ in range(3):
            async with session.post(provider.url + PATH, json=body) as response:
                pieces = [piece[0] if isinstance(piece, tuple) else piece async for piece in read(response.content)]
                assert response.content.at_eof()
                bodies.append(b"".join(pieces))
    assert bodies[0] == bodies[1] == bodies[2] != b""
    assert len(provider.requests) == 1


@pytest.mark.usefixtures("store")
async def test_a_stream_passes_as_it_comes_and_is_played_part_by_part() -> None:
    read = asyncio.Event()
    loop = asyncio.get_running_loop()

    def pieces() -> Any:
        for part in EVENTS:
            yield part
            asyncio.run_coroutine_threadsafe(read.wait(), loop).result(20)
            read.clear()

    with Scripted(lambda _: Reply(pieces(), "text/event-stream")) as server:
        async with aiohttp.ClientSession() as session:
            for _ in range(2):
                async with session.post(server.url + PATH, json=STREAM) as response:
                    seen = []
                    async for piece in response.content.iter_any():
                        seen.append(piece)
                        read.set()
                assert seen == EVENTS
        assert len(server.requests) == 1


# As without us


@pytest.mark.usefixtures("store")
async def test_traces_and_middlewares_of_the_user_see_a_hit_and_the_connector_is_not_asked(provider: Provider) -> None:
    seen: list[str] = []
    trace = aiohttp.TraceConfig()
    for name in (
        "request_start",
        "request_end",
        "connection_create_start",
        "connection_reuseconn",
        "response_chunk_received",
    ):

        async def note(*_: Any, name: str = name) -> None:
            seen.append(name)

        getattr(trace, f"on_{name}").append(note)

    async def middleware(request: Any, handler: Any) -> Any:
        request.headers["X-Team"] = "blue"
        response = await handler(request)
        seen.append(response.headers.get("x-nbcache", "live"))
        return response

    async with aiohttp.ClientSession(trace_configs=[trace], middlewares=[middleware]) as session:
        for _ in range(2):
            async with session.post(provider.url + PATH, json=CHAT) as response:
                await response.read()
    live = ["request_start", "connection_create_start", "live", "request_end", "response_chunk_received"]
    assert seen == [*live, "request_start", "hit", "request_end", "response_chunk_received"]
    assert [request.headers["x-team"] for request in provider.requests] == ["blue"]


@pytest.mark.usefixtures("store")
async def test_a_header_that_a_middleware_adds_counts(provider: Provider) -> None:
    async with aiohttp.ClientSession() as session:
        for team in ("a", "b", "a"):

            async def middleware(request: Any, handler: Any, team: str = team) -> Any:
                request.headers["X-Tenant"] = team
                return await handler(request)

            await session.post(provider.url + PATH, json=CHAT, middlewares=[middleware])
    assert len(provider.requests) == 2


@pytest.mark.usefixtures("store")
async def test_no_object_of_a_session_changes(provider: Provider) -> None:
    async with aiohttp.ClientSession() as session:
        before = dict(vars(session))
        for _ in range(2):
            await session.post(provider.url + PATH, json=CHAT)
        assert dict(vars(session)) == before


@pytest.mark.usefixtures("store")
def test_a_session_of_a_class_of_ones_own_is_cached_and_keeps_its_ways(provider: Provider) -> None:
    with pytest.warns(DeprecationWarning, match="discouraged"):

        class Counting(aiohttp.ClientSession):
            sends = 0

            async def _request(self, *args: Any, **kwargs: Any) -> Any:
                Counting.sends += 1
                return await super()._request(*args, **kwargs)

    class Own(aiohttp.ClientResponse):
        pass

    async def run() -> list[Any]:
        async with Counting(response_class=Own) as session:
            return [await session.post(provider.url + PATH, json=CHAT) for _ in range(3)]

    responses = asyncio.run(run())
    assert {type(response) for response in responses} == {Own}
    assert (Counting.sends, len(provider.requests)) == (3, 1)


@pytest.mark.usefixtures("store")
def test_errors_are_aiohttps_own_and_never_kept(provider: Provider) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            provider.fail(429, times=2)
            for _ in range(2):
                async with session.post(provider.url + PATH, json=CHAT) as response:
                    assert response.status == 429
            provider.fail(500)
            with pytest.raises(aiohttp.ClientResponseError):
                await session.post(provider.url + PATH, json=CHAT, raise_for_status=True)
            for timeout in (aiohttp.ClientTimeout(total=0.05), aiohttp.ClientTimeout(sock_read=0.05)):
                with provider.hold(), pytest.raises(TimeoutError):
                    await session.post(provider.url + PATH, json=CHAT, timeout=timeout)
        with pytest.raises(RuntimeError, match="closed"):
            await session.post(provider.url + PATH, json=CHAT)

    asyncio.run(run())
    assert nbcache.stats().entries == 0


@pytest.mark.usefixtures("store")
def test_a_redirect_is_followed_by_aiohttp_and_never_kept() -> None:
    def reply(sent: Sent) -> Reply:
        if sent.path != PATH:
            return Reply([], status=307, headers={"Location": PATH})
        return Reply([json.dumps(completion()).encode()])

    async def run(path: str) -> Any:
        async with aiohttp.ClientSession() as session, session.post(server.url + path, json=CHAT) as response:
            return len(response.history), response.headers.get("x-nbcache"), (await response.json())["choices"]

    with Scripted(reply) as server:
        for path in ("/old/chat/completions", "/llm"):
            first, again = asyncio.run(run(path)), asyncio.run(run(path))
            assert (first[0], again[:2], again[2]) == (1, (1, "hit"), first[2])
        assert [sent.path for sent in server.requests].count(PATH) == 1
    assert nbcache.stats().entries == 1


@pytest.mark.usefixtures("store")
async def test_a_stream_that_is_given_up_closes_its_connection_and_keeps_nothing(provider: Provider) -> None:
    async with aiohttp.ClientSession() as session:
        for end in ("close", "release"):
            response = await session.post(provider.url + PATH, json=STREAM)
            await response.content.readany()
            getattr(response, end)()
            with pytest.raises(aiohttp.ClientConnectionError):
                await response.content.read()
    assert nbcache.stats().entries == 0
    assert len(provider.requests) == 2


@pytest.mark.usefixtures("store")
async def test_a_stream_that_breaks_off_raises_as_ever_and_is_not_kept() -> None:
    async def broken(request: Any) -> Any:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(WHOLE[:60])
        request.transport.abort()
        return response

    app = web.Application()
    app.router.add_post(PATH, broken)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession() as session:
        response = await session.post(url + PATH, json=STREAM)
        for _ in range(2):
            with pytest.raises(aiohttp.ClientError):
                await response.content.read()
        response.close()
        with pytest.raises(aiohttp.ClientError):
            await session.post(url + PATH, json=CHAT)
    await runner.cleanup()
    assert nbcache.stats().entries == 0


@pytest.mark.usefixtures("store")
async def test_a_connection_is_used_again_after_a_miss_as_ever() -> None:
    def reply(sent: Sent) -> Reply:
        is_stream = json.loads(sent.body).get("stream")
        return Reply([WHOLE], "text/event-stream") if is_stream else Reply([json.dumps(completion()).encode()])

    with Scripted(reply) as server:
        async with aiohttp.ClientSession() as session:
            for seed in range(3):
                for body in (CHAT, STREAM):
                    async with session.post(server.url + PATH, json={**body, "seed": seed}) as response:
                        await response.read()
        assert (len(server.requests), len(server.connections)) == (6, 1)


ENCODERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["whole", "stream"])
def test_a_compressed_answer_is_kept_as_what_it_says(body: Any, encoding: str) -> None:
    plain = WHOLE if body is STREAM else json.dumps(completion("café ✓")).encode()
    data = ENCODERS[encoding](plain)
    kind = "text/event-stream" if body is STREAM else "application/json"
    pieces = [data[at : at + 5] for at in range(0, len(data), 5)]
    with Scripted(lambda _: Reply(pieces, kind, headers={"Content-Encoding": encoding})) as server:
        live, hit = post(server.url, body), post(server.url, body)
        assert live[2] == hit[2] == plain
        assert (live[1]["Content-Encoding"], "Content-Encoding" in hit[1]) == (encoding, False)
        assert len(server.requests) == 1
        raw = [post(server.url, {**body, "seed": 1}, auto_decompress=False) for _ in range(2)]
        assert [each[2] for each in raw] == [data] * 2  # as it came, and not kept: nobody decodes it
        assert post(server.url, body, auto_decompress=False)[2] == plain
        assert len(server.requests) == 3


@pytest.mark.usefixtures("store")
def test_what_is_sent_as_a_file_a_form_or_piece_by_piece_passes_by() -> None:
    async def pieces() -> Any:
        yield json.dumps(CHAT).encode()

    def files() -> Any:
        form = aiohttp.FormData()
        form.add_field("messages", b"x", filename="x")
        return form

    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            for data in (pieces(), files(), {"messages": "x"}, b"\xff"):
                async with session.post(server.url + PATH, data=data) as response:
                    assert response.status == 200

    with Scripted(lambda _: Reply([b"{}"])) as server:
        asyncio.run(run())
        assert len(server.requests) == 4
    assert nbcache.last()["why"].tolist() == ["not cached: bodies that are sent in pieces"]  # the others are no model's
    assert nbcache.stats().entries == 0


# Calls at the same time, and modes


@pytest.mark.usefixtures("store")
async def test_identical_calls_at_once_are_one_request(provider: Provider) -> None:
    async with aiohttp.ClientSession() as session:

        async def call() -> Any:
            async with session.post(provider.url + PATH, json=CHAT) as response:
                return await response.json()

        answers = await asyncio.gather(*(call() for _ in range(20)))
    assert all(answer == answers[0] for answer in answers)
    assert (len(provider.requests), nbcache.stats().misses, nbcache.stats().hits) == (1, 1, 19)


@pytest.mark.usefixtures("store")
async def test_a_cancelled_call_holds_nobody_up(provider: Provider) -> None:
    async with aiohttp.ClientSession() as session:

        async def call() -> Any:
            async with session.post(provider.url + PATH, json=CHAT) as response:
                return await response.json()

        with provider.hold() as answer:
            first = asyncio.create_task(call())
            await asyncio.to_thread(provider.wait_for, 1)
            second = asyncio.create_task(call())
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            await asyncio.to_thread(provider.wait_for, 2)
            answer.set()
            assert (await second)["choices"]
    assert len(provider.requests) == 2


@pytest.mark.usefixtures("store")
def test_a_read_that_is_cancelled_goes_on_where_it_was(provider: Provider) -> None:
    async def run() -> bytes:
        async with aiohttp.ClientSession() as session, session.post(server.url + PATH, json=STREAM) as response:
            first = await response.content.readany()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(response.content.readany(), 0.05)
            go.set()
            return first + await response.content.read()

    go = threading.Event()

    def pieces() -> Any:
        yield WHOLE[:50]
        go.wait(20)
        yield WHOLE[50:]

    with Scripted(lambda _: Reply(pieces(), "text/event-stream")) as server:
        assert asyncio.run(run()) == WHOLE
        assert post(server.url, STREAM)[2] == WHOLE
        assert len(server.requests) == 1


@pytest.mark.usefixtures("store")
def test_in_replay_nothing_is_sent(provider: Provider) -> None:
    recorded = post(provider.url)[2]
    with nbcache.mode("replay"):
        assert post(provider.url)[2] == recorded
        for body in (STREAM, {**CHAT, "seed": 1}, {**CHAT, "background": True}):
            with pytest.raises(ReplayMiss):
                post(provider.url, body)
    with nbcache.mode("off"):
        post(provider.url)
    assert len(provider.requests) == 2


def test_uninstall_puts_back_the_very_same_function(tmp_path: Path) -> None:
    before = aiohttp.ClientSession._request
    nbcache.install(tmp_path / "store")
    assert aiohttp.ClientSession._request is not before
    nbcache.uninstall()
    assert aiohttp.ClientSession._request is before


# Where it goes


@pytest.mark.usefixtures("store")
async def test_two_sockets_under_one_url_are_two_servers(tmp_path: Path) -> None:
    texts, runners = [], []
    for name in ("a", "b"):

        async def answer(_: Any, name: str = name) -> Any:
            return web.json_response(completion(name))

        app = web.Application()
        app.router.add_post(PATH, answer)
        runners.append(web.AppRunner(app))
        await runners[-1].setup()
        await web.UnixSite(runners[-1], str(tmp_path / name)).start()
    for name in ("a", "b", "a"):
        connector = aiohttp.UnixConnector(str(tmp_path / name))
        async with aiohttp.ClientSession(connector=connector) as session:
            response = await session.post(f"http://one{PATH}", json=CHAT)
            texts.append((await response.json())["choices"][0]["message"]["content"])
    for runner in runners:
        await runner.cleanup()
    assert texts == ["a", "b", "a"]
    assert (nbcache.stats().misses, nbcache.stats().hits) == (2, 1)


@pytest.mark.usefixtures("store")
def test_a_connector_or_resolver_of_ones_own_counts(provider: Provider) -> None:
    class Pinned(aiohttp.TCPConnector):
        pass

    class Resolver(aiohttp.ThreadedResolver):
        def __init__(self, to: str) -> None:
            super().__init__()
            self.to = to

        async def resolve(self, host: str, *args: Any, **kwargs: Any) -> Any:
            return await super().resolve(self.to, *args, **kwargs)

    async def run(connector: Callable[[], aiohttp.BaseConnector]) -> None:
        async with aiohttp.ClientSession(connector=connector()) as session:
            for _ in range(2):
                await session.post(provider.url.replace("127.0.0.1", "localhost") + PATH, json=CHAT)

    connectors: list[Callable[[], aiohttp.BaseConnector]] = [
        aiohttp.TCPConnector,
        lambda: Pinned(limit=1),
        lambda: aiohttp.TCPConnector(resolver=Resolver("127.0.0.1")),
        lambda: aiohttp.TCPConnector(resolver=Resolver("localhost")),
    ]
    for count, connector in enumerate(connectors, 1):
        for _ in range(2):
            asyncio.run(run(connector))
        assert len(provider.requests) == count


# Libraries that send by it


@pytest.mark.usefixtures("store")
def test_the_same_request_by_another_library_is_the_same_call(provider: Provider) -> None:
    assert post(provider.url)[2] == httpx.post(provider.url + PATH, json=CHAT).content
    assert (
        said(openai.OpenAI(**provider.openai)) == json.loads(post(provider.url)[2])["choices"][0]["message"]["content"]
    )
    assert len(provider.requests) == 1


class ByAiohttp(httpx.AsyncBaseTransport):
    """Sends by aiohttp, as LiteLLM's transport does."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            response = await session.post(str(request.url), data=request.content, headers=request.headers)
            return httpx.Response(response.status, headers=response.headers, content=await response.read())


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["whole", "stream"])
async def test_httpx_over_aiohttp_is_one_call(body: Any, provider: Provider) -> None:
    async with httpx.AsyncClient(transport=ByAiohttp()) as client:
        live, hit = [await client.post(provider.url + PATH, json=body) for _ in range(2)]
    assert live.content == hit.content
    stats = nbcache.stats()
    assert (len(provider.requests), stats.misses, stats.hits, stats.entries) == (1, 1, 1, 1)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("args", [{}, {"transport": httpx.AsyncHTTPTransport}], ids=["aiohttp", "httpx"])
def test_googles_async_client_is_cached_whichever_library_it_takes(args: Any, provider: Provider) -> None:
    asked: Any = {"model": "gemini-2.5-flash", "contents": "What is a monad?"}

    async def run() -> Any:
        given = {name: make() for name, make in args.items()}
        client = genai.Client(
            api_key="sk-test", http_options={"base_url": provider.url, "async_client_args": given}
        ).aio
        whole = await client.models.generate_content(**asked)
        parts = [part.text async for part in await client.models.generate_content_stream(**asked)]
        uses = client._api_client._use_aiohttp()
        await client.aclose()
        return whole.text, parts, uses

    first, again = asyncio.run(run()), asyncio.run(run())
    assert first == again
    assert first[2] is (not args)
    stats = nbcache.stats()
    assert (len(provider.requests), stats.misses, stats.hits, stats.entries) == (2, 2, 2, 2)


@pytest.mark.usefixtures("store")
def test_an_async_call_of_langchains_model_that_sends_by_aiohttp_is_one_call(provider: Provider) -> None:
    model = ChatGoogleGenerativeAI(model="gemini-2.5-flash", api_key="sk-test", base_url=provider.url)

    async def run() -> Any:
        return (await model.ainvoke("q")).content, [chunk.content async for chunk in model.astream("r")]

    assert asyncio.run(run()) == asyncio.run(run())
    stats = nbcache.stats()
    assert (len(provider.requests), stats.misses, stats.hits, stats.entries) == (2, 2, 2, 2)


def test_an_old_aiohttp_passes_by_and_that_is_said(
    provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(aiohttp, "ClientMiddlewareType")  # which came with 3.12
    nbcache.install(tmp_path / "store")
    with pytest.warns(NbcacheWarning, match=r"aiohttp .* not cached: that needs aiohttp 3\.12"):
        assert post(provider.url)[0] == 200
    post(provider.url)
    assert (len(provider.requests), nbcache.stats().entries) == (2, 0)
    with nbcache.mode("replay"), pytest.raises(ReplayMiss, match="aiohttp"):
        post(provider.url)
    assert len(provider.requests) == 2
