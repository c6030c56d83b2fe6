"""The parameters of models and calls that can't change an answer, and so don't change the key.

Every parameter that is not listed here counts, even an unknown one.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from nbcache.keys.ignored.headers_and_query import counted_headers, counted_query
from nbcache.keys.ignored.request_fields import counted_body, counted_value
from nbcache.keys.ignored.user_setting import exempt, exempt_names, is_exempt

IGNORED = frozenset(
    {
        # time limits and retries
        *("timeout", "request_timeout", "default_request_timeout", "stream_chunk_timeout", "max_retries"),
        *("http_socket_options", "keep_alive", "validate_model_on_init"),
        # streamed or not, the answer is the same
        *("streaming", "stream", "stream_usage", "disable_streaming"),
        # only for tracers
        "verbose",
        # authentication
        *("api_key", "azure_ad_token", "azure_ad_token_provider", "azure_ad_async_token_provider"),
        *("aws_access_key_id", "aws_secret_access_key", "aws_session_token"),
    }
)
# Fields of LangChain's classes that are ignored as well. A class of the user's own may use these names for settings.
IGNORED_FIELDS = frozenset(
    {
        *("callbacks", "callback_manager", "tags", "metadata", "name", "cache", "profile", "rate_limiter"),
        *("custom_get_token_ids", "auth", "credentials"),
    }
)
# The fields that hold clients. Where those lead is the endpoint, and their headers are counted apart.
CLIENTS = frozenset({"client", "async_client", "root_client", "root_async_client", "http_client", "http_async_client"})
# Parameters that LangChain's classes put into a request's headers or query, or pass on to an HTTP client.
_HEADERS = frozenset({"default_headers", "extra_headers", "additional_headers", "headers"})
_QUERIES = frozenset({"default_query", "extra_query"})
_CLIENT_OPTIONS = frozenset({"client_kwargs", "sync_client_kwargs", "async_client_kwargs", "client_args"})
_PASSWORD = re.compile(r"//[^/@]*@")


def ignore_also(names: Iterable[str]) -> None:
    """Ignore these parameters, headers and paths too (`%config NBCache.ignore`), instead of earlier ones.

    The caller must call `identity.forget` afterwards, since some identities have been computed already.
    """
    exempt(names)


def also_ignored() -> frozenset[str]:
    """The names that `ignore_also` was called with last."""
    return exempt_names()


def is_ignored(name: str) -> bool:
    """Whether the parameter `name` can't change an answer."""
    return name in IGNORED or name.endswith("_api_key") or is_left_out(name)


def is_left_out(name: str) -> bool:
    """Whether the user has set `name` to be ignored."""
    return is_exempt((name.lower(),))


def counted(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that count, by name, with digests in place of credentials."""
    counts: dict[str, Any] = {}
    for name, value in sorted(params.items()):
        if is_ignored(name):
            continue
        part = _counted(name, value)
        if part or not value:  # otherwise no part of it counts
            counts[name] = part
    return counts


def _counted(name: str, value: Any) -> Any:
    if type(value) is str and name.endswith("proxy"):
        return _PASSWORD.sub("//", value)
    if not isinstance(value, Mapping):
        return counted_value(name, value)
    if name in _HEADERS:
        return counted_headers(value)
    if name in _QUERIES:
        return counted_query(value)
    if name in _CLIENT_OPTIONS:
        return _client_options(value)
    if name == "extra_body":
        return counted_body(value)
    if name == "model_kwargs":
        own = {key: item for key, item in value.items() if key in _HEADERS | _QUERIES | {"extra_body"}}
        rest = {key: item for key, item in value.items() if key not in own and not is_ignored(str(key))}
        return counted(own) | counted_body(rest)
    return counted_value(name, value)


def _client_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of an HTTP client that count. `params` are its query; cookies count as digests."""
    query = options.get("params")
    rest = counted({name: value for name, value in options.items() if name != "params"})
    return {**rest, "params": counted_query(query)} if isinstance(query, Mapping) and query else rest
