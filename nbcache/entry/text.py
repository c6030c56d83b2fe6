"""Prompts and answers as people read them."""

import json
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from langchain_core.outputs import ChatGeneration, Generation

from nbcache.entry.records import PREVIEW_LENGTH
from nbcache.keys.json_text import parsed

_SEARCHED = 1_000_000  # characters of an entry that can be searched
_LONGEST = 40  # letters of a word
_TELLING = 16  # words of a text that tell most of it
_SAYS = frozenset({"content", "tool_calls", "function_call", "refusal", "audio"})  # fields of a message
# How LangChain begins to write a list of messages, and what it writes of an object that it can't read again.
_LANGCHAINS = '[{"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "'
_UNREADABLE = '"not_implemented"'
_WORD = re.compile(r"[^\W_]+")
_WORDS_OF_ASCII = "".join(char.lower() if char.isalnum() else " " for char in map(chr, range(128)))  # to translate by
_SIGN = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


def prompt_text(prompt: str) -> str:
    """A prompt as LangChain hands it to a cache, or an SDK sends it, as text: a chat's messages, each after its role."""
    messages = messages_of(prompt)
    if messages is None:
        return prompt
    return "\n\n".join(f"{_role(message)}: {_message_text(message)}" for message in messages)


def asked_text(prompt: str) -> str:
    """The text of the last message of a chat prompt, which is what was asked; a prompt that is a text as it is."""
    last = _last_message(prompt)
    return prompt if last is None else _message_text(last)


def request_text(identity: Mapping[str, Any]) -> str:
    """What counts of a request, but the model: for a request without a field that is known as its prompt.

    Credentials in `identity`, the document of the call's identity, have been replaced.
    """
    options = identity.get("options")
    if not isinstance(options, dict):
        return ""
    others = {name: value for name, value in options.items() if name != "model"}
    return json.dumps(others, ensure_ascii=False) if others else ""


def prompt_preview(prompt: str) -> str:
    """The beginning of the last message, which is what was asked."""
    return preview(asked_text(prompt))


def answer_text(plain: list[dict[str, Any]]) -> str:
    """The generations of an entry, in the codec's plain form, as text."""
    return "\n\n".join(
        _message_text(item["message"]["fields"]) if "message" in item else str(item.get("text", "")) for item in plain
    )


def answer_preview(generations: Sequence[Generation]) -> str:
    """The beginning of the first generation: its text, else the tools it calls."""
    if not generations:
        return ""
    first = generations[0]
    if first.text.strip() or not isinstance(first, ChatGeneration):
        return preview(first.text)
    return preview(calls_text(getattr(first.message, "tool_calls", ())) or content_text(first.message.content))


def preview(text: str) -> str:
    """The first words of `text`, on one line."""
    start = text[: PREVIEW_LENGTH + 1]
    if len(start) > PREVIEW_LENGTH and start.isprintable() and "  " not in start and " " not in {start[0], start[-1]}:
        return start[:-2] + "…"  # most texts begin with a line that stays as it is
    line = " ".join(text[: 4 * PREVIEW_LENGTH].split())
    return line if len(line) <= PREVIEW_LENGTH else line[: PREVIEW_LENGTH - 1] + "…"


def words(text: str) -> set[str]:
    """The words of `text`, to be searched by: folded, without underscores; of scripts without spaces, each sign."""
    text = text[:_SEARCHED]
    if text.isascii():
        return _shortened(set(text.translate(_WORDS_OF_ASCII).split()))
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _shortened(set(_WORD.findall(_SIGN.sub(" ", folded)))).union(_SIGN.findall(folded))


def longest_words(text: str) -> list[str]:
    """The longest words of a text: these tell most of it."""
    return sorted(words(text), key=lambda word: (-len(word), word))[:_TELLING]


def _shortened(words: set[str]) -> set[str]:
    return {word[:_LONGEST] for word in words} if max(map(len, words), default=0) > _LONGEST else words


def has_other_words(text: str, found: Collection[str]) -> bool:
    """Whether `text` has more than its words `found`: some were cut, or are too far in."""
    return len(text) > _SEARCHED or max(map(len, found), default=0) >= _LONGEST


def is_folded(text: str, found: Collection[str]) -> bool:
    """Whether `text` may be written in other letters than its words `found` are, besides their case."""
    return not text.isascii() and (
        any(not word.isascii() for word in found) or set(_WORD.findall(text.lower())) != found
    )


def content_text(content: Any) -> str:
    """The text of a message's content: what is no text is named in brackets."""
    if isinstance(content, str):
        return content
    return "\n".join(map(_block_text, content)) if isinstance(content, list) else str(content or "")


def calls_text(tool_calls: Any) -> str:
    """Tool calls, as the code that they stand for."""
    calls = [call for call in tool_calls if isinstance(call, dict)] if isinstance(tool_calls, list) else []
    return "\n".join(f"{call.get('name')}({json.dumps(call.get('args'), default=str)})" for call in calls)


def _message_text(fields: dict[str, Any]) -> str:
    parts = (
        content_text(fields.get("content")),
        calls_text(fields.get("tool_calls")),
        calls_text(fields.get("invalid_tool_calls")),
    )
    return "\n".join(part for part in parts if part)


def _block_text(block: Any) -> str:
    if isinstance(block, str):
        return block
    if not isinstance(block, dict):
        return str(block)
    for name in ("text", "reasoning", "thinking", "refusal"):
        if isinstance(block.get(name), str):
            return str(block[name])
    if block.get("type") == "tool_result":
        return content_text(block.get("content"))
    return f"[{block.get('type', 'content')}]"


def messages_of(prompt: str) -> list[dict[str, Any]] | None:
    """The fields of the messages of a chat prompt. None if it is a text."""
    if not prompt.startswith('[{"'):
        return None
    read = _from_langchain if prompt.startswith('[{"lc":') else _from_provider
    try:
        messages = list(map(read, parsed(prompt)))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return messages if messages and all(isinstance(message, dict) for message in messages) else None


def _last_message(prompt: str) -> dict[str, Any] | None:
    """As the last of `messages_of`. Of a prompt of LangChain's no other message is read: a chat may be long."""
    if prompt.startswith(_LANGCHAINS) and _UNREADABLE not in prompt:
        with suppress(ValueError, KeyError, RecursionError):  # where a message within a message begins
            message = parsed(prompt[prompt.rindex(_LANGCHAINS[1:]) : -1])["kwargs"]
            if isinstance(message, dict):
                return message
    messages = messages_of(prompt)
    return messages[-1] if messages else None


def _from_langchain(message: dict[str, Any]) -> Any:
    return message["kwargs"]


def _from_provider(item: dict[str, Any]) -> dict[str, Any]:
    """A message as OpenAI's and Anthropic's SDKs send it, in LangChain's terms. Raises ValueError if it is none."""
    kind = item.get("type") or "message"
    if isinstance(item.get("parts"), list):  # Google's
        calls = [called(part["functionCall"]) for part in item["parts"] if "functionCall" in part]
        content: Any = [part for part in item["parts"] if "functionCall" not in part]
        return {"role": item.get("role") or "user", "content": content, "tool_calls": calls}
    if isinstance(item.get("role"), str) and not item.keys().isdisjoint(_SAYS):
        content = item.get("content")
        calls = list(item.get("tool_calls") or ())
        if isinstance(content, list):
            calls += [block for block in content if _is_tool_use(block)]
            content = [block for block in content if not _is_tool_use(block)]
        elif isinstance(content, dict) and isinstance(content.get("parts"), list):  # Google's instructions
            content = content["parts"]
        return {**item, "content": content, "tool_calls": list(map(called, calls))}
    if kind.endswith("_call"):  # of the Responses API
        return {"role": "assistant", "tool_calls": [called(item)]}
    if kind.endswith("_output"):
        return {"role": "tool", "content": item.get("output")}
    if kind in {"reasoning", "item_reference", "compaction"}:
        return {"role": "assistant", "content": [item]}
    raise ValueError("no message")


def called(call: dict[str, Any]) -> dict[str, Any]:
    """A tool call as a provider writes it, in LangChain's terms. `args` is a text if it is no JSON object."""
    function = call.get("function") or call.get("custom") or call
    args: Any = next((function[name] for name in ("arguments", "input", "args") if name in function), {})
    return {
        "name": str(function.get("name") or call.get("type")),
        "args": _arguments(args) if isinstance(args, str) else args,
        "id": call.get("call_id") or call.get("id"),
    }


def _arguments(written: str) -> Any:
    try:
        args = parsed(written or "{}")
    except ValueError:
        return written
    return args if isinstance(args, dict) else written


def _is_tool_use(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "tool_use"


def _role(message: dict[str, Any]) -> str:
    return str(message.get("role") or message.get("type") or "message")
