"""Requests of lm15, the library in DSPy that calls models: its transports have one method that sends. Nothing is imported."""

from collections.abc import Awaitable, Callable, Mapping
from types import ModuleType
from typing import Any

from nbcache.codec.sdk_response import HTTPResponse
from nbcache.integrations.http.call_course import aanswer, answer
from nbcache.integrations.http.call_of_request import HIT, CacheNow, exchange_of
from nbcache.integrations.http.exchange import Exchange
from nbcache.integrations.http.http_request import HTTPRequest, whole_body
from nbcache.integrations.http.recorded_bodies import AsyncRecordedBody, RecordedBody, ReplayedBody, one_piece
from nbcache.integrations.http.transport_identity import route_of

Send = Callable[[Any], Any]


def look_up(cache_now: CacheNow, lm15: ModuleType, transport: Any, request: Any, send: Send) -> Any:
    """The response to a request, from the cache or from `send`. `lm15` is its module of transports."""
    exchange = _exchange(cache_now, transport, request)
    return send(request) if exchange is None else answer(exchange, _Form(lm15.TransportResponse, request, send))


async def alook_up(cache_now: CacheNow, lm15: ModuleType, transport: Any, request: Any, send: Send) -> Any:
    """As `look_up`, on an event loop."""
    exchange = _exchange(cache_now, transport, request)
    if exchange is None:
        return await send(request)
    return await aanswer(exchange, _AsyncForm(lm15.AsyncTransportResponse, request, send))


def _exchange(cache_now: CacheNow, transport: Any, request: Any) -> Exchange | None:
    http_request = HTTPRequest(
        request.method, request.url, _headers(request), lambda: whole_body(request.body), request.read_timeout
    )
    return exchange_of(cache_now, http_request, lambda: route_of(transport), is_hooked=True)


def _headers(message: Any) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in message.headers:
        lower = name.lower()
        headers[lower] = f"{headers[lower]}, {value}" if lower in headers else value
    return headers


class _Form:
    """One request of lm15, as `call_course.Form` has it. `cls` is the class of its responses."""

    def __init__(self, cls: Callable[..., Any], request: Any, send: Send) -> None:
        self._cls, self._request, self._send = cls, request, send

    def send(self) -> Any:
        return self._send(self._request)

    def head(self, response: Any) -> tuple[int, Mapping[str, str]]:
        return response.status, _headers(response)

    def is_decoded(self, _: Any) -> bool:
        return True  # a transport raises what it can't decode

    def read(self, response: Any) -> Any:
        return response.read()

    def whole(self, response: Any, body: bytes) -> Any:
        return self._like(response, iter([body]), _nothing)

    def streamed(self, response: Any, exchange: Exchange) -> Any:
        body = RecordedBody(exchange, *self.head(response), iter(response), response.close)
        return self._like(response, body, lambda _: body.close())

    def replayed(self, recorded: HTTPResponse) -> Any:
        return self._recorded(recorded, iter(ReplayedBody(recorded)), _nothing)

    def _like(self, response: Any, chunks: Any, release: Callable[[bool], Any]) -> Any:
        names = ("status", "reason", "headers", "http_version")
        return self._cls(chunks=chunks, release=release, **{name: getattr(response, name) for name in names})

    def _recorded(self, recorded: HTTPResponse, chunks: Any, release: Callable[[bool], Any]) -> Any:
        headers = [*recorded.headers.items(), *HIT.items()]
        parts = {"status": recorded.status, "reason": "OK", "headers": headers, "http_version": "HTTP/1.1"}
        return self._cls(chunks=chunks, release=release, **parts)


class _AsyncForm(_Form):
    """As `_Form`."""

    def whole(self, response: Any, body: bytes) -> Any:
        return self._like(response, one_piece(body), _anothing)

    def streamed(self, response: Any, exchange: Exchange) -> Any:
        body = AsyncRecordedBody(exchange, *self.head(response), aiter(response), response.aclose)

        def release(_: bool) -> Awaitable[None]:  # noqa: FBT001 - as lm15 calls it
            return body.aclose()

        return self._like(response, body, release)

    def replayed(self, recorded: HTTPResponse) -> Any:
        return self._recorded(recorded, aiter(ReplayedBody(recorded)), _anothing)


def _nothing(_: bool) -> None:  # noqa: FBT001 - as lm15 calls it
    """Nothing is to be released: the connection is free, or there is none."""


async def _anothing(_: bool) -> None:  # noqa: FBT001 - as lm15 calls it
    """As `_nothing`."""
