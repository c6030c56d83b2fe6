"""What can't change an answer, and so does not split the key.

Everything that is not listed here counts, known to us or not.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from nbcache.keys.ignored.body_fields import counted_body, counted_value
from nbcache.keys.ignored.headers import counted_headers, counted_query
from nbcache.keys.ignored.user_setting import exempt, exempt_names, is_exempt

IGNORED = frozenset(
    {
        # how long and how often to try
        *("timeout", "request_timeout", "default_request_timeout", "stream_chunk_timeout", "max_retries"),
        *("http_socket_options", "keep_alive", "validate_model_on_init"),
        # streamed or not, the answer is the same
        *("streaming", "stream", "stream_usage", "disable_streaming"),
        # told to tracers alone
        "verbose",
        # authentication
        *("api_key", "azure_ad_token", "azure_ad_token_provider", "azure_ad_async_token_provider"),
        *("aws_access_key_id", "aws_secret_access_key", "aws_session_token"),
    }
)
# The same for the fields of LangChain's classes; a class of the user's own may mean something else by them.
IGNORED_FIELDS = frozenset(
    {
        *("callbacks", "callback_manager", "tags", "metadata", "name", "cache", "profile", "rate_limiter"),
        *("custom_get_token_ids", "auth", "credentials"),
    }
)
# The clients' objects: where they lead is the endpoint, and their headers count on their own.
CLIENTS = frozenset({"client", "async_client", "root_client", "root_async_client", "http_client", "http_async_client"})
# What LangChain's classes take for the request's own headers and query, and what they pass on to a client or a request.
_HEADERS = frozenset({"default_headers", "extra_headers", "additional_headers", "headers"})
_QUERIES = frozenset({"default_query", "extra_query"})
_CLIENT_OPTIONS = frozenset({"client_kwargs", "sync_client_kwargs", "async_client_kwargs", "client_args"})
_PASSWORD = re.compile(r"//[^/@]*@")


def ignore_also(names: Iterable[str]) -> None:
    """Let these parameters, headers and paths not count either (`%config NBCache.ignore`). Replaces earlier ones.

    `identity.forget` has to follow: some identities are worked out already.
    """
    exempt(names)


def also_ignored() -> frozenset[str]:
    """What `ignore_also` was told last."""
    return exempt_names()


def is_ignored(name: str) -> bool:
    """Whether the parameter `name` can't change an answer."""
    return name in IGNORED or name.endswith("_api_key") or is_left_out(name)


def is_left_out(name: str) -> bool:
    """Whether the user has said that `name` doesn't count."""
    return is_exempt((name.lower(),))


def counted(params: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `params` that count, by name, without credentials: a digest of one counts as well."""
    kept: dict[str, Any] = {}
    for name, value in sorted(params.items()):
        if is_ignored(name):
            continue
        counts = _counted(name, value)
        if counts or not value:  # else nothing of it counts
            kept[name] = counts
    return kept


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
    """Of the arguments of an HTTP client: `params` are its query, and cookies count as digests."""
    query = options.get("params")
    rest = counted({name: value for name, value in options.items() if name != "params"})
    return {**rest, "params": counted_query(query)} if isinstance(query, Mapping) and query else rest
