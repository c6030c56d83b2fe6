"""Google's API, of Gemini and of Vertex: generated content and embeddings."""

import re
from collections.abc import Iterable
from typing import Any

from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata
from langchain_core.outputs import Generation

from nbcache.entry.usage.reported_metadata import mapping
from nbcache.integrations.http.apis.endpoint import Endpoint, has
from nbcache.integrations.http.apis.framing import Body, End
from nbcache.integrations.http.apis.generations import chat_generation
from nbcache.integrations.http.apis.vectors import vectors


def content(body: Body) -> list[Generation] | None:
    """Generated content: a generation for each candidate, or one that says why there is none."""
    candidates, blocked = body.get("candidates"), mapping(body.get("promptFeedback")).get("blockReason")
    if body.get("error") or not (isinstance(candidates, list) or blocked):
        return None
    return [_generation(candidate, body) for candidate in candidates or [{"finishReason": str(blocked)}]]


def _generation(candidate: Body, body: Body) -> Generation:
    parts = [part for part in mapping(candidate.get("content")).get("parts") or () if isinstance(part, dict)]
    metadata = {"model_name": body.get("modelVersion"), "finish_reason": candidate.get("finishReason")}
    calls = [call for part in parts if (call := part.get("functionCall"))]
    blocks = [_block(part) for part in parts if "functionCall" not in part]
    return chat_generation(
        blocks,
        calls,
        metadata,
        usage=_usage(mapping(body.get("usageMetadata"))),
    )


def _block(part: Body) -> Body:
    if isinstance(part.get("text"), str):
        kind = "reasoning" if part.get("thought") else "text"
        return {"type": kind, kind: part["text"]}
    data = mapping(part.get("inlineData") or part.get("fileData"))
    if data:  # the data itself stays in the body
        return {"type": str(data.get("mimeType") or "file").partition("/")[0], "mime_type": str(data.get("mimeType"))}
    name = next((name for name in part if name != "thoughtSignature"), "part")
    return {"type": name, name: part.get(name)}


def _usage(report: Body) -> UsageMetadata | None:
    """Tokens as LangChain counts them: thoughts belong to what comes out, prompts of tools to what goes in."""
    if not report:
        return None
    thoughts = _count(report, "thoughtsTokenCount")
    prompt_tokens = _count(report, "promptTokenCount") + _count(report, "toolUsePromptTokenCount")
    output_tokens = _count(report, "candidatesTokenCount") + thoughts
    return UsageMetadata(
        input_tokens=prompt_tokens,
        output_tokens=output_tokens,
        total_tokens=_count(report, "totalTokenCount") or prompt_tokens + output_tokens,
        input_token_details=InputTokenDetails(cache_read=_count(report, "cachedContentTokenCount")),
        output_token_details=OutputTokenDetails(reasoning=thoughts),
    )


def _count(report: Body, name: str) -> int:
    number = report.get(name)
    return number if isinstance(number, int) else 0


def join_content(events: Iterable[Body]) -> Body:
    """The body of generated content from the parts of a stream."""
    whole: Body = {}
    candidates: dict[int, Body] = {}
    for event in events:
        whole |= {name: value for name, value in event.items() if name != "candidates" and value is not None}
        for part in event.get("candidates") or ():
            candidate = candidates.setdefault(part.get("index") or 0, {"content": {"parts": []}})
            _add_parts(candidate["content"]["parts"], mapping(part.get("content")).get("parts") or ())
            candidate |= {name: value for name, value in part.items() if name != "content" and value is not None}
    joined = [candidate for _, candidate in sorted(candidates.items())]
    return {**whole, "candidates": joined} if joined else whole


def _add_parts(parts: list[Body], more: Iterable[Body]) -> None:
    """Add the parts of a chunk. A text goes on with the one before, if both are thoughts or neither is."""
    for part in more:
        last = parts[-1] if parts else {}
        is_text = isinstance(part.get("text"), str) and isinstance(last.get("text"), str)
        if is_text and bool(part.get("thought")) == bool(last.get("thought")):
            last["text"] += part["text"]
        else:
            parts.append(dict(part))


def _is_streamed(_: Body, path: re.Match[str]) -> bool:
    return path[0].endswith(":streamGenerateContent")


def _is_last(event: Body) -> bool:
    if mapping(event.get("promptFeedback")).get("blockReason"):
        return True
    return any(mapping(candidate).get("finishReason") for candidate in event.get("candidates") or ())


def _embeddings(body: Body) -> list[Generation] | None:
    """What the endpoints for embeddings answer, and Vertex's predictions."""
    found: Any = body.get("embeddings") or body.get("predictions") or [body.get("embedding")]
    each = [mapping(item.get("embeddings")) or item if isinstance(item, dict) else {} for item in found]
    return vectors([item.get("values") for item in each], {})


def _is_prediction(body: Body) -> bool:
    instances = body.get("instances")
    return isinstance(instances, list) and bool(instances) and "content" in mapping(instances[0])


def _model_path(verbs: str) -> re.Pattern[str]:
    # A model of one's own, tuned or at an endpoint, is named with its kind: another model may have the same name.
    return re.compile(rf"/(?:models/)?(?P<model>(?:(?<=models/)|tunedModels/|endpoints/)[^/:]+):(?:{verbs})$")


ENDPOINTS = (
    Endpoint(
        api="google",
        name=":generateContent",
        path=_model_path("generateContent|streamGenerateContent"),
        last_words=("generateContent", "streamGenerateContent"),
        fits=has("contents"),
        system="systemInstruction",
        prompt="contents",
        read=content,
        is_stream=_is_streamed,
        join=join_content,
        end=End(test=_is_last, marks=(b"finishReason", b"blockReason"), waits=True),
    ),
    Endpoint(
        api="google",
        name=":embedContent",
        path=_model_path("embedContent"),
        fits=has("content"),
        prompt="content",
        read=_embeddings,
    ),
    Endpoint(
        api="google",
        name=":batchEmbedContents",
        path=_model_path("batchEmbedContents"),
        fits=has("requests"),
        prompt="requests",
        read=_embeddings,
    ),
    Endpoint(
        api="google",
        name=":predict",
        path=_model_path("predict"),
        fits=_is_prediction,
        prompt="instances",
        read=_embeddings,
    ),
)
