"""The prompt's half of the key: the part of it that is sent to a provider, in one form."""

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from nbcache.errors import UnstableIdentityError
from nbcache.keys.json_text import copy_plain, plain_json, written_json

# The metadata of an earlier answer that LangChain's providers send back, or read to send back other parts.
_SENT_BACK = ("container", "model_provider", "output_version")
_SENT_FIELDS = ("content", "type")  # all that most messages of users have, in this order
_LONG_INTEGER = re.compile(r"[ :\[,-][1-9][0-9]{18}")
_TEXT = {str}
Normalize = Callable[[str], str]
VERBATIM = b"text:"  # begins a prompt that is a text


class PromptFormat(NamedTuple):
    """How to read a prompt.

    Attributes:
        as_chat: read it as messages, if it looks like messages.
        surely_chat: it does consist of messages. If not, it may also be a text that looks like them.
        keep_metadata: keep the metadata of earlier answers, for a model that refers to them by it.
    """

    as_chat: bool
    surely_chat: bool
    keep_metadata: bool


# All formats, the most likely first.
PROMPT_FORMATS = (
    *(PromptFormat(True, surely, keep) for surely in (True, False) for keep in (False, True)),
    PromptFormat(as_chat=False, surely_chat=False, keep_metadata=False),
)


def canonical_prompt(prompt: str, prompt_format: PromptFormat, normalize: Normalize | None = None) -> bytes:
    """The prompt without the parts that are never sent to a provider.

    LangChain adds `total_cost: 0` to the usage of a hit. In a chat that is run again, the next turn's prompt string would
    differ by it, and would be paid again (langchain#35308).
    """
    if not prompt_format.as_chat or not prompt.startswith('[{"lc":'):
        return _verbatim(prompt if normalize is None else _normalized_text(prompt, normalize))
    surely_chat = prompt_format.surely_chat
    messages, write = _parsed(prompt, surely_chat=surely_chat)
    if messages is None:
        return _verbatim(prompt)
    may_hold_objects = surely_chat and '"not_implemented"' in prompt
    for message in messages:
        fields = message["kwargs"]
        if tuple(fields) != _SENT_FIELDS:  # else there is nothing to remove, and nothing to sort
            _strip(fields, surely_chat=surely_chat, keep_metadata=prompt_format.keep_metadata)
            fields = message["kwargs"] = dict(sorted(fields.items()))
        if may_hold_objects:
            _refuse_objects(fields)
        if normalize is not None:
            _normalize(fields, normalize)
    return write(messages)


def _normalize(message: dict[str, Any], normalize: Normalize) -> None:
    """Replace each text of a message by what `normalize` makes of it."""
    content = message.get("content")
    if isinstance(content, str):
        message["content"] = _apply(content, normalize)
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict) and isinstance(block.get("text"), str):
            block["text"] = _apply(block["text"], normalize)


def _apply(text: str, normalize: Normalize) -> str:
    """`normalize(text)`. Raises TypeError if that is not a text: then all prompts might get the same key."""
    normalized = normalize(text)
    if not isinstance(normalized, str):
        raise TypeError(f"normalize returned {normalized!r}, and no text")
    return normalized


def _normalized_text(prompt: str, normalize: Normalize) -> str:
    """A prompt that is a text, or messages as the providers write them, with `normalize` applied to each text."""
    if prompt.startswith('[{"'):
        try:
            messages = json.loads(prompt)
        except ValueError:
            return _apply(prompt, normalize)
        for message in messages:
            if isinstance(message, dict):
                _normalize(message, normalize)
        return json.dumps(messages, ensure_ascii=False)
    return _apply(prompt, normalize)


def normalized_prompt(prompt: Any, normalize: Normalize) -> Any:
    """A text, or messages, with `normalize` applied to each text."""
    if isinstance(prompt, str):
        return _apply(prompt, normalize)
    changed = []
    for message in prompt:
        update = {"content": copy_plain(message.content)}
        _normalize(update, normalize)
        changed.append(message.model_copy(update=update))
    return changed


def _verbatim(prompt: str) -> bytes:
    return VERBATIM + prompt.encode(errors="surrogatepass")


def _parsed(prompt: str, *, surely_chat: bool) -> tuple[list[Any] | None, Callable[[Any], bytes]]:
    """The messages, as LangChain writes them, and the function that writes them. None if the prompt is anything else.

    orjson would round integers over 64 bits, and refuses NaN and lone surrogates. So the standard library reads those, and
    also writes the latter two: orjson would write null for NaN.
    """
    write = written_json
    try:
        messages = orjson.loads(prompt)
    except ValueError:
        write = plain_json
        try:
            messages = json.loads(prompt)
        except ValueError:
            return None, write
    if not all(map(_is_message, messages)):
        return None, write
    if write is written_json and not (surely_chat and all(map(_is_text, messages))) and _LONG_INTEGER.search(prompt):
        messages = json.loads(prompt)
    return messages, write


def _is_text(message: dict[str, Any]) -> bool:
    """Whether a message contains texts only. Most messages of users do."""
    values = message["kwargs"].values()
    return set(map(type, values)) == _TEXT or not any(value and type(value) is not str for value in values)


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
    # It may be a text that only looks like messages: remove no more than LangChain has added.
    usage = message.get("usage_metadata")
    if isinstance(usage, dict) and usage.get("total_cost") == 0:
        del usage["total_cost"]
    if not usage:
        message.pop("usage_metadata", None)


def _refuse_objects(value: Any) -> None:
    """Raise UnstableIdentityError for an object in a prompt: LangChain writes its `repr`, which may be an address or shortened."""
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
