"""Requests of botocore, which boto3 and LangChain's classes for AWS send by an endpoint's method. Nothing is imported.

The method sends one attempt, after the user's own handlers of the request. Those of the response run afterwards, and
botocore's retries, as they would without the cache.
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from nbcache.codec.sdk_response import HTTPResponse
from nbcache.integrations.http.apis.framing import framing_of
from nbcache.integrations.http.call_course import answer
from nbcache.integrations.http.call_of_request import HIT, CacheNow, exchange_of
from nbcache.integrations.http.http_request import HTTPRequest, whole_body
from nbcache.integrations.http.recorded_bodies import ReplayedBody
from nbcache.integrations.http.transport_identity import route_of
from nbcache.integrations.http.urllib_bodies import UrllibBody, UrllibForm, urllib_response

_SEND = "_send"
_SERVICE = "bedrock-runtime"


def cached(client: Any, cache_now: CacheNow) -> Any:
    """A copy of `client` that looks in the cache first. Returns `client` itself if it does so already.

    Both share settings, event handlers and connections. Raises TypeError for a client of another service than Bedrock's models.
    """
    service = client.meta.service_model.service_name
    if service != _SERVICE:
        raise TypeError(f"nbcache.wrap: this client of {service} calls no model. Give one of {_SERVICE}")
    endpoint = client._endpoint  # noqa: SLF001 - botocore has no public attribute for it
    if is_wrapped(endpoint):
        return client
    twin, twin_endpoint = _copy(client), _copy(endpoint)
    twin._endpoint = twin_endpoint  # noqa: SLF001
    vars(twin_endpoint)[_SEND] = partial(_respond_as_wrapped, cache_now, twin_endpoint)
    return twin


def is_wrapped(endpoint: Any) -> bool:
    """Whether an endpoint is that of a copy that `cached` has made."""
    return _SEND in vars(endpoint)


def _copy(value: Any) -> Any:
    cls: Any = type(value)
    twin = cls.__new__(cls)
    vars(twin).update(vars(value))
    return twin


def _respond_as_wrapped(cache_now: CacheNow, endpoint: Any, request: Any) -> Any:
    return respond(cache_now, endpoint, request, lambda: type(endpoint)._send(endpoint, request), is_hooked=False)  # noqa: SLF001


def respond(
    cache_now: CacheNow, endpoint: Any, request: Any, send: Callable[[], Any], *, is_hooked: bool = True
) -> Any:
    """The response to a request of `endpoint`, from the cache, or by `send`."""
    session = endpoint.http_session
    exchange = exchange_of(cache_now, _http_request(request, session), lambda: route_of(session), is_hooked=is_hooked)
    return send() if exchange is None else answer(exchange, _Form(request.url, send))


class _Form(UrllibForm):
    """One request of botocore, as `call_course.Form` has it. `send` sends it."""

    def __init__(self, url: str, send: Callable[[], Any]) -> None:
        self._url = url
        self.send = send

    def is_decoded(self, response: Any) -> bool:
        return not response.headers.get("content-encoding")

    def whole(self, response: Any, body: bytes) -> Any:
        response.raw = urllib_response(*self.head(response), body)
        return response

    def replayed(self, recorded: HTTPResponse) -> Any:
        headers = {**recorded.headers, **HIT}
        if framing_of(headers.get("content-type", "")) is None:
            raw = urllib_response(recorded.status, headers, recorded.body)
        else:
            raw = urllib_response(recorded.status, headers)
            raw = UrllibBody(raw, iter(ReplayedBody(recorded)), raw.close)
        return sys.modules["botocore.awsrequest"].AWSResponse(self._url, recorded.status, headers, raw)


def _http_request(request: Any, session: Any) -> HTTPRequest:
    headers = {name: _text(value) for name, value in request.headers.items()}
    return HTTPRequest(
        request.method, request.url, headers, lambda: whole_body(request.body), _timeout(request, session)
    )


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _timeout(request: Any, session: Any) -> float | None:
    """The seconds that botocore waits for the answer: the call's own, else the client's."""
    timeout = (getattr(request, "context", None) or {}).get("read_timeout")
    if timeout is None:
        timeout = getattr(session, "_timeout", None)
        timeout = getattr(timeout, "read_timeout", timeout)
    return timeout if isinstance(timeout, int | float) else None
