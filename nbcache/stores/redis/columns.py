"""The columns by which entries are listed: strings on the server, with eight bytes for each entry at its slot.

A number is a float, not a number where it isn't known; a text is the beginning of a digest of it. `words` is a signature of the
prompt, by which similar ones are found. In `created` it is not a number where a slot has no entry.
"""

import hashlib
import math
import struct
import zlib
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from nbcache import codec
from nbcache.entry.filter import FUNCTIONS
from nbcache.entry.text import longest_words, prompt_text, words
from nbcache.errors import DamagedError
from nbcache.stores.index_words import plain

if TYPE_CHECKING:
    from nbcache.entry.records import EntryMeta

NUMBERS = ("created", "input_tokens", "output_tokens", "cost_usd", "seconds")
TEXTS = ("model", "provider", "status", "cell", "client", "kind", "function", "prompt")
OF_ROW = (*NUMBERS, *TEXTS, "tags", "words")  # those that an entry fills, in the order in which `packed` writes them
OTHERS = ("key", "notebooks", "expires", "hits", "last_hit", "size_bytes")
KEY_BYTES = 20
_PACK = struct.Struct(f"<{len(NUMBERS)}d")


def packed(row: "EntryMeta", payload: bytes) -> bytes:
    """The values of an entry for `OF_ROW`."""
    numbers = (getattr(row, name) for name in NUMBERS)
    texts = b"".join(digest(getattr(row, name)) for name in TEXTS)
    return (
        _PACK.pack(*(math.nan if value is None else float(value) for value in numbers))
        + texts
        + _of_all(row.tags)
        + _words(row, payload)
    )


def digest(text: str | None) -> bytes:
    """What a column has for a text."""
    return bytes(8) if text is None else _hashed(text.encode(errors="surrogatepass"))


def signature(words: Iterable[str]) -> int:
    """Sixty-four bits that entries with the same words have in common: one for each word."""
    bits = 0
    for word in words:
        bits |= 1 << (zlib.crc32(plain(word).encode(errors="surrogatepass")) & 63)
    return bits


def _words(row: "EntryMeta", payload: bytes) -> bytes:
    """What tells most of a prompt; of a call of a function also the words of its name."""
    prompt = row.prompt
    with suppress(DamagedError):
        prompt = prompt_text(codec.read(payload, row.key).header().shown_prompt)
    named = words(row.model) if row.kind in FUNCTIONS else ()
    return signature((*longest_words(prompt), *named)).to_bytes(8, "little")


def _of_all(texts: Iterable[str]) -> bytes:
    """What a column has for several texts together, in any order."""
    return _hashed(b"".join(sorted(digest(text) for text in texts)))


def _hashed(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=8).digest()
