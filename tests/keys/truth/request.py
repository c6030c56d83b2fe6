"""A request as a provider understands it: without what authenticates, what tracers read, and what transports add.

This is written down a second time on purpose. It shares no list with nbcache: what one of the two has wrong, the other shows.
"""

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_HEADERS = re.compile(
    # authentication
    r"authorization|proxy-authorization|api-key|x-api-key|x-goog-api-key|x-goog-user-project|cookie|helicone-auth"
    r"|ocp-apim-subscription-key|x-portkey-api-key|x-litellm-api-key|cf-aig-authorization"
    r"|x-amz-(date|security-token|content-sha256)|amz-sdk-.*"
    # transports and the clients themselves
    r"|connection|accept|accept-encoding|accept-language|content-type|content-length|transfer-encoding|user-agent|expect"
    r"|x-stainless-.*|x-goog-api-client|x-server-timeout|anthropic-dangerous-direct-browser-access"
    # tracing, attribution, and gateways' own caches
    r"|traceparent|tracestate|baggage|b3|x-b3-.*|sentry-trace|x-datadog-.*|uber-trace-id|x-amzn-trace-id"
    r"|x-cloud-trace-context|(x-)?(request|correlation|trace|client-request)-id|idempotency-key|x-ms-client-request-id"
    r"|helicone-(session-(id|path|name)|user-id|request-id|property-.*|cache-(enabled|seed|bucket-max-size))|cache-control"
    r"|x-portkey-(trace-id|span-id|span-name|parent-span-id|cache-namespace|cache-force-refresh)"
    r"|langfuse[_-](trace|session|generation)[_-].*|langsmith-(trace|project|metadata|tags)"
    r"|x-litellm-(trace-id|session-id|call-id|spend-logs-metadata|end-user-id|customer-id|timeout|num-retries)"
    r"|cf-aig-(cache-ttl|skip-cache|cache-key|collect-log|event-id)|http-referer|x-title",
)
# Fields of bodies that no answer depends on, by the path's end of the API that they belong to.
_OPENAI = {
    *("stream", "stream_options", "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"),
    *("prompt_cache_options", "continuation_id"),
    *("litellm_trace_id", "litellm_session_id", "litellm_call_id", "cache", "num_retries", "trace"),
}
_BODIES = {
    "/chat/completions": _OPENAI,
    "/completions": _OPENAI,
    "/responses": _OPENAI,
    "/embeddings": _OPENAI | {"encoding_format"},
    "/v1/messages": {"stream"},
    "/api/chat": {"stream", "keep_alive"},
    "/api/generate": {"stream", "keep_alive"},
    "/api/embed": {"keep_alive"},
    "generatecontent": {"labels"},
    "/converse": {"requestMetadata"},
}
_STREAMED = {"/converse-stream": "/converse", ":streamGenerateContent": ":generateContent"}


def request_text(method: str, url: str, headers: Iterable[tuple[str, str]], content: bytes) -> str:
    """What is sent, as a text that is equal for equal requests.

    JSON keeps its types, and its order below the first level: a model reads a tool's schema in the order in which it
    is sent.
    """
    parts = urlsplit(url)
    path = parts.path
    for streamed, plain in _STREAMED.items():
        path = path.removesuffix(streamed) + plain if path.endswith(streamed) else path
    host = f"{parts.hostname}:{parts.port or {'http': 80, 'https': 443}.get(parts.scheme)}"
    query = sorted((name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != "alt")
    sent = [(name.lower(), value) for name, value in headers if (name.lower(), value) != ("host", parts.netloc)]
    kept = sorted((name, value) for name, value in sent if not _HEADERS.fullmatch(name))
    whole: dict[str, Any] = {
        "to": f"{method} {parts.scheme}://{host}{path}",
        "query": query,
        "headers": kept,
        "body": _body(path, content),
    }
    return json.dumps(whole, ensure_ascii=True)


def _body(path: str, content: bytes) -> Any:
    try:
        body = json.loads(content)
    except ValueError:
        return content.decode("latin-1")
    if not isinstance(body, dict):
        return body
    noise: frozenset[str] | set[str] = next(
        (names for end, names in _BODIES.items() if path.lower().endswith(end)), frozenset()
    )
    kept = {name: value for name, value in sorted(body.items()) if name not in noise}
    if path.endswith("/completions") and isinstance(kept.get("prompt"), list) and len(kept["prompt"]) == 1:
        kept["prompt"] = kept["prompt"][0]  # a list of one prompt is that prompt
    if isinstance(kept.get("metadata"), dict):
        kept["metadata"] = _metadata(path, kept["metadata"])
        if not kept["metadata"]:
            del kept["metadata"]
    return kept


def _metadata(path: str, metadata: dict[str, Any]) -> dict[str, Any]:
    """What counts of it: gateways route by tags, and by guardrails an answer is changed."""
    if path.endswith("/v1/messages"):
        return {name: value for name, value in metadata.items() if name != "user_id"}
    return {name: value for name, value in metadata.items() if name in {"tags", "guardrails"}}
