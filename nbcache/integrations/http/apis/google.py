"""Google's API, of Gemini and of Vertex: generated content. Embeddings and images are in `google_predictions.py`."""

import re
from collections.abc import Iterable, Iterator

from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata
from langchain_core.outputs import Generation

from nbcache.entry.usage.reported_metadata import UNPRICED, mapping
from nbcache.integrations.http.apis.endpoint import Endpoint, has, streams_by
from nbcache.integrations.http.apis.framing import ARRAY, PARTS, Body, End
from nbcache.integrations.http.apis.generations import all_finished, chat_generation

_GROUNDING = {
    "web_search_queries": "webSearchQueries",
    "image_search_queries": "imageSearchQueries",
    "google_maps_widget_context_token": "googleMapsWidgetContextToken",
    "search_entry_point": "searchEntryPoint",
    "grounding_chunks": "groundingChunks",
}


def content(body: Body) -> list[Generation] | None:
    """Generated content: a generation for each candidate, or one that says why there is none."""
    candidates, blocked = body.get("candidates"), mapping(body.get("promptFeedback")).get("blockReason")
    if body.get("error") or not (blocked or (candidates and isinstance(candidates, list))):
        return None
    if candidates and not all_finished(":generateContent", [mapping(each).get("finishReason") for each in candidates]):
        return None
    return [_generation(candidate, body) for candidate in candidates or [{"finishReason": str(blocked)}]]


def _generation(candidate: Body, body: Body) -> Generation:
    parts = [part for part in mapping(candidate.get("content")).get("parts") or () if isinstance(part, dict)]
    usage = mapping(body.get("usageMetadata"))
    metadata = {
        "model_name": body.get("modelVersion"),
        "finish_reason": candidate.get("finishReason"),
        "grounding_metadata": _grounding(mapping(candidate.get("groundingMetadata"))),
        UNPRICED: _tokens_of(usage, "cacheTokensDetails", "AUDIO") > 0 or None,
    }
    calls = [call for part in parts if (call := part.get("functionCall"))]
    blocks = [_block(part) for part in parts if "functionCall" not in part]
    return chat_generation(
        blocks,
        calls,
        metadata,
        usage=_usage(usage),
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
        input_token_details=InputTokenDetails(
            cache_read=_count(report, "cachedContentTokenCount"),
            audio=_tokens_of(report, "promptTokensDetails", "AUDIO"),
        ),
        output_token_details=OutputTokenDetails(  # LangChain's type has no images
            reasoning=thoughts,
            audio=_tokens_of(report, "candidatesTokensDetails", "AUDIO"),
            image=_tokens_of(report, "candidatesTokensDetails", "IMAGE"),  # type: ignore[typeddict-unknown-key]
        ),
    )


def _tokens_of(report: Body, details: str, modality: str) -> int:
    """The tokens of one kind among those that a report counts by their kind: TEXT, AUDIO, IMAGE."""
    parts = [mapping(part) for part in report.get(details) or ()]
    return sum(_count(part, "tokenCount") for part in parts if part.get("modality") == modality)


def _grounding(report: Body) -> Body | None:
    """What Google searched for, by the names that LangChain has for it. Some searches have a price."""
    searched = {name: report.get(camel) for name, camel in _GROUNDING.items() if report.get(camel)}
    return searched or None


def _count(report: Body, name: str) -> int:
    number = report.get(name)
    return number if isinstance(number, int) else 0


def join_content(events: Iterable[Body]) -> Body:
    """The body of generated content from the parts of a stream."""
    whole: Body = {}
    candidates: dict[int, Body] = {}
    for event in _flat(events):
        if event.get("error"):
            return event
        whole |= {name: value for name, value in event.items() if name != "candidates" and value is not None}
        for part in event.get("candidates") or ():
            candidate = candidates.setdefault(part.get("index") or 0, {"content": {"parts": []}})
            _add_parts(candidate["content"]["parts"], mapping(part.get("content")).get("parts") or ())
            candidate |= {name: value for name, value in part.items() if name != "content" and value is not None}
    joined = [candidate for _, candidate in sorted(candidates.items())]
    return {**whole, "candidates": joined} if joined else whole


def _flat(events: Iterable[Body]) -> Iterator[Body]:
    """The parts of a stream, which are the items of a JSON array unless server-sent events were asked for."""
    for event in events:
        yield from event.get(PARTS, (event,))


def _add_parts(parts: list[Body], more: Iterable[Body]) -> None:
    """Add the parts of a chunk. A text goes on with the one before, if both are thoughts or neither is."""
    for part in more:
        last = parts[-1] if parts else {}
        is_text = isinstance(part.get("text"), str) and isinstance(last.get("text"), str)
        if is_text and bool(part.get("thought")) == bool(last.get("thought")):
            last["text"] += part["text"]
        else:
            parts.append(dict(part))


def _is_last(event: Body) -> bool:
    if PARTS in event:
        return any(map(_is_last, event[PARTS]))
    if mapping(event.get("promptFeedback")).get("blockReason"):
        return True
    return any(mapping(candidate).get("finishReason") for candidate in event.get("candidates") or ())


def model_path(verbs: str) -> re.Pattern[str]:
    """The end of the path of a call of Google's models, with one of these verbs."""
    # A model of one's own, tuned or at an endpoint, is named with its kind: another model may have the same name.
    return re.compile(rf"/(?:models/)?(?P<model>(?:(?<=models/)|tunedModels/|endpoints/)[^/:]+):(?:{verbs})$")


ENDPOINTS = (
    Endpoint(
        api="google",
        name=":generateContent",
        path=model_path("generateContent|streamGenerateContent"),
        last_words=("generateContent", "streamGenerateContent"),
        fits=has("contents"),
        system="systemInstruction",
        prompt="contents",
        read=content,
        is_stream=streams_by(":streamGenerateContent"),
        join=join_content,
        framing=ARRAY,
        end=End(test=_is_last, marks=(b"finishReason", b"blockReason"), waits=True),
    ),
)
