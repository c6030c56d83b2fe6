"""The body of a response of the library `requests`, read by the methods of its `raw`: as without the cache, live and as a hit."""

import io
import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import requests

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
