"""Amazon's event stream, in which Bedrock streams: messages in a binary form, and a form of them as texts.

A message has its length, the length of its headers, a checksum of both, the headers, a payload, and a checksum of all that:
https://smithy.io/2.0/aws/amazon-eventstream.html. Bedrock's headers are texts, and its payloads are JSON.

An entry holds the texts: they can be read, and secrets in them can be found, also in a payload that has Base64 in it.
"""

import base64
import re
import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_LENGTHS = struct.Struct(">II")
_PRELUDE, _CHECKSUM = 12, 4  # bytes
_MOST = 24 * 1024 * 1024  # bytes of a message: botocore's limit
_TEXT = 7  # the type of a header whose value is a text
_BASE64_FIELD = re.compile(r'"bytes"\s*:\s*"([A-Za-z0-9+/]+={0,2})"')  # in which Bedrock puts the model's own event


_SIZES = {2, 4}  # of a message as texts


class Message(NamedTuple):
    """One message. A header may come twice."""

    headers: list[tuple[str, str]]
    payload: bytes


def end_of_message(data: bytes | bytearray, start: int) -> int | None:
    """Where the message ends that starts at `start`. None if it has not come whole, or is damaged."""
    if len(data) < start + _PRELUDE:
        return None
    length, of_headers = _LENGTHS.unpack_from(data, start)
    end = start + length
    if of_headers > length - _PRELUDE - _CHECKSUM or length > _MOST or len(data) < end:
        return None
    message = bytes(data[start:end])
    return end if _is_sound(message[:_PRELUDE]) and _is_sound(message) else None


def message_of(data: bytes | bytearray) -> Message:
    """The message in `data`. Raises ValueError if it is damaged, or if a header is no text."""
    if end_of_message(data, 0) != len(data):
        raise ValueError("no message of an event stream")
    end_of_headers = _PRELUDE + _LENGTHS.unpack_from(data)[1]
    headers = list(_headers(bytes(data[_PRELUDE:end_of_headers])))
    return Message(headers, bytes(data[end_of_headers:-_CHECKSUM]))


def written(message: Message) -> bytes:
    """A message in its binary form. Raises ValueError if a header is too long."""
    headers = b"".join(
        _short(name.encode(), 1) + bytes([_TEXT]) + _short(value.encode(), 2) for name, value in message.headers
    )
    lengths = _LENGTHS.pack(_PRELUDE + len(headers) + len(message.payload) + _CHECKSUM, len(headers))
    return _with_checksum(_with_checksum(lengths) + headers + message.payload)


def as_texts(body: bytes) -> list[list[Any]]:
    """A stream as texts: for each message its headers, and its payload, cut around what it has in Base64.

    Raises ValueError if `written_from` would not give the same bytes.
    """
    events = [_as_texts(message_of(part)) for part in _parts(body)]
    if written_from(events) != body:
        raise ValueError("no event stream of texts")
    return events


def written_from(events: Any) -> bytes:
    """The stream of which these are the texts. Raises ValueError if they are none."""
    if not isinstance(events, list) or not all(map(_is_event, events)):
        raise ValueError("no texts of an event stream")
    return b"".join(written(_message(*event)) for event in events)


def _is_event(event: Any) -> bool:
    if not isinstance(event, list) or len(event) not in _SIZES or not isinstance(event[0], list):
        return False
    return len(event[0]) % 2 == 0 and all(isinstance(text, str) for text in [*event[0], *event[1:]])


def _as_texts(message: Message) -> list[Any]:
    headers = [each for header in message.headers for each in header]
    payload = message.payload.decode()
    field = _BASE64_FIELD.search(payload)
    if field is not None:
        inner = base64.b64decode(field[1], validate=True).decode()
        return [headers, payload[: field.start(1)], inner, payload[field.end(1) :]]
    return [headers, payload]


def _message(headers: list[str], payload: str, inner: str | None = None, rest: str = "") -> Message:
    if inner is not None:
        payload = f"{payload}{base64.b64encode(inner.encode()).decode()}{rest}"
    return Message(list(zip(headers[::2], headers[1::2], strict=True)), payload.encode())


def _parts(body: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(body):
        end = end_of_message(body, start)
        if end is None:
            raise ValueError("no event stream")
        yield body[start:end]
        start = end


def _headers(data: bytes) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(data):
        name, at = _cut(data, at, 1)
        if data[at : at + 1] != bytes([_TEXT]):
            raise ValueError("a header is no text")
        value, at = _cut(data, at + 1, 2)
        yield name.decode(), value.decode()


def _cut(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    """The bytes at `at`, after a length of `size` bytes, and where they end."""
    start = at + size
    end = start + int.from_bytes(data[at:start], "big")
    if end > len(data):
        raise ValueError("a header is cut off")
    return data[start:end], end


def _short(data: bytes, size: int) -> bytes:
    if len(data) >= 1 << 8 * size:
        raise ValueError("a header is too long")
    return len(data).to_bytes(size, "big") + data


def _with_checksum(data: bytes) -> bytes:
    return data + zlib.crc32(data).to_bytes(_CHECKSUM, "big")


def _is_sound(data: bytes) -> bool:
    return zlib.crc32(data[:-_CHECKSUM]) == int.from_bytes(data[-_CHECKSUM:], "big")
