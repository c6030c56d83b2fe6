"""What the real clients send, caught at their transports: httpx, httpx2 and botocore. Nothing leaves the process."""

import functools
import os
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NoReturn
from unittest import mock

import botocore.httpsession
import botocore.loaders
import httpx
import httpx2

from tests.keys.truth.request import request_text


class Sent(BaseException):
    """Raised in place of sending. It is no Exception, so that no client tries again or wraps it."""

    def __init__(self, request: str) -> None:
        super().__init__(request)
        self.request = request


@contextmanager
def captured() -> Iterator[None]:
    """Within this block every request ends with `Sent`."""
    with ExitStack() as stack:
        for family in (httpx, httpx2):
            stack.enter_context(mock.patch.object(family.HTTPTransport, "handle_request", _caught))
            stack.enter_context(mock.patch.object(family.AsyncHTTPTransport, "handle_async_request", _acaught))
        stack.enter_context(mock.patch.object(botocore.httpsession.URLLib3Session, "send", _caught_aws))
        yield


@contextmanager
def made_fast() -> Iterator[None]:
    """Within this block clients are made without reading certificates and AWS's descriptions anew each time."""
    context = functools.cache(ssl.create_default_context)
    loader = functools.cache(botocore.loaders.create_loader)
    with (
        mock.patch.dict(os.environ, {"AWS_EC2_METADATA_DISABLED": "true"}),
        mock.patch.object(ssl, "create_default_context", side_effect=lambda *_, **__: context()),
        mock.patch.object(botocore.loaders, "create_loader", side_effect=lambda *_: loader()),
    ):
        yield


def _caught(_: Any, request: Any) -> NoReturn:
    raise Sent(request_text(request.method, str(request.url), request.headers.multi_items(), request.read()))


async def _acaught(_: Any, request: Any) -> NoReturn:
    raise Sent(request_text(request.method, str(request.url), request.headers.multi_items(), await request.aread()))


def _caught_aws(_: Any, request: Any) -> NoReturn:
    headers = [(name, _text(value)) for name, value in request.headers.items()]
    raise Sent(request_text(request.method, request.url, headers, request.body or b""))


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
