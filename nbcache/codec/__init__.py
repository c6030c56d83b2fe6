"""Answers ↔ bytes: exact, described by themselves, and never executed.

Writing: `roundtrip.py` checks that an answer can be restored, `messages.py` makes JSON values of it (with `json_values.py` and
`pydantic_objects.py`), `field_checks.py` checks their fields when they are read, `written_answer.py` writes them, `chunks.py` packs the chunks of a stream (`new_chunks.py` as they
come), and `payload.py` makes the bytes: the header (`header.py`) and the compressed sections (`packing.py`). Reading goes the
other way, and `chunk_copies.py` makes the chunks of a hit; `chunk_limits.py` refuses chunks that would take too much.

Long bytes in an answer are kept raw (`buffers.py`). The values of functions become answers, and values again, in `values/`.

`entry_description.py` makes the header and the row of an entry from its call, and reads both back. `sdk_response.py` and
`plain_store.py` put an SDK's response, and any plain value, into the form of an answer. `event_stream.py` makes texts of the
binary streams of Amazon's services.
"""

from typing import TYPE_CHECKING

from nbcache import handed_on

if TYPE_CHECKING:
    from nbcache.codec.header import EntryHeader
    from nbcache.codec.payload import (
        FORMAT_VERSION,
        KEY_AT,
        PREAMBLE_LENGTH,
        UNREADABLE,
        Payload,
        answer_length,
        assemble,
        edited,
        encode,
        key_of,
        read,
        without_buffers,
    )

__all__ = [
    "FORMAT_VERSION",
    "KEY_AT",
    "PREAMBLE_LENGTH",
    "UNREADABLE",
    "EntryHeader",
    "Payload",
    "answer_length",
    "assemble",
    "edited",
    "encode",
    "key_of",
    "read",
    "without_buffers",
]
_MOVED = {
    "About": "nbcache.codec.header:EntryHeader",
    "HEADER_LENGTH": "nbcache.codec.payload:PREAMBLE_LENGTH",
    **{name: f"nbcache.codec.messages:{name}" for name in ("fresh", "plain", "restored")},
}
__getattr__ = handed_on("nbcache.codec", {**dict.fromkeys(__all__, "payload"), "EntryHeader": "header"}, _MOVED)
