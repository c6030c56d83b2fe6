"""The columns by which entries are listed: strings on the server, with eight bytes for each entry at its slot.

A number is a float, not a number where it isn't known; a text is the beginning of a digest of it. In `created` it is not a number
where a slot has no entry.
"""

import hashlib
import math
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbcache.entry.records import EntryMeta

NUMBERS = ("created", "input_tokens", "output_tokens", "cost_usd", "seconds")
TEXTS = ("model", "provider", "status", "cell", "client", "kind", "function", "prompt")
OF_ROW = (*NUMBERS, *TEXTS, "tags")  # those that a row fills, in the order in which `packed` writes them
KEY_BYTES = 20
_PACK = struct.Struct(f"<{len(NUMBERS)}d")


def packed(row: "EntryMeta") -> bytes:
    """The values of a row for `OF_ROW`."""
    numbers = (getattr(row, name) for name in NUMBERS)
    texts = b"".join(digest(getattr(row, name)) for name in TEXTS)
    return _PACK.pack(*(math.nan if value is None else float(value) for value in numbers)) + texts + _of_all(row.tags)


def digest(text: str | None) -> bytes:
    """What a column has for a text."""
    return bytes(8) if text is None else _hashed(text.encode(errors="surrogatepass"))


def _of_all(texts: Iterable[str]) -> bytes:
    """What a column has for several texts together, in any order."""
    return _hashed(b"".join(sorted(digest(text) for text in texts)))


def _hashed(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=8).digest()
