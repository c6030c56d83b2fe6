"""Requests to a model's API that no cache can answer: files, batches, fine-tuning and the like. What they are called.

On the hosts of `_HOSTS` every request is one to a model's API. On any other host those of `_PATHS` are, and calls of a model
that can't be looked up, as far as their path or their body leaves no doubt.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from nbcache.integrations.http.apis.endpoints import ENDPOINTS
from nbcache.integrations.http.apis.registered import registered_endpoint
from nbcache.integrations.http.http_request import HTTPRequest
from nbcache.integrations.http.unread_calls import api_of_unread_call, why_unread

# The hosts that serve nothing but a model's API, and the API that they speak. Whose list prices apply at a host is another
# question: see `entry/usage/vendors.py`, where a cloud's domains have other services, too, and many hosts speak OpenAI's API.
_HOSTS: Mapping[bytes, str] = {
    b"api.openai.com": "openai",
    b"api.cerebras.ai": "openai",
    b"api.deepseek.com": "openai",
    b"api.fireworks.ai": "openai",
    b"api.groq.com": "openai",
    b"api.mistral.ai": "openai",
    b"api.moonshot.ai": "openai",
    b"api.perplexity.ai": "openai",
    b"api.together.ai": "openai",
    b"api.together.xyz": "openai",
    b"api.x.ai": "openai",
    b"openrouter.ai": "openai",
    b"api.anthropic.com": "anthropic",
    b"aiplatform.googleapis.com": "google",
    b"generativelanguage.googleapis.com": "google",
    b"api.cohere.ai": "cohere",
    b"api.cohere.com": "cohere",
    b"api.jina.ai": "openai",
    b"api.voyageai.com": "openai",
    b"api-inference.huggingface.co": "huggingface",
    b"router.huggingface.co": "huggingface",
    b"ollama.com": "ollama",
}
_DOMAINS: Mapping[bytes, str] = {
    b".api.openai.com": "openai",
    b".openai.azure.com": "openai",
    b".services.ai.azure.com": "openai",
    b"-aiplatform.googleapis.com": "google",
}
_SUFFIXES = tuple(_DOMAINS)

# What a request is for, by a segment of its path.
_KINDS: Mapping[str, str] = {
    **dict.fromkeys(("files", "upload", "uploads"), "files"),
    **dict.fromkeys(("batch", "batches", "batchGenerateContent", "asyncBatchEmbedContent"), "batches"),
    **dict.fromkeys(("batchPredictionJobs", "embed-jobs"), "batches"),
    **dict.fromkeys(
        ("fine_tuning", "fine-tunes", "fine-tuning", "finetuning", "tunedModels", "tuningJobs"), "fine-tuning"
    ),
    **dict.fromkeys(("count_tokens", "countTokens", "computeTokens", "input_tokens", "tokenize"), "token counts"),
    "count-tokens": "token counts",
    "async-invoke": "asynchronous calls",
    "realtime": "realtime",
    "audio": "audio",
    "images": "images",
    "videos": "videos",
    "threads": "threads",
    "assistants": "assistants",
    "conversations": "conversations",
    "containers": "containers",
    "vector_stores": "vector stores",
    "cachedContents": "cached contents",
    "compact": "compactions",
    "datasets": "datasets",
    "evals": "evals",
}
# For these a provider charges nothing, or not by the request.
_FREE = frozenset(
    {"files", "token counts", "realtime", "threads", "assistants", "conversations", "containers", "datasets"}
    | {"vector stores", "stored completions", "stored responses"}
)
_PATHS: Mapping[str, re.Pattern[str]] = {
    "openai": re.compile(
        r"/(?:audio/(?:transcriptions|translations|speech)|images/(?:generations|edits|variations)"
        r"|fine_tuning/jobs|realtime/client_secrets|responses/(?:input_tokens|compact))$"
    ),
    "anthropic": re.compile(r"/messages/(?:batches|count_tokens)$"),
    "bedrock": re.compile(
        r"/model/[^/]+/(?:converse|invoke|count-tokens|converse-stream|invoke-with-(?:response|bidirectional)-stream)$"
        r"|^/async-invoke$"
    ),
    "google": re.compile(r"/models/[^/]+:(?:batchGenerateContent|asyncBatchEmbedContent|countTokens)$"),
}
LAST_WORDS = frozenset(
    {
        *(b"transcriptions", b"translations", b"speech", b"generations", b"edits", b"variations", b"jobs"),
        *(b"client_secrets", b"input_tokens", b"compact", b"batches", b"count_tokens"),
        *(b"count-tokens", b"async-invoke", b"invoke-with-bidirectional-stream"),
        *(b"batchGenerateContent", b"asyncBatchEmbedContent", b"countTokens"),
    }
)
_STORED = re.compile(r"/(completions|responses)/[^/]+")


@dataclass(frozen=True, slots=True)
class UncachedRequest:
    """Such a request, and what it is for (`kind`).

    It `counts` if it gets something done: other requests only read or delete. It `is_free` if it has no price of its own.
    """

    api: str
    kind: str
    counts: bool
    is_free: bool


def is_api_host(raw_host: bytes) -> bool:
    """Whether a host serves nothing but a model's API."""
    return raw_host in _HOSTS or raw_host.endswith(_SUFFIXES)


def uncached_request(request: HTTPRequest, *, is_wrapped: bool) -> UncachedRequest | None:
    """What a request is that is no call of a model. None if it isn't one to a model's API.

    All requests of a client that `is_wrapped` are requests to a model's API.
    """
    api = _api_of(request)
    if api is None and not is_wrapped:
        return None
    kind = _kind(request)
    counts = request.method == "POST" and not request.is_retry and "upload_id=" not in request.parts.query
    return UncachedRequest(api or "", kind, counts=counts, is_free=kind in _FREE)


def _api_of(request: HTTPRequest) -> str | None:
    if (own := registered_endpoint(request)) is not None:
        return own.api
    host, path = (request.parts.hostname or "").encode(), request.parts.path.rstrip("/")
    if host in _HOSTS:
        return _HOSTS[host]
    at = next((api for suffix, api in _DOMAINS.items() if host.endswith(suffix)), None)
    at = at or next((api for api, pattern in _PATHS.items() if pattern.search(path)), None)
    return at or api_of_unread_call(request)


def _kind(request: HTTPRequest) -> str:
    path = request.parts.path.rstrip("/")
    words = re.split("[/:]", path)
    if (kind := next((_KINDS[word] for word in words if word in _KINDS), None)) is not None:
        return kind
    if (stored := _STORED.search(path)) is not None:
        return f"stored {stored[1]}"
    if registered_endpoint(request) is not None or any(endpoint.path.search(path) for endpoint in ENDPOINTS):
        return why_unread(request)
    return words[-1] if re.fullmatch("[a-z_-]+", words[-1]) else "other requests"
