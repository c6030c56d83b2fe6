"""Anthropic's Messages API, also as Vertex has it."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from langchain_core.outputs import Generation

from nbcache.entry.usage.reported_metadata import mapping
from nbcache.integrations.http.apis.endpoint import Endpoint, has, streams_by
from nbcache.integrations.http.apis.framing import Body, End, typed
from nbcache.integrations.http.apis.generations import all_finished, chat_generation, without_nulls
from nbcache.keys.json_text import parsed

_DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


def message(body: Body) -> list[Generation] | None:
    """A message of Anthropic's Messages API."""
    if body.get("error") or not isinstance(body.get("content"), list):
        return None
    if not all_finished("/messages", [body.get("stop_reason")]):
        return None
    metadata = {
        "model_name": body.get("model"),
        "usage": body.get("usage"),
        "service_tier": body.get("service_tier"),
        "stop_reason": body.get("stop_reason"),
    }
    calls = [block for block in body["content"] if block.get("type") == "tool_use"]
    content = [block for block in body["content"] if block.get("type") != "tool_use"]
    return [chat_generation(content, calls, metadata)]


def join_message(events: Iterable[Body]) -> Body:
    """The body of Anthropic's message from its events."""
    whole: Body = {}
    blocks: dict[int, Body] = {}
    for event in events:
        match event.get("type"):
            case "message_start":
                whole = dict(event["message"])
            case "content_block_start":
                blocks[event["index"]] = dict(event["content_block"])
            case "content_block_delta":
                _add_delta(blocks[event["index"]], event["delta"])
            case "message_delta":
                usage = {**(whole.get("usage") or {}), **without_nulls(event.get("usage") or {})}
                whole |= {**event["delta"], "usage": usage}
            case "error":
                whole |= {"error": event.get("error") or True}
    for block in blocks.values():
        if arguments := block.pop("partial_json", ""):
            block["input"] = parsed(arguments)
    return {**whole, "content": [block for _, block in sorted(blocks.items())]}


def _add_delta(block: Body, delta: Body) -> None:
    if (name := _DELTAS.get(delta["type"])) is not None:
        block[name] = block.get(name, "") + delta[name]


def _is_closing(event: Body) -> bool:
    return event.get("type") == "message_delta" and bool(mapping(event.get("delta")).get("stop_reason"))


_MESSAGES: dict[str, Any] = {
    "api": "anthropic",
    "name": "/v1/messages",
    "system": "system",
    "prompt": "messages",
    "read": message,
    "join": join_message,
    "end": replace(typed("message_stop"), closing=End(test=_is_closing, marks=(b"stop_reason",))),
}
ENDPOINTS = (
    Endpoint(fits=has("model", "max_tokens", "messages"), **_MESSAGES),
    Endpoint(  # at Vertex
        path=re.compile(r"(?<=/publishers/anthropic)/models/(?P<model>[^/:]+):(?:rawPredict|streamRawPredict)$"),
        last_words=("rawPredict", "streamRawPredict"),
        fits=has("anthropic_version", "max_tokens", "messages"),
        is_stream=streams_by(":streamRawPredict"),
        **_MESSAGES,
    ),
)
