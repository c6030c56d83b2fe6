"""A prompt and its answer as the messages of a chat, each with its role and parts."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nbcache.entry.text import content_text, messages_of

_REASONING = ("reasoning", "thinking")
_ARGUMENTS = ("input", "args", "arguments")  # Anthropic's, LangChain's, OpenAI's
_CALLS = {"tool_use", "tool_call", "function_call", "server_tool_use"}  # the message's `tool_calls` has them too


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a message. `kind` is `text`, `code`, `reasoning`, `tool call`, `tool result`, `image` or `other`."""

    kind: str
    text: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class TranscriptMessage:
    """One message."""

    role: str
    parts: tuple[Part, ...]


def prompt_chat(prompt: str) -> list[TranscriptMessage]:
    """The messages of a prompt as LangChain gives it to a cache. A plain text is one message of the user."""
    messages = messages_of(prompt)
    if messages is None:
        return [TranscriptMessage("user", (Part("text", prompt),))]
    return [_message(message) for message in messages]


def answer_chat(plain: list[dict[str, Any]]) -> list[TranscriptMessage]:
    """The messages of an answer, from the codec's plain form."""
    return [
        _message({"type": "ai", **item["message"]["fields"]})
        if "message" in item
        else TranscriptMessage("assistant", (Part("text", str(item.get("text", ""))),))
        for item in plain
    ]


def function_chat(call: str, value: str) -> tuple[list[TranscriptMessage], list[TranscriptMessage]]:
    """A call of a function, as text with its name and its arguments, and what it returned."""
    return [TranscriptMessage("call", (Part("code", call),))], [TranscriptMessage("value", (Part("code", value),))]


_ROLES = {"human": "user", "ai": "assistant", "HumanMessage": "user", "AIMessage": "assistant"}


def _message(message: dict[str, Any]) -> TranscriptMessage:
    role = str(message.get("role") or message.get("type") or "message").removesuffix("Chunk")
    return TranscriptMessage(_ROLES.get(role, role), tuple(_parts(message, is_result=role == "tool")))


def _parts(message: dict[str, Any], *, is_result: bool) -> Iterator[Part]:
    content = message.get("content")
    for block in content if isinstance(content, list) else [content]:
        if is_result:
            text = "" if block is None else content_text([block])
            yield Part("tool result", text, str(message.get("name") or ""))
        elif block and not (_is_call(block) and message.get("tool_calls")):
            yield _part(block)
    for name in ("tool_calls", "invalid_tool_calls"):
        calls = message.get(name)
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                yield Part("tool call", _arguments(call.get("args")), str(call.get("name") or ""))
    refusal = _mapping(message.get("additional_kwargs")).get("refusal")
    if isinstance(refusal, str):
        yield Part("text", refusal)


def _is_call(block: Any) -> bool:
    return isinstance(block, dict) and str(block.get("type")) in _CALLS


def _part(block: Any) -> Part:
    if not isinstance(block, dict):
        return Part("text", str(block))
    kind = str(block.get("type", ""))
    if kind in _REASONING:
        return Part("reasoning", str(block.get(kind) or content_text(block.get("summary")) or f"[{kind}]"))
    if kind in {"image", "image_url", "input_image"}:
        return Part("image", "[an image]")
    if isinstance(block.get("text"), str):
        return Part("text", block["text"])
    if kind == "tool_result":
        return Part("tool result", content_text(block.get("content")))
    if kind in _CALLS:
        arguments: Any = next((block[name] for name in _ARGUMENTS if name in block), {})
        return Part("tool call", _arguments(arguments), str(block.get("name") or ""))
    return Part("other", content_text([block]))


def _arguments(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, default=str)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
