"""The keys that entries of an earlier nbcache have now."""

from contextlib import suppress
from dataclasses import replace

from nbcache.codec.entry_description import call_of, header_of
from nbcache.codec.payload import PREAMBLE_LENGTH, Payload, assemble, key_of, read
from nbcache.errors import DamagedError
from nbcache.keys.earlier_keys import call_now
from nbcache.keys.key import VERSION_1, CallKey


def rekeyed(payload: bytes, key: str) -> tuple[str, bytes] | None:
    """The key that this entry has now, and its payload under that key. None if it lacks a part of its call.

    Such an entry, or one that can't be read, keeps its key, so that it isn't lost.
    """
    with suppress(DamagedError):
        whole = read(payload, key)
        now = call_of_now(whole)
        if now is not None:
            return now.key, _under_key(whole, now)
    return None


def is_later(one: object, other: bytes) -> bool:
    """Whether `one` is the payload of an entry that was stored later than `other`."""
    if not isinstance(one, bytes) or len(one) < PREAMBLE_LENGTH:
        return False
    with suppress(DamagedError):
        return read(one, key_of(one)).created > read(other, key_of(other)).created
    return False


def call_of_now(whole: Payload) -> CallKey | None:
    """The call that an entry answers, in today's form. None if the entry lacks a part of it. Raises DamagedError."""
    header = whole.header()
    if (now := call_of(whole.key, header, None)) is not None:
        return now
    before = call_of(whole.key, header, None, version=VERSION_1)
    return None if before is None else call_now(before)


def _under_key(whole: Payload, now: CallKey) -> bytes:
    """The same entry under the key of `now`."""
    header = whole.header()
    return assemble(
        whole.plain_with_buffers(),
        header_of(now, replace(header.meta, key=now.key), header.usage, header.versions),
        reusable=whole.reusable,
        expires=whole.expires,
        chunks=whole.packed_chunks(),
    )
