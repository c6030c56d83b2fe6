"""Requests of aiohttp: a client middleware looks each up, the innermost, which gets it as it would be sent. Nothing is imported."""

import functools
import http
import inspect
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import ModuleType
from typing import Any

from nbcache.cache.call import Call, call_around
from nbcache.cache.modes import OFF
from nbcache.codec.sdk_response import HTTPResponse
from nbcache.entry.filter import FUNCTIONS
from nbcache.errors import warn_once
from nbcache.integrations.http.call_course import aanswer
from nbcache.integrations.http.call_of_request import HIT, CacheNow, exchange_of
from nbcache.integrations.http.exchange import Exchange
from nbcache.integrations.http.http_request import HTTPRequest, whole_body
from nbcache.integrations.http.model_call import concerns_model_api, may_be_model_call, model_call
from nbcache.integrations.http.recorded_bodies import AsyncRecordedBody, ReplayedBody, one_piece
from nbcache.integrations.http.uncached_requests import uncached_request
from nbcache.keys.usercode import digest_of, is_users_code, piece_of


class CachingMiddleware:
    """The middleware for one request of `session`, whose other arguments are `given`. It gets each redirect of it, too."""

    __slots__ = ("_cache_now", "_given", "_is_hooked", "_session")

    def __init__(self, session: Any, given: Mapping[str, Any], cache_now: CacheNow, is_hooked: bool) -> None:  # noqa: FBT001 - made for every request
        self._session = session
        self._given = given
        self._cache_now = cache_now
        self._is_hooked = is_hooked

    def __call__(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Awaitable[Any]:
        """The response, from the cache or from the provider."""
        url = request.url
        if not concerns_model_api(url.raw_path.encode(), (url.raw_host or "").encode()):
            return handler(request)
        return self._looked_up(request, handler)

    async def _looked_up(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        exchange = exchange_of(
            self._cache_now,
            _http_request(request, self._timeout()),
            lambda: _route(request, self._session.connector),
            is_hooked=self._is_hooked,
        )
        if exchange is None:
            return await handler(request)
        return await aanswer(exchange, _Form(request, handler, decodes=self._decodes()))

    def _timeout(self) -> float | None:
        """The seconds that the sender waits for an answer."""
        timeout = self._given.get("timeout", self._session.timeout)
        total = getattr(timeout, "total", timeout)
        return total if isinstance(total, int | float) else None

    def _decodes(self) -> bool:
        """Whether aiohttp decodes the bodies of responses."""
        given = self._given.get("auto_decompress")
        return bool(self._session.auto_decompress if given is None else given)


def with_middleware(session: Any, given: dict[str, Any], cache_now: CacheNow, *, is_hooked: bool) -> dict[str, Any]:
    """The arguments of a request of `session`, with a middleware that looks it up."""
    inner = given.get("middlewares")
    if inner is None:
        inner = session._middlewares  # noqa: SLF001 - it has no public attribute
    if inner and isinstance(inner[-1], CachingMiddleware):  # of a wrapped session
        return given
    return {**given, "middlewares": (*inner, CachingMiddleware(session, given, cache_now, is_hooked))}


def cached(session: Any, cache_now: CacheNow) -> Any:
    """A copy of `session` that looks in the cache first. Returns `session` itself if it does so already.

    Both share headers, cookies, middlewares and connections, so closing one closes both. Raises TypeError if aiohttp is too old.
    """
    aiohttp = sys.modules["aiohttp"]
    if isinstance(session, _WrappedSession):
        return session
    if not hasattr(aiohttp, "ClientMiddlewareType"):
        raise TypeError(f"nbcache.wrap: aiohttp {aiohttp.__version__} is too old for nbcache: it needs 3.12 or later")
    kind: Any = type(session)
    cls = _wrapped_class(kind)
    twin = cls.__new__(cls)
    vars(twin).update(vars(session), _cache_now=cache_now)
    return twin


class _WrappedSession:
    """What the class of a wrapped session adds to the session's own."""

    def __init_subclass__(cls, **_: Any) -> None:
        """Say nothing: aiohttp warns of classes that are derived from its own."""

    def __del__(self, *_: object) -> None:
        """The connections are those of the original session, which warns if it wasn't closed."""

    def _request(self, method: str, str_or_url: Any, **given: Any) -> Any:
        given = with_middleware(self, given, vars(self)["_cache_now"], is_hooked=False)
        return super()._request(method, str_or_url, **given)  # type: ignore[misc]  # of aiohttp's class


@functools.cache
def _wrapped_class(cls: type) -> Any:
    return type(cls.__name__, (_WrappedSession, cls), {"__module__": cls.__module__})


class _Form:
    """One request of aiohttp, as `call_course.Form` has it."""

    def __init__(self, request: Any, handler: Callable[[Any], Awaitable[Any]], *, decodes: bool) -> None:
        self._request = request
        self._handler = handler
        self._decodes = decodes

    def send(self) -> Awaitable[Any]:
        return self._handler(self._request)

    def head(self, response: Any) -> tuple[int, Mapping[str, str]]:
        return response.status, response.headers

    def is_decoded(self, response: Any) -> bool:
        return self._decodes or "content-encoding" not in response.headers

    async def read(self, response: Any) -> Any:
        try:
            return await response.content.read()
        except BaseException:
            response.close()
            raise

    def whole(self, response: Any, body: bytes) -> Any:
        response.content = _content(self._request.loop, one_piece(body))
        return response

    def streamed(self, response: Any, exchange: Exchange) -> Any:
        body = AsyncRecordedBody(exchange, *self.head(response), response.content.iter_any(), _nothing)
        response.content = _content(self._request.loop, body, exchange.call.end)
        return response

    def replayed(self, recorded: HTTPResponse) -> Any:
        request, aiohttp = self._request, sys.modules["aiohttp"]
        given: dict[str, Any] = dict.fromkeys(("writer", "continue100", "timer"))
        given |= {"loop": request.loop, "session": getattr(request, "_session", None), "stream_writer": _Sent}
        given |= {"request_info": request.request_info, "traces": getattr(request, "_traces", [])}
        names = _parameters(request.response_class)
        response = request.response_class(
            *(request.method, request.original_url), **{name: given[name] for name in given if name in names}
        )
        headers = {**recorded.headers, **HIT}
        response.version = aiohttp.HttpVersion11
        response.status, response.reason = recorded.status, http.HTTPStatus(recorded.status).phrase
        multidict = sys.modules["multidict"]
        response._headers = multidict.CIMultiDictProxy(multidict.CIMultiDict(headers))  # noqa: SLF001 - as its `start` sets it
        response._raw_headers = tuple((name.encode(), value.encode()) for name, value in headers.items())  # noqa: SLF001
        response._closed = False  # noqa: SLF001
        response.content = _content(request.loop, aiter(ReplayedBody(recorded)))
        response.content.on_eof(response._response_eof)  # noqa: SLF001
        return response


class _Sent:
    """What a response asks the writer of its request, which was not sent."""

    output_size = 0


class _Content:
    """A stream of aiohttp whose bytes are drawn from an iterator when they are read."""

    _pieces: AsyncIterator[bytes]
    _end: Callable[[], object]

    async def _wait(self, _: str) -> None:
        """Wait for the next bytes: every method of a stream that reads comes here."""
        stream: Any = self
        try:
            piece = await anext(self._pieces, None)
        except Exception as error:
            stream.set_exception(error)
            raise
        if piece is None:
            self._end()
            stream.feed_eof()
        else:
            stream.feed_data(piece)

    def set_exception(self, *error: Any) -> None:
        """No more will be read: its response is closed or released, or the connection is lost."""
        self._end()
        super().set_exception(*error)  # type: ignore[misc]  # of aiohttp's class


def _content(loop: Any, pieces: AsyncIterator[bytes], end: Callable[[], object] = lambda: None) -> Any:
    """A stream of aiohttp with these pieces. `end` is called once no more of them are read."""
    protocol = sys.modules["aiohttp.base_protocol"].BaseProtocol(loop)
    content = _content_class(sys.modules["aiohttp"].StreamReader)(protocol, 2**16, loop=loop)
    content._pieces, content._end = pieces, end  # noqa: SLF001 - of ours
    return content


@functools.cache
def _content_class(reader: type) -> Any:
    return type(reader.__name__, (_Content, reader), {})


async def _nothing() -> None:
    """A response of aiohttp closes its connection itself."""


@functools.cache
def _parameters(response_class: Any) -> frozenset[str]:
    """The arguments that this release's responses take."""
    names = frozenset(inspect.signature(response_class).parameters)
    return names if "loop" in names else frozenset(inspect.signature(sys.modules["aiohttp"].ClientResponse).parameters)


def _route(request: Any, connector: Any) -> Any:
    """What counts of the way of a request: a socket, and the user's own connector, resolver and class of requests."""
    ways = [way for way in (connector, getattr(connector, "_resolver", None)) if is_users_code(type(way))]
    parts = [getattr(connector, "path", None), *map(_code_and_state, ways)]
    if is_users_code(type(request)):
        parts.append(digest_of(type(request)))
    return [part for part in parts if part] or None


def _code_and_state(way: Any) -> str:
    """What counts of a connector or resolver: its code, and what that reads. The rest are connections and addresses."""
    cls, state = type(way), vars(way)
    reads = piece_of(cls).reads
    return digest_of([cls, {name: state[name] for name in sorted(state) if name in reads}])


def _http_request(request: Any, timeout: float | None) -> HTTPRequest:
    headers = {name: ", ".join(request.headers.getall(name)) for name in request.headers}
    return HTTPRequest(request.method, str(request.url), headers, lambda: _body(request), timeout)


def _body(request: Any) -> str:
    """The body of a request. Raises TypeError if it is read or generated while it is sent."""
    body = request.body
    if body != b"" and not isinstance(body, sys.modules["aiohttp"].BytesPayload):  # it has one
        raise TypeError("no bytes")
    text: str = body.decode()
    return text


# Of releases before 3.12, which have no middlewares


def pass_by(cache_now: CacheNow, aiohttp: ModuleType, url: Any, given: Mapping[str, Any]) -> None:
    """Say that a call of a model by an old aiohttp is not cached. Raises ReplayMiss."""
    cache = cache_now()
    around = call_around()
    if (
        cache is None
        or (around is not None and around.kind not in FUNCTIONS)
        or not may_be_model_call(str(url).encode())
    ):
        return
    body = given.get("data") if given.get("json") is None else json.dumps(given["json"])
    request = HTTPRequest("POST", str(url), {}, lambda: whole_body(body))
    if model_call(request) is None and uncached_request(request, is_wrapped=False) is None:
        return
    why = f"by aiohttp {aiohttp.__version__} are not cached: that needs aiohttp 3.12 or later"
    cache.forbid_in_replay(Call(is_chat=False), f"can't be looked up: calls {why}")
    if cache.settings_now.mode != OFF:
        warn_once("aiohttp", f"nbcache: calls {why}")
