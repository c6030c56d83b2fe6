"""How a stream is cut into parts, and what its last part looks like."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nbcache.keys.json_text import parsed

Body = dict[str, Any]
_LINE = re.compile(r"\r\n|\n|\r")
_DONE = "[DONE]"
PARTS = "parts"  # the only field of what `ARRAY` reads


@dataclass(frozen=True, slots=True)
class Framing:
    """A way to cut a stream. `boundary` ends a part; `overlap` bytes of one may have come with the chunk before."""

    boundary: re.Pattern[bytes]
    overlap: int
    text: Callable[[bytes | bytearray], str]  # the JSON in a part

    def split(self, body: bytes) -> list[bytes]:
        """The bytes of a stream, split after each part."""
        ends = [match.end() for match in self.boundary.finditer(body)]
        parts = [body[start:end] for start, end in zip([0, *ends], [*ends, len(body)], strict=True)]
        return [part for part in parts if part]

    def values(self, body: bytes) -> list[Body]:
        """The JSON objects in the parts of a stream. Raises ValueError if one is not JSON."""
        texts = [text for text in map(self.text, self.split(body)) if text and text != _DONE]
        return [value for value in map(parsed, texts) if isinstance(value, dict)]


def _event_data(event: bytes | bytearray) -> str:
    lines = _LINE.split(event.decode())
    return "\n".join(line[5:].removeprefix(" ") for line in lines if line.startswith("data:"))


def _line_text(line: bytes | bytearray) -> str:
    return line.decode().strip()


# Server-sent events end with an empty line; its first character is enough for a reader.
EVENTS = Framing(re.compile(rb"\r\n\r\n?|\n\n|\r\r"), 3, _event_data)
LINES = Framing(re.compile(rb"\n"), 0, _line_text)
# One value that is read when all of it has come: its parts are those of a JSON array, or there is nothing to read in it.
ARRAY = Framing(re.compile(rb"(?!)"), 0, lambda body: f'{{"{PARTS}": {_line_text(body)}}}')


def framing_of(content_type: str) -> Framing | None:
    """The framing of a stream by the type of its content. None for what is no stream."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "text/event-stream":
        return EVENTS
    return LINES if kind in {"application/x-ndjson", "application/stream+json", "application/jsonl"} else None


@dataclass(frozen=True, slots=True)
class End:
    """The part with which a stream is complete: one whose data is `data`, or for whose JSON object `test` is true.

    `marks` are bytes of which one is in each such part: most parts need no further look. With `waits`, other parts may
    follow it, so the stream is complete when it is over. With `is_unmarked`, no part says so: it is complete when it is over.
    """

    data: str | None = None
    test: Callable[[Body], bool] = lambda _: False
    marks: tuple[bytes, ...] = ()
    waits: bool = False
    is_unmarked: bool = False

    def is_in(self, part: bytes | bytearray, framing: Framing) -> bool:
        """Whether `part` is the last one, or the last one of the answer."""
        if not any(mark in part for mark in self.marks):
            return False
        try:
            text = framing.text(part).strip()
            if self.data is not None:
                return text == self.data
            value = parsed(text)
            return isinstance(value, dict) and self.test(value)
        except ValueError:
            return False


def typed(*types: str, name: str = "type") -> End:
    """The end of a stream whose last part is of one of these types."""
    return End(test=lambda value: value.get(name) in types, marks=tuple(each.encode() for each in types))


NEVER = End()
OVER = End(is_unmarked=True)
DONE = End(data=_DONE, marks=(_DONE.encode(),))
