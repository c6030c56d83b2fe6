"""The keys that are derived from a secret, and what is made with them: cache keys, and texts that only its owners read."""

import base64
import hmac
from typing import Any, Final

from nbcache.errors import DamagedError, MissingPackageError
from nbcache.stores.location import SECRET

_SHORTEST = 16  # characters of a secret
_HOW = "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
_KEY_BYTES = 20  # of an HMAC: as long as a cache key
_BLOCK = 32  # bytes: texts are padded to a multiple, since a length tells much of a short one
_END = b"\x80"  # after a text, before the padding


class Keys:
    """What a secret makes. Raises ValueError for a secret that is too short, and MissingPackageError without `cryptography`."""

    def __init__(self, secret: str) -> None:
        ciphers, checked = _ciphers(), _checked(secret)
        self.id: Final = _derived(checked, "id", 8)  # says which secret it was, and nothing about it
        self.payloads: Final = ciphers.AESGCM(_derived(checked, "payloads", 32))
        self._texts = ciphers.AESSIV(_derived(checked, "texts", 64))
        self._of_keys, self._of_prompts = _derived(checked, "keys", 32), _derived(checked, "prompts", 32)

    def key(self, key: str) -> str:
        """The key under which the store keeps the entry `key`."""
        return hmac.digest(self._of_keys, key.encode(), "sha256")[:_KEY_BYTES].hex()

    def mark_of_prompt(self, preview: str) -> str:
        """What tells whether two prompts are equal, and nothing else."""
        return hmac.digest(self._of_prompts, preview.encode(errors="surrogatepass"), "sha256")[:_KEY_BYTES].hex()

    def token(self, field: str, text: str) -> str:
        """A text of a field, encrypted: the same each time."""
        data = text.encode(errors="surrogatepass") + _END
        data += bytes(-len(data) % _BLOCK)
        return base64.urlsafe_b64encode(self._texts.encrypt(data, [field.encode()])).decode()

    def text(self, field: str, token: str) -> str:
        """The text of a token. Raises DamagedError if it was not made with this secret, for this field."""
        try:
            data = self._texts.decrypt(base64.b64decode(token, b"-_", validate=True), [field.encode()])
        except (ValueError, _invalid_tag()):
            raise DamagedError(f"a {field} is not sealed with this {SECRET}") from None
        return bytes(data).rstrip(b"\0").removesuffix(_END).decode(errors="surrogatepass")


def _checked(secret: str) -> bytes:
    secret = secret.strip()
    if len(secret) < _SHORTEST:
        raise ValueError(f"{SECRET} has fewer than {_SHORTEST} characters: make one with {_HOW}")
    return secret.encode(errors="surrogatepass")


def _derived(secret: bytes, purpose: str, length: int) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - few stores are sealed
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

    return HKDF(SHA256(), length, salt=None, info=f"nbcache 1 {purpose}".encode()).derive(secret)


def _ciphers() -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers import aead  # noqa: PLC0415 - as above
    except ImportError:
        raise MissingPackageError(f'{SECRET} needs cryptography: pip install "nbcache[encrypt]"') from None
    return aead


def _invalid_tag() -> type[Exception]:
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - as above

    return InvalidTag
