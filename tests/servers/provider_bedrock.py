"""Bedrock's dialect: the Converse API, and Anthropic's models by `invoke`; both whole, and as an event stream of Amazon's."""

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from tests.servers import provider_anthropic
from tests.servers.provider_asked import Answer, Request, halves, pieces, tokens

PREFIX = "/model/"
EVENT_STREAM = "application/vnd.amazon.eventstream"
_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "content_filtered"}


def spoken(request: Request, answer: Answer) -> tuple[str, bytes]:
    """The type and the body of an answer."""
    match request.path.rpartition("/")[2]:
        case "converse":
            return "application/json", json.dumps(_message(request, answer)).encode()
        case "converse-stream":
            return EVENT_STREAM, b"".join(event(name, body) for name, body in _events(request, answer))
        case "invoke":
            return "application/json", json.dumps(provider_anthropic.message(request, answer)).encode()
        case "invoke-with-response-stream":
            return EVENT_STREAM, chunks(*provider_anthropic.events(request, answer))
    return "application/json", b"{}"


def event(name: str, body: dict[str, Any], kind: str = "event") -> bytes:
    """AWS's own framing: lengths, headers and checksums around each event."""
    named = ":event-type" if kind == "event" else ":exception-type"
    return framed({named: name, ":content-type": "application/json", ":message-type": kind}, json.dumps(body).encode())


def framed(headers: Mapping[str, str], payload: bytes) -> bytes:
    head = b"".join(
        len(key).to_bytes(1, "big") + key + b"\7" + len(value).to_bytes(2, "big") + value
        for key, value in ((name.encode(), text.encode()) for name, text in headers.items())
    )
    prelude = (len(head) + len(payload) + 16).to_bytes(4, "big") + len(head).to_bytes(4, "big")
    message = prelude + zlib.crc32(prelude).to_bytes(4, "big") + head + payload
    return message + zlib.crc32(message).to_bytes(4, "big")


def chunks(*events: dict[str, Any]) -> bytes:
    """The model's own events, as `invoke-with-response-stream` hands them on."""
    return b"".join(
        event("chunk", {"bytes": base64.b64encode(json.dumps(each).encode()).decode(), "p": "abcdefgh"})
        for each in events
    )


def _message(request: Request, answer: Answer) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"text": answer.text}] if answer.text else []
    content += [
        {"toolUse": {"toolUseId": f"tooluse_{request.number}_{i}", "name": name, "input": arguments}}
        for i, (name, arguments) in enumerate(answer.tool_calls)
    ]
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": _REASONS[answer.reason],
        "usage": _usage(request, answer),
        "metrics": {"latencyMs": 5},
    }


def _events(request: Request, answer: Answer) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "messageStart", {"role": "assistant"}
    for i, block in enumerate(_message(request, answer)["output"]["message"]["content"]):
        place = {"contentBlockIndex": i}
        if "toolUse" in block:
            use = block["toolUse"]
            named = {name: use[name] for name in ("toolUseId", "name")}
            yield "contentBlockStart", {"start": {"toolUse": named}, **place}
            for piece in halves(json.dumps(use["input"])):
                yield "contentBlockDelta", {"delta": {"toolUse": {"input": piece}}, **place}
        else:
            for piece in pieces(block["text"]):
                yield "contentBlockDelta", {"delta": {"text": piece}, **place, "p": "abc"}
        yield "contentBlockStop", place
    yield "messageStop", {"stopReason": _REASONS[answer.reason]}
    yield "metadata", {"usage": _usage(request, answer), "metrics": {"latencyMs": 5}}


def _usage(request: Request, answer: Answer) -> dict[str, int]:
    asked, answered = tokens(request, answer)
    return {"inputTokens": asked, "outputTokens": answered, "totalTokens": asked + answered}
