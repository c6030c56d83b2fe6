"""Cohere's dialect, version 2: a message, the events in which it is streamed, and embeddings."""

import json
from collections.abc import Iterator
from typing import Any

from tests.servers.embedder import vector_of
from tests.servers.provider_asked import Answer, Request, halves, pieces, tokens

_REASONS = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL", "content_filter": "ERROR"}


def message(request: Request, answer: Answer) -> dict[str, Any]:
    told: dict[str, Any] = {"role": "assistant", "content": [{"type": "text", "text": answer.text}]}
    if answer.tool_calls:
        told = {"role": "assistant", "tool_plan": "I look it up.", "tool_calls": _calls(request, answer)}
    return {"id": f"chat-{request.number}", "message": told, **_ending(request, answer)}


def events(request: Request, answer: Answer) -> Iterator[dict[str, Any]]:
    begun = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield {"type": "message-start", "id": f"chat-{request.number}", "delta": {"message": begun}}
    for i, call in enumerate(_calls(request, answer)):
        function = call["function"]
        empty = {**call, "function": {**function, "arguments": ""}}
        yield {"type": "tool-call-start", "index": i, "delta": {"message": {"tool_calls": empty}}}
        for piece in halves(function["arguments"]):
            part = {"function": {"arguments": piece}}
            yield {"type": "tool-call-delta", "index": i, "delta": {"message": {"tool_calls": part}}}
        yield {"type": "tool-call-end", "index": i}
    if answer.text:
        yield {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}}
        for piece in pieces(answer.text):
            yield {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": piece}}}}
        yield {"type": "content-end", "index": 0}
    yield {"type": "message-end", "delta": _ending(request, answer)}


def embeddings(request: Request) -> dict[str, Any]:
    texts = request.body.get("texts") or [
        "".join(part.get("text") or "" for part in each["content"]) for each in request.body["inputs"]
    ]
    vectors = [vector_of(text, request.model) for text in texts]
    return {
        "id": f"embed-{request.number}",
        "embeddings": {"float": vectors},
        "texts": texts,
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": len(texts)}},
        "response_type": "embeddings_by_type",
    }


def _calls(request: Request, answer: Answer) -> list[dict[str, Any]]:
    return [
        {
            "id": request.call_id(i),
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments)},
        }
        for i, (name, arguments) in enumerate(answer.tool_calls)
    ]


def _ending(request: Request, answer: Answer) -> dict[str, Any]:
    asked, answered = tokens(request, answer)
    counts = {"input_tokens": asked, "output_tokens": answered}
    return {"finish_reason": _REASONS[answer.reason], "usage": {"billed_units": counts, "tokens": counts}}
