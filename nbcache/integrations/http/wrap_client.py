"""`nbcache.wrap` for the clients of the OpenAI and Anthropic SDKs, neither of which is imported or changed here."""

from typing import Any, TypeVar

from nbcache.integrations.http.call_of_request import CacheNow
from nbcache.integrations.http.httpx_transport import cached

_T = TypeVar("_T")
_CLIENTS = {
    "openai": {"OpenAI", "AsyncOpenAI"},  # Azure's are subclasses of these
    "anthropic": {"Anthropic", "AsyncAnthropic"},
}


def wrap_client(client: _T, cache_now: CacheNow) -> _T:
    """A client of the same class and settings as `client`, whose calls are cached by `cache_now()`.

    `client` itself does not change. Both share their connections, as a copy by `with_options` does. Requests that are not
    calls of a model, and all requests while there is no cache, are sent as usual. Raises TypeError for any other object.
    """
    if not _is_sdk_client(client):
        raise TypeError(
            f"nbcache.wrap: {_named(client)} is no client of the OpenAI or Anthropic SDK. Give an OpenAI, AsyncOpenAI, "
            "AzureOpenAI, AsyncAzureOpenAI, Anthropic or AsyncAnthropic object, or LangChain's Embeddings"
        )
    original: Any = client
    http_client = original._client  # noqa: SLF001 - the SDKs take it as an argument, but have no public attribute for it
    twin = cached(http_client, cache_now)
    return client if twin is http_client else _copy(original, twin)


def _is_sdk_client(client: object) -> bool:
    return any(cls.__name__ in _CLIENTS.get(cls.__module__.partition(".")[0], ()) for cls in type(client).__mro__)


def _named(client: object) -> str:
    return repr(client.__name__) if hasattr(client, "__name__") else f"a {type(client).__qualname__} object"


def _copy(client: Any, http_client: Any) -> Any:
    strict = getattr(client, "_strict_response_validation", False)  # which `with_options` does not copy
    more = {"_extra_kwargs": {"_strict_response_validation": True}} if strict else {}
    return client.with_options(http_client=http_client, **more)
