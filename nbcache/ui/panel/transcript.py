"""A prompt and its answer as a person reads a chat: who said what, in which parts."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nbcache.entry.text import content_text, messages_of

_REASONING = ("reasoning", "thinking")
_ARGUMENTS = ("input", "args", "arguments")  # Anthropic's, LangChain's, OpenAI's
_CALLS = {"tool_use", "tool_call", "function_call", "server_tool_use"}  # among the message's tool calls, too


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a message. `kind` is `text`, `reasoning`, `tool call`, `tool result`, `image` or `other`."""

    kind: str
    text: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """One message."""

    role: str
    parts: tuple[Part, ...]


def prompt_chat(prompt: str) -> list[Said]:
    """The messages of a prompt as LangChain hands it to a cache; one, of the user, for a text."""
    messages = messages_of(prompt)
    if messages is None:
        return [Said("user", (Part("text", prompt),))]
    return [_said(message) for message in messages]


def answer_chat(plain: list[dict[str, Any]]) -> list[Said]:
    """The generations of an entry, in the codec's plain form."""
    return [
        _said({"type": "ai", **item["message"]["fields"]})
        if "message" in item
        else Said("assistant", (Part("text", str(item.get("text", ""))),))
        for item in plain
    ]


_ROLES = {"human": "user", "ai": "assistant", "HumanMessage": "user", "AIMessage": "assistant"}


def _said(message: dict[str, Any]) -> Said:
    told = str(message.get("role") or message.get("type") or "message").removesuffix("Chunk")
    return Said(_ROLES.get(told, told), tuple(_parts(message, is_result=told == "tool")))


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
