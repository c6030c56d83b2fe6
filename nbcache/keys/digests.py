"""The digest that a key is."""

import hashlib

KEY_LENGTH = 40  # hexadecimal digits


def digest_of(*fields: bytes) -> str:
    """A digest of length-prefixed fields: joined bare, ("ab", "c") and ("a", "bc") would be one."""
    return hashlib.sha256(b"".join([b"%d:%b" % (len(part), part) for part in fields])).hexdigest()[:KEY_LENGTH]
