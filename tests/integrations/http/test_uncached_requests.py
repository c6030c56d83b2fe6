"""Requests to a model's API that no cache can answer: they pass by, are counted by what they are for, and are stopped in replay."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
import requests

import nbcache
from nbcache import ReplayMiss
from nbcache.entry.usage import vendors
from nbcache.integrations.http.uncached_requests import is_api_host
from nbcache.session import installation
from nbcache.ui import report
from nbcache.ui.panel.board import Board
from tests.servers.wire import ASKED, CHAT, MESSAGE, RESPONSE, completion

GATEWAY = "https://gateway.example/v1"
KEY: Any = {"api_key": "sk-test", "max_retries": 0}


class Server:
    """A server without a network, for clients that nobody wrapped: `answer` makes the response to each request."""

    def __init__(self, answer: Callable[[Any], httpx2.Response] | None = None) -> None:
        self.sent: list[str] = []
        self._answer = answer or (lambda _: httpx2.Response(200, json={"id": "x", "data": [], "results": []}))

    def _reply(self, request: Any) -> httpx2.Response:
        request.read()
        self.sent.append(f"{request.method} {request.url.path}")
        return self._answer(request)

    def http(self) -> httpx2.Client:
        return httpx2.Client(transport=httpx2.MockTransport(self._reply))

    def openai(self, **settings: Any) -> openai.OpenAI:
        return openai.OpenAI(**{**KEY, "http_client": self.http(), **settings})

    def anthropic(self, **settings: Any) -> anthropic.Anthropic:
        return anthropic.Anthropic(**{**KEY, "http_client": self.http(), **settings})


def whys() -> list[str]:
    return [str(why) for why in nbcache.last()["why"]]


OPENAI: dict[str, Callable[[openai.OpenAI], Any]] = {
    "files": lambda sdk: sdk.files.create(file=b"x", purpose="assistants"),
    "batches": lambda sdk: sdk.batches.create(
        completion_window="24h", endpoint="/v1/chat/completions", input_file_id="f"
    ),
    "fine-tuning": lambda sdk: sdk.fine_tuning.jobs.create(model="m", training_file="f"),
    "realtime": lambda sdk: sdk.realtime.client_secrets.create(),
    "audio": lambda sdk: sdk.audio.transcriptions.create(file=b"x", model="m"),
    "vector stores": lambda sdk: sdk.vector_stores.create(),
    "conversations": lambda sdk: sdk.conversations.create(),
    "stored completions": lambda sdk: sdk.chat.completions.update("id", metadata={}),
    "token counts": lambda sdk: sdk.responses.input_tokens.count(model="m", input="x"),
    "background": lambda sdk: sdk.responses.create(**RESPONSE, background=True),
    "conversation": lambda sdk: sdk.responses.create(**RESPONSE, conversation="conv_1"),
    "forms": lambda sdk: sdk.post(
        "/chat/completions",
        body={"a": "b"},
        files={"f": b"x"},
        options={"headers": {"content-type": "multipart/form-data"}},
        cast_to=object,
    ),
    "skills": lambda sdk: sdk.post("/skills", body={}, cast_to=object),
    "other requests": lambda sdk: sdk.post("/things/4711", body={}, cast_to=object),
}
ANTHROPIC: dict[str, Callable[[anthropic.Anthropic], Any]] = {
    "batches": lambda sdk: sdk.messages.batches.create(requests=[]),
    "files": lambda sdk: sdk.beta.files.upload(file=b"x"),
    "token counts": lambda sdk: sdk.messages.count_tokens(model="m", messages=ASKED),
    "thread": lambda sdk: sdk.messages.create(**MESSAGE, extra_body={"thread": "t"}),
}
CALLS = [
    *(pytest.param("openai", kind, call, id=kind) for kind, call in OPENAI.items()),
    *(pytest.param("anthropic", kind, call, id=f"Anthropic's {kind}") for kind, call in ANTHROPIC.items()),
]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("is_wrapped", [False, True])
@pytest.mark.parametrize(("sdk", "kind", "call"), CALLS)
def test_it_is_counted_by_what_it_is_for_and_stopped_in_replay(
    sdk: str, kind: str, call: Callable[[Any], Any], is_wrapped: bool
) -> None:
    server = Server()
    client = getattr(server, sdk)()
    client = nbcache.wrap(client) if is_wrapped else client
    call(client)
    call(client)
    assert len(server.sent) == 2
    assert whys() == [f"not cached: {kind}"] * 2
    stats = nbcache.stats()
    assert (stats.hits, stats.misses, stats.entries, stats.errors) == (0, 2, 0, 0)
    with nbcache.mode("replay"), pytest.raises(ReplayMiss, match=kind):
        call(client)
    assert len(server.sent) == 2


@pytest.mark.usefixtures("store")
def test_stats_why_and_the_panel_name_them() -> None:
    client = Server().openai()
    OPENAI["files"](client)
    OPENAI["files"](client)
    OPENAI["batches"](client)
    assert "not cached: batches (1), files (2), among the misses" in report.status(installation.installed())
    assert "not cached: batches" in nbcache.why().text
    assert next(row["why"] for row in Board().ask({"type": "misses"})["rows"]) == "not cached: batches"
    installation.reinstall()
    assert "files (2)" in report.status(installation.installed())


@pytest.mark.usefixtures("store")
def test_one_without_a_price_is_not_called_unpriced() -> None:
    client = Server().openai()
    OPENAI["files"](client)
    assert nbcache.stats().unpriced_misses == 0
    OPENAI["batches"](client)
    assert nbcache.stats().unpriced_misses == 1


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("field", [{"conversation": "conv_1"}, {"thread": "t"}])
def test_a_call_with_an_effect_is_priced_and_never_kept(field: Any) -> None:
    client = Server(lambda _: httpx2.Response(200, json=completion())).openai()
    for _ in range(2):
        client.chat.completions.create(**CHAT, extra_body=field)
    stats = nbcache.stats()
    assert (stats.misses, stats.unpriced_misses, stats.entries) == (2, 0, 0)
    assert stats.spent_usd


@pytest.mark.usefixtures("store")
def test_what_only_reads_or_deletes_is_not_counted_but_stopped_in_replay() -> None:
    server = Server()
    client = server.openai()
    client.models.list()
    client.batches.retrieve("b")
    client.files.delete("f")
    assert len(server.sent) == 3
    assert nbcache.stats().misses == 0
    with nbcache.mode("replay"), pytest.raises(ReplayMiss):
        client.batches.retrieve("b")
    assert len(server.sent) == 3


@pytest.mark.usefixtures("store")
def test_a_request_that_the_sdk_repeats_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai.OpenAI, "_sleep_for_retry", lambda *_, **__: None)
    answers = iter([httpx2.Response(500), httpx2.Response(200, json={"id": "f"})])
    OPENAI["files"](Server(lambda _: next(answers)).openai(max_retries=2))
    assert whys() == ["not cached: files"]


@pytest.mark.usefixtures("store")
def test_a_body_that_is_sent_in_pieces_is_counted_at_a_known_host() -> None:
    got: list[bytes] = []

    def answer(request: Any) -> httpx2.Response:
        got.append(request.read())
        return httpx2.Response(200, json=completion())

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as client:
        client.post("https://api.openai.com/v1/chat/completions", content=iter([b'{"messages"', b": []}"]))
    assert got == [b'{"messages": []}']
    assert whys() == ["not cached: bodies that are sent in pieces"]


@pytest.mark.usefixtures("store")
def test_of_other_hosts_only_unmistakable_paths_are_counted() -> None:
    server = Server()
    client = server.openai(base_url=GATEWAY)
    client.images.edit(image=b"x", prompt="x")
    assert whys() == ["not cached: images"]
    with nbcache.mode("replay"):
        OPENAI["files"](client)
        OPENAI["batches"](client)
        client.models.list()
        for path in ("/v1/jobs", "/batches", "/video/edits", "/x/speech"):
            client.post(f"https://shop.example{path}", body={}, cast_to=object)
        with pytest.raises(ReplayMiss):
            client.images.edit(image=b"x", prompt="x")
    assert len(server.sent) == 8
    assert nbcache.stats().misses == 2  # with the one in `replay`


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("host", ["api.openai.com", "eu.api.openai.com", "mine.openai.azure.com", "api.openai.com:443"])
def test_requests_of_the_library_requests_are_known_by_their_host(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def send(_: Any, request: Any, **__: Any) -> Any:
        response = requests.Response()
        response.status_code, response.url = 200, request.url
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    requests.post(f"https://{host}/v1/files", files={"file": b"x"})
    requests.post(f"https://other.example/{host}/v1/files", files={"file": b"x"})
    requests.post("https://api-openai.com/v1/files", files={"file": b"x"})
    assert whys() == ["not cached: files"]
    with nbcache.mode("replay"), pytest.raises(ReplayMiss, match="files"):
        requests.get(f"https://{host}/v1/files/1")


@pytest.mark.usefixtures("store")
def test_an_upload_of_googles_in_two_requests_counts_once() -> None:
    url = "https://generativelanguage.googleapis.com/upload/v1beta/files"
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as client:
        client.post(url, json={"file": {}})
        client.post(f"{url}?upload_id=u", content=b"x")
    assert whys() == ["not cached: files"]


def test_where_it_is_off_or_the_setting_leaves_the_api_out_nothing_is_counted(tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store", clients=["anthropic"])
    server = Server()
    OPENAI["files"](server.openai())
    OPENAI["background"](server.openai())
    with nbcache.mode("off"):
        ANTHROPIC["files"](server.anthropic())
    assert nbcache.stats().misses == 0
    ANTHROPIC["files"](server.anthropic())
    assert nbcache.stats().misses == 1
    with nbcache.mode("replay"), pytest.raises(ReplayMiss):
        OPENAI["files"](server.openai())


@pytest.mark.usefixtures("store")
def test_a_call_without_a_key_is_counted_and_priced() -> None:
    class Odd(httpx2.MockTransport):
        def __init__(self) -> None:
            super().__init__(lambda _: httpx2.Response(200, json=completion()))
            self.state = object()

    client = openai.OpenAI(**KEY, http_client=httpx2.Client(transport=Odd()))
    with pytest.warns(nbcache.NbcacheWarning, match="Odd"):
        client.chat.completions.create(**CHAT)
    client.chat.completions.create(**CHAT)
    assert whys() == ["not cacheable"] * 2
    stats = nbcache.stats()
    assert (stats.misses, stats.unpriced_misses, stats.entries) == (2, 0, 0)


CLOUDS = {"aws", "azure", "google"}  # whose domains have other services, too


@pytest.mark.parametrize("host", [host for host, vendor in vendors._DOMAINS.items() if vendor not in CLOUDS])
def test_no_request_to_a_host_with_list_prices_goes_unnoticed(host: str) -> None:
    assert is_api_host(host.encode())
