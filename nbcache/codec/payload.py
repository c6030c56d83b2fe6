"""Answers ↔ bytes: exact, self-describing, checked, and never executed.

A payload is a preamble (magic, format version, flags, key, time, checksum) and three sections, each compressed where
that pays: the generations, which are all that a hit reads; the chunks, if the answer was streamed; and the entry's
header (its row of metadata, the prompt, the identity), from which a damaged table is rebuilt. If the generations hold
long bytes, these are a section of their own, between the chunks and the header: see `buffers`.

Version 1 has no chunks. Version 2 was written where there were some. Version 3 (0.5) has room for fields that a later
release adds: see `header`. Version 4 (0.6) is written where there are buffers, and only there.
"""

import functools
import json
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import zstandard
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, Generation, GenerationChunk
from pydantic import BaseModel

from nbcache.codec import chunk_copies
from nbcache.codec.buffers import SHORTEST, Buffer, Raw, as_placed, filled, in_base64, lifted, section_in, section_of
from nbcache.codec.chunks import unpacked
from nbcache.codec.messages import generation_of, restored
from nbcache.codec.packing import packed_bytes, unpacked_bytes
from nbcache.entry.langchain_headers import cleaned, has_headers
from nbcache.errors import DamagedError, NotStorableError

if TYPE_CHECKING:
    from nbcache.codec.header import EntryHeader

# What garbage under a right checksum may raise.
UNREADABLE = (
    *(LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, MemoryError),
    zstandard.ZstdError,
)

FORMAT_VERSION = 4
SEALED = 128  # the version of what is encrypted: see `stores/sealed/envelope.py`
_WITHOUT_CHUNKS, _WITHOUT_BUFFERS = 1, 3
_PREAMBLE = struct.Struct(">3sBB20sdI")  # magic, version, flags, key, time of creation, length of the generations
_CHECKED_PREAMBLE = struct.Struct(_PREAMBLE.format + "I")  # with a checksum of all the rest; then come the sections
PREAMBLE_LENGTH = _START = _CHECKED_PREAMBLE.size  # bytes
_VERSION_AT, KEY_AT = 3, slice(5, 25)  # in the preamble
_MAGIC = b"NBC"
_COMPRESSED_ANSWERS, _COMPRESSED_HEADER, _REUSABLE, _HOLDS_OBJECTS, _EXPIRES, _COMPRESSED_CHUNKS = 1, 2, 4, 8, 16, 32
_FLAGS = 2 * _COMPRESSED_CHUNKS - 1  # all that there are
_TAG, _OBJECTS = b'"!', (b'"!model"', b'"!object"')  # as `plain` writes them
_BYTES = b'"!bytes"'
_LENGTH = struct.Struct(">I")  # of the chunks, before them


class Payload(NamedTuple):
    """A payload that was read and found whole. `created` is in seconds since the epoch."""

    key: str
    created: float
    flags: int
    answers: bytes | memoryview
    header_bytes: bytes | memoryview
    streamed: bytes | memoryview = b""
    buffers: tuple[Buffer, ...] = ()

    @property
    def reusable(self) -> bool:
        """Whether it may be a hit in mode `on`."""
        return bool(self.flags & _REUSABLE)

    @property
    def expires(self) -> bool:
        """Whether it was stored for a time only."""
        return bool(self.flags & _EXPIRES)

    @property
    def holds_objects(self) -> bool:
        """Whether it holds objects of a class of the caller's."""
        return bool(self.flags & _HOLDS_OBJECTS)

    def generations(self, classes: Iterable[type[BaseModel]] | None = ()) -> list[Generation]:
        """The generations, as new objects.

        `classes` are the caller's, for pydantic objects among them; with None these, and all else that JSON has no
        word for, stay as they were written. Raises DamagedError, or NotStorableError where the class of such an
        object is not to be had here.
        """
        try:
            data = unpacked_bytes(self.answers, self.flags & _COMPRESSED_ANSWERS)
            tagged = classes is not None and _is_tagged(data)
            answers = _answers(data)
            if self.buffers and tagged:
                answers = filled(answers, self.buffers, Buffer.content)
            return restored(answers, classes if tagged else None, checked=classes is not None)
        except UNREADABLE as error:
            raise DamagedError(f"entry {self.key[:8]} can't be read: {error}") from error

    def chunks(self, classes: Iterable[type[BaseModel]] = ()) -> Iterator[GenerationChunk | ChatGenerationChunk]:
        """The chunks in which the answer came, as new objects without ids. None if it came whole. Raises as `generations`."""
        try:
            forms = self._chunk_forms()
            if forms is not None:
                yield from chunk_copies.copies(forms)
                return
            for plain_chunk in unpacked(self.packed_chunks()):
                chunk: Any = generation_of(cleaned(plain_chunk), classes, checked=True)
                if isinstance(chunk, ChatGenerationChunk):
                    chunk.message.__dict__["id"] = None
                yield chunk
        except UNREADABLE as error:
            raise DamagedError(f"entry {self.key[:8]} can't be read: {error}") from error

    def messages(self, message_id: str, classes: Iterable[type[BaseModel]] = ()) -> Iterator[BaseMessage]:
        """The messages of the chunks of a chat model, with this id, as LangChain hands them out. Raises as `generations`."""
        try:
            forms = self._chunk_forms()
        except UNREADABLE as error:
            raise DamagedError(f"entry {self.key[:8]} can't be read: {error}") from error
        if forms is not None:
            return chunk_copies.messages(forms, message_id)
        return (chunk_copies.handed_out(chunk, message_id) for chunk in self.chunks(classes))

    def _chunk_forms(self) -> chunk_copies.Forms | None:
        if not self.streamed:
            return ()
        return _chunk_forms(bytes(self.streamed), self.flags & _COMPRESSED_CHUNKS)

    def packed_chunks(self) -> list[Any]:
        """The chunks as they are kept, in few words. Raises DamagedError."""
        try:
            return _streamed(bytes(self.streamed), self.flags & _COMPRESSED_CHUNKS) if self.streamed else []
        except UNREADABLE as error:
            raise DamagedError(f"entry {self.key[:8]} can't be read: {error}") from error

    def plain(self) -> list[dict[str, Any]]:
        """The generations as plain JSON values, for people to read: long bytes are left out. Raises DamagedError."""
        try:
            return _answers(unpacked_bytes(self.answers, self.flags & _COMPRESSED_ANSWERS))
        except UNREADABLE as error:
            raise DamagedError(f"entry {self.key[:8]} can't be read: {error}") from error

    def plain_with_buffers(self) -> list[dict[str, Any]]:
        """As `plain`, with all that the generations hold: long bytes are in Base64, as short ones are. Raises DamagedError."""
        answers = self.plain()
        try:
            return filled(answers, self.buffers, in_base64) if self.buffers else answers
        except UNREADABLE as error:
            raise DamagedError(f"entry {self.key[:8]} can't be read: {error}") from error

    def written(self) -> tuple[bytes, bytes]:
        """The JSON of the generations and of the header. Raises DamagedError."""
        try:
            answers = unpacked_bytes(self.answers, self.flags & _COMPRESSED_ANSWERS)
            return answers, unpacked_bytes(self.header_bytes, self.flags & _COMPRESSED_HEADER)
        except UNREADABLE as error:
            raise DamagedError(f"entry {self.key[:8]} can't be read: {error}") from error

    def header(self) -> "EntryHeader":
        """The header, as far as this release knows its fields. Raises DamagedError."""
        from nbcache.codec.header import header_in  # noqa: PLC0415 - a hit needs none

        try:
            return header_in(_parsed(unpacked_bytes(self.header_bytes, self.flags & _COMPRESSED_HEADER)))
        except UNREADABLE as error:
            raise DamagedError(f"entry {self.key[:8]} can't be read: {error}") from error


def encode(  # noqa: PLR0913 - all that an entry holds
    generations: Sequence[Generation],
    header: "EntryHeader",
    *,
    reusable: bool,
    expires: bool = False,
    chunks: Sequence[Any] | None = None,
    classes: Sequence[type[BaseModel]] | None = None,
) -> bytes:
    """The payload of an entry. Raises NotStorableError where `generations` would not come back exactly.

    `chunks` are those in which they came, packed. With `classes`, which are as for
    `Payload.generations`, it is read back first, once for each shape of an answer.
    """
    from nbcache.codec import roundtrip, written_answer  # noqa: PLC0415 - a hit needs none of it

    written, buffers = written_answer.json_of(generations)
    if classes is not None:
        shape = roundtrip.shape_of(generations, tagged=_is_tagged(written))
        if not roundtrip.is_sound(shape):
            again = filled(_parsed(written), buffers, as_placed) if buffers else _parsed(written)
            try:
                roundtrip.check(generations, restored(again, classes, checked=True), shape)
            except TypeError as error:
                raise NotStorableError(f"an answer that is none of LangChain's: {error}") from None
    return _assembled(written, buffers, header, reusable=reusable, expires=expires, chunks=chunks)


def assemble(
    plain_forms: Sequence[dict[str, Any]],
    header: "EntryHeader",
    *,
    reusable: bool,
    expires: bool = False,
    chunks: Sequence[Any] | None = None,
) -> bytes:
    """The payload of an entry whose generations have these plain forms, with buffers in Base64. `chunks` are packed."""
    written, buffers = _json(plain_forms), list[Raw]()
    if len(written) > SHORTEST and _BYTES in written:
        written = _json(lifted(plain_forms, buffers))
    return _assembled(written, buffers, header, reusable=reusable, expires=expires, chunks=chunks)


def _assembled(  # noqa: PLR0913 - as above
    written: bytes,
    buffers: Sequence[Raw],
    header: "EntryHeader",
    *,
    reusable: bool,
    expires: bool,
    chunks: Sequence[Any] | None,
) -> bytes:
    answers, compressed = packed_bytes(written)
    rest, rest_compressed = packed_bytes(_json(header), fast=True)
    streamed, chunks_compressed = packed_bytes(_json(chunks)) if chunks else (b"", False)
    start = _START + len(answers) + _LENGTH.size + len(streamed)
    section = section_of(buffers, start) if buffers else ()
    rest = b"".join((_LENGTH.pack(len(streamed)), streamed, *section, rest))
    flags = (
        (_COMPRESSED_ANSWERS if compressed else 0)
        | (_COMPRESSED_HEADER if rest_compressed else 0)
        | (_REUSABLE if reusable else 0)
        | (_EXPIRES if expires else 0)
        | (_HOLDS_OBJECTS if _is_tagged(written) and any(tag in written for tag in _OBJECTS) else 0)
        | (_COMPRESSED_CHUNKS if chunks_compressed else 0)
    )
    meta = header.meta
    version = FORMAT_VERSION if buffers else _WITHOUT_BUFFERS
    head = _PREAMBLE.pack(_MAGIC, version, flags, bytes.fromhex(meta.key), meta.created, len(answers))
    checksum = zlib.crc32(rest, zlib.crc32(answers, zlib.crc32(head)))
    return b"".join((head, checksum.to_bytes(4, "big"), answers, rest))


def sealed_head(key: str, created: float) -> bytes:
    """The beginning of an encrypted payload, which is kept under `key`."""
    return _PREAMBLE.pack(_MAGIC, SEALED, 0, bytes.fromhex(key), created, 0)


def sealed_payload(head: bytes, body: bytes) -> bytes:
    """An encrypted payload that begins so: every release can check that it is whole, and leaves it alone."""
    return b"".join((head, zlib.crc32(body, zlib.crc32(head)).to_bytes(4, "big"), body))


def head_of_sealed(payload: Raw) -> bytes | None:
    """The beginning of an encrypted payload. None if it is none."""
    is_sealed = len(payload) >= _START and payload[:_VERSION_AT] == _MAGIC and payload[_VERSION_AT] == SEALED
    return bytes(payload[: _PREAMBLE.size]) if is_sealed else None


def read(payload: Raw, key: str) -> Payload:
    """Check that `payload` is whole, and the entry of `key`: stored under another it is damage.

    Raises DamagedError, with `newer` where a newer nbcache wrote it.
    """
    view = memoryview(payload)
    if view[: len(_MAGIC)] != _MAGIC or len(view) < _START:
        raise DamagedError(f"entry {key[:8]} is damaged: no payload of nbcache")
    _, version, flags, stored_key, _, _, checksum = _CHECKED_PREAMBLE.unpack_from(view)
    if checksum != zlib.crc32(view[_START:], zlib.crc32(view[: _PREAMBLE.size])) or stored_key.hex() != key:
        raise DamagedError(f"entry {key[:8]} is damaged: its checksum or key is not what was written")
    # Every version keeps this preamble, so that a flipped bit is not taken for a newer one.
    if version > FORMAT_VERSION or flags & ~_FLAGS:
        why = "is sealed: set NBCACHE_SECRET" if version == SEALED else "was written by a newer nbcache"
        raise DamagedError(f"entry {key[:8]} {why}", newer=True)
    return _sections(view, key)


def _sections(view: memoryview, key: str) -> Payload:
    """A payload that was checked, as its sections. Raises DamagedError."""
    _, version, flags, _, created, length = _PREAMBLE.unpack_from(view)
    end_of_chunks = chunks_at = end = _START + length
    if version > _WITHOUT_CHUNKS:
        chunks_at = end + _LENGTH.size
        if len(view) < chunks_at:
            raise DamagedError(f"entry {key[:8]} is damaged: its chunks are missing")
        end_of_chunks = chunks_at + _LENGTH.unpack_from(view, end)[0]
    buffers, end_of_buffers = tuple[Buffer, ...](), end_of_chunks
    if version > _WITHOUT_BUFFERS:
        try:
            buffers, end_of_buffers = section_in(view, end_of_chunks)
        except DamagedError as error:
            raise DamagedError(f"entry {key[:8]} is damaged: {error}") from None
    streamed = view[chunks_at:end_of_chunks]
    return Payload(key, created, flags, view[_START:end], view[end_of_buffers:], streamed, buffers)


def without_buffers(payload: Raw) -> bytes:
    """A payload that was read, without its buffers: what the entry tells of its call is in the rest.

    It is the same object where there are none. Whoever only wants to know the cost need not hold megabytes, nor memory that
    the caller may change.
    """
    if payload[_VERSION_AT] <= _WITHOUT_BUFFERS:
        return bytes(payload)
    whole = _sections(memoryview(payload), "")
    streamed = whole.streamed
    parts = whole.answers, _LENGTH.pack(len(streamed)), streamed, *section_of((), 0), whole.header_bytes
    head = bytes(payload[: _PREAMBLE.size])
    body = b"".join(parts)
    return b"".join((head, zlib.crc32(body, zlib.crc32(head)).to_bytes(4, "big"), body))


def edited(payload: bytes, key: str, *, tags: Sequence[str] | None = None, expires: bool | None = None) -> bytes:
    """The payload of `key` with these tags in its header, and marked to expire or not; what is None stays. All else stays, too.

    What can't be read, or was written by a newer nbcache, stays as it is.
    """
    try:
        whole = read(payload, key)
        header, flags = whole.header_bytes, whole.flags
        if tags is not None:
            values = _parsed(unpacked_bytes(header, flags & _COMPRESSED_HEADER))
            values["meta"]["tags"] = list(tags)
            header, compressed = packed_bytes(_json(values), fast=True)
            flags = flags & ~_COMPRESSED_HEADER | (_COMPRESSED_HEADER if compressed else 0)
    except (DamagedError, *UNREADABLE):
        return payload
    if expires is not None:
        flags = flags & ~_EXPIRES | (_EXPIRES if expires else 0)
    magic, version, _, stored_key, created, length = _PREAMBLE.unpack_from(payload)
    head = _PREAMBLE.pack(magic, version, flags, stored_key, created, length)
    body = memoryview(payload)[_START : len(payload) - len(whole.header_bytes)]
    checksum = zlib.crc32(header, zlib.crc32(body, zlib.crc32(head)))
    return b"".join((head, checksum.to_bytes(4, "big"), body, header))


def answer_length(payload: Raw) -> int:
    """The bytes of the generations in a payload, as they are stored. 0 if it is none."""
    return int(_PREAMBLE.unpack_from(payload)[-1]) if len(payload) >= _START else 0


def key_of(payload: Raw) -> str:
    """The key of the entry that a payload says it is."""
    return payload[KEY_AT].hex()


def created_in(payload: Raw) -> float:
    """When the answer in a payload was stored, as it says (seconds since the epoch)."""
    return float(_PREAMBLE.unpack_from(payload)[4])


def _streamed(data: bytes, compressed: int) -> list[Any]:
    """The packed chunks."""
    return _listed(_parsed(unpacked_bytes(data, compressed)))


@functools.lru_cache(maxsize=256)
def _chunk_forms(data: bytes, compressed: int) -> chunk_copies.Forms | None:
    """The forms of the packed chunks: what is made of them is new each time. The first chunk of a hit is not to wait for them all."""
    return chunk_copies.forms_of(_streamed(data, compressed))


def _is_tagged(data: bytes) -> bool:
    """Whether there may be a tag in this JSON. One byte is found in a tenth of the time that two take."""
    return b"!" in data and _TAG in data


def _answers(data: bytes) -> list[Any]:
    """The generations of an entry in their plain form; 0.4 and before kept all headers of a response."""
    answers = _listed(_parsed(data))
    return list(map(cleaned, answers)) if any(map(has_headers, answers)) else answers


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("no list")
    return value


def _parsed(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)


def _json(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # a lone surrogate: half of an emoji that a provider cut in two
        return json.dumps(value, default=asdict).encode()
