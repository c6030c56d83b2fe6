"""The bodies of providers' answers as LangChain's generations: what people read, search and pay for.

Each function returns None for a body that must not be stored: an error, or one that isn't understood.
"""

from collections.abc import Iterable
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation

from nbcache.entry.text import called, content_text

Body = dict[str, Any]
_FINISHED = {None, "completed", "incomplete"}


def chat(body: Body) -> list[Generation] | None:
    """A chat completion: a generation for each choice."""
    if not _is_answer(body, "choices") or any(map(_failed, body["choices"])):
        return None
    metadata = _metadata(body)
    return [
        _generation(
            message.get("content") or _mapping(message.get("audio")).get("transcript") or "",
            _calls_of(message),
            {**metadata, "finish_reason": choice.get("finish_reason")},
            refusal=message.get("refusal"),
            reasoning=message.get("reasoning_content") or message.get("reasoning"),
        )
        for choice in body["choices"] or [{}]
        for message in [_mapping(choice.get("message"))]
    ]


def completion(body: Body) -> list[Generation] | None:
    """A completion: a generation for each choice."""
    if not _is_answer(body, "choices") or any(map(_failed, body["choices"])):
        return None
    metadata = _metadata(body)
    return [
        Generation(
            text=choice.get("text") or "", generation_info={**metadata, "finish_reason": choice.get("finish_reason")}
        )
        for choice in body["choices"] or [{}]
    ]


def response(body: Body) -> list[Generation] | None:
    """A response of OpenAI's Responses API."""
    if not _is_answer(body, "output") or body.get("status") not in _FINISHED:
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
    return [_generation(content, calls, {**_metadata(body), **details})]


def message(body: Body) -> list[Generation] | None:
    """A message of Anthropic's Messages API."""
    if not _is_answer(body, "content"):
        return None
    calls = [block for block in body["content"] if block.get("type") == "tool_use"]
    content = [block for block in body["content"] if block.get("type") != "tool_use"]
    return [_generation(content, calls, {**_metadata(body), "stop_reason": body.get("stop_reason")})]


def _block(block: Body) -> Body:
    return {"type": "text", "text": block.get("text") or ""} if block.get("type") == "output_text" else block


def _is_answer(body: Body, name: str) -> bool:
    return not body.get("error") and isinstance(body.get(name), list)


def _failed(choice: Body) -> bool:
    """Whether a choice has failed: a router may report a failure in the middle of an answer."""
    return bool(choice.get("error")) or choice.get("finish_reason") == "error"


def _metadata(body: Body) -> Body:
    """The response metadata that `usage_of` reads: the model's name, its usage and its service tier."""
    usage = body.get("usage") or _mapping(body.get("x_groq")).get("usage")
    metadata = {"model_name": body.get("model"), "usage": usage, "service_tier": body.get("service_tier")}
    return {name: value for name, value in metadata.items() if value is not None}


def _generation(
    content: Any, calls: Iterable[Body], metadata: Body, *, refusal: Any = None, reasoning: Any = None
) -> ChatGeneration:
    tool_calls = list(map(called, calls))
    if reasoning:
        text = [{"type": "text", "text": content}] if content else []
        content = [{"type": "reasoning", "reasoning": str(reasoning)}, *text]
    elif isinstance(content, list) and all(block.get("type") == "text" for block in content):
        content = "".join(block.get("text") or "" for block in content)
    answer = AIMessage(
        content=content,
        tool_calls=[call for call in tool_calls if isinstance(call["args"], dict)],
        invalid_tool_calls=[{**call, "error": None} for call in tool_calls if isinstance(call["args"], str)],
        additional_kwargs={"refusal": refusal} if refusal else {},
        response_metadata={name: value for name, value in metadata.items() if value is not None},
    )
    return ChatGeneration(message=answer)


def _calls_of(message: Body) -> list[Body]:
    function_call = message.get("function_call")  # the older form of a tool call
    return [*(message.get("tool_calls") or ()), *([function_call] if function_call else ())]


def _mapping(value: Any) -> Body:
    return value if isinstance(value, dict) else {}
