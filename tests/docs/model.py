"""The model that answers the pages' examples: on loopback, wherever a client believes that it sends its requests."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import httpx
import httpx2

from tests.servers.provider import Answer, Provider, Request


class Model(Provider):
    """Answers some questions as `answers` says and others by repeating them; for each letter it takes some seconds."""

    def __init__(self, answers: Mapping[str, str], seconds: float = 0.0) -> None:
        super().__init__()
        self._answers, self._seconds = answers, seconds

    def _reply(self, request: Request) -> Answer | int:
        body = request.body
        question = str((body.get("messages") or [{}])[-1].get("content"))
        if question not in self._answers or {"response_format", "tools"} & body.keys():
            return super()._reply(request)
        time.sleep(self._seconds * len(self._answers[question]))
        return Answer(self._answers[question])


@contextmanager
def redirected(url: str) -> Iterator[None]:
    """Requests to any host go to the server at `url` instead, below all that nbcache looks at."""
    with ExitStack() as stack:
        for family in (httpx, httpx2):  # clients take the one or the other
            for transport, name in (
                ("HTTPTransport", "handle_request"),
                ("AsyncHTTPTransport", "handle_async_request"),
            ):
                stack.enter_context(_patched(getattr(family, transport), name, httpx.URL(url)))
        yield


def _patched(transport: type[Any], name: str, url: httpx.URL) -> Any:
    send = getattr(transport, name)

    def handle(self: Any, request: Any) -> Any:
        request.url = request.url.copy_with(scheme="http", host=url.host, port=url.port)
        return send(self, request)

    return mock.patch.object(transport, name, handle)
