"""Payloads that somebody else makes: whole, with a right checksum and key, and with anything inside."""

import functools
import json
import struct
import zlib
from typing import Any

import zstandard

from nbcache import codec

_FLAGS = {"answers": 1, "header": 2, "chunks": 32}  # of what is compressed
_REUSABLE = 4


def forged(key: str, answers: Any, header: Any = b"{}", chunks: Any = b"", *, packed: tuple[str, ...] = ()) -> bytes:
    """A payload with these sections. What is no bytes is written as JSON."""
    sections = {"answers": answers, "header": header, "chunks": chunks}
    written = {name: each if isinstance(each, bytes) else json.dumps(each).encode() for name, each in sections.items()}
    flags = _REUSABLE | sum(_FLAGS[name] for name in packed)
    head = struct.pack(">3sBB20sdI", b"NBC", 3, flags, bytes.fromhex(key), 1e9, len(written["answers"]))
    rest = struct.pack(">I", len(written["chunks"])) + written["chunks"] + written["header"]
    body = written["answers"] + rest
    return head + zlib.crc32(body, zlib.crc32(head)).to_bytes(4, "big") + body


def parts(payload: bytes, key: str) -> tuple[list[Any], dict[str, Any]]:
    """The answers and the header in a payload, as they are written."""
    answers, header = codec.read(payload, key).written()
    return json.loads(answers), json.loads(header)


@functools.cache
def bomb(megabytes: int, text: bytes = b"[[[[") -> bytes:
    """A few bytes that become so many megabytes, and say so."""
    return zstandard.ZstdCompressor(level=1).compress(text * (megabytes * 2**20 // len(text)))


@functools.cache
def bomb_without_size(megabytes: int) -> bytes:
    """The same, without a word of its size."""
    maker = zstandard.ZstdCompressor(level=1).compressobj()
    return maker.compress(bytes(megabytes * 2**20)) + maker.flush()
