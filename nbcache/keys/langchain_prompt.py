"""The text that LangChain makes of messages for a cache, made in less time: an entry keeps it.

LangChain goes through each field of each message. Here it does so once for messages that differ in their content alone.
"""

import json
import marshal
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from langchain_core.messages import BaseMessage

from nbcache.keys.message_classes import MESSAGES

_MARK = "nbcache-content-5b8e02"  # takes the place of a content, to see where the text has it
_MOST, _LONGEST = 4_096, 10_000  # messages without their contents that are remembered, and bytes of one
_CLASSES = frozenset(MESSAGES.values())
# What the text has before and after the content, by the class of a message and all else in it.
_around: "OrderedDict[tuple[type, bytes], tuple[str, ...]]" = OrderedDict()
_UNREADABLE = '"not_implemented"'  # an object that LangChain writes as it prints


def written_prompt(messages: Sequence[BaseMessage], dumps: Callable[[Any], str]) -> str:
    """What `dumps`, which is LangChain's, makes of a list of messages. Raises what that raises."""
    return f"[{', '.join([_written(message, dumps) for message in messages])}]"


def _written(message: BaseMessage, dumps: Callable[[Any], str]) -> str:
    around = _around_content(message, dumps)
    if len(around) != 2:
        return dumps([message])[1:-1]
    return around[0] + json_of_text(message.content) + around[1]


def json_of_text(text: Any) -> str:
    """What `json.dumps` makes of a text. That looks at each character, and orjson at many at once; outside of ASCII they differ."""
    if text.isascii() and "\x7f" not in text:
        return orjson.dumps(text).decode()
    return json.dumps(text)


def _around_content(message: BaseMessage, dumps: Callable[[Any], str]) -> tuple[str, ...]:
    """What the text has before and after the message's content. Anything else if that is no text, or can't be told."""
    cls, fields = type(message), message.__dict__
    if cls not in _CLASSES or type(fields.get("content")) is not str or message.__pydantic_extra__:
        return ()
    try:
        of = cls, marshal.dumps({**fields, "content": ""}, 0)  # each type in its own way: `True` is not 1
    except ValueError:  # an object of another type
        return ()
    around = _around.get(of)
    if around is None and len(of[1]) <= _LONGEST:
        text = dumps([message.model_copy(update={"content": _MARK})])
        around = () if _UNREADABLE in text else tuple(text[1:-1].split(json.dumps(_MARK)))
        _around[of] = around
        if len(_around) > _MOST:
            _around.popitem(last=False)
    return around or ()
