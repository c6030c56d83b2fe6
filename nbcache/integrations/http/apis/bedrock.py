"""Amazon Bedrock's Converse API, which is the same for all models, and what all calls of Bedrock have in common."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from langchain_core.outputs import Generation

from nbcache.entry.usage.reported_metadata import count, mapping
from nbcache.integrations.http.apis.endpoint import Endpoint
from nbcache.integrations.http.apis.framing import MESSAGES, Body, End
from nbcache.integrations.http.apis.generations import chat_generation, without_nulls
from nbcache.keys.json_text import parsed

# The tokens of a call, in the last event of a stream; of a whole answer they are in headers.
METRICS = "amazon-bedrock-invocationMetrics"
_HEADER = "x-amzn-bedrock-{}-token-count"
_IN_HEADERS = {
    "inputTokenCount": _HEADER.format("input"),
    "outputTokenCount": _HEADER.format("output"),
    "cacheReadInputTokenCount": _HEADER.format("cache-read-input"),
    "cacheWriteInputTokenCount": _HEADER.format("cache-write-input"),
}
_LATENCY = "x-amzn-bedrock-performanceconfig-latency"
_TIER = "x-amzn-bedrock-service-tier"
_USUAL_LATENCY = "standard"


def with_headers(body: Body, headers: Mapping[str, str]) -> Body:
    """The body of an answer with what its headers say of it: tokens, the service tier, and whether it was made faster."""
    counts = {name: int(headers[header]) for name, header in _IN_HEADERS.items() if headers.get(header, "").isdecimal()}
    beside: Body = {METRICS: counts} if counts else {}
    if headers.get(_LATENCY):
        beside["performanceConfig"] = {"latency": headers[_LATENCY]}
    if headers.get(_TIER):
        beside["serviceTier"] = {"type": headers[_TIER]}
    return {**beside, **body}


def metadata(body: Body, **more: Any) -> Body:
    """The response metadata of an answer. The model is the one that was asked for: its name decides the price."""
    tier, latency = mapping(body.get("serviceTier")).get("type"), mapping(body.get("performanceConfig")).get("latency")
    usage = _usage(body)
    if latency not in (None, _USUAL_LATENCY):  # it has a price of its own
        usage["speed"] = latency
    return without_nulls({"usage": usage or None, "service_tier": tier, **more})


def _usage(body: Body) -> Body:
    """The tokens, as Anthropic reports them: those of its prompt cache are counted apart."""
    usage, metrics = mapping(body.get("usage")), mapping(body.get(METRICS))
    if "input_tokens" in usage or "prompt_tokens" in usage:  # as the model itself reports them
        return dict(usage)
    written = {f"ephemeral_{each['ttl']}_input_tokens": each.get("inputTokens") for each in _cache_details(usage)}
    counts = {
        "input_tokens": _count(usage, metrics, "inputTokens", "inputTokenCount"),
        "output_tokens": _count(usage, metrics, "outputTokens", "outputTokenCount"),
        "cache_read_input_tokens": _count(usage, metrics, "cacheReadInputTokens", "cacheReadInputTokenCount"),
        "cache_creation_input_tokens": _count(usage, metrics, "cacheWriteInputTokens", "cacheWriteInputTokenCount"),
        "cache_creation": written or None,
    }
    return without_nulls(counts)


def _cache_details(usage: Body) -> list[Body]:
    details = usage.get("cacheDetails")
    return [each for each in details if isinstance(mapping(each).get("ttl"), str)] if isinstance(details, list) else []


def _count(usage: Body, metrics: Body, *names: str) -> int | None:
    numbers = (count(part.get(name)) for part in (usage, metrics) for name in names)
    return next((number for number in numbers if number is not None), None)


def converse(body: Body) -> list[Generation] | None:
    """A message of the Converse API, and of Amazon's own models."""
    content, reason = mapping(mapping(body.get("output")).get("message")).get("content"), body.get("stopReason")
    if body.get("error") or not isinstance(content, list) or not isinstance(reason, str):
        return None
    uses = [use for block in content if (use := mapping(mapping(block).get("toolUse")))]
    calls = [{**use, "id": use.get("toolUseId")} for use in uses if use.get("type") != "server_tool_use"]
    blocks = [_block(mapping(block)) for block in content]
    return [chat_generation([block for block in blocks if block], calls, metadata(body, stop_reason=reason))]


def _block(block: Body) -> Body:
    """A block of content, in LangChain's terms. Empty for a call of a tool of the user's."""
    if isinstance(block.get("text"), str):
        return {"type": "text", "text": block["text"]}
    kind = next(iter(block), "content")
    value = mapping(block.get(kind))
    match kind:
        case "toolUse":
            return {"type": "server_tool_use", "name": value.get("name")} if value.get("type") else {}
        case "reasoningContent":
            return {"type": "reasoning", "reasoning": str(mapping(value.get("reasoningText")).get("text") or "")}
        case "citationsContent":
            texts = [mapping(part).get("text") or "" for part in value.get("content") or ()]
            return {"type": "text", "text": "".join(map(str, texts))}
    return {"type": kind}  # an image, a search: the data stays in the body


def join_converse(events: Iterable[Body]) -> Body:
    """The body of a message from its events."""
    whole: Body = {}
    blocks: dict[int, Body] = {}
    for event in events:
        for kind, value in event.items():
            match kind:
                case "contentBlockStart":
                    _start(blocks.setdefault(value.get("contentBlockIndex") or 0, {}), mapping(value.get("start")))
                case "contentBlockDelta":
                    _add(blocks.setdefault(value.get("contentBlockIndex") or 0, {}), mapping(value.get("delta")))
                case "messageStop" | "metadata":
                    whole |= mapping(value)
                case "error" | "performanceConfig" | "serviceTier":
                    whole[kind] = value
                case _ if kind == METRICS:
                    whole[kind] = value
    for block in blocks.values():
        if isinstance(written := mapping(block.get("toolUse")).get("input"), str):
            block["toolUse"]["input"] = parsed(written or "{}")
    return {**whole, "output": {"message": {"content": [block for _, block in sorted(blocks.items())]}}}


def _start(block: Body, start: Body) -> None:
    for kind, value in start.items():
        block[kind] = dict(mapping(value))


def _add(block: Body, delta: Body) -> None:
    """Add a part of a block. Texts are appended to what has come of them."""
    for kind, value in delta.items():
        match kind:
            case "text":
                block["text"] = block.get("text", "") + value
            case "toolUse":
                use = block.setdefault("toolUse", {})
                use["input"] = use.get("input", "") + mapping(value).get("input", "")
            case "reasoningContent":
                text = block.setdefault("reasoningContent", {}).setdefault("reasoningText", {})
                text["text"] = text.get("text", "") + (mapping(value).get("text") or "")
            case _:
                block.setdefault(kind, {})


def is_streamed(_: Body, path: re.Match[str]) -> bool:
    """Whether a call asks for a stream: its path says so."""
    return path[0].endswith("-stream")


def model_path(verbs: str) -> re.Pattern[str]:
    """The path of a call by one of these verbs. A model is named by its id, or by a resource of AWS."""
    return re.compile(rf"/model/(?P<modelId>[^/]+)/(?:{verbs})$")


ENDPOINTS = (
    Endpoint(
        api="bedrock",
        name="/converse",
        path=model_path("converse|converse-stream"),
        last_words=("converse", "converse-stream"),
        fits=lambda body: "messages" in body or "promptVariables" in body,  # these are for a stored prompt
        system="system",
        prompt="messages",
        read=converse,
        is_stream=is_streamed,
        join=join_converse,
        framing=MESSAGES,
        end=End(test=lambda event: "metadata" in event),
        with_headers=with_headers,
    ),
)
