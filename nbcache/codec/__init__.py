"""Answers ↔ bytes: exact, described by themselves, and never executed."""

from typing import TYPE_CHECKING

from nbcache._names import handed_on

if TYPE_CHECKING:
    from nbcache.codec.header import EntryHeader
    from nbcache.codec.payload import (
        FORMAT_VERSION,
        KEY_AT,
        PREAMBLE_LENGTH,
        UNREADABLE,
        Payload,
        assemble,
        encode,
        key_of,
        read,
    )

__all__ = [
    "FORMAT_VERSION",
    "KEY_AT",
    "PREAMBLE_LENGTH",
    "UNREADABLE",
    "EntryHeader",
    "Payload",
    "assemble",
    "encode",
    "key_of",
    "read",
]
_MOVED = {
    "About": "nbcache.codec.header:EntryHeader",
    "HEADER_LENGTH": "nbcache.codec.payload:PREAMBLE_LENGTH",
    **{name: f"nbcache.codec.messages:{name}" for name in ("fresh", "plain", "restored")},
}
__getattr__ = handed_on("nbcache.codec", {**dict.fromkeys(__all__, "payload"), "EntryHeader": "header"}, _MOVED)
