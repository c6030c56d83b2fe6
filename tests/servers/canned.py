"""Answers as the providers send them, and a server on loopback that hands them out in order."""

import base64
import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.servers.loopback import Handler, Loopback
from tests.servers.provider_bedrock import event


@dataclass(frozen=True)
class Reply:
    """What the server sends back."""

    kind: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Canned(Loopback):
    """The running server, as a context manager: it answers each request, wherever it is sent, with the next reply."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.replies: deque[Reply] = deque()

    def reply(self, *replies: Reply) -> None:
        self.replies.extend(replies)


class _Handler(Handler):
    def respond(self) -> None:
        self.body()
        reply = self.server.owner.replies.popleft()
        self.send(200, reply.kind, reply.body, reply.headers)


def as_json(body: Any, **headers: str) -> Reply:
    return Reply("application/json", json.dumps(body).encode(), {k.replace("_", "-"): v for k, v in headers.items()})


def as_events(*events: dict[str, Any], done: bool = True) -> Reply:
    """Server-sent events, each named after its type where it has one."""
    named = [f"event: {event['type']}\n" if "type" in event else "" for event in events]
    text = "".join(f"{name}data: {json.dumps(event)}\n\n" for name, event in zip(named, events, strict=True))
    return Reply("text/event-stream", (text + ("data: [DONE]\n\n" if done else "")).encode())


def as_lines(*lines: dict[str, Any]) -> Reply:
    return Reply("application/x-ndjson", "".join(json.dumps(line) + "\n" for line in lines).encode())


def as_aws_events(*events: tuple[str, dict[str, Any]]) -> Reply:
    """AWS's own framing: lengths, headers and checksums around each event."""
    return Reply("application/vnd.amazon.eventstream", b"".join(event(name, body) for name, body in events))


# OpenAI's chat completions, and what speaks its language

OPENAI_USAGE = {
    "prompt_tokens": 1200,
    "completion_tokens": 80,
    "total_tokens": 1280,
    "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 64, "audio_tokens": 3},
}


def chat(model: str, usage: Mapping[str, Any] | None, *, text: str | None = "Hi.", n: int = 1, **more: Any) -> Reply:
    choices = [
        {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"} for i in range(n)
    ]
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model, "choices": choices, **more}
    return as_json(body if usage is None else {**body, "usage": usage})


def chat_stream(
    model: str, usage: Mapping[str, Any] | None, *, last: Mapping[str, Any] | None = None, **more: Any
) -> Reply:
    """`usage` comes in a chunk of its own, as OpenAI sends it; `last` is what else the last chunk of text holds."""
    common = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model, **more}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, {"content": "H"}, {"content": "i."}]
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], **(last or {})})
    if usage is not None:
        chunks.append({"choices": [], "usage": usage})
    return as_events(*({**common, **chunk} for chunk in chunks))


def completion_stream(model: str) -> Reply:
    common = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": model}
    choices = [{"index": 0, "text": "Hi.", "finish_reason": "stop", "logprobs": None}]
    return as_events({**common, "choices": choices})


def completion(model: str) -> Reply:
    choices = [{"index": 0, "text": "Hi.", "finish_reason": "stop", "logprobs": None}]
    body = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": model, "choices": choices}
    return as_json({**body, "usage": OPENAI_USAGE})


def responses(model: str, **more: Any) -> dict[str, Any]:
    """The body of an answer of OpenAI's Responses API."""
    content = [{"type": "output_text", "text": "Hi.", "annotations": []}]
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": model,
        "status": "completed",
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "output": [{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}],
        "usage": {
            "input_tokens": 1200,
            "input_tokens_details": {"cached_tokens": 1024},
            "output_tokens": 80,
            "output_tokens_details": {"reasoning_tokens": 64},
            "total_tokens": 1280,
        },
        **more,
    }


def responses_stream(model: str, *, first: Sequence[dict[str, Any]] = (), **more: Any) -> Reply:
    """`first` are the items that come before the message: calls of tools."""
    whole = responses(model, **more)
    item, at = whole["output"][0], len(first)
    whole["output"] = [*first, item]
    place = {"item_id": "msg_1", "output_index": at, "content_index": 0}
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    part = {"type": "output_text", "text": "", "annotations": []}
    events: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
    for number, call in enumerate(first):
        added = {**call, "status": "in_progress"}
        events.append({"type": "response.output_item.added", "output_index": number, "item": added})
        events.append({"type": "response.output_item.done", "output_index": number, "item": call})
    events += [
        {"type": "response.output_item.added", "output_index": at, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **place, "part": part},
        {"type": "response.output_text.delta", **place, "delta": "Hi.", "logprobs": []},
        {"type": "response.output_text.done", **place, "text": "Hi.", "logprobs": []},
        {"type": "response.output_item.done", "output_index": at, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    return as_events(*({**event, "sequence_number": i} for i, event in enumerate(events)), done=False)


# Anthropic

ANTHROPIC_USAGE = {
    "input_tokens": 21,
    "cache_read_input_tokens": 2000,
    "cache_creation_input_tokens": 500,
    "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 300},
    "output_tokens": 12,
    "service_tier": "standard",
}


def anthropic(model: str, usage: Mapping[str, Any]) -> dict[str, Any]:
    """The body of an answer of Anthropic's Messages API."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": "Hi."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }


def anthropic_stream(model: str, usage: Mapping[str, Any], *, first: Sequence[dict[str, Any]] = ()) -> Reply:
    """`first` are the blocks that come before the text."""
    message = {**anthropic(model, {**usage, "output_tokens": 1}), "content": [], "stop_reason": None}
    ending = {"stop_reason": "end_turn", "stop_sequence": None}
    # Anthropic repeats the counts of what came in, but not which cache they were written to.
    totals = {name: count for name, count in usage.items() if isinstance(count, int) or name == "server_tool_use"}
    blocks = [
        event
        for number, block in enumerate(first)
        for event in (
            {"type": "content_block_start", "index": number, "content_block": block},
            {"type": "content_block_stop", "index": number},
        )
    ]
    at = len(first)
    return as_events(
        {"type": "message_start", "message": message},
        *blocks,
        {"type": "content_block_start", "index": at, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": at, "delta": {"type": "text_delta", "text": "Hi."}},
        {"type": "content_block_stop", "index": at},
        {"type": "message_delta", "delta": ending, "usage": totals},
        {"type": "message_stop"},
        done=False,
    )


# Google

GOOGLE_USAGE = {
    "promptTokenCount": 1200,
    "candidatesTokenCount": 16,
    "thoughtsTokenCount": 64,
    "cachedContentTokenCount": 1024,
    "totalTokenCount": 1280,
}


def google(model: str, *, n: int = 1) -> Reply:
    return as_json(_google(model, "Hi.", GOOGLE_USAGE, n))


def google_stream(model: str) -> Reply:
    """Each chunk repeats the counts so far."""
    begun = {**GOOGLE_USAGE, "candidatesTokenCount": 7, "totalTokenCount": 1271}
    return as_events(_google(model, "H", begun, 1, ""), _google(model, "i.", GOOGLE_USAGE, 1), done=False)


def _google(model: str, text: str, usage: dict[str, int], n: int, reason: str = "STOP") -> dict[str, Any]:
    candidate = {
        "content": {"role": "model", "parts": [{"text": text}]},
        **({"finishReason": reason} if reason else {}),
    }
    candidates = [{**candidate, "index": i} for i in range(n)]
    return {"candidates": candidates, "usageMetadata": usage, "modelVersion": model, "responseId": "r1"}


# Bedrock

BEDROCK_USAGE = {
    "inputTokens": 21,
    "outputTokens": 12,
    "totalTokens": 2533,
    "cacheReadInputTokens": 2000,
    "cacheWriteInputTokens": 500,
}


def converse(**more: Any) -> Reply:
    message = {"role": "assistant", "content": [{"text": "Hi."}]}
    body = {"output": {"message": message}, "stopReason": "end_turn", "metrics": {"latencyMs": 5}}
    return as_json({**body, "usage": BEDROCK_USAGE, **more})


def converse_stream(usage: Mapping[str, Any] = BEDROCK_USAGE, **more: Any) -> Reply:
    return as_aws_events(
        ("messageStart", {"role": "assistant"}),
        ("contentBlockDelta", {"delta": {"text": "Hi."}, "contentBlockIndex": 0}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": usage, "metrics": {"latencyMs": 5}, **more}),
    )


def invoke_model() -> Reply:
    """Anthropic's answer by way of `InvokeModel`: the counts are in the headers."""
    return as_json(
        anthropic("claude-haiku-4-5-20251001", ANTHROPIC_USAGE),
        x_amzn_bedrock_input_token_count="21",
        x_amzn_bedrock_output_token_count="12",
        x_amzn_bedrock_cache_read_input_token_count="2000",
        x_amzn_bedrock_cache_write_input_token_count="500",
    )


def invoke_model_stream() -> Reply:
    metrics = {
        "inputTokenCount": 21,
        "outputTokenCount": 12,
        "cacheReadInputTokenCount": 2000,
        "cacheWriteInputTokenCount": 500,
    }
    message = anthropic("claude-haiku-4-5-20251001", ANTHROPIC_USAGE)
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi."}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 12}},
        {"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics},
    ]
    return as_aws_events(
        *(("chunk", {"bytes": base64.b64encode(json.dumps(event).encode()).decode()}) for event in events)
    )


# Ollama


def ollama(model: str, *, chat: bool, **counts: int) -> Reply:
    common = {"model": model, "created_at": "2026-01-01T00:00:00Z"}
    said, nothing = ("Hi.", "") if not chat else ({"role": "assistant", "content": text} for text in ("Hi.", ""))
    name = "message" if chat else "response"
    last = {**common, name: nothing, "done": True, "done_reason": "stop", "total_duration": 9, **counts}
    return as_lines({**common, name: said, "done": False}, last)
