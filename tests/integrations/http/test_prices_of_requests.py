"""What calls by HTTP cost, by real list prices: each sum is worked out by hand. What isn't known is said to be unknown."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any

import httpx
import pytest

import nbcache
from nbcache.costs import price_lookup

_CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "a"}]}
_VERTEX = "us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5/publishers"
_GEMINI = "generativelanguage.googleapis.com/v1beta/models"
_IMAGE: dict[str, Any] = {"data": [{"b64_json": "AAAA" * 99}], "output_format": "png", "size": "1024x1024"}
_USED_BY_IMAGE = {"input_tokens": 100, "output_tokens": 1000, "total_tokens": 1100}
_CONTENT = {"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}
_DRAWN = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
_GEMINI_USED = {"promptTokenCount": 1000, "candidatesTokenCount": 100, "totalTokenCount": 1100}


def _completion(model: str, message: Mapping[str, Any] | None = None, **usage: Any) -> dict[str, Any]:
    tokens = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    choice = {"index": 0, "message": {"content": "hi", **(message or {})}, "finish_reason": "stop"}
    return {"model": model, "choices": [choice], "usage": {**tokens, **usage}}


def _content(**more: Any) -> dict[str, Any]:
    return {"candidates": [_CONTENT], "modelVersion": "gemini-2.5-flash", "usageMetadata": {**_GEMINI_USED, **more}}


def _millionths(*parts: float) -> Decimal:
    return sum((Decimal(str(round(part, 6))) for part in parts), Decimal(0)).scaleb(-6)


# Where a call goes, what is sent and what comes back, and the sum in US dollars, or None
CALLS: dict[str, tuple[str, dict[str, Any], Any, Decimal | None]] = {
    "a chat": (
        "api.openai.com/v1/chat/completions",
        _CHAT,
        _completion("gpt-4o-mini"),
        _millionths(1000 * 0.15, 100 * 0.6),
    ),
    "a cached prompt": (
        "api.openai.com/v1/chat/completions",
        _CHAT,
        _completion("gpt-4o-mini", prompt_tokens_details={"cached_tokens": 800}),
        _millionths(200 * 0.15, 800 * 0.075, 100 * 0.6),
    ),
    "reasoning": (
        "api.openai.com/v1/chat/completions",
        _CHAT,
        _completion("o4-mini", completion_tokens_details={"reasoning_tokens": 90}),
        _millionths(1000 * 1.1, 100 * 4.4),
    ),
    "a tool that the provider ran": (
        "api.groq.com/openai/v1/chat/completions",
        _CHAT,
        _completion("llama-3.3-70b-versatile", {"executed_tools": [{"type": "search"}]}),
        None,
    ),
    "a gateway's charge": (
        "openrouter.ai/api/v1/chat/completions",
        _CHAT,
        _completion("openai/gpt-4o", cost=0.25),
        Decimal("0.25"),
    ),
    "the fee of a call on a key of one's own, and what the provider behind charges": (
        "openrouter.ai/api/v1/chat/completions",
        _CHAT,
        _completion("openai/gpt-4o", cost=0.25, is_byok=True, cost_details={"upstream_inference_cost": 2}),
        Decimal("2.25"),
    ),
    "x.ai's ticks": (
        "api.x.ai/v1/chat/completions",
        _CHAT,
        _completion("grok-4", cost_in_usd_ticks=25_000_000),
        Decimal("0.0025"),
    ),
    "Perplexity's charge": (
        "api.perplexity.ai/chat/completions",
        _CHAT,
        _completion("sonar", cost={"total_cost": 0.006}),
        Decimal("0.006"),
    ),
    "Perplexity's search, of which it says nothing": (
        "api.perplexity.ai/chat/completions",
        _CHAT,
        _completion("sonar"),
        None,
    ),
    "DeepSeek's cached prompt": (
        "api.deepseek.com/chat/completions",
        _CHAT,
        _completion("deepseek-chat", prompt_cache_hit_tokens=800, prompt_cache_miss_tokens=200),
        _millionths(200 * 0.27, 800 * 0.07, 100 * 1.1),
    ),
    "a response with reasoning and a cached prompt": (
        "api.openai.com/v1/responses",
        {"model": "gpt-5", "input": "a"},
        {
            "model": "gpt-5",
            "status": "completed",
            "output": [{"type": "message", "content": [{"type": "output_text", "text": "hi"}]}],
            "usage": {
                "input_tokens": 1000,
                "output_tokens": 100,
                "total_tokens": 1100,
                "input_tokens_details": {"cached_tokens": 800},
                "output_tokens_details": {"reasoning_tokens": 64},
            },
        },
        _millionths(200 * 1.25, 800 * 0.125, 100 * 10),
    ),
    "Claude's prompt, written to its cache for an hour": (
        "api.anthropic.com/v1/messages",
        {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": _CHAT["messages"]},
        {
            "model": "claude-sonnet-4-5-20250929",
            "content": [{"type": "text", "text": "hi"}],
            "stop_reason": "end_turn",
            "usage": {
                "input_tokens": 100,
                "output_tokens": 100,
                "cache_creation_input_tokens": 1000,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1000},
            },
        },
        _millionths(100 * 3, 1000 * 6, 100 * 15),
    ),
    "an unknown host": ("gateway.example/v1/chat/completions", _CHAT, _completion("gpt-4o-mini"), None),
    "embeddings": (
        "api.openai.com/v1/embeddings",
        {"model": "text-embedding-3-small", "input": "a"},
        {
            "model": "text-embedding-3-small",
            "data": [{"embedding": [0.5]}],
            "usage": {"prompt_tokens": 1000, "total_tokens": 1000},
        },
        _millionths(1000 * 0.02),
    ),
    "Voyage's embeddings": (
        "api.voyageai.com/v1/embeddings",
        {"model": "voyage-3.5", "input": ["a"]},
        {"model": "voyage-3.5", "data": [{"embedding": [0.5]}], "usage": {"total_tokens": 1000}},
        _millionths(1000 * 0.06),
    ),
    "Cohere's embeddings": (
        "api.cohere.com/v2/embed",
        {"model": "embed-v4.0", "input_type": "search_query", "texts": ["a"]},
        {"embeddings": {"float": [[0.5]]}, "meta": {"billed_units": {"input_tokens": 1000}}},
        _millionths(1000 * 0.12),
    ),
    "Vertex's embeddings": (
        f"{_VERTEX}/google/models/gemini-embedding-001:predict",
        {"instances": [{"content": "a"}]},
        {"predictions": [{"embeddings": {"values": [0.5], "statistics": {"token_count": 1000}}}]},
        _millionths(1000 * 0.15),
    ),
    "a ranking": (
        "api.cohere.com/v2/rerank",
        {"model": "rerank-v3.5", "query": "q", "documents": ["a"]},
        {"results": [{"index": 0, "relevance_score": 0.5}], "meta": {"billed_units": {"search_units": 1}}},
        None,
    ),
    "an image": (
        "api.openai.com/v1/images/generations",
        {"model": "gpt-image-1", "prompt": "A cat."},
        {**_IMAGE, "usage": _USED_BY_IMAGE},
        _millionths(100 * 5, 1000 * 40),
    ),
    "an image and its text": (
        "api.openai.com/v1/images/generations",
        {"model": "gpt-image-1.5", "prompt": "A cat."},
        {**_IMAGE, "usage": {**_USED_BY_IMAGE, "output_tokens_details": {"image_tokens": 900, "text_tokens": 100}}},
        _millionths(100 * 5, 900 * 32, 100 * 10),
    ),
    "an image without tokens": (
        "api.openai.com/v1/images/generations",
        {"model": "dall-e-3", "prompt": "A cat.", "response_format": "b64_json"},
        _IMAGE,
        None,
    ),
    "an image of Imagen": (
        f"{_GEMINI}/imagen-4.0-generate-001:predict",
        {"instances": [{"prompt": "A cat."}]},
        {"predictions": [{"bytesBase64Encoded": "AAAA" * 99, "mimeType": "image/png"}]},
        None,
    ),
    "speech": (
        "api.openai.com/v1/audio/speech",
        {"model": "tts-1", "input": "a", "voice": "alloy"},
        b"\xff\xf3" * 99,
        None,
    ),
    "Gemini": (
        f"{_GEMINI}/gemini-2.5-flash:generateContent",
        {"contents": []},
        _content(),
        _millionths(1000 * 0.3, 100 * 2.5),
    ),
    "Gemini, which thought": (
        f"{_GEMINI}/gemini-2.5-flash:generateContent",
        {"contents": []},
        _content(thoughtsTokenCount=50, totalTokenCount=1150),
        _millionths(1000 * 0.3, 150 * 2.5),
    ),
    "Gemini, which heard something": (
        f"{_GEMINI}/gemini-2.5-flash:generateContent",
        {"contents": []},
        _content(
            promptTokensDetails=[{"modality": "TEXT", "tokenCount": 200}, {"modality": "AUDIO", "tokenCount": 800}]
        ),
        _millionths(200 * 0.3, 800 * 1, 100 * 2.5),
    ),
    "Gemini, which drew and wrote": (
        f"{_GEMINI}/gemini-2.5-flash-image:generateContent",
        {"contents": []},
        {
            "candidates": [{"content": {"parts": [{"text": "a cat"}, _DRAWN]}, "finishReason": "STOP"}],
            "modelVersion": "gemini-2.5-flash-image",
            "usageMetadata": {
                "promptTokenCount": 1000,
                "candidatesTokenCount": 1390,
                "totalTokenCount": 2390,
                "candidatesTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 100},
                    {"modality": "IMAGE", "tokenCount": 1290},
                ],
            },
        },
        _millionths(1000 * 0.3, 100 * 2.5, 1290 * 30),
    ),
    "Gemini, with a cached prompt": (
        f"{_GEMINI}/gemini-2.5-flash:generateContent",
        {"contents": []},
        _content(cachedContentTokenCount=800),
        _millionths(200 * 0.3, 800 * 0.03, 100 * 2.5),
    ),
    "Gemini, with cached sound": (
        f"{_GEMINI}/gemini-2.5-flash:generateContent",
        {"contents": []},
        _content(cachedContentTokenCount=800, cacheTokensDetails=[{"modality": "AUDIO", "tokenCount": 800}]),
        None,
    ),
    "Gemini, which searched": (
        f"{_GEMINI}/gemini-2.5-flash:generateContent",
        {"contents": []},
        {**_content(), "candidates": [{**_CONTENT, "groundingMetadata": {"webSearchQueries": ["a"]}}]},
        None,
    ),
    "Claude at Vertex": (
        f"{_VERTEX}/anthropic/models/claude-sonnet-4-5@20250929:rawPredict".replace("us-east5-", "").replace(
            "us-east5", "global"
        ),
        {"anthropic_version": "vertex-2023-10-16", "max_tokens": 9, "messages": _CHAT["messages"]},
        {
            "model": "claude-sonnet-4-5-20250929",
            "content": [{"type": "text", "text": "hi"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 1000, "output_tokens": 100, "cache_read_input_tokens": 1000},
        },
        _millionths(1000 * 3, 1000 * 0.3, 100 * 15),
    ),
}


class _Noon(datetime):
    """A clock at noon: some providers are cheaper at night."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "_Noon":
        return cls(2025, 8, 1, 12, tzinfo=tz or UTC)


@pytest.fixture
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_lookup, "datetime", _Noon)


@pytest.mark.usefixtures("store", "noon")
@pytest.mark.parametrize("name", CALLS)
def test_a_call_costs_what_its_provider_lists(name: str) -> None:
    url, body, answer, usd = CALLS[name]
    content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    kind = "audio/mpeg" if isinstance(answer, bytes) else "application/json"
    response = httpx.Response(200, content=content, headers={"content-type": kind})
    with httpx.Client(transport=httpx.MockTransport(lambda _: response)) as client:
        answers = [client.post(f"https://{url}", json=body).content for _ in range(2)]
    assert answers == [content, content]
    stats = nbcache.stats()
    assert (stats.misses, stats.hits, stats.estimated) == (1, 1, 0)
    assert (stats.spent_usd, stats.saved_usd) == (usd, usd)
    assert (stats.unpriced_misses, stats.unpriced_hits) == ((1, 1) if usd is None else (0, 0))


@pytest.mark.usefixtures("store")
def test_embeddings_whose_tokens_nobody_counted_are_priced_by_an_estimate_of_what_went_in() -> None:
    response = httpx.Response(200, json={"embedding": {"values": [0.5] * 768}})
    with httpx.Client(transport=httpx.MockTransport(lambda _: response)) as client:
        client.post(
            f"https://{_GEMINI}/gemini-embedding-001:embedContent", json={"content": {"parts": [{"text": "a" * 400}]}}
        )
    stats = nbcache.stats()
    assert stats.estimated == 1
    assert stats.spent_usd is not None
    assert _millionths(50 * 0.15) < stats.spent_usd < _millionths(200 * 0.15)


def test_a_price_of_ones_own_holds_for_an_image() -> None:
    nbcache.install(prices={"dall-e-3": {"request": 0.04}})
    response = httpx.Response(200, json=_IMAGE)
    with httpx.Client(transport=httpx.MockTransport(lambda _: response)) as client:
        client.post("https://api.openai.com/v1/images/generations", json={"model": "dall-e-3", "prompt": "A cat."})
    assert nbcache.stats().spent_usd == Decimal("0.04")


@pytest.mark.usefixtures("store")
def test_what_litellms_proxy_says_it_charged_counts_at_any_host() -> None:
    response = httpx.Response(200, json=_completion("gpt-4o"), headers={"x-litellm-response-cost": "0.0125"})
    with httpx.Client(transport=httpx.MockTransport(lambda _: response)) as client:
        client.post("https://gateway.example/v1/chat/completions", json=_CHAT)
    assert (nbcache.stats().spent_usd, nbcache.stats().charged_misses) == (Decimal("0.0125"), 1)
