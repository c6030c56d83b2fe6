"""Cohere's API: chat and embeddings, in its first and its second version. Its rankings are in `vectors.py`."""

from collections.abc import Iterable

from langchain_core.outputs import Generation

from nbcache.entry.usage.reported_metadata import mapping
from nbcache.integrations.http.apis.endpoint import Endpoint, has
from nbcache.integrations.http.apis.framing import LINES, Body, typed
from nbcache.integrations.http.apis.generations import all_finished, append, chat_generation
from nbcache.integrations.http.apis.vectors import vectors

_PIECEWISE = frozenset({"text", "thinking", "arguments"})


def chat(body: Body) -> list[Generation] | None:
    """A message of the second version."""
    message = body.get("message")
    if body.get("error") or not isinstance(message, dict) or not all_finished("/v2/chat", [body.get("finish_reason")]):
        return None
    metadata = {"usage": body.get("usage"), "finish_reason": body.get("finish_reason")}
    blocks = [_block(block) for block in message.get("content") or ()]
    return [chat_generation(blocks, message.get("tool_calls") or (), metadata)]


def _block(block: Body) -> Body:
    return {"type": "reasoning", "reasoning": block["thinking"]} if "thinking" in block else block


def first_chat(body: Body) -> list[Generation] | None:
    """A message of the first version."""
    if body.get("error") or not isinstance(body.get("text"), str) or "generation_id" not in body:
        return None
    calls = [
        {"name": call.get("name"), "arguments": mapping(call.get("parameters"))}
        for call in body.get("tool_calls") or ()
    ]
    metadata = {"meta": body.get("meta"), "finish_reason": body.get("finish_reason")}
    return [chat_generation(body["text"], calls, metadata)]


def embeddings(body: Body) -> list[Generation] | None:
    """Embeddings, of one or of several types of numbers."""
    found = None if body.get("error") else body.get("embeddings")
    kinds = found if isinstance(found, dict) else {"float": found}
    return vectors(next((each for each in kinds.values() if isinstance(each, list)), []), {"meta": body.get("meta")})


def _join(events: Iterable[Body]) -> Body:
    """The body of a message from its events."""
    whole: Body = {}
    blocks: dict[int, Body] = {}
    calls: dict[int, Body] = {}
    for event in events:
        delta = mapping(event.get("delta"))
        message = mapping(delta.get("message"))
        match event.get("type"):
            case "content-start" | "content-delta":
                append(blocks.setdefault(event.get("index") or 0, {}), mapping(message.get("content")), _PIECEWISE)
            case "tool-call-start" | "tool-call-delta":
                append(calls.setdefault(event.get("index") or 0, {}), mapping(message.get("tool_calls")), _PIECEWISE)
            case "message-end":
                whole |= delta
    content = [block for _, block in sorted(blocks.items())]
    return {**whole, "message": {"content": content, "tool_calls": [call for _, call in sorted(calls.items())]}}


def join_first(lines: list[Body]) -> Body:
    """The body of a message of the first version, which is in the last line of its stream."""
    return mapping(lines[-1].get("response")) if lines else {}


ENDPOINTS = (
    Endpoint(
        api="cohere",
        name="/v2/chat",
        fits=has("model", "messages"),
        prompt="messages",
        read=chat,
        join=_join,
        end=typed("message-end"),
        reads_accept=True,  # by which a client asks for lines of JSON, or for events
    ),
    Endpoint(
        api="cohere",
        name="/v1/chat",
        fits=has("message"),
        system="preamble",
        prompt="message",
        read=first_chat,
        join=join_first,
        framing=LINES,
        end=typed("stream-end", name="event_type"),
        reads_accept=True,
    ),
    Endpoint(api="cohere", name="/v2/embed", fits=has("model", "input_type"), prompt="texts", read=embeddings),
    Endpoint(api="cohere", name="/v1/embed", fits=has("texts"), prompt="texts", read=embeddings),
)
