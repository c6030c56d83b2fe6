"""Entries of stores that an earlier nbcache has written, under the keys that their calls have now."""

import zlib
from contextlib import suppress

from nbcache.codec import FORMAT_VERSION, HEADER_LENGTH, KEY_AT, VERSION_AT, key_of, read
from nbcache.errors import DamagedError

_CHECKSUM = 4  # bytes, at the end of the header


def rekeyed(payload: bytes, key: str) -> tuple[str, bytes] | None:
    """The key that this entry has now, and its payload under that key; None where both are as they were.

    An entry that doesn't tell enough of its call, or can't be read, keeps its key: nothing is lost by that.
    """
    new = None
    with suppress(DamagedError):
        new = key_now(payload, key)
    return None if new is None or new == key else (new, _under_key(payload, new))


def is_later(one: object, other: bytes) -> bool:
    """Whether `one` is the payload of an entry that was stored later than `other`."""
    if not isinstance(one, bytes) or len(one) < HEADER_LENGTH:
        return False
    with suppress(DamagedError):
        return read(one, key_of(one)).created > read(other, key_of(other)).created
    return False


def key_now(payload: bytes, key: str) -> str | None:
    """The key of the call that this entry answers; None where the entry doesn't tell enough. Raises DamagedError."""
    read(payload, key)
    if payload[VERSION_AT] == FORMAT_VERSION:  # written by this release
        return key
    return key  # KEY_VERSION is still the same


def _under_key(payload: bytes, key: str) -> bytes:
    """The same entry under another key."""
    head = payload[: KEY_AT.start] + bytes.fromhex(key) + payload[KEY_AT.stop : HEADER_LENGTH - _CHECKSUM]
    body = memoryview(payload)[HEADER_LENGTH:]
    return b"".join((head, zlib.crc32(body, zlib.crc32(head)).to_bytes(_CHECKSUM, "big"), body))
