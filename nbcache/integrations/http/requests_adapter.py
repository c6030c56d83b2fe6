"""Requests of the library `requests`: its sessions ask an adapter, and ours is around the session's own. Nothing is imported."""

import sys
from collections.abc import Mapping
from typing import Any

from nbcache.codec.sdk_response import HTTPResponse
from nbcache.integrations.http.call_course import answer
from nbcache.integrations.http.call_of_request import HIT, CacheNow, exchange_of
from nbcache.integrations.http.http_request import HTTPRequest, whole_body
from nbcache.integrations.http.recorded_bodies import ReplayedBody
from nbcache.integrations.http.transport_identity import route_of
from nbcache.integrations.http.urllib_bodies import UrllibBody, UrllibForm, urllib_response


def cached(session: Any, cache_now: CacheNow) -> Any:
    """A copy of `session` that looks in the cache first. Returns `session` itself if it does so already.

    Both share headers, cookies, hooks, adapters and connections, so closing one closes both.
    """
    if isinstance(vars(session).get("get_adapter"), _Adapters):
        return session
    cls: Any = type(session)
    twin = cls.__new__(cls)
    vars(twin).update(vars(session))
    vars(twin)["get_adapter"] = _Adapters(session, cache_now)
    return twin


class _Adapters:
    """The method `get_adapter` of a wrapped session."""

    def __init__(self, session: Any, cache_now: CacheNow) -> None:
        self._session = session
        self._cache_now = cache_now

    def __call__(self, url: str) -> "CachingAdapter":
        adapter = self._session.get_adapter(url)
        inner = adapter.inner if isinstance(adapter, CachingAdapter) else adapter
        return CachingAdapter(self._cache_now, inner, is_hooked=False)


class CachingAdapter:
    """An adapter for one request. `inner` is the session's own, which sends what is not in the cache."""

    def __init__(self, cache_now: CacheNow, inner: Any, *, is_hooked: bool = True) -> None:
        self._cache_now = cache_now
        self.inner = inner
        self._is_hooked = is_hooked

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def send(self, request: Any, **given: Any) -> Any:
        """The response, from the cache or from the provider."""
        exchange = exchange_of(
            self._cache_now, _http_request(request, given), lambda: route_of(self.inner), is_hooked=self._is_hooked
        )
        if exchange is None:
            return self.inner.send(request, **given)
        return answer(exchange, _Form(self.inner, request, given))


class _Form(UrllibForm):
    """One request of `requests`, as `call_course.Form` has it."""

    def __init__(self, inner: Any, request: Any, given: Mapping[str, Any]) -> None:
        self._inner, self._request, self._given = inner, request, given

    def send(self) -> Any:
        return self._inner.send(self._request, **self._given)

    def is_decoded(self, response: Any) -> bool:
        decoders = sys.modules["urllib3"].HTTPResponse.CONTENT_DECODERS
        encodings = response.headers.get("content-encoding", "").split(",")
        return all(each.strip().lower() in decoders for each in encodings if each.strip())

    def whole(self, response: Any, body: bytes) -> Any:
        response.raw = UrllibBody(response.raw, iter([body]), response.raw.close)
        return response

    def replayed(self, recorded: HTTPResponse) -> Any:
        raw = urllib_response(recorded.status, {**recorded.headers, **HIT})
        response = sys.modules["requests.adapters"].HTTPAdapter.build_response(self._inner, self._request, raw)
        response.raw = UrllibBody(raw, iter(ReplayedBody(recorded)), raw.close)
        return response


def _http_request(request: Any, given: Mapping[str, Any]) -> HTTPRequest:
    timeout = given.get("timeout")
    read = timeout[1] if isinstance(timeout, tuple) else timeout
    headers = {
        name if isinstance(name, str) else name.decode("latin-1"): value for name, value in request.headers.items()
    }
    return HTTPRequest(
        request.method,
        request.url,
        headers,
        lambda: whole_body(request.body),
        read if isinstance(read, int | float) else None,
    )
