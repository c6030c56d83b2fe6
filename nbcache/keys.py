"""The key of a call: equal exactly for calls that must get the same answer.

Keys are a promise. They are versioned and tested against golden ones, so that no refactoring makes
anybody pay again.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson

from nbcache.call import Call
from nbcache.entry import KEY_LENGTH
from nbcache.errors import UnstableIdentityError
from nbcache.identity import identify

KEY_VERSION = 1
# What LangChain's providers read of an earlier answer's metadata to send it on, or parts of it.
_SENT_BACK = ("container", "model_provider", "output_version")
_KEYS_KEPT, _SHORT = 2048, 10_000  # keys, and characters of a prompt
Normalize = Callable[[str], str]
_LONG_INTEGER = re.compile(r"[ :\[,-][1-9][0-9]{18}")


@dataclass(frozen=True, slots=True)
class CallKey:
    """A call as the cache knows it: its key, and what the key was made of.

    `draw` is which of several answers to the same call is meant; `plain` is the key of the first.
    """

    key: str
    prompt: str
    identity: bytes
    endpoint: str
    model: str
    limits_tokens: bool
    plain: str
    draw: int = 0


def cache_key(prompt: str, llm_string: str, call: Call | None = None) -> str:
    """The key (40 hexadecimal digits) of this call, where no rule of the user's changes it, and of its first draw.

    `prompt` and `llm_string` are what LangChain hands to `BaseCache.lookup`; `call` adds the model object
    and the options, where they are known. Raises UnstableIdentityError where the call's identity can't be
    established.
    """
    return call_key(prompt, llm_string, call).key


def call_key(prompt: str, llm_string: str, call: Call | None = None, normalize: Normalize | None = None) -> CallKey:
    """As `cache_key`, with what the key was made of.

    `normalize` is applied to each text of the prompt, for the key alone. What it raises, this raises.
    """
    identity = identify(llm_string, call)
    counts = prompt if identity.part is None else identity.part
    asked = (prompt, counts, identity.document, identity.endpoint)
    if normalize is None and (known := _known.get(asked)) is not None:
        return known
    canonical_prompt = _canonical_prompt(counts, llm_string, call, normalize)
    key = _digest(b"%d" % KEY_VERSION, canonical_prompt, identity.document, identity.endpoint.encode())
    found = CallKey(key, prompt, identity.document, identity.endpoint, identity.model, identity.limits_tokens, key)
    if normalize is None and len(prompt) <= _SHORT:
        if len(_known) >= _KEYS_KEPT:
            _known.clear()
        _known[asked] = found
    return found


# The keys of the last calls: a cell that is run again asks the same ones, if of a model that is made anew.
_known: dict[tuple[str, str, bytes, str], CallKey] = {}


def drawn(asked: CallKey, number: int) -> CallKey:
    """The call of `asked`, which is draw 0, as the draw `number`: another call, with that number in its identity."""
    if number == asked.draw:
        return asked
    key = _digest(b"draw %d" % number, asked.plain.encode())
    return replace(asked, key=key, identity=asked.identity[:-1] + b',"draw":%d}' % number, draw=number)


def _digest(*fields: bytes) -> str:
    """A digest of length-prefixed fields: joined bare, ("ab", "c") and ("a", "bc") would be one."""
    return hashlib.sha256(b"".join([b"%d:%b" % (len(part), part) for part in fields])).hexdigest()[:KEY_LENGTH]


def _canonical_prompt(prompt: str, llm_string: str, call: Call | None, normalize: Normalize | None) -> bytes:
    """The prompt without what is never sent to a provider.

    LangChain adds `total_cost: 0` to the usage of a hit, so that the next turn of a re-run chat has
    another prompt string and is paid again (langchain#35308).
    """
    if not prompt.startswith('[{"lc":') or (call is not None and not call.is_chat):
        return _verbatim(prompt if normalize is None else _normalized_text(prompt, normalize))
    surely_chat = call is not None or llm_string.startswith("{")
    messages, write = _parsed(prompt, surely_chat=surely_chat)
    if not all(map(_is_message, messages)):
        return _verbatim(prompt)
    keep_metadata = _sends_metadata_back(llm_string, call)
    for message in messages:
        _strip(message["kwargs"], surely_chat=surely_chat, keep_metadata=keep_metadata)
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


def _verbatim(prompt: str) -> bytes:
    return b"text:" + prompt.encode(errors="surrogatepass")


def _parsed(prompt: str, *, surely_chat: bool) -> tuple[list[Any], Callable[[Any], bytes]]:
    """The messages, and how to write what was read; [None] where the prompt is no JSON.

    Read by orjson, integers over 64 bits would lose digits; NaN and lone surrogates it refuses, and so
    they are written by the standard library too, lest NaN become null.
    """
    try:
        messages = orjson.loads(prompt)
    except ValueError:
        try:
            return json.loads(prompt), _json
        except ValueError:
            return [None], _json
    if surely_chat and all(map(_is_text, messages)):
        return messages, _orjson
    return (json.loads(prompt) if _LONG_INTEGER.search(prompt) else messages), _orjson


def _is_text(message: Any) -> bool:
    """Whether a message, as LangChain writes it, holds no number: those of a person mostly do not."""
    return _is_message(message) and not any(value and type(value) is not str for value in message["kwargs"].values())


def _orjson(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:
        return _json(value)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


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


def _sends_metadata_back(llm_string: str, call: Call | None) -> bool:
    """Whether the model refers to earlier answers by their response's id."""
    if call is None:
        return '"use_previous_response_id": true' in llm_string
    return bool(call.asked_model().__dict__.get("use_previous_response_id"))
