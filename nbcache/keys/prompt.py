"""The prompt's half of the key: what of it is sent to a provider, in one form."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from nbcache.errors import UnstableIdentityError
from nbcache.keys.json_text import copy_plain, plain_json, written_json

# What LangChain's providers read of an earlier answer's metadata to send it on, or parts of it.
_SENT_BACK = ("container", "model_provider", "output_version")
_LONG_INTEGER = re.compile(r"[ :\[,-][1-9][0-9]{18}")
Normalize = Callable[[str], str]
VERBATIM = b"text:"  # begins a prompt that is a text


@dataclass(frozen=True, slots=True)
class PromptFormat:
    """How a prompt is to be read: as messages if it looks so, whether for certain, and what of them is sent back.

    `keep_metadata` is for a model that refers to earlier answers by what is in their metadata.
    """

    as_chat: bool
    surely_chat: bool
    keep_metadata: bool


# All ways to read one, the likeliest first.
PROMPT_FORMATS = (
    *(PromptFormat(True, surely, keep) for surely in (True, False) for keep in (False, True)),
    PromptFormat(as_chat=False, surely_chat=False, keep_metadata=False),
)


def canonical_prompt(prompt: str, reading: PromptFormat, normalize: Normalize | None = None) -> bytes:
    """The prompt without what is never sent to a provider.

    LangChain adds `total_cost: 0` to the usage of a hit, so that the next turn of a re-run chat has
    another prompt string and is paid again (langchain#35308).
    """
    if not reading.as_chat or not prompt.startswith('[{"lc":'):
        return _verbatim(prompt if normalize is None else _normalized_text(prompt, normalize))
    surely_chat = reading.surely_chat
    messages, write = _parsed(prompt, surely_chat=surely_chat)
    if not all(map(_is_message, messages)):
        return _verbatim(prompt)
    for message in messages:
        _strip(message["kwargs"], surely_chat=surely_chat, keep_metadata=reading.keep_metadata)
        message["kwargs"] = dict(sorted(message["kwargs"].items()))
        if surely_chat and '"not_implemented"' in prompt:
            _refuse_objects(message["kwargs"])
        if normalize is not None:
            _normalize(message["kwargs"], normalize)
    return write(messages)


def _normalize(message: dict[str, Any], normalize: Normalize) -> None:
    """Let each text of a message count as `normalize` has it."""
    content = message.get("content")
    if isinstance(content, str):
        message["content"] = _counting(content, normalize)
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict) and isinstance(block.get("text"), str):
            block["text"] = _counting(block["text"], normalize)


def _counting(text: str, normalize: Normalize) -> str:
    """What counts of `text`. Raises TypeError where that is no text: all prompts might count alike."""
    counts = normalize(text)
    if not isinstance(counts, str):
        raise TypeError(f"normalize returned {counts!r}, and no text")
    return counts


def _normalized_text(prompt: str, normalize: Normalize) -> str:
    """The same for a prompt that is a text, or messages as the providers write them."""
    if prompt.startswith('[{"'):
        try:
            messages = json.loads(prompt)
        except ValueError:
            return _counting(prompt, normalize)
        for message in messages:
            if isinstance(message, dict):
                _normalize(message, normalize)
        return json.dumps(messages, ensure_ascii=False)
    return _counting(prompt, normalize)


def normalized_prompt(prompt: Any, normalize: Normalize) -> Any:
    """A text, or messages, as `normalize` has each of their texts count."""
    if isinstance(prompt, str):
        return _counting(prompt, normalize)
    changed = []
    for message in prompt:
        counts = {"content": copy_plain(message.content)}
        _normalize(counts, normalize)
        changed.append(message.model_copy(update=counts))
    return changed


def _verbatim(prompt: str) -> bytes:
    return VERBATIM + prompt.encode(errors="surrogatepass")


def _parsed(prompt: str, *, surely_chat: bool) -> tuple[list[Any], Callable[[Any], bytes]]:
    """The messages, and how to write what was read; [None] where the prompt is no JSON.

    Read by orjson, integers over 64 bits would lose digits; NaN and lone surrogates it refuses, and so
    they are written by the standard library too, lest NaN become null.
    """
    try:
        messages = orjson.loads(prompt)
    except ValueError:
        try:
            return json.loads(prompt), plain_json
        except ValueError:
            return [None], plain_json
    if surely_chat and all(map(_is_text, messages)):
        return messages, written_json
    return (json.loads(prompt) if _LONG_INTEGER.search(prompt) else messages), written_json


def _is_text(message: Any) -> bool:
    """Whether a message, as LangChain writes it, holds no number: those of a person mostly do not."""
    return _is_message(message) and not any(value and type(value) is not str for value in message["kwargs"].values())


def _is_message(message: Any) -> bool:
    return isinstance(message, dict) and "id" in message and isinstance(message.get("kwargs"), dict)


def _strip(message: dict[str, Any], *, surely_chat: bool, keep_metadata: bool) -> None:
    if surely_chat:
        message.pop("id", None)
        message.pop("usage_metadata", None)
        message.pop("artifact", None)
        if isinstance(message.get("additional_kwargs"), dict):
            message["additional_kwargs"].pop("parsed", None)
        metadata = message.get("response_metadata")
        if isinstance(metadata, dict) and not keep_metadata:
            message["response_metadata"] = {name: metadata[name] for name in _SENT_BACK if name in metadata}
        if not message.get("response_metadata"):
            message.pop("response_metadata", None)
        return
    # It may be the text of a prompt that only looks like messages: take out no more than LangChain put in.
    usage = message.get("usage_metadata")
    if isinstance(usage, dict) and usage.get("total_cost") == 0:
        del usage["total_cost"]
    if not usage:
        message.pop("usage_metadata", None)


def _refuse_objects(value: Any) -> None:
    """An object in a prompt is told by its `repr` alone: by an address, or cut short."""
    if isinstance(value, list):
        for item in value:
            _refuse_objects(item)
    elif isinstance(value, dict):
        if value.get("lc") == 1 and value.get("type") == "not_implemented":
            name = ".".join(map(str, value.get("id") or ["an object"]))
            raise UnstableIdentityError(
                f"prompt {name}",
                f"nbcache: a call with {name} in its prompt is not cached, because LangChain tells only how it prints. "
                "Pass its content as text, or as bytes in base64",
            )
        for item in value.values():
            _refuse_objects(item)
