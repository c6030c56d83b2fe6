"""The body of a response of the library `requests`, read by the methods of its `raw`: as without the cache, live and as a hit."""

import gzip
import io
import json
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import requests

from tests.servers.loopback import Handler, Loopback
from tests.servers.scripted import Reply, Scripted, Sent
from tests.servers.wire import CHAT, EVENTS, completion

PATH = "/v1/chat/completions"
WHOLE = json.dumps(completion(), indent=1).encode()
READERS: dict[str, Callable[[Any], Iterable[bytes]]] = {
    "readline": lambda raw: iter(raw.readline, b""),
    "readline of a size": lambda raw: iter(lambda: raw.readline(5), b""),
    "readlines": lambda raw: raw.readlines(),
    "iteration": list,
    "read1": lambda raw: iter(lambda: raw.read1(7), b""),
    "read(-1)": lambda raw: [raw.read(-1)],
    "readinto": lambda raw: [io.BufferedReader(raw).read()],
    "chunks": lambda raw: raw.read_chunked(),
    "data": lambda raw: [raw.data] if raw.data == raw.data else [],
    "until it is closed": lambda raw: iter(lambda: b"" if raw.closed else raw.read(9), b""),
}


def reply(sent: Sent) -> Reply:
    return Reply(EVENTS, kind="text/event-stream") if b"stream" in sent.body else Reply([WHOLE])


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("name", READERS)
def test_each_way_to_read_gets_all_of_the_body(name: str, is_stream: bool) -> None:
    body, expected = ({**CHAT, "stream": True}, b"".join(EVENTS)) if is_stream else (CHAT, WHOLE)
    with Scripted(reply) as server:
        for _ in range(2):
            raw = requests.post(server.url + PATH, json=body, stream=True).raw
            pieces = list(READERS[name](raw))
            assert b"".join(pieces) == expected
            if name in {"readline", "readlines", "iteration"}:
                assert pieces == expected.splitlines(keepends=True)
        assert len(server.requests) == 1


@pytest.mark.usefixtures("store")
def test_the_json_of_a_raw_body_is_that_of_the_response() -> None:
    with Scripted(reply) as server:
        for _ in range(2):
            assert requests.post(server.url + PATH, json=CHAT, stream=True).raw.json() == completion()


class _WithoutChunks(Handler):
    """Sends a stream whose end is that of the connection. Its last part waits until `is_read` is set, unless it is packed."""

    is_read = threading.Event()

    def respond(self) -> None:
        is_packed = b"packed" in self.body()
        packed = gzip.compress(b"".join(EVENTS))
        parts = [packed[i : i + 7] for i in range(0, len(packed), 7)] if is_packed else EVENTS
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        if is_packed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        for part in parts:
            if part is parts[-1]:
                assert is_packed or self.is_read.wait(20)
            self.wfile.write(part)
            self.wfile.flush()


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("model", ["plain", "packed"])
def test_a_stream_without_chunks_comes_as_it_is_sent(model: str) -> None:
    _WithoutChunks.is_read.clear()
    with Loopback(_WithoutChunks) as server:
        for is_hit in (False, True):
            body = {**CHAT, "model": model, "stream": True}
            response = requests.post(server.url + PATH, json=body, stream=True, timeout=10)
            lines = response.iter_lines(chunk_size=1)
            first = next(lines)
            _WithoutChunks.is_read.set()
            assert [first, *lines] == b"".join(EVENTS).splitlines()
            assert ("x-nbcache" in response.headers) == is_hit
