"""Calls of a model whose requests aren't understood, at hosts that nobody knows: counted, and never sent in `replay`."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests

import nbcache
from nbcache import ReplayMiss
from tests.servers.scripted import Reply, Scripted
from tests.servers.wire import ASKED, CHAT, completion

pytestmark = pytest.mark.usefixtures("store")

HOST = "https://gateway.example"
CHATS = "/v1/chat/completions"
JSON = {"content-type": "application/json"}
TEXT = {"content-type": "text/plain"}
PACKED = {**JSON, "content-encoding": "gzip"}
MESSAGE = {"model": "m", "max_tokens": 9, "messages": ASKED}
CONTENTS = {"contents": [{"parts": [{"text": "Hi"}]}]}


def text(body: Any) -> bytes:
    return json.dumps(body).encode()


def pieces(body: Any) -> Iterator[bytes]:
    return iter([text(body)])


Unread = tuple[str, dict[str, str], Callable[[], Any], str]
CALLS: dict[str, Unread] = {
    "generated": (CHATS, JSON, lambda: pieces(CHAT), "bodies that are sent in pieces"),
    "an odd stream": (CHATS, JSON, lambda: text({**CHAT, "stream": 1}), "bodies of another form"),
    "a text": (CHATS, TEXT, lambda: text(CHAT), "bodies of another form"),
    "another field": (CHATS, JSON, lambda: text({"model": "m", "question": "Hi"}), "bodies of another form"),
    "compressed": (CHATS, PACKED, lambda: gzip.compress(text(CHAT)), "compressed bodies"),
    "a slash": (CHATS + "/", JSON, lambda: text(CHAT), "paths that end with a slash"),
    "slashes and a query": (CHATS + "//?a=b", JSON, lambda: text(CHAT), "paths that end with a slash"),
    "Azure's deployment": (
        "/openai/deployments/d/chat/completions",
        JSON,
        lambda: pieces(CHAT),
        "bodies that are sent in pieces",
    ),
    "Anthropic's, generated": ("/v1/messages", JSON, lambda: pieces(MESSAGE), "bodies that are sent in pieces"),
    "Anthropic's, an odd stream": (
        "/v1/messages",
        JSON,
        lambda: text({**MESSAGE, "stream": "true"}),
        "bodies of another form",
    ),
    "Anthropic's, without max_tokens": (
        "/v1/messages",
        JSON,
        lambda: text({"model": "m", "messages": ASKED}),
        "bodies of another form",
    ),
    "Google's": ("/v1beta/models/m:generateContent", TEXT, lambda: text(CONTENTS), "bodies of another form"),
    "Google's stream": (
        "/v1beta/models/m:streamGenerateContent",
        JSON,
        lambda: pieces(CONTENTS),
        "bodies that are sent in pieces",
    ),
    "Ollama's": ("/api/chat", JSON, lambda: pieces(CHAT), "bodies that are sent in pieces"),
    "Ollama's, a text": ("/api/generate", TEXT, lambda: text({"model": "m", "prompt": "p"}), "bodies of another form"),
    "embeddings": (
        "/v1/embeddings",
        {},
        lambda: pieces({"model": "m", "input": "a"}),
        "bodies that are sent in pieces",
    ),
    "completions": ("/v1/completions", PACKED, lambda: gzip.compress(b"{}"), "compressed bodies"),
    "a response": ("/v1/responses", TEXT, lambda: text({"model": "m", "input": "a"}), "bodies of another form"),
    "a ranking": (
        "/rerank/",
        JSON,
        lambda: text({"model": "m", "query": "q", "documents": ["a"]}),
        "paths that end with a slash",
    ),
}
OTHERS: dict[str, tuple[str, dict[str, str], Callable[[], Any]]] = {
    "a form": (CHATS, {"content-type": "application/x-www-form-urlencoded"}, lambda: b"messages=b"),
    "no JSON": (CHATS, JSON, lambda: b"{"),
    "no body": (CHATS, {}, lambda: b""),
    "JSON of great depth": (CHATS, JSON, lambda: b"[" * 100_000),
    "moderations of a forum": ("/moderations", JSON, lambda: pieces({"input": "a"})),
    "answers to a survey": ("/responses", JSON, lambda: pieces({"input": "a"})),
    "answers to a survey, whole": ("/v1/responses", JSON, lambda: text({"answers": ["a"]})),
    "a file of answers": ("/v1/responses", {"content-type": "text/csv"}, lambda: iter([b"a,b"])),
    "a survey's other answers": ("/responses", JSON, lambda: text({"stream": 1, "question": 5})),
    "a sorted list": ("/rerank", PACKED, lambda: gzip.compress(b"{}")),
    "a message to a phone": ("/v1/messages", JSON, lambda: text({"to": "+49", "text": "Hi"})),
    "a message with a picture": ("/v1/messages", {"content-type": "multipart/form-data; boundary=b"}, lambda: b"--b--"),
    "a picture for an app": ("/api/generate", {"content-type": "image/png"}, lambda: iter([b"png"])),
    "a chat of an app": ("/api/chat", JSON, lambda: text({"room": 1, "text": "Hi"})),
    "courses that were completed": ("/v1/completions", TEXT, lambda: text({"course": 5})),
    "TensorFlow's server": ("/v1/models/m:predict", JSON, lambda: pieces({"instances": [[1.0]]})),
    "a shop": ("/generate", JSON, lambda: pieces({"a": 1})),
}


def by_httpx(url: str, headers: dict[str, str], body: Any) -> int:
    with httpx.Client(transport=httpx.MockTransport(_answer)) as client:
        return client.post(url, headers=headers, content=body).status_code


def _answer(request: httpx.Request) -> httpx.Response:
    request.read()
    return httpx.Response(200, json={})


@pytest.mark.parametrize("name", CALLS)
def test_such_a_call_is_counted_by_its_kind_and_stopped_in_replay(name: str) -> None:
    path, headers, body, kind = CALLS[name]
    assert by_httpx(HOST + path, headers, body()) == 200
    assert [str(why) for why in nbcache.last()["why"]] == [f"not cached: {kind}"]
    assert nbcache.stats().entries == 0
    with nbcache.mode("replay"), pytest.raises(ReplayMiss, match=kind):
        by_httpx(HOST + path, headers, body())


@pytest.mark.parametrize("name", OTHERS)
def test_a_request_to_a_service_of_another_kind_is_neither_counted_nor_stopped(name: str) -> None:
    path, headers, body = OTHERS[name]
    with nbcache.mode("replay"):
        assert by_httpx(HOST + path, headers, body()) == 200
    assert nbcache.stats().misses == 0


@pytest.mark.parametrize("path", ["responses", "moderations", "rerank", "chat", "embed"])
@pytest.mark.parametrize(
    ("headers", "body"), [(JSON, lambda: pieces({"input": "a"})), (PACKED, lambda: gzip.compress(b"{}"))]
)
def test_what_may_be_a_call_by_its_path_is_stopped_in_replay_with_what_to_type(
    path: str, headers: dict[str, str], body: Callable[[], Any]
) -> None:
    assert by_httpx(f"{HOST}/v1/{path}", headers, body()) == 200
    assert nbcache.stats().misses == 0  # nobody knows whether it is one
    with nbcache.mode("replay"), pytest.raises(ReplayMiss) as miss:
        by_httpx(f"{HOST}/v1/{path}", headers, body())
    assert f"(POST /v1/{path}) may be a call of a model" in str(miss.value)
    assert "pass the body whole" in str(miss.value)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_only_what_is_posted_is_a_call(method: str) -> None:
    with nbcache.mode("replay"), httpx.Client(transport=httpx.MockTransport(_answer)) as client:
        assert client.request(method, HOST + CHATS).status_code == 200


def by_requests(url: str, body: Any) -> None:
    requests.post(url, data=body, timeout=9)


def by_aiohttp(url: str, body: Any) -> None:
    async def generated() -> AsyncIterator[bytes]:
        for piece in body:
            yield piece

    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            data = body if isinstance(body, bytes | bytearray | None) else generated()
            async with session.post(url, data=data) as response:
                await response.read()

    asyncio.run(run())


@pytest.mark.parametrize("post", [by_requests, by_aiohttp])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHATS, lambda: pieces(CHAT)),
        (CHATS + "/", lambda: text(CHAT)),
        (CHATS + "#part", lambda: text({**CHAT, "stream": 1})),
        (CHATS, lambda: bytearray(text(CHAT))),
    ],
)
def test_no_library_sends_it_in_replay(post: Any, path: str, body: Callable[[], Any]) -> None:
    with Scripted(lambda _: Reply([text(completion())])) as server:
        with nbcache.mode("replay"), pytest.raises(ReplayMiss):
            post(server.url + path, body())
        assert not server.requests
        post(server.url + path, body())
        assert len(server.requests) == 1


def test_a_body_in_a_bytearray_is_cached() -> None:
    with Scripted(lambda _: Reply([text(completion())])) as server:
        for _ in range(2):
            requests.post(server.url + CHATS, data=bytearray(text(CHAT)), headers=JSON, timeout=9)
        assert len(server.requests) == 1


@pytest.mark.parametrize("post", [by_requests, by_aiohttp])
def test_a_request_without_a_body_is_no_call(post: Any) -> None:
    with Scripted(lambda _: Reply([b"{}"])) as server, nbcache.mode("replay"):
        post(server.url + "/v1/messages", None)
        assert len(server.requests) == 1


def test_an_old_aiohttp_sends_none_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbcache.uninstall()
    monkeypatch.delattr(aiohttp, "ClientMiddlewareType")
    nbcache.install(tmp_path / "old")
    with Scripted(lambda _: Reply([b"{}"])) as server, nbcache.mode("replay"):
        with pytest.raises(ReplayMiss, match="aiohttp"):
            by_aiohttp(server.url + CHATS, pieces(CHAT))
        assert not server.requests
