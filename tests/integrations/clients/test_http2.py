"""HTTP/2: a call of a model is paid once, whole and streamed, and goes by HTTP/2 as without the cache."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import httpx2
import openai
import pytest

import nbcache
from nbcache import ReplayMiss
from tests.servers.h2_server import serving
from tests.servers.wire import CHAT, EVENTS, completion

pytest.importorskip("h2", reason="`make clients` has httpx[http2]")
pytestmark = pytest.mark.usefixtures("store")

PATH = "/v1/chat/completions"
WHOLE = [json.dumps(completion("✓ one two")).encode()]
KINDS = {"whole": (CHAT, "application/json", WHOLE), "stream": ({**CHAT, "stream": True}, "text/event-stream", EVENTS)}
ONLY: dict[str, Any] = {"http1": False, "http2": True}  # without TLS nobody can agree on a version
kinds = pytest.mark.parametrize(("body", "kind", "pieces"), KINDS.values(), ids=KINDS)


@pytest.mark.parametrize("library", [httpx, httpx2])
@kinds
def test_a_call_is_paid_once(body: Any, kind: str, pieces: list[bytes], library: Any) -> None:
    with serving(kind, pieces) as server, library.Client(**ONLY) as client:
        live, hit = (client.post(server.url + PATH, json=body) for _ in range(2))
        assert live.http_version == "HTTP/2"
        assert live.content == hit.content == b"".join(pieces)
        assert (live.headers.get("x-nbcache"), hit.headers["x-nbcache"]) == (None, "hit")
        assert server.requests == [PATH]
        assert client.get(server.url + "/another").http_version == "HTTP/2"  # the connection goes on


@kinds
async def test_async_calls_at_a_time_share_a_connection_and_are_paid_once(
    body: Any, kind: str, pieces: list[bytes]
) -> None:
    with serving(kind, pieces) as server:
        async with httpx.AsyncClient(**ONLY) as client:
            for _ in range(2):
                calls = [client.post(server.url + PATH, json={**body, "seed": seed}) for seed in range(5)]
                answers = await asyncio.gather(*calls)
                assert {answer.content for answer in answers} == {b"".join(pieces)}
        assert len(server.requests) == 5


def test_an_sdk_streams_as_it_comes_and_a_stream_that_is_left_is_not_kept() -> None:
    sender: Any = httpx.Client(**ONLY)
    with serving("text/event-stream", EVENTS) as server:
        client = openai.OpenAI(api_key="k", base_url=f"{server.url}/v1", max_retries=0, http_client=sender)
        with client.chat.completions.create(**CHAT, stream=True) as left:
            next(iter(left))
        assert nbcache.stats().entries == 0
        live, hit = (list(client.chat.completions.create(**CHAT, stream=True)) for _ in range(2))
        assert live == hit
        assert len(server.requests) == 2
        client.close()


@kinds
def test_replay_sends_nothing(body: Any, kind: str, pieces: list[bytes], tmp_path: Path) -> None:
    nbcache.install(tmp_path / "another", mode="replay")
    with serving(kind, pieces) as server, httpx.Client(**ONLY) as client:
        with pytest.raises(ReplayMiss):
            client.post(server.url + PATH, json=body)
        assert server.requests == []
