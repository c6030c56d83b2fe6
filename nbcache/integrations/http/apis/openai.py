"""OpenAI's API, as many servers and gateways speak it: chat, completions and responses.

Functions that read a body return None for one that must not be stored: an error, or one that isn't understood.
"""

import re
from collections.abc import Callable, Iterable

from langchain_core.outputs import Generation

from nbcache.entry.text import content_text
from nbcache.entry.usage.reported_metadata import mapping
from nbcache.integrations.http.apis.endpoint import Endpoint, has, streams_by
from nbcache.integrations.http.apis.framing import DONE, Body, typed
from nbcache.integrations.http.apis.generations import (
    all_finished,
    append,
    chat_generation,
    text_generation,
    without_nulls,
)

_FINISHED = {None, "completed", "incomplete"}
# Fields that are sent in pieces. Others are sent whole, and the last value holds.
_PIECEWISE = frozenset(
    {"content", "refusal", "reasoning", "reasoning_content", "transcript", "arguments", "input", "text"}
)


def chat(body: Body) -> list[Generation] | None:
    """A chat completion: a generation for each choice."""
    if not _is_answer(body, "choices") or any(map(_failed, body["choices"])):
        return None
    if not all("message" in choice for choice in body["choices"]):  # another service's
        return None
    if not _all_finished(body["choices"]):
        return None
    metadata = _metadata(body)
    return [
        chat_generation(
            message.get("content") or mapping(message.get("audio")).get("transcript") or "",
            _calls_of(message),
            {**metadata, "finish_reason": choice.get("finish_reason")},
            refusal=message.get("refusal"),
            reasoning=message.get("reasoning_content") or message.get("reasoning"),
            tools_run=message.get("executed_tools"),
        )
        for choice in body["choices"] or [{}]
        for message in [mapping(choice.get("message"))]
    ]


def completion(body: Body) -> list[Generation] | None:
    """A completion: a generation for each choice."""
    if not _is_answer(body, "choices") or any(map(_failed, body["choices"])):
        return None
    if not all("text" in choice or "message" in choice for choice in body["choices"]):  # another service's
        return None
    if not _all_finished(body["choices"]):
        return None
    metadata = _metadata(body)
    return [
        text_generation(
            choice.get("text") or _content(choice), {**metadata, "finish_reason": choice.get("finish_reason")}
        )
        for choice in body["choices"] or [{}]
    ]


def _content(choice: Body) -> str:
    """The text in a choice of Mistral's, whose completions are messages."""
    content = mapping(choice.get("message")).get("content")
    return content if isinstance(content, str) else ""


def response(body: Body) -> list[Generation] | None:
    """A response of OpenAI's Responses API."""
    if not _is_answer(body, "output") or body.get("status") not in _FINISHED:
        return None
    if body.get("object", "response") != "response" or not ("object" in body or "status" in body):  # another service's
        return None
    if not all_finished("/responses", [body.get("status")]):
        return None
    content: list[Body] = []
    calls = []
    for item in body["output"]:
        match str(item.get("type")):
            case "message":
                content += map(_block, item.get("content") or ())
            case "function_call" | "custom_tool_call":
                calls.append(item)
            case "reasoning":
                content.append({"type": "reasoning", "reasoning": content_text(item.get("summary"))})
            case kind:  # a search, an image: only its status, since the result stays in the body
                content.append({"type": kind, "status": str(item.get("status"))})
    details = {name: body.get(name) for name in ("status", "incomplete_details")}
    return [chat_generation(content, calls, {**_metadata(body), **details})]


def _block(block: Body) -> Body:
    return {"type": "text", "text": block.get("text") or ""} if block.get("type") == "output_text" else block


def _is_answer(body: Body, name: str) -> bool:
    return not body.get("error") and isinstance(body.get(name), list)


def _failed(choice: Body) -> bool:
    """Whether a choice has failed: a router may report a failure in the middle of an answer."""
    return bool(choice.get("error")) or choice.get("finish_reason") == "error"


def _all_finished(choices: list[Body]) -> bool:
    return all_finished("completions", [choice.get("finish_reason") for choice in choices])


def _metadata(body: Body) -> Body:
    """The response metadata that `usage_of` reads: the model's name, its usage and its service tier."""
    usage = body.get("usage") or mapping(body.get("x_groq")).get("usage")
    return {"model_name": body.get("model"), "usage": usage, "service_tier": body.get("service_tier")}


def _calls_of(message: Body) -> list[Body]:
    function_call = message.get("function_call")  # the older form of a tool call
    return [*(message.get("tool_calls") or ()), *([function_call] if function_call else ())]


def join_chat(events: Iterable[Body]) -> Body:
    """The body of a chat completion from its chunks."""
    return _join_choices(events, lambda choice: {"message": choice.get("delta") or {}})


def join_completion(events: Iterable[Body]) -> Body:
    """The body of a completion from its chunks."""
    return _join_choices(events, lambda choice: {"text": choice.get("text") or ""})


def join_response(events: list[Body]) -> Body:
    """The body of a response, which is in the last event of its stream."""
    whole = events[-1].get("response") if events else None
    return whole if isinstance(whole, dict) else {}


def _join_choices(events: Iterable[Body], content: Callable[[Body], Body]) -> Body:
    """The body from the chunks of a stream. It is an error if a choice has no finish reason.

    Some servers and gateways end a stream that failed as they end any other.
    """
    whole: Body = {}
    choices: dict[int, Body] = {}
    for event in events:
        whole |= {name: value for name, value in without_nulls(event).items() if name != "choices"}
        for choice in event.get("choices") or ():
            rest = {name: value for name, value in choice.items() if name in {"finish_reason", "error"} and value}
            append(choices.setdefault(choice.get("index") or 0, {}), {**content(choice), **rest}, _PIECEWISE)
    if not all(choice.get("finish_reason") for choice in choices.values()):
        whole.setdefault("error", "the stream was cut")
    return {**whole, "choices": [choice for _, choice in sorted(choices.items())]}


def _is_response(body: Body) -> bool:
    return "input" in body or "prompt" in body  # the latter is a stored template's name and values


ENDPOINTS = (
    Endpoint(
        api="openai",
        name="/chat/completions",
        fits=has("messages"),
        prompt="messages",
        read=chat,
        join=join_chat,
        end=DONE,
    ),
    Endpoint(
        api="openai",
        name=":rawPredict",  # Mistral's models at Vertex
        path=re.compile(r"(?<=/publishers/mistralai)/models/(?P<model>[^/:]+):(?:rawPredict|streamRawPredict)$"),
        last_words=("rawPredict", "streamRawPredict"),
        fits=has("messages"),
        prompt="messages",
        read=chat,
        is_stream=streams_by(":streamRawPredict"),
        join=join_chat,
        end=DONE,
    ),
    Endpoint(
        api="openai",
        name="/agents/completions",  # Mistral's
        fits=has("agent_id", "messages"),
        prompt="messages",
        read=chat,
        join=join_chat,
        end=DONE,
    ),
    Endpoint(
        api="openai",
        name="/completions",
        fits=has("prompt"),
        prompt="prompt",
        read=completion,
        join=join_completion,
        end=DONE,
    ),
    Endpoint(
        api="openai",
        name="/responses",
        fits=_is_response,
        system="instructions",
        prompt="input",
        read=response,
        join=join_response,
        end=typed("response.completed", "response.incomplete"),
    ),
)
