"""While the cache is on, each request to a model's API is looked up, whatever client or library sends it.

httpx's clients choose the transport of a request by one method, and the sessions of `requests` the adapter. For a path of a
model's API that method gives one of ours around the client's own; for any other it gives what it always gave. The sessions of
`aiohttp` take middlewares for each request: ours comes after the user's. botocore's endpoints, and the transports in DSPy, send by
one method. No object of a client changes. What botocore gets where `NBCACHE_MODE=replay` holds is in `aws_in_replay`.
"""

import sys
from collections.abc import Callable
from functools import cache, partial, wraps
from importlib import import_module
from types import ModuleType
from typing import Any
from weakref import WeakMethod

from nbcache.cache.notebook_cache import NotebookCache
from nbcache.concurrency.import_hooks import when_imported
from nbcache.integrations.patching import Wrapper, Wrapping


class HTTPHooks:
    """The hooked methods. `remove` puts back exactly what was there."""

    def __init__(self, cache_now: Callable[[], NotebookCache | None]) -> None:
        self._wrapping = Wrapping(cache_now)
        hooks: dict[str, Callable[[ModuleType], None]] = {
            **dict.fromkeys(("httpx", "httpx2"), self._hook_httpx),
            "requests": self._hook_requests,
            "aiohttp": self._hook_aiohttp,
            "botocore.endpoint": self._hook_botocore,
            "botocore.credentials": self._hook_credentials,
            "botocore.signers": self._hook_signers,
            "botocore.session": self._hook_sessions,
            "aiobotocore.credentials": self._hook_async_credentials,
            "aiobotocore.session": self._hook_async_sessions,
            "dspy._vendor.lm15.transports": self._hook_lm15,
        }
        self._waiting = [when_imported([name], partial(_call, WeakMethod(hook), name)) for name, hook in hooks.items()]

    def remove(self) -> None:
        """Put the originals back. If somebody has wrapped ours since, ours stays in place and does nothing."""
        for end in self._waiting:
            end()
        self._wrapping.remove()

    def _hook_httpx(self, family: ModuleType) -> None:
        for name, transport in (("Client", "SyncTransport"), ("AsyncClient", "AsyncTransport")):
            wrapper = partial(_hooked_httpx, self._wrapping, family, transport)
            self._hook(getattr(family, name), "_transport_for_url", wrapper)

    def _hook_requests(self, requests: ModuleType) -> None:
        self._hook(requests.Session, "get_adapter", partial(_hooked_requests, self._wrapping))

    def _hook_aiohttp(self, aiohttp: ModuleType) -> None:
        self._hook(aiohttp.ClientSession, "_request", partial(_hooked_aiohttp, self._wrapping, aiohttp))

    def _hook_botocore(self, endpoint: ModuleType) -> None:
        self._hook(endpoint.Endpoint, "_send", partial(_hooked_botocore, self._wrapping))

    def _hook_credentials(self, credentials: ModuleType) -> None:
        wrapper = partial(_room("aws_in_replay").with_credentials, self._wrapping, credentials)
        self._hook(credentials.CredentialResolver, "load_credentials", wrapper)

    def _hook_async_credentials(self, credentials: ModuleType) -> None:
        wrapper = partial(_room("aws_in_replay").with_credentials_async, self._wrapping, credentials)
        self._hook(credentials.AioCredentialResolver, "load_credentials", wrapper)

    def _hook_signers(self, signers: ModuleType) -> None:
        self._hook(signers.RequestSigner, "__init__", _room("aws_in_replay").for_models_only)

    def _hook_sessions(self, session: ModuleType) -> None:
        wrapper = partial(_room("aws_in_replay").with_region, self._wrapping)
        self._hook(session.Session, "create_client", wrapper)

    def _hook_async_sessions(self, session: ModuleType) -> None:
        wrapper = partial(_room("aws_in_replay").with_region, self._wrapping)
        self._hook(session.AioSession, "_create_client", wrapper)

    def _hook_lm15(self, lm15: ModuleType) -> None:
        for cls, name, look_up in (
            ("StdlibTransport", "stream", "look_up"),
            ("StdlibAsyncTransport", "_do_stream", "alook_up"),
        ):
            self._hook(getattr(lm15, cls), name, partial(_hooked_lm15, self._wrapping, lm15, look_up))

    def _hook(self, owner: type, name: str, wrapper: Wrapper) -> None:
        if self._wrapping.active and name in vars(owner):
            self._wrapping.wrap(owner, name, wrapper)


def _hooked_httpx(
    wrapping: Wrapping, family: ModuleType, transport: str, original: Callable[..., Any]
) -> Callable[..., Any]:
    @wraps(original)
    def transport_for_url(client: Any, url: Any) -> Any:
        inner = original(client, url)
        if not wrapping.active or not _room("model_call").concerns_model_api(url.raw_path, url.raw_host):
            return inner
        kind = getattr(_room("httpx_transport"), transport)
        return inner if isinstance(inner, kind) else kind(client, family, wrapping.cache_now, inner)

    return transport_for_url


def _hooked_requests(wrapping: Wrapping, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def get_adapter(session: Any, url: str) -> Any:
        inner = original(session, url)
        if not wrapping.active or not _room("model_call").concerns_model_api(*_path_and_host(url)):
            return inner
        return _room("requests_adapter").CachingAdapter(wrapping.cache_now, inner)

    return get_adapter


def _hooked_aiohttp(wrapping: Wrapping, aiohttp: ModuleType, original: Callable[..., Any]) -> Callable[..., Any]:
    takes_middlewares = hasattr(aiohttp, "ClientMiddlewareType")

    @wraps(original)
    def _request(session: Any, method: str, str_or_url: Any, **given: Any) -> Any:
        if not wrapping.active:
            return original(session, method, str_or_url, **given)
        room, cache_now = _room("aiohttp_middleware"), wrapping.cache_now
        if takes_middlewares:
            given = room.with_middleware(session, given, cache_now, is_hooked=True)
        elif method.upper() == "POST":
            room.pass_by(cache_now, aiohttp, str_or_url, given)
        return original(session, method, str_or_url, **given)

    return _request


def _hooked_lm15(
    wrapping: Wrapping, lm15: ModuleType, look_up: str, original: Callable[..., Any]
) -> Callable[..., Any]:
    @wraps(original)
    def stream(transport: Any, request: Any) -> Any:
        if not wrapping.active or not _room("model_call").concerns_model_api(*_path_and_host(request.url)):
            return original(transport, request)
        send = partial(original, transport)
        return getattr(_room("lm15_transport"), look_up)(wrapping.cache_now, lm15, transport, request, send)

    return stream


def _path_and_host(url: str) -> tuple[bytes, bytes]:
    """The path of a URL with its query, and its host without a port, for a quick look."""
    rest = url.encode("ascii", "replace").partition(b"//")[2]
    authority, _, path = rest.partition(b"#")[0].partition(b"/")
    return path, authority.rpartition(b"@")[2].partition(b":")[0]


def _hooked_botocore(wrapping: Wrapping, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def _send(endpoint: Any, request: Any) -> Any:
        if not wrapping.active or not _room("model_call").concerns_model_api(*_path_and_host(request.url)):
            return original(endpoint, request)
        room = _room("botocore_endpoint")
        if room.is_wrapped(endpoint):
            return original(endpoint, request)
        return room.respond(wrapping.cache_now, endpoint, request, partial(original, endpoint, request))

    return _send


@cache
def _room(name: str) -> Any:
    """A module beside this one: what looks a request up is imported with the first request."""
    return import_module(f"nbcache.integrations.http.{name}")


def _call(hook: "WeakMethod[Callable[[ModuleType], None]]", package: str) -> None:
    if (method := hook()) is not None:
        method(sys.modules[package])
