"""What can't change an answer, and so does not split the key.

Everything that is not listed here counts, known to us or not.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from nbcache.canonical import digest

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
# Fields of a request's body: who asks, and what is kept at the provider's of the request itself.
IGNORED_BODY = frozenset(
    {
        # https://platform.openai.com/docs/api-reference: for abuse detection, caching of prompts, and stored completions
        *("user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "metadata", "store"),
        *("prompt_cache_options",),
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
# Names of what may be a secret. Its digest counts: `eos_token` is none, and changes the answer.
_SECRET = re.compile(r"(key|token|secret|password|authorization|credentials?)$", re.IGNORECASE)
_PASSED_ON = frozenset({"client_kwargs", "sync_client_kwargs", "async_client_kwargs", "model_kwargs"})

_extra: frozenset[str] = frozenset()


def ignore_also(names: Iterable[str]) -> None:
    """Let these parameters and headers not count either (`%config NBCache.ignore`). Replaces earlier ones.

    `identity.forget` has to follow: some identities are worked out already.
    """
    global _extra  # noqa: PLW0603 - one setting of the process, as the classes that it speaks of are
    _extra = frozenset(name.lower() for name in names)


def also_ignored() -> frozenset[str]:
    """What `ignore_also` was told last."""
    return _extra


def is_ignored(name: str) -> bool:
    """Whether the parameter `name` can't change an answer."""
    return name in IGNORED or name.endswith("_api_key") or is_left_out(name)


def is_left_out(name: str) -> bool:
    """Whether the user has said that `name` doesn't count."""
    return bool(_extra) and name.lower() in _extra


def is_ignored_in_body(name: str) -> bool:
    """Whether this field of a request's body can't change an answer."""
    return name in IGNORED_BODY or is_left_out(name)


def is_secret(name: str) -> bool:
    """Whether what is called so may be a secret, of which a digest counts."""
    return _SECRET.search(name) is not None


def counted(params: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `params` that count, by name, without credentials: a digest of one counts as well."""
    kept: dict[str, Any] = {}
    for name, value in sorted(params.items()):
        if is_ignored(name):
            continue
        told = _without_secrets(name, value)
        if told or not value:  # else nothing of it counts
            kept[name] = told
    return kept


def _without_secrets(name: str, value: Any) -> Any:
    cls = type(value)
    if cls is str:
        if name.endswith("proxy"):
            return _PASSWORD.sub("//", value)
        return _digested(value) if _SECRET.search(name) else value
    if cls is float:
        return value if math.isfinite(value) else repr(value)  # else orjson writes null for them all
    if isinstance(value, Mapping):
        if name.endswith("headers"):
            return counted_headers(value)
        if name in _DIGESTED:
            return {key: _digested(str(item)) for key, item in value.items()}
        if name in _PASSED_ON:
            return counted(value)
        return {key: _without_secrets(str(key), item) for key, item in value.items()}
    if cls is list or cls is tuple:
        return [_without_secrets(name, item) for item in value]
    return value


def _digested(value: str) -> str:
    return "!digest:" + digest(value.encode(errors="surrogatepass"))


def counted_headers(headers: Mapping[Any, Any]) -> dict[str, str]:
    """The headers that may route a call or switch features, each to a digest of its value."""
    kept = {}
    for raw_name, value in headers.items():
        name = str(raw_name).lower()
        if name in IGNORED_HEADERS or name in _extra or name.startswith(_IGNORED_HEADER_PREFIXES):
            continue
        kept[name] = digest(str(value).encode(errors="surrogatepass"))
    return kept
