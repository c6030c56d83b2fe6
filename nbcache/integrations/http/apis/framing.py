"""How a stream is cut into parts, and what its last part looks like."""

import base64
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nbcache.codec.event_stream import CONTENT_TYPE, end_of_message, message_of
from nbcache.keys.json_text import parsed

Body = dict[str, Any]
_LINE = re.compile(r"\r\n|\n|\r")
_DONE = "[DONE]"
PARTS = "parts"  # the only field of what `ARRAY` reads


class Framing(ABC):
    """A way to cut a stream into parts."""

    @abstractmethod
    def end_of_part(self, data: bytes | bytearray, start: int, searched: int) -> int | None:
        """Where the part ends that starts at `start`. None if it has not come whole.

        Before `searched` no end was found, when `data` ended there.
        """

    @abstractmethod
    def text(self, part: bytes | bytearray) -> str:
        """The JSON in a part. Raises ValueError if the part is damaged."""

    def split(self, body: bytes) -> list[bytes]:
        """The bytes of a stream, split after each part."""
        parts, start = [], 0
        while (end := self.end_of_part(body, start, start)) is not None:
            parts.append(body[start:end])
            start = end
        return [*parts, body[start:]] if start < len(body) else parts

    def values(self, body: bytes) -> list[Body]:
        """The JSON objects in the parts of a stream. Raises ValueError if one is not JSON."""
        texts = [text for text in map(self.text, self.split(body)) if text and text != _DONE]
        return [value for value in map(parsed, texts) if isinstance(value, dict)]


@dataclass(frozen=True, slots=True)
class TextFraming(Framing):
    """Parts end with a `boundary`, of which `overlap` bytes may have come with the chunk before."""

    boundary: re.Pattern[bytes]
    overlap: int
    read: Callable[[bytes | bytearray], str]

    def end_of_part(self, data: bytes | bytearray, start: int, searched: int) -> int | None:
        """As `Framing` says."""
        boundary = self.boundary.search(data, max(start, searched - self.overlap))
        return None if boundary is None else boundary.end()

    def text(self, part: bytes | bytearray) -> str:
        """As `Framing` says."""
        return self.read(part)


class MessageFraming(Framing):
    """The parts are messages of Amazon's event stream, each with its length."""

    def end_of_part(self, data: bytes | bytearray, start: int, searched: int) -> int | None:  # noqa: ARG002 - of the others
        """As `Framing` says. A damaged message, and what follows it, never ends."""
        return end_of_message(data, start)

    def text(self, part: bytes | bytearray) -> str:
        """The model's own event if Bedrock only hands it on. Otherwise Bedrock's event, by its type."""
        message = message_of(part)
        headers = dict(message.headers)
        payload = json.loads(message.payload or b"{}")
        if headers.get(":message-type") != "event":
            return json.dumps({"error": payload or headers})
        kind = headers.get(":event-type", "")
        if kind == "chunk" and isinstance(payload, dict) and isinstance(payload.get("bytes"), str):
            return base64.b64decode(payload["bytes"], validate=True).decode()
        return json.dumps({kind: payload})


def _event_data(event: bytes | bytearray) -> str:
    lines = _LINE.split(event.decode())
    return "\n".join(line[5:].removeprefix(" ") for line in lines if line.startswith("data:"))


def _line_text(line: bytes | bytearray) -> str:
    return line.decode().strip()


# Server-sent events end with an empty line; its first character is enough for a reader.
EVENTS = TextFraming(re.compile(rb"\r\n\r\n?|\n\n|\r\r"), 3, _event_data)
LINES = TextFraming(re.compile(rb"\n"), 0, _line_text)
# One value that is read when all of it has come: its parts are those of a JSON array, or there is nothing to read in it.
ARRAY = TextFraming(re.compile(rb"(?!)"), 0, lambda body: f'{{"{PARTS}": {_line_text(body)}}}')
MESSAGES = MessageFraming()


def framing_of(content_type: str) -> Framing | None:
    """The framing of a stream by the type of its content. None for what is no stream."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "text/event-stream":
        return EVENTS
    if kind == CONTENT_TYPE:
        return MESSAGES
    return LINES if kind in {"application/x-ndjson", "application/stream+json", "application/jsonl"} else None


@dataclass(frozen=True, slots=True)
class End:
    """The part with which a stream is complete: one whose data is `data`, or for whose JSON object `test` is true.

    `marks` are bytes of which one is in each such part: most parts need no further look. Without marks, all parts are read.
    With `waits`, other parts may follow it, so the stream is complete when it is over. With `is_unmarked`, no part says so: it
    is complete when it is over. `closing` finds the part that says why the model stopped, if only the formal end follows it:
    some readers leave there.
    """

    data: str | None = None
    test: Callable[[Body], bool] = lambda _: False
    marks: tuple[bytes, ...] = ()
    waits: bool = False
    is_unmarked: bool = False
    closing: "End | None" = None

    def is_in(self, part: bytes | bytearray, framing: Framing) -> bool:
        """Whether `part` is the last one, or the last one of the answer."""
        if self.marks and not any(mark in part for mark in self.marks):
            return False
        try:
            text = framing.text(part).strip()
            if self.data is not None:
                return text == self.data
            value = parsed(text)
            return isinstance(value, dict) and self.test(value)
        except (ValueError, RecursionError):
            return False


def typed(*types: str, name: str = "type") -> End:
    """The end of a stream whose last part is of one of these types."""
    return End(test=lambda value: value.get(name) in types, marks=tuple(each.encode() for each in types))


NEVER = End()
OVER = End(is_unmarked=True)
DONE = End(data=_DONE, marks=(_DONE.encode(),))
