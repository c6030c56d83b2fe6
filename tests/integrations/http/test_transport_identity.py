"""Where an SDK's request really goes: another server, tenant or socket is another call, wherever that is set."""

import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

import nbcache
from tests.servers.provider import Provider
from tests.servers.provider import _Handler as Handler

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture
def other() -> Iterator[Provider]:
    """A second provider, that has to be asked."""
    with Provider() as running:
        yield running


def wrapped(provider: Provider, **given: Any) -> openai.OpenAI:
    return nbcache.wrap(openai.OpenAI(**provider.openai, max_retries=0, http_client=httpx2.Client(**given)))


def ask(client: openai.OpenAI, **more: Any) -> None:
    client.chat.completions.create(model="m", messages=[{"role": "user", "content": "What?"}], **more)


class Elsewhere(httpx2.BaseTransport):
    """Sends everything to another host."""

    def __init__(self, to: str) -> None:
        self.to = to

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        url = httpx2.URL(self.to)
        request.url = request.url.copy_with(host=url.host, port=url.port)
        with httpx2.HTTPTransport() as transport:
            response = transport.handle_request(request)
            response.read()
            return response


class Tenant(httpx2.HTTPTransport):
    """Adds a header to what is sent."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["X-Tenant"] = self.name
        return super().handle_request(request)


class TenantAuth(httpx2.Auth):
    def __init__(self, name: str) -> None:
        self.name = name

    def auth_flow(self, request: httpx2.Request) -> Any:
        request.headers["X-Tenant"] = self.name
        yield request


def test_a_transport_that_sends_elsewhere_asks_there(provider: Provider, other: Provider) -> None:
    for _ in range(2):
        for to in (provider, other):
            ask(wrapped(provider, transport=Elsewhere(to.url)))
    assert (len(provider.requests), len(other.requests)) == (1, 1)


@pytest.mark.parametrize(
    "given",
    [
        lambda name: {"transport": Tenant(name)},
        lambda name: {"auth": TenantAuth(name)},
        lambda name: {"headers": {"X-Tenant": name}},
        lambda name: {"headers": {"Host": name}},
        lambda name: {"event_hooks": {"request": [lambda request: request.headers.update({"X-Tenant": name})]}},
    ],
    ids=["transport", "auth", "headers", "host", "hook"],
)
def test_a_header_that_is_added_on_the_way_counts(given: Callable[[str], dict[str, Any]], provider: Provider) -> None:
    for _ in range(2):
        for name in ("a", "b"):
            ask(wrapped(provider, **given(name)))
    assert len(provider.requests) == 2


def test_a_hook_that_sends_elsewhere_asks_there(provider: Provider, other: Provider) -> None:
    def elsewhere(request: httpx2.Request) -> None:
        url = httpx2.URL(other.url)
        request.url = request.url.copy_with(host=url.host, port=url.port)

    for hooks in ([], [elsewhere]) * 2:
        ask(wrapped(provider, event_hooks={"request": hooks}))
    assert (len(provider.requests), len(other.requests)) == (1, 1)


def test_a_client_that_is_changed_afterwards_asks_where_it_leads_then(provider: Provider, other: Provider) -> None:
    client = wrapped(provider)
    ask(client)
    client.base_url = other.openai["base_url"]
    ask(client)
    ask(client)
    client.base_url = provider.openai["base_url"]
    ask(client)
    assert (len(provider.requests), len(other.requests)) == (1, 1)


def test_headers_of_the_http_client_that_are_changed_afterwards_count(provider: Provider) -> None:
    client = wrapped(provider)
    ask(client)
    client._client.headers["X-Tenant"] = "b"
    ask(client)
    client._client.event_hooks["request"].append(lambda request: request.headers.update({"X-Tenant": "c"}))
    ask(client)
    ask(client)
    assert len(provider.requests) == 3


def test_a_copy_with_other_options_is_another_call(provider: Provider, other: Provider) -> None:
    client = wrapped(provider)
    for each in (client, client.with_options(base_url=other.openai["base_url"])) * 2:
        ask(each)
    assert (len(provider.requests), len(other.requests)) == (1, 1)


def test_a_transport_that_cannot_be_told_from_another_is_not_cached_and_that_is_said(provider: Provider) -> None:
    transport = Elsewhere(provider.url)
    transport.left = iter(provider.url)  # type: ignore[attr-defined]  # of which nothing tells what is left
    client = wrapped(provider, transport=transport)
    with pytest.warns(UserWarning, match="by way of Elsewhere are not cached"):
        ask(client)
    ask(client)
    assert len(provider.requests) == 2


class _UnixServer(ThreadingHTTPServer):
    address_family = socketserver.UnixStreamServer.address_family
    owner: Any

    def server_bind(self) -> None:
        socketserver.UnixStreamServer.server_bind(self)


class _UnixHandler(Handler):
    disable_nagle_algorithm = False


def test_two_sockets_under_one_url_are_two_servers(provider: Provider, tmp_path: Path) -> None:
    servers = []
    for name in ("a", "b"):
        server = _UnixServer(str(tmp_path / name), _UnixHandler)  # type: ignore[arg-type]
        server.owner = provider
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
    try:
        for name in ("a", "b", "a", "b"):
            ask(wrapped(provider, transport=httpx2.HTTPTransport(uds=str(tmp_path / name))))
        assert len(provider.requests) == 2
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
