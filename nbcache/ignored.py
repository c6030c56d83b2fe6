"""What can't change an answer, and so does not split the key.

Everything that is not listed here counts, known to us or not.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from nbcache.canonical import digest

IGNORED = frozenset(
    {
        # how long and how often to try
        *("timeout", "request_timeout", "default_request_timeout", "stream_chunk_timeout", "max_retries"),
        *("rate_limiter", "http_socket_options", "keep_alive"),
        # who asks, and what is told about it on the way
        *("verbose", "callbacks", "callback_manager", "tags", "metadata", "name", "cache", "profile"),
        *("custom_get_token_ids", "ls_structured_output_format", "structured_output_format"),
        # streamed or not, the answer is the same
        *("streaming", "stream", "stream_usage", "disable_streaming"),
        # authentication
        *("api_key", "auth", "credentials", "azure_ad_token", "azure_ad_token_provider"),
        *("azure_ad_async_token_provider", "aws_access_key_id", "aws_secret_access_key", "aws_session_token"),
        # the clients' objects: where they lead is the endpoint, and their headers count on their own
        *("client", "async_client", "root_client", "root_async_client", "http_client", "http_async_client"),
        *("validate_model_on_init",),
    }
)
IGNORED_HEADERS = frozenset(
    {
        # authentication
        *("authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie"),
        # tracing
        *("traceparent", "tracestate", "baggage", "b3", "sentry-trace", "idempotency-key", "x-amzn-trace-id"),
        *("x-request-id", "x-correlation-id", "x-trace-id", "x-client-request-id", "x-cloud-trace-context"),
        # what every HTTP client sends of its own accord
        *("accept", "accept-encoding", "connection", "user-agent", "content-type", "content-length", "host"),
    }
)
_IGNORED_HEADER_PREFIXES = ("x-b3-", "x-datadog-", "x-stainless-")
# Options that are passed on whole to a client or a request, and hold more of the same.
_DIGESTED = frozenset({"cookies", "params", "default_query", "extra_query"})
_PASSWORD = re.compile(r"//[^/@]*@")
_PASSED_ON = frozenset({"client_kwargs", "sync_client_kwargs", "async_client_kwargs", "model_kwargs"})

_extra: frozenset[str] = frozenset()


def ignore_also(names: Iterable[str]) -> None:
    """Let these parameters and headers not count either (`%config NBCache.ignore`). Replaces earlier ones."""
    global _extra  # noqa: PLW0603 - one setting of the process, as the classes that it speaks of are
    _extra = frozenset(name.lower() for name in names)


def is_ignored(name: str) -> bool:
    """Whether the parameter `name` can't change an answer."""
    return name in IGNORED or name.endswith("_api_key") or (bool(_extra) and name.lower() in _extra)


def counted(params: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `params` that count. Headers count by a digest of their value, which is never stored."""
    kept: dict[str, Any] = {}
    for name, value in params.items():
        if is_ignored(name):
            continue
        told = _without_secrets(name, value)
        if told or not value:  # else nothing of it counts
            kept[name] = told
    return kept


def _without_secrets(name: str, value: Any) -> Any:
    """What counts of an option, without what may be a credential: a digest does as well."""
    if isinstance(value, Mapping):
        if name.endswith("headers"):
            return counted_headers(value)
        if name in _DIGESTED:
            return {key: digest(str(item).encode(errors="surrogatepass")) for key, item in value.items()}
        return counted(value) if name in _PASSED_ON else value
    if name.endswith("proxy") and isinstance(value, str):
        return _PASSWORD.sub("//", value)
    return value


def counted_headers(headers: Mapping[Any, Any]) -> dict[str, str]:
    """The headers that may route a call or switch features, each to a digest of its value."""
    kept = {}
    for raw_name, value in headers.items():
        name = str(raw_name).lower()
        if name in IGNORED_HEADERS or name in _extra or name.startswith(_IGNORED_HEADER_PREFIXES):
            continue
        kept[name] = digest(str(value).encode(errors="surrogatepass"))
    return kept
