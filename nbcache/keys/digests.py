"""The digest of a key."""

import hashlib

KEY_LENGTH = 40  # hexadecimal digits
_AT_ONCE = (
    2_047  # bytes for which hashlib doesn't let other threads run: one's turn takes longer to come back than the digest
)
_LONG = 20_000


def digest_of(*fields: bytes) -> str:
    """A digest of fields, each with its length in front: otherwise ("ab", "c") and ("a", "bc") would have the same one."""
    joined = b"".join([b"%d:%b" % (len(part), part) for part in fields])
    if not _AT_ONCE < len(joined) < _LONG:
        return hashlib.sha256(joined).hexdigest()[:KEY_LENGTH]
    digest = hashlib.sha256()
    for start in range(0, len(joined), _AT_ONCE):
        digest.update(joined[start : start + _AT_ONCE])
    return digest.hexdigest()[:KEY_LENGTH]
