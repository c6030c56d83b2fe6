"""The request that a provider's own class would send: what tells one of its calls from another.

Most of LangChain's provider classes build their request in one method, before anything is sent. What the
messages change in it is the prompt; all else is the model and its settings, whatever way they were set.
A class that isn't listed here counts by its fields (`identity`).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.language_models.base import BaseLanguageModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from nbcache.keys.canonical import canonical
from nbcache.keys.ignored.body_fields import counted_body, counted_value
from nbcache.keys.ignored.headers import counted_headers, counted_query
from nbcache.keys.json_text import copy_plain
from nbcache.keys.message_classes import MESSAGES

Body = dict[str, Any]
Prompt = Sequence[BaseMessage] | str
_Build = Callable[[Any, Any, Any, Body], Body]
# Texts that stand for others, to see where a request has them: what it is made of is its settings, its messages'
# classes and their texts, so that the same form holds for all texts.
_MARKS = tuple(f"nbcache-text-{number}-7d1f0c2e" for number in range(4))
_TEXT_ALONE = {HumanMessage, SystemMessage}
_ANY_PROMPT = "."  # stands for the messages where the settings alone are asked for
# Of a message with one of these Google's class fetches what is named, from the network or from a file.
_FETCHED = ('"image_url"', '"url"', '"file_uri"', '"media"')


@dataclass(frozen=True, slots=True)
class Family:
    """Classes that build their requests alike.

    `prompt` are the request's fields for the messages. `fields` are the class's fields that count by what the request
    says of them: all others, also those that a later release adds, count by their values. `dropped` are names in the
    request that aren't sent, or say only how an answer comes. `dialect` is whose API the request is for.
    """

    build: _Build
    prompt: tuple[str, ...]
    fields: frozenset[str]
    dropped: frozenset[str] = frozenset({"stream", "stream_options", "timeout"})
    dialect: str = "openai"
    takes_extras: bool = True  # `extra_headers`, `extra_query` and `extra_body`, as the SDKs do
    drops_none: bool = False
    is_of_objects: bool = False  # and one that may fetch what a message names

    def settings(
        self, model: BaseLanguageModel[Any], stop: Any, options: Mapping[str, Any], *, is_chat: bool, is_complete: bool
    ) -> "RequestSettings":
        """What the request says of the model and its options. Raises what the class raises, or NotCanonicalError."""
        prompt = [HumanMessage(_ANY_PROMPT)] if is_chat else _ANY_PROMPT
        _, rest = self._parts(model, prompt, stop, options)
        return RequestSettings(self, is_complete, _counted(rest, self), canonical(rest))

    def _parts(
        self, model: BaseLanguageModel[Any], prompt: Prompt, stop: Any, options: Mapping[str, Any]
    ) -> tuple[Body, Body]:
        """The prompt's part of a request, and the rest of it."""
        stop = list(stop) if isinstance(stop, list | tuple) else stop
        rest = dict(self.build(model, prompt, stop, copy_plain(dict(options))))
        return {name: rest.pop(name) for name in self.prompt if name in rest}, rest


@dataclass(frozen=True, slots=True, eq=False)
class RequestSettings:
    """What a family's request says of a model and of the options of a call: `request`, as it counts.

    `is_complete` says that the request tells all that counts of such a model, and `raw` is the same as it was built, in
    canonical form.
    """

    family: Family
    is_complete: bool
    request: Body
    raw: bytes
    _forms: dict[tuple[type, ...], list[bytes]] = field(default_factory=dict)  # by the classes of a prompt's messages

    def prompt_part(
        self, model: BaseLanguageModel[Any], prompt: Prompt, stop: Any, options: Mapping[str, Any]
    ) -> bytes:
        """What the prompt makes of the request, canonical. Raises what the class raises, or NotCanonicalError."""
        texts = _texts(prompt) if self.is_complete else None
        if texts is None:
            return self._built(model, prompt, stop, options)
        kinds = tuple(map(type, prompt))
        if (form := self._forms.get(kinds)) is None:
            marked = [kind(content=mark) for kind, mark in zip(kinds, _MARKS, strict=False)]
            form = self._forms[kinds] = _split(self._built(model, marked, stop, options), len(kinds))
        if len(form) == 1:
            return self._built(model, prompt, stop, options)
        parts = [form[0]]
        for text, piece in zip(texts, form[1:], strict=True):
            parts += canonical(text), piece
        return b"".join(parts)

    def _built(self, model: BaseLanguageModel[Any], prompt: Prompt, stop: Any, options: Mapping[str, Any]) -> bytes:
        """As `prompt_part`, from a request that is built with these messages."""
        part, rest = self.family._parts(model, prompt, stop, options)  # noqa: SLF001 - one of us
        if self.family.is_of_objects:
            part = {name: counted_value(name, value) for name, value in part.items()}
        if canonical(rest) != self.raw:  # the messages have changed more: they refer to an earlier response, say
            part["!rest"] = _difference(_counted(rest, self.family), self.request)
        return canonical(part)


def _texts(prompt: Prompt) -> list[str] | None:
    """The texts of a prompt of a few messages, a person's or a system's, each nothing but a text; None for any other prompt."""
    if len(prompt) > len(_MARKS) or isinstance(prompt, str):
        return None
    texts = []
    for message in prompt:
        values = message.__dict__
        text = values["content"]
        if type(message) not in _TEXT_ALONE or type(text) is not str or not text:
            return None
        if message.__pydantic_extra__ or any(
            values[name] for name in ("additional_kwargs", "response_metadata", "name")
        ):
            return None
        texts.append(text)
    return texts


def _split(part: bytes, number: int) -> list[bytes]:
    """`part` around each of the marks in it; one piece where they don't all stand there once, in their order."""
    pieces = []
    for mark in _MARKS[:number]:
        before, found, part = part.partition(canonical(mark))
        if not found or canonical(mark) in part:
            return [b""]
        pieces.append(before)
    return [*pieces, part]


def _counted(rest: Body, family: Family) -> Body:
    """What of a request counts: the body as it is sent, and apart from it the headers and the query of this call."""
    body = {name: value for name, value in rest.items() if name not in family.dropped}
    headers = query = None
    if family.takes_extras:
        headers, query = body.pop("extra_headers", None), body.pop("extra_query", None)
        body |= body.pop("extra_body", None) or {}
    if family.drops_none:
        body = {name: value for name, value in body.items() if value is not None}
    counts = counted_body(body, family.dialect)
    if isinstance(headers, Mapping) and (counted := counted_headers(headers)):
        counts["!headers"] = counted
    if isinstance(query, Mapping) and query:
        counts["!query"] = counted_query(query)
    return counts


def can_be_built(family: Family, prompt: str) -> bool:
    """Whether a request with these messages can be built without fetching anything, and shows all of them.

    Of an object in a prompt LangChain tells only how it prints.
    """
    if '"not_implemented"' in prompt:
        return False
    return not family.is_of_objects or not any(mark in prompt for mark in _FETCHED)


def _difference(request: Mapping[str, Any], settings: Mapping[str, Any]) -> Body:
    """The fields of a request that differ from those of `settings`; null where it has them not."""
    names = [*request, *(name for name in settings if name not in request)]
    return {
        name: request.get(name)
        for name in names
        if name not in request or name not in settings or canonical(request[name]) != canonical(settings[name])
    }


def readable_prompt(part: Mapping[str, Any]) -> str:
    """What a prompt makes of a request, as a prompt that people read: a text, or the messages in JSON."""
    if isinstance(part.get("prompt"), str):
        return str(part["prompt"])
    system = part.get("system") or part.get("system_instruction")
    said: Any = next((part[name] for name in ("messages", "input", "contents") if name in part), [])
    messages = [_readable(item) for item in (said if isinstance(said, list) else [{"role": "user", "content": said}])]
    if isinstance(system, Mapping):
        system = system.get("parts")
    return json.dumps([*([{"role": "system", "content": system}] if system else []), *messages], ensure_ascii=False)


def _readable(message: Any) -> Any:
    """A message with what Google calls its parts as its content, as the others do."""
    if isinstance(message, Mapping) and "parts" in message:
        return {"role": message.get("role"), "content": message["parts"]}
    return message


def messages_in(prompt: str) -> list[BaseMessage] | None:
    """The messages that LangChain wrote as `prompt`; None where it holds anything else, of which nothing is made."""
    try:
        parts = json.loads(prompt)
        if any(part["type"] != "constructor" or _holds_object(part["kwargs"]) for part in parts):
            return None
        return [MESSAGES[part["id"][-1]](**part["kwargs"]) for part in parts]
    except Exception:  # noqa: BLE001 - whatever is in it: then it counts as it is written
        return None


def _holds_object(value: Any) -> bool:
    if isinstance(value, dict):
        return "lc" in value or any(map(_holds_object, value.values()))
    return isinstance(value, list) and any(map(_holds_object, value))
