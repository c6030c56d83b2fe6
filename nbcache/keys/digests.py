"""The digest of a key."""

import hashlib

KEY_LENGTH = 40  # hexadecimal digits


def digest_of(*fields: bytes) -> str:
    """A digest of fields, each with its length in front: otherwise ("ab", "c") and ("a", "bc") would have the same one."""
    return hashlib.sha256(b"".join([b"%d:%b" % (len(part), part) for part in fields])).hexdigest()[:KEY_LENGTH]
