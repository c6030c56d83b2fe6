"""What each message becomes in a request, remembered: a chat that grows costs only what is new.

Some classes convert each message by itself. Their request for a chat consists of what they make of its messages one by one,
so that a message is converted once, however often it is sent again. It is recognized by all that it consists of: messages
can be changed.
"""

import marshal
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from nbcache.keys.canonical import canonical, canonical_by_orjson
from nbcache.keys.message_classes import MESSAGES

_Build = Callable[[Sequence[BaseMessage]], Mapping[str, Any]]  # the prompt's part of a request with these messages
_START, _END = b'{"messages":[', b"]}"  # of such a part in canonical form, around the messages
_MARK = "nbcache-text-7d1f0c2e"  # takes the place of a text, to see where the request has it
_WRITTEN_MARK = canonical(_MARK)
_MOST, _LONGEST = 4_096, 10_000  # messages that are remembered, and bytes of one
_NAMES = {cls: name for name, cls in MESSAGES.items()}
_TEXT = ' <think>a</think>\n{"b": "c\\n"} `é` 1 '  # a class that reads texts may change this one
_CALL = {"name": "f", "args": {"x": 1}, "id": "call_1", "type": "tool_call"}
# Neighbours of one role, and each role beside the others: a class that joins messages shows it.
_EXAMPLE: list[BaseMessage] = [
    *(SystemMessage(_TEXT), HumanMessage("b"), HumanMessage(_TEXT), AIMessage(_TEXT), AIMessage("c")),
    *(HumanMessage("d"), AIMessage("", tool_calls=[_CALL]), ToolMessage(_TEXT, tool_call_id="call_1")),
    *(ToolMessage("e", tool_call_id="call_2"), SystemMessage("f"), AIMessage(_TEXT, tool_calls=[_CALL])),
]
# By the parts of the request that a message is in, and by its content.
_converted: "OrderedDict[tuple[MessageParts, bytes], bytes]" = OrderedDict()
# What stands around a message's text there, by all else in the message: empty if that isn't known, None if it has no part.
_around_texts: "OrderedDict[tuple[MessageParts, bytes], tuple[bytes, ...] | None]" = OrderedDict()
_UNKNOWN = (b"", b"", b"")
_by_message: dict[type, bool] = {}  # whether a class converts each message of the example by itself


def contents_of(messages: Sequence[BaseMessage]) -> list[bytes] | None:
    """All that each message consists of but its id, exactly. None for classes of the user's own, or where an object is in one.

    `marshal` writes values of Python's own types alone, and each type in its own way; its version 0 writes equal values
    alike. The bytes never leave this process.
    """
    contents = []
    for message in messages:
        name, fields = _NAMES.get(type(message)), message.__dict__
        if name is None or message.__pydantic_extra__:
            return None
        try:
            contents.append(marshal.dumps((name, fields if fields.get("id") is None else {**fields, "id": None}), 0))
        except ValueError:  # an object of another type
            return None
    return contents


class MessageParts:
    """The messages of the requests that a model of `cls` builds with some settings."""

    __slots__ = ("_cls",)

    def __init__(self, cls: type) -> None:
        self._cls = cls

    def joined(self, messages: Sequence[BaseMessage], contents: Sequence[bytes], build: _Build) -> bytes | None:
        """The prompt's part of a request, in canonical form, of messages with these `contents`.

        None where it takes `build` to make it of all messages at once, or to say what is wrong with them.
        """
        try:
            if self._cls not in _by_message:
                _by_message[self._cls] = self._are_converted_alone(build)
            return self._joined(messages, contents, build) if _by_message[self._cls] else None
        except Exception:  # noqa: BLE001 - the class's own code
            return None

    def _joined(self, messages: Sequence[BaseMessage], contents: Sequence[bytes], build: _Build) -> bytes | None:
        parts = []
        for message, content in zip(messages, contents, strict=True):
            of = (self, content)
            if (part := _converted.get(of)) is None:
                if (part := self._convert(message, build)) is None:
                    return None
                _keep(_converted, of, part)
            parts.append(part)
        return b"".join((_START, b",".join(parts), _END))

    def _are_converted_alone(self, build: _Build) -> bool:
        """Whether messages become one by one what they become together."""
        parts = [self._convert(message, build) for message in _EXAMPLE]
        together = canonical(build(_EXAMPLE))
        return all(parts) and b"".join((_START, b",".join(filter(None, parts)), _END)) == together

    def _convert(self, message: BaseMessage, build: _Build) -> bytes | None:
        """What a message becomes in a request. None if it also changes something else there, or is not written by orjson.

        A text is put in afterwards. So a user's messages, which differ in their texts alone, are built once; and
        langchain-openai looks at each character of an answer.
        """
        text = message.content
        if type(text) is str and text:
            around = self._around_text(message, build)
            if around is None or (written := canonical_by_orjson(text)) is None:
                return None
            if around:
                return written.join(around)
        return _written(build([message]))

    def _around_text(self, message: BaseMessage, build: _Build) -> tuple[bytes, ...] | None:
        """What is before and after the text of a message in a request, as `_around_texts` has it."""
        contents = contents_of([message.model_copy(update={"content": ""})])
        of = None if contents is None else (self, contents[0])
        around = _UNKNOWN if of is None else _around_texts.get(of, _UNKNOWN)
        if around is not _UNKNOWN:
            return around
        part, around = _written(build([message.model_copy(update={"content": _MARK})])), None
        if part is not None:
            around = tuple(part.split(_WRITTEN_MARK))
            if len(around) != 2 or part.count(_MARK.encode()) != 1:
                around = ()
        if of is not None:
            _keep(_around_texts, of, around)
        return around


def _keep(kept: "OrderedDict[tuple[MessageParts, bytes], Any]", of: tuple[MessageParts, bytes], value: Any) -> None:
    """Remember what was made of a message, unless it is long."""
    if len(of[1]) <= _LONGEST:
        kept[of] = value
        if len(kept) > _MOST:
            kept.popitem(last=False)


def _written(part: Mapping[str, Any]) -> bytes | None:
    if part.keys() != {"messages"} or (written := canonical_by_orjson(part)) is None:
        return None
    return written[len(_START) : -len(_END)]


def forget() -> None:
    """Convert each message anew."""
    _converted.clear()
    _around_texts.clear()
    _by_message.clear()
