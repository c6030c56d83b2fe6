"""httpx clients that look each request up in the cache first. The SDKs do the rest: types, parsing, streams, retries.

It works for both packages, `httpx` and `httpx2`, and imports neither.
"""

import contextlib
import functools
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Self

from nbcache.cache.call import Call
from nbcache.cache.response_origins import CALL
from nbcache.codec.sdk_response import HTTPResponse
from nbcache.integrations.http.call_course import aanswer, answer
from nbcache.integrations.http.call_of_request import HIT, CacheNow, exchange_of
from nbcache.integrations.http.exchange import Exchange
from nbcache.integrations.http.http_request import HTTPRequest
from nbcache.integrations.http.recorded_bodies import AsyncRecordedBody, RecordedBody, ReplayedBody
from nbcache.integrations.http.transport_identity import route_of

_CLIENTS = {"Client": False, "AsyncClient": True}  # and whether they are asynchronous


def cached(http_client: Any, cache_now: CacheNow) -> Any:
    """A copy of `http_client` that looks in the cache first. Returns `http_client` itself if it does so already.

    Both share headers, cookies, hooks and connections, so closing one closes both. Raises TypeError if it is not a client of
    httpx.
    """
    family, is_async = _family(http_client)
    if isinstance(http_client._transport, CachingTransport):  # noqa: SLF001 - httpx has no public attribute for it
        return http_client
    kind: Any = type(http_client)
    cls = without_finalizer(kind)
    twin = cls.__new__(cls)
    vars(twin).update(vars(http_client))
    transport = AsyncTransport if is_async else SyncTransport
    twin._transport = transport(http_client, family, cache_now)  # noqa: SLF001
    twin._mounts = {}  # noqa: SLF001 - the original sends, and so uses its proxies
    return twin


def _family(http_client: Any) -> tuple[Any, bool]:
    """The module of an httpx client, and whether it is asynchronous."""
    for cls in type(http_client).__mro__:
        if cls.__module__ in {"httpx", "httpx2"} and cls.__name__ in _CLIENTS:
            if not (hasattr(http_client, "_transport_for_url") and hasattr(http_client, "_mounts")):
                break
            return sys.modules[cls.__module__], _CLIENTS[cls.__name__]
    raise TypeError(f"nbcache does not know how {type(http_client).__qualname__} sends its requests")


@functools.cache
def without_finalizer(cls: Any) -> Any:
    """`cls` without its `__del__`, if it has one: that would close the connections, which the original still needs."""
    if not hasattr(cls, "__del__"):
        return cls
    return type(cls.__name__, (cls,), {"__del__": lambda _: None, "__module__": cls.__module__})


class CachingTransport:
    """What both transports share.

    `client` sends the requests, and has the proxies. `inner` is the transport that it would use, if that is known; such a
    transport is a hook's, for one request, and is asked only for paths of a model's API. One without it is a wrapped
    client's own, which gets all of its requests.
    """

    def __init__(self, client: Any, family: Any, cache_now: CacheNow, inner: Any = None) -> None:
        self._client = client
        self._family = family
        self._cache_now = cache_now
        self.inner = inner

    def _exchange(self, request: Any) -> Exchange | None:
        """The call that `request` makes. None if it is sent without the cache."""
        if self._client.is_closed:
            raise RuntimeError("Cannot send a request, as the client has been closed.")
        return exchange_of(
            self._cache_now,
            http_request(request),
            lambda: route_of(self._inner_transport(request)),
            is_hooked=self.inner is not None,
        )

    def _inner_transport(self, request: Any) -> Any:
        """The transport that sends, as the client's own `send` would choose it."""
        if self.inner is not None:
            return self.inner
        transport = self._client._transport_for_url(request.url)  # noqa: SLF001
        return transport.inner if isinstance(transport, CachingTransport) and transport.inner else transport


@functools.cache
def _for_httpx(kind: Any, family: Any) -> Any:
    """A class of bodies as a stream of `family`, the module httpx or httpx2."""
    return type(kind.__name__, (kind, family.SyncByteStream, family.AsyncByteStream), {})


def http_request(request: Any) -> HTTPRequest:
    """A request of httpx, as it would be sent."""
    timeout = (request.extensions.get("timeout") or {}).get("read")
    headers = dict(request.headers.items())  # a look at httpx's own object takes as long as this
    return HTTPRequest(request.method, str(request.url), headers, partial(_content, request), timeout)


def _content(request: Any) -> bytes:
    """The body of a request of httpx, which raises if it is generated while it is sent."""
    # A request that follows a redirect is not read, but has the bytes of the first one.
    is_bytes = type(request.stream).__name__ == "ByteStream"
    return b"".join(request.stream) if is_bytes else request.content


class _Form:
    """One request of httpx, as `call_course.Form` has it. `send` sends it."""

    def __init__(self, family: Any, send: Callable[[], Any], call: Call) -> None:
        self._family = family
        self._extensions = {CALL: call}
        self.send = send

    def head(self, response: Any) -> tuple[int, Mapping[str, str]]:
        return response.status_code, response.headers

    def is_decoded(self, response: Any) -> bool:
        decoders = sys.modules[f"{self._family.__name__}._decoders"].SUPPORTED_DECODERS
        encodings = response.headers.get("content-encoding", "").split(",")
        return all(each.strip().lower() in decoders for each in encodings if each.strip())

    def replayed(self, recorded: HTTPResponse) -> Any:
        stream = _for_httpx(ReplayedBody, self._family)(recorded)
        return self._family.Response(
            recorded.status, headers={**recorded.headers, **HIT}, stream=stream, extensions=self._extensions
        )

    def whole(self, response: Any, body: bytes) -> Any:
        return self._forwarded(response, self._family.ByteStream(body))

    def _forwarded(self, response: Any, stream: Any) -> Any:
        """`response` with its decoded body in `stream`."""
        headers = response.headers.copy()
        if headers.pop("content-encoding", None) is not None:
            headers.pop("content-length", None)
        extensions = {**response.extensions, **self._extensions}
        return self._family.Response(response.status_code, headers=headers, stream=stream, extensions=extensions)

    def _recorded(self, kind: Any, response: Any, exchange: Exchange, *chunks_and_close: Any) -> Any:
        body = _for_httpx(kind, self._family)(exchange, *self.head(response), *chunks_and_close)
        return self._forwarded(response, body)


class _SyncForm(_Form):
    def read(self, response: Any) -> Any:
        with contextlib.closing(response):
            return response.read()

    def streamed(self, response: Any, exchange: Exchange) -> Any:
        return self._recorded(RecordedBody, response, exchange, response.iter_bytes(), response.close)


class _AsyncForm(_Form):
    async def read(self, response: Any) -> Any:
        async with contextlib.aclosing(response):
            return await response.aread()

    def streamed(self, response: Any, exchange: Exchange) -> Any:
        return self._recorded(AsyncRecordedBody, response, exchange, response.aiter_bytes(), response.aclose)


class SyncTransport(CachingTransport):
    """The sync form, an `httpx.BaseTransport`."""

    def handle_request(self, request: Any) -> Any:
        """The response, from the cache or from the provider."""
        exchange = self._exchange(request)

        def send() -> Any:
            return self._inner_transport(request).handle_request(request)

        return send() if exchange is None else answer(exchange, _SyncForm(self._family, send, exchange.call))

    def close(self) -> None:
        """Close the original client: its connections are shared."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncTransport(CachingTransport):
    """The async form, an `httpx.AsyncBaseTransport`."""

    async def handle_async_request(self, request: Any) -> Any:
        """As `SyncTransport.handle_request`."""
        exchange = self._exchange(request)

        async def send() -> Any:
            return await self._inner_transport(request).handle_async_request(request)

        return await (send() if exchange is None else aanswer(exchange, _AsyncForm(self._family, send, exchange.call)))

    async def aclose(self) -> None:
        """As `SyncTransport.close`."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
