"""A sealed payload: encrypted, and bound to the key under which it is kept.

It begins as every payload of nbcache does, with a version of its own. So a release that can't open it takes it for a newer one's,
and leaves it alone. Then come the id of the secret, a random nonce, and what AES-256-GCM makes of the entry's key and its payload.
"""

import os

from nbcache.codec.payload import PREAMBLE_LENGTH, head_of_sealed, sealed_head, sealed_payload
from nbcache.errors import DamagedError
from nbcache.stores.location import SECRET
from nbcache.stores.sealed.keys import Keys

_ID, _NONCE, _KEY, _TAG = 8, 12, 20, 16  # bytes
_ID_AT = slice(PREAMBLE_LENGTH, PREAMBLE_LENGTH + _ID)
_NONCE_AT = slice(_ID_AT.stop, _ID_AT.stop + _NONCE)
OVERHEAD = _NONCE_AT.stop + _KEY + _TAG  # bytes that a sealed payload has more


class NotOursError(DamagedError):
    """A payload that is not sealed, or with another secret: it may be somebody's, and is left alone."""

    def __init__(self, message: str) -> None:
        super().__init__(message, newer=True)


class UnsealedError(NotOursError):
    """A payload that is not sealed."""


class OtherSecretError(NotOursError):
    """A payload that is sealed with another secret."""


def closed(keys: Keys, key: str, payload: bytes, created: float) -> bytes:
    """The sealed payload of the entry `key`."""
    kept_as, nonce = keys.key(key), os.urandom(_NONCE)
    head = sealed_head(kept_as, created)
    inside = keys.payloads.encrypt(nonce, bytes.fromhex(key) + payload, head + keys.id)
    return sealed_payload(head, keys.id + nonce + inside)


def opened(keys: Keys, envelope: bytes, kept_as: str) -> tuple[str, bytes]:
    """The entry's key, and its payload, of what was kept under the key `kept_as`.

    Raises UnsealedError, OtherSecretError, or DamagedError if it isn't what was written there with this secret.
    """
    head = head_of_sealed(envelope)
    if head is None:
        raise UnsealedError(f"entry {kept_as[:8]} is not sealed")
    if envelope[_ID_AT] != keys.id:
        raise OtherSecretError(f"entry {kept_as[:8]} is sealed with another {SECRET}")
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - few stores are sealed

    try:
        inside = keys.payloads.decrypt(envelope[_NONCE_AT], envelope[_NONCE_AT.stop :], head + keys.id)
    except (InvalidTag, ValueError):
        raise DamagedError(f"entry {kept_as[:8]} is not what was sealed: somebody has changed or planted it") from None
    key = inside[:_KEY].hex()
    if keys.key(key) != kept_as:
        raise DamagedError(f"entry {kept_as[:8]} was moved here from another key")
    return key, inside[_KEY:]
