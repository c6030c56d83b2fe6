"""`nbcache.wrap` for one client: of an HTTP library, or of an SDK that sends by one. None of them is imported or changed here."""

from typing import Any, TypeVar

from nbcache.integrations.http import aiohttp_middleware, botocore_endpoint, httpx_transport, requests_adapter
from nbcache.integrations.http.call_of_request import CacheNow
from nbcache.integrations.http.client_copies import copy_of_client

_T = TypeVar("_T")
# The classes of the HTTP libraries, and what makes a cached copy of an object of theirs.
_LIBRARIES = {
    ("httpx", "Client"): httpx_transport.cached,
    ("httpx", "AsyncClient"): httpx_transport.cached,
    ("httpx2", "Client"): httpx_transport.cached,
    ("httpx2", "AsyncClient"): httpx_transport.cached,
    ("requests", "Session"): requests_adapter.cached,
    ("aiohttp", "ClientSession"): aiohttp_middleware.cached,
    ("botocore", "BaseClient"): botocore_endpoint.cached,
}


def wrap_client(client: _T, cache_now: CacheNow) -> _T:
    """A client of the same class and settings as `client`, whose calls are cached by `cache_now()`.

    `client` itself does not change. Both share their connections, as a copy by `with_options` does. Requests that are not
    calls of a model, and all requests while there is no cache, are sent as usual. Raises TypeError for any other object.
    """
    twin = _cached(client, cache_now) or _cached_sdk_client(client, cache_now)
    if twin is not None:
        return twin  # type: ignore[no-any-return]  # of the same class
    raise TypeError(
        f"nbcache.wrap: {_named(client)} is no client that nbcache can cache. Give an OpenAI, AsyncOpenAI, AzureOpenAI, "
        "AsyncAzureOpenAI, Anthropic or AsyncAnthropic object, another SDK's client that holds a client of httpx, a client of "
        "httpx itself, a Session of requests, a ClientSession of aiohttp, boto3's client of bedrock-runtime, or LangChain's Embeddings"
    )


def _cached(client: Any, cache_now: CacheNow) -> Any:
    """The cached copy of a client of an HTTP library. None for anything else."""
    for cls in type(client).__mro__:
        library = str(cls.__module__).partition(".")[0]
        if (make := _LIBRARIES.get((library, cls.__name__))) is not None:
            return make(client, cache_now)
    return None


def _cached_sdk_client(client: Any, cache_now: CacheNow) -> Any:
    """The cached copy of an SDK's client. None for anything else."""
    if hasattr(client, "with_options"):
        http_client = getattr(client, "_client", None)  # the SDKs take it as an argument, but have no public attribute
        twin = _cached(http_client, cache_now)
        return twin and (client if twin is http_client else _copy(client, twin))
    if not hasattr(client, "__dict__") or callable(client):
        return None
    return copy_of_client(client, lambda value: _cached(value, cache_now))


def _named(client: object) -> str:
    return repr(client.__name__) if hasattr(client, "__name__") else f"this {type(client).__qualname__} object"


def _copy(client: Any, http_client: Any) -> Any:
    strict = getattr(client, "_strict_response_validation", False)  # which `with_options` does not copy
    more = {"_extra_kwargs": {"_strict_response_validation": True}} if strict else {}
    return client.with_options(http_client=http_client, **more)
