"""Ollama's own API: chat, generate and embeddings. Its streams are lines of JSON, and it streams unless told not to."""

import re
from collections.abc import Callable, Iterable

from langchain_core.outputs import Generation

from nbcache.entry.usage.reported_metadata import mapping
from nbcache.integrations.http.apis.endpoint import Endpoint, has
from nbcache.integrations.http.apis.framing import LINES, Body, End
from nbcache.integrations.http.apis.generations import append, chat_generation, text_generation
from nbcache.integrations.http.apis.vectors import vectors

_PIECEWISE = frozenset({"content", "thinking", "response"})
_DONE = End(test=lambda line: line.get("done") is True, marks=(b'"done"',))


def chat(body: Body) -> list[Generation] | None:
    """A message."""
    message = body.get("message")
    if body.get("error") or not isinstance(message, dict) or body.get("done") is not True:
        return None
    calls = message.get("tool_calls") or ()
    return [chat_generation(message.get("content") or "", calls, _metadata(body), reasoning=message.get("thinking"))]


def generated(body: Body) -> list[Generation] | None:
    """A text that goes on from the prompt."""
    if body.get("error") or not isinstance(body.get("response"), str) or body.get("done") is not True:
        return None
    return [text_generation(body["response"], _metadata(body))]


def _metadata(body: Body) -> Body:
    counts = {name: body.get(name) for name in ("prompt_eval_count", "eval_count")}
    return {"model_name": body.get("model"), "done_reason": body.get("done_reason"), **counts}


def _embeddings(body: Body) -> list[Generation] | None:
    counts = {"prompt_eval_count": body.get("prompt_eval_count")}
    return vectors(body.get("embeddings") or [body.get("embedding")], {"model_name": body.get("model"), **counts})


def _join(lines: Iterable[Body]) -> Body:
    whole: Body = {}
    calls: list[Body] = []
    for line in lines:
        calls += mapping(line.get("message")).pop("tool_calls", None) or ()
        append(whole, line, _PIECEWISE)
    if calls:
        whole["message"]["tool_calls"] = calls
    return whole


def _is_streamed(body: Body, _: re.Match[str]) -> bool:
    return body.get("stream") is not False


def _endpoint(name: str, prompt: str, read: Callable[[Body], list[Generation] | None], system: str = "") -> Endpoint:
    return Endpoint(
        api="ollama",
        name=name,
        fits=has("model", prompt),
        system=system,
        prompt=prompt,
        read=read,
        is_stream=_is_streamed,
        join=_join,
        framing=LINES,
        end=_DONE,
    )


ENDPOINTS = (
    _endpoint("/api/chat", "messages", chat),
    _endpoint("/api/generate", "prompt", generated, system="system"),
    Endpoint(api="ollama", name="/api/embed", fits=has("model", "input"), prompt="input", read=_embeddings),
    Endpoint(api="ollama", name="/api/embeddings", fits=has("model", "prompt"), prompt="prompt", read=_embeddings),
)
