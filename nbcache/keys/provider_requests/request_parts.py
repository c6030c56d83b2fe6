"""The two parts of a request that a provider's class builds: the prompt, and the settings.

Most of LangChain's provider classes build their request in one method, before anything is sent. The fields that contain
the messages are the prompt. All other fields are the settings, however they were set.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.language_models.base import BaseLanguageModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from nbcache.keys.canonical import canonical
from nbcache.keys.canonical_tags import Tag
from nbcache.keys.ignored.headers_and_query import counted_headers, counted_query
from nbcache.keys.ignored.request_fields import counted_body, counted_value
from nbcache.keys.json_text import copy_plain
from nbcache.keys.message_classes import MESSAGES
from nbcache.keys.provider_requests.message_parts import MessageParts, contents_of

Body = dict[str, Any]
Prompt = Sequence[BaseMessage] | str
_Build = Callable[[Any, Any, Any, Body], Body]
# Texts that take the place of a prompt's own, to see where the request has them. A request depends on the settings, the
# classes of the messages and their texts alone, so that one template serves all texts.
_MARKS = tuple(f"nbcache-text-{number}-7d1f0c2e" for number in range(4))
_TEXT_ALONE = {HumanMessage, SystemMessage}
_ANY_PROMPT = "."  # takes the place of the messages where only the settings are needed
# If a message contains one of these, Google's class reads the network or a file.
_NOT_IMPLEMENTED = '"not_implemented"'
_REST = Tag("!rest")
_FETCHED = ('"image_url"', '"url"', '"file_uri"', '"media"')


@dataclass(frozen=True, slots=True)
class Family:
    """Classes of a provider that build their request in the same way.

    Attributes:
        build: builds the request.
        prompt: the fields of the request that contain the messages.
        fields: the fields of the class that count as the request contains them. All others, such as those that a later
            release adds, count by their values.
        dropped: the fields of the request that are not sent, or that only say how the answer is delivered.
        dialect: whose API the request is for.
        takes_extras: whether `extra_headers`, `extra_query` and `extra_body` are put into the request, as the SDKs do.
        drops_none: whether fields that are None are not sent.
        has_objects: whether the request consists of objects. Such a class may also fetch what a message names.
    """

    build: _Build
    prompt: tuple[str, ...]
    fields: frozenset[str]
    dropped: frozenset[str] = frozenset({"stream", "stream_options", "timeout"})
    dialect: str = "openai"
    takes_extras: bool = True
    drops_none: bool = False
    has_objects: bool = False

    def settings(  # noqa: PLR0913 - all that a request is built of
        self,
        model: BaseLanguageModel[Any],
        stop: Any,
        options: Mapping[str, Any],
        *,
        is_chat: bool,
        is_complete: bool,
        by_message: bool = False,
    ) -> "RequestSettings":
        """The settings in a request. Raises what the class raises, or NotCanonicalError.

        `by_message` is whether the model's class converts each message by itself.
        """
        prompt = [HumanMessage(_ANY_PROMPT)] if is_chat else _ANY_PROMPT
        part, rest = self.parts(model, prompt, stop, options)
        messages = MessageParts(type(model)) if by_message and part.keys() == {"messages"} else None
        return RequestSettings(self, is_complete, _counted(rest, self), canonical(rest), messages)

    def parts(
        self, model: BaseLanguageModel[Any], prompt: Prompt, stop: Any, options: Mapping[str, Any]
    ) -> tuple[Body, Body]:
        """A request in its two parts: the prompt and the settings."""
        stop = list(stop) if isinstance(stop, list | tuple) else stop
        rest = dict(self.build(model, prompt, stop, copy_plain(dict(options))))
        return {name: rest.pop(name) for name in self.prompt if name in rest}, rest


@dataclass(frozen=True, slots=True, eq=False)
class RequestSettings:
    """The settings in a request: those of the model, and the options of the call.

    Attributes:
        is_complete: whether the request contains all that counts of the model.
        request: the fields of the request that count.
        raw: all fields of the request, as the class built them, in canonical form.
        messages: what single messages become, if the class converts each by itself.
    """

    family: Family
    is_complete: bool
    request: Body
    raw: bytes
    messages: MessageParts | None = None
    # Prompts without their texts, by the classes of the messages. A list of one can't be used as a template.
    _templates: dict[tuple[type, ...], list[bytes]] = field(default_factory=dict)

    def prompt_part(
        self,
        model: BaseLanguageModel[Any],
        prompt: Prompt,
        stop: Any,
        options: Mapping[str, Any],
        contents: Sequence[bytes] | None = None,
    ) -> bytes:
        """The prompt's part of the request, in canonical form. Raises what the class raises, or NotCanonicalError.

        `contents` are those of the messages (`contents_of`), if they are known.
        """

        def build(messages: Prompt) -> Body:
            return self._build_prompt(model, messages, stop, options)

        texts = _texts(prompt) if self.is_complete else None
        part = None if texts is None else self._from_template(tuple(map(type, prompt)), texts, build)
        if part is None and self.messages is not None and not isinstance(prompt, str):
            contents = contents or contents_of(prompt)
            part = None if contents is None else self.messages.joined(prompt, contents, build)
        return canonical(build(prompt)) if part is None else part

    def _from_template(
        self, classes: tuple[Any, ...], texts: list[str], build: Callable[[Prompt], Body]
    ) -> bytes | None:
        """As `prompt_part`, of messages of these classes with these texts. None if the request has them otherwise."""
        if (template := self._templates.get(classes)) is None:
            marked = [cls(content=mark) for cls, mark in zip(classes, _MARKS, strict=False)]
            template = self._templates[classes] = _split_at_marks(canonical(build(marked)), len(classes))
        if len(template) == 1:
            return None
        parts = [template[0]]
        for text, rest in zip(texts, template[1:], strict=True):
            parts += canonical(text), rest
        return b"".join(parts)

    def _build_prompt(
        self, model: BaseLanguageModel[Any], prompt: Prompt, stop: Any, options: Mapping[str, Any]
    ) -> Body:
        """The prompt's part of a request that the class builds with these messages."""
        part, rest = self.family.parts(model, prompt, stop, options)
        if self.family.has_objects:
            part = {name: counted_value(name, value) for name, value in part.items()}
        if canonical(rest) != self.raw:  # the messages change a setting, such as the id of an earlier response
            part[_REST] = _difference(_counted(rest, self.family), self.request)
        return part


def _texts(prompt: Prompt) -> list[str] | None:
    """The texts of a short prompt of human and system messages which contain only text. None for any other prompt."""
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


def _split_at_marks(part: bytes, number: int) -> list[bytes]:
    """`part` split at its marks. A list of one if they are not all in it exactly once and in order."""
    pieces = []
    for mark in _MARKS[:number]:
        before, separator, part = part.partition(canonical(mark))
        if not separator or canonical(mark) in part:
            return [b""]
        pieces.append(before)
    return [*pieces, part]


def _counted(rest: Body, family: Family) -> Body:
    """The fields of a request's body that count, with the headers and the query of this call under names of their own."""
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
    """Whether a request with this prompt can be built from its text, without reading the network or a file.

    LangChain writes an object in a prompt as "not_implemented", without its content.
    """
    if _NOT_IMPLEMENTED in prompt:
        return False
    return not family.has_objects or not any(mark in prompt for mark in _FETCHED)


def may_fetch(family: Family, contents: Iterable[bytes]) -> bool:
    """Whether `can_be_built` might be false for messages with these contents, which hold each of their texts as it is."""
    marks = (_NOT_IMPLEMENTED, *_FETCHED) if family.has_objects else (_NOT_IMPLEMENTED,)
    bare = [mark.strip('"').encode() for mark in marks]
    return any(mark in content for content in contents for mark in bare)


def _difference(request: Mapping[str, Any], settings: Mapping[str, Any]) -> Body:
    """The fields of a request that differ from those of `settings`. A field that it lacks is null."""
    names = [*request, *(name for name in settings if name not in request)]
    return {
        name: request.get(name)
        for name in names
        if name not in request or name not in settings or canonical(request[name]) != canonical(settings[name])
    }


def readable_prompt(part: Mapping[str, Any]) -> str:
    """The prompt's part of a request as people read it: a text, or the messages in JSON."""
    if isinstance(part.get("prompt"), str):
        return str(part["prompt"])
    system = part.get("system") or part.get("system_instruction")
    prompt: Any = next((part[name] for name in ("messages", "input", "contents") if name in part), [])
    items = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
    messages = [_with_content(item) for item in items]
    if isinstance(system, Mapping):
        system = system.get("parts")
    return json.dumps([*([{"role": "system", "content": system}] if system else []), *messages], ensure_ascii=False)


def _with_content(message: Any) -> Any:
    """A message with a field `content`, which Google calls `parts`."""
    if isinstance(message, Mapping) and "parts" in message:
        return {"role": message.get("role"), "content": message["parts"]}
    return message


def messages_in(prompt: str) -> list[BaseMessage] | None:
    """The messages that LangChain wrote as `prompt`. None if it contains anything else: no other object is made from it."""
    try:
        parts = json.loads(prompt)
        if any(part["type"] != "constructor" or _holds_object(part["kwargs"]) for part in parts):
            return None
        return [MESSAGES[part["id"][-1]](**part["kwargs"]) for part in parts]
    except Exception:  # noqa: BLE001 - whatever it contains: then it counts as text
        return None


def _holds_object(value: Any) -> bool:
    if isinstance(value, dict):
        return "lc" in value or any(map(_holds_object, value.values()))
    return isinstance(value, list) and any(map(_holds_object, value))
