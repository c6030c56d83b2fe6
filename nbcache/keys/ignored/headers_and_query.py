"""The headers and the parts of a query that can't change an answer, and the digests by which the others count.

Headers that authenticate to the model's provider don't count, nor do those for tracers, gateways' logs and gateways' caches.
Headers that route a call or switch on features do.
"""

import functools
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

from nbcache.keys.canonical import canonical, digest
from nbcache.keys.ignored.user_setting import is_exempt

IGNORED_HEADERS = frozenset(
    {
        # authentication, to the provider or to a gateway before it
        *("authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie"),
        *(
            "helicone-auth",
            "x-portkey-api-key",
            "x-litellm-api-key",
            "cf-aig-authorization",
            "ocp-apim-subscription-key",
        ),
        # signatures of AWS, which are new in each request
        *("x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-amz-region-set"),
        "x-amzn-bedrock-request-metadata",  # of AWS's logs
        # tracing: W3C, Zipkin, Jaeger, Sentry, AWS, Google, Azure, and common names of a request's id
        *("traceparent", "tracestate", "baggage", "b3", "uber-trace-id", "sentry-trace", "x-amzn-trace-id"),
        *("x-cloud-trace-context", "grpc-trace-bin", "x-ms-client-request-id", "elastic-apm-traceparent", "newrelic"),
        *("idempotency-key", "x-request-id", "x-correlation-id", "x-trace-id", "x-client-request-id", "request-id"),
        # what every HTTP client adds by itself
        *("accept", "accept-encoding", "connection", "user-agent", "content-type", "content-length"),
        *("x-goog-api-client", "x-server-timeout", "x-amz-user-agent"),
        # what an SDK says of itself: Cohere's, Voyage's, and OpenAI's of old
        *("x-client-name", "x-voyageai-client-user-agent", "x-openai-client-user-agent"),
        "x-hf-bill-to",  # who pays, at Hugging Face
        # attribution to an app: https://openrouter.ai/docs/app-attribution
        *("http-referer", "x-title", "x-openrouter-title", "x-openrouter-categories"),
        # https://docs.helicone.ai/helicone-headers/header-directory. Helicone-Target-URL, -OpenAI-Api-Base, -Fallbacks,
        # -Prompt-Id, -Moderations-Enabled, -LLM-Security-Enabled and -Token-Limit-Exception-Handler count.
        *("helicone-session-id", "helicone-session-path", "helicone-session-name", "helicone-user-id"),
        *("helicone-request-id", "helicone-cache-enabled", "helicone-cache-seed", "helicone-cache-bucket-max-size"),
        "cache-control",
        # https://portkey.ai/docs/api-reference/inference-api/headers. x-portkey-config, -provider, -virtual-key, -custom-host
        # and -metadata, by which it can route, count.
        *("x-portkey-trace-id", "x-portkey-span-id", "x-portkey-span-name", "x-portkey-parent-span-id"),
        *("x-portkey-cache-namespace", "x-portkey-cache-force-refresh"),
        # https://docs.litellm.ai/docs/proxy/request_headers. x-litellm-tags, by which it can route, counts.
        *("x-litellm-trace-id", "x-litellm-session-id", "x-litellm-call-id", "x-litellm-spend-logs-metadata"),
        *("x-litellm-end-user-id", "x-litellm-customer-id", "x-litellm-timeout", "x-litellm-stream-timeout"),
        *("x-litellm-num-retries", "x-litellm-enable-message-redaction"),
        # https://docs.langchain.com/langsmith/distributed-tracing
        *("langsmith-trace", "langsmith-project", "langsmith-metadata", "langsmith-tags"),
        # https://developers.cloudflare.com/ai-gateway/glossary. cf-aig-metadata, by which it can route, and
        # -request-timeout, at which it falls back to another provider, count.
        *("cf-aig-event-id", "cf-aig-log-id", "cf-aig-collect-log", "cf-aig-cache-ttl", "cf-aig-skip-cache"),
        *("cf-aig-cache-key", "cf-aig-custom-cost"),
        # https://www.braintrust.dev/docs/guides/proxy
        *("x-bt-parent", "x-bt-use-cache", "x-bt-cache-key", "x-bt-cache-ttl"),
    }
)
_PREFIXES = (
    *(
        "x-b3-",
        "x-datadog-",
        "x-stainless-",
        "x-fern-",
        "x-instana-",
        "amz-sdk-",
        "traceloop-",
        "ot-tracer-",
        "helicone-property-",
    ),
    # Langfuse, as LiteLLM's proxy reads them: https://docs.litellm.ai/docs/observability/langfuse_integration
    *(f"langfuse{dash}{what}" for dash in "_-" for what in ("trace", "session", "generation", "parent", "existing")),
    *("opik_", "adaline-trace-", "adaline-span-"),
)
# What authenticates in the query of a URL, in lower case: API keys, and the signatures of AWS, Google and Azure. Other headers
# that a signed URL carries, such as the name of a guardrail, count.
_CREDENTIALS_IN_QUERY = frozenset(
    {
        *("key", "api_key", "api-key", "apikey", "access_token", "subscription-key", "sig"),
        *(f"x-amz-{what}" for what in ("algorithm", "credential", "date", "expires", "signedheaders", "signature")),
        *("x-amz-security-token", "x-amz-content-sha256"),
        *(f"x-goog-{what}" for what in ("algorithm", "credential", "date", "expires", "signedheaders", "signature")),
    }
)


def counted_headers(headers: Mapping[Any, Any]) -> dict[str, str]:
    """The headers of a request that count: a digest of each value, by name in lower case."""
    counted = {}
    for raw_name, value in headers.items():
        name = (raw_name.decode("latin-1") if isinstance(raw_name, bytes) else str(raw_name)).lower()
        if not (is_ignored_header(name) or is_exempt((name,)) or is_exempt(("headers", name))):
            counted[name] = _value_digest(value)
    return counted


def counted_client_query(query: Mapping[Any, Any]) -> dict[str, str]:
    """The query that a client adds to each request: a digest of each value, by name in lower case. No name is ignored."""
    named = {str(name).lower(): value for name, value in query.items()}
    return {
        name: _value_digest(value)
        for name, value in named.items()
        if not (is_exempt((name,)) or is_exempt(("query", name)))
    }


def _value_digest(value: Any) -> str:
    return digest(value if isinstance(value, bytes) else str(value).encode(errors="surrogatepass"))


@functools.lru_cache(maxsize=1024)
def is_ignored_header(name: str) -> bool:
    """Whether no answer depends on the header `name`, in lower case."""
    return name in IGNORED_HEADERS or name.startswith(_PREFIXES)


def without_credentials(query: str) -> str:
    """The query of a URL without the parts that authenticate. The others stay as they are written."""
    parts = [part for part in query.split("&") if not _is_credential_in_query(part)]
    return "&".join(parts)


def _is_credential_in_query(part: str) -> bool:
    return unquote_plus(part.partition("=")[0]).lower() in _CREDENTIALS_IN_QUERY


def counted_query(query: Mapping[Any, Any]) -> dict[str, str]:
    """The query of a request: a digest of each value as it is written in a URL, by name."""
    named = {str(name): value for name, value in query.items()}
    return {
        name: digest(_written(value))
        for name, value in named.items()
        if not (is_exempt((name.lower(),)) or is_exempt(("query", name.lower())))
    }


def _written(value: Any) -> bytes:
    """A value as HTTP clients write it, with the items of a list and the names of a mapping."""
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if value is None:
        return b""
    if isinstance(value, Mapping):
        return canonical({str(name): _written(item).decode() for name, item in value.items()})
    if isinstance(value, list | tuple):
        return canonical([_written(item).decode() for item in value])
    return str(value).encode(errors="backslashreplace")
