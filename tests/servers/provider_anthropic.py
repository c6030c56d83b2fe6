"""Anthropic's dialect: a message, and the events in which it is streamed."""

import json
from collections.abc import Iterator
from typing import Any

from tests.servers.provider_asked import Answer, Request, halves, pieces, tokens

_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


def message(request: Request, answer: Answer) -> dict[str, Any]:
    return {
        "id": f"msg_{request.number}",
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": _blocks(request, answer),
        "stop_reason": _REASONS[answer.reason],
        "stop_sequence": None,
        "usage": _usage(request, answer),
    }


def events(request: Request, answer: Answer) -> Iterator[dict[str, Any]]:
    whole = message(request, answer)
    begun: dict[str, Any] = {"content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 0}}
    yield {"type": "message_start", "message": {**whole, **begun}}
    for i, block in enumerate(whole["content"]):
        yield from _block_events(i, block)
    ending = {name: whole[name] for name in ("stop_reason", "stop_sequence")}
    yield {"type": "message_delta", "delta": ending, "usage": whole["usage"]}
    yield {"type": "message_stop"}


def _blocks(request: Request, answer: Answer) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if answer.thinking:
        blocks.append({"type": "thinking", "thinking": answer.thinking, "signature": f"signed-{request.number}"})
    if answer.text:
        blocks.append({"type": "text", "text": answer.text})
    blocks += [
        {"type": "tool_use", "id": f"toolu_{request.number}_{i}", "name": name, "input": arguments}
        for i, (name, arguments) in enumerate(answer.tool_calls)
    ]
    return blocks


def _block_events(i: int, block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What is streamed for one block of the content."""
    match block["type"]:
        case "thinking":
            empty: dict[str, Any] = {"thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        case "text":
            empty = {"text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
        case _:
            empty = {"input": {}}
            written = json.dumps(block["input"])
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in halves(written)]
    yield {"type": "content_block_start", "index": i, "content_block": {**block, **empty}}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": i, "delta": delta}
    yield {"type": "content_block_stop", "index": i}


def _usage(request: Request, answer: Answer) -> dict[str, Any]:
    """With `cache_control` anywhere all that is asked is written to Anthropic's own cache, never read from it."""
    asked, answered = tokens(request, answer)
    if "cache_control" not in json.dumps(request.body):
        return {"input_tokens": asked, "output_tokens": answered}
    written = {"cache_creation_input_tokens": asked, "cache_read_input_tokens": 0}
    return {"input_tokens": 0, "output_tokens": answered, **written}
