"""Long `bytes` in an answer: raw, in a section of the payload, instead of Base64 in its JSON.

The JSON has `{"!buffer": 0}` in the place of the first. For people, and in a cassette, they are in Base64 as short ones are.
A `memoryview` becomes `{"!view": 0}`, and comes back as a view of the payload. In memory that is the reader's own it can be
written to: an array is then made of it without a copy. For that each buffer begins where the numbers of an array may.
"""

import base64
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from nbcache.codec.packing import packed_buffer, unpacked_bytes
from nbcache.errors import DamagedError

SHORTEST = 4096  # bytes of a buffer: what is shorter stays in the JSON
BUFFER, VIEW, BYTES = "!buffer", "!view", "!bytes"  # the tags
Raw = bytes | memoryview
_TAGS = frozenset({BUFFER, VIEW})
_COUNT = struct.Struct(">I")
_ENTRY = struct.Struct(">BQ")  # of the table: whether the buffer is compressed, and its length as it is stored
_ALIGNMENT = 64  # bytes: each buffer begins at a multiple of it, counted from the payload's first byte, after zeros


class Buffer(NamedTuple):
    """A buffer as it is stored."""

    data: bytes | memoryview
    compressed: int

    def content(self, tag: str) -> Raw:
        """The bytes that were stored, as a new object, or a view of them. Raises zstandard.ZstdError."""
        if tag == VIEW and not self.compressed:
            return memoryview(self.data)
        data = unpacked_bytes(self.data, self.compressed)
        return memoryview(data) if tag == VIEW else data


def placed(data: Raw, buffers: list[Raw] | None) -> dict[str, Any]:
    """What stands for `data` in JSON. Long bytes are added to `buffers`, if there are any."""
    if buffers is None or len(data) < SHORTEST:
        return {BYTES: base64.b64encode(data).decode()}
    buffers.append(data)
    return {BUFFER if type(data) is bytes else VIEW: len(buffers) - 1}


def filled(value: Any, buffers: Sequence[Any], content_of: Callable[[Any, str], Any]) -> Any:
    """A JSON value with the contents of its buffers in their places: the lists and dicts in it are changed.

    Raises DamagedError if there is no such buffer.
    """
    if type(value) is list:
        for number, item in enumerate(value):
            if type(item) is dict or type(item) is list:
                value[number] = filled(item, buffers, content_of)
    elif type(value) is dict:
        if len(value) == 1 and (tag := next(iter(value))) in _TAGS:
            number = value[tag]
            if type(number) is not int or not 0 <= number < len(buffers):
                raise DamagedError(f"it has no buffer {str(number)[:40]}")
            return content_of(buffers[number], tag)
        for name, item in value.items():
            if type(item) is dict or type(item) is list:
                value[name] = filled(item, buffers, content_of)
    return value


def in_base64(buffer: Buffer, tag: str) -> dict[str, str]:
    """What stands for a buffer where there is JSON alone."""
    return {BYTES: base64.b64encode(buffer.content(tag)).decode()}


def as_placed(data: Raw, tag: str) -> Raw:
    """What was placed, as it comes back."""
    return memoryview(data) if tag == VIEW else bytes(data)


def lifted(value: Any, buffers: list[Raw]) -> Any:
    """A JSON value whose long bytes are in `buffers` instead. Raises ValueError where Base64 is wrong."""
    if type(value) is list:
        return [lifted(item, buffers) for item in value]
    if type(value) is not dict:
        return value
    content = value.get(BYTES)
    if type(content) is str and len(value) == 1 and len(content) > SHORTEST:
        return placed(base64.b64decode(content, validate=True), buffers)
    return {name: lifted(item, buffers) for name, item in value.items()}


# The section of a payload


def section_of(buffers: Sequence[Raw], start: int) -> list[Raw]:
    """The parts of the section, which begins at `start` in the payload: a table, then the buffers."""
    stored = list(map(packed_buffer, buffers))
    parts: list[Raw] = [_COUNT.pack(len(stored)), *(_ENTRY.pack(compressed, len(data)) for data, compressed in stored)]
    end = start + sum(map(len, parts))
    for data, _ in stored:
        parts += [bytes(-end % _ALIGNMENT), data]
        end += -end % _ALIGNMENT + len(data)
    return parts


def section_in(payload: memoryview, start: int) -> tuple[tuple[Buffer, ...], int]:
    """The buffers of the section that begins at `start` in the payload, and where it ends. Raises DamagedError."""
    try:
        (count,) = _COUNT.unpack_from(payload, start)
        end = start + _COUNT.size + count * _ENTRY.size
        table = list(_ENTRY.iter_unpack(payload[start + _COUNT.size : end]))
    except struct.error:
        table, count, end = [], -1, start
    buffers = []
    for compressed, length in table:
        begin = end + -end % _ALIGNMENT
        end = begin + length
        buffers.append(Buffer(payload[begin:end], compressed))
    if len(table) != count or end > len(payload):
        raise DamagedError("its buffers are missing")
    return tuple(buffers), end
