"""The names of credentials in what a key is made from, and the digests that take the place of their values.

Two lists of names are used, one after the other. Both are part of a key's format: a name more or less in either of them
changes the key of each call that has such a field, so that its stored answer is not found any more.

1. `may_be_secret` and `holds_secrets` are short lists, for the fields of a request's body and of the user's own classes. They
   may be wrong: `eos_token` is no secret. That does no harm, since the digest counts as the value would. Its prefix is
   DIGEST.
2. `is_credential` is the long list, for all that is stored of a call besides its prompt, and for the query of a URL. What has
   a digest by then keeps it. The prefix of the others is SECRET. Digests under these names are left out of cassettes.

The names of secrets in texts that others will read, such as cassettes, are in `nbcache/replay/secrets/secret_names.py`.
No stored key depends on those, so a name can be added there at any time.
"""

import functools
import re
from typing import Any

from nbcache.keys.canonical import canonical, digest

# The prefixes of digests: of a credential, which doesn't count in `replay`, and of a value that may be one.
SECRET, DIGEST = "!secret:", "!digest:"
FORM = re.compile(r"[0-9a-f]{16}")  # of a digest

_MAY_BE_SECRET = re.compile(r"(key|token|secret|password|authorization|credentials?)$", re.IGNORECASE)
_HOLDS_SECRETS = re.compile(r"(headers|cookies)$", re.IGNORECASE)

# A credential's name ends with one of these, whatever stands between its words: `apiKey`, `api-key`, `API_KEY`.
_CREDENTIAL_ENDINGS = (
    *("key", "token", "secret", "password", "passwd", "passphrase", "passcode", "authorization", "credential"),
    *("credentials", "secrets", "passwords", "cookie", "cookies", "signature", "connectionstring", "bearer"),
)
# Or its last word is one of these. They are words of their own: `db_pass` is a credential, `bypass` is none.
_CREDENTIAL_WORDS = frozenset(
    {"pass", "pwd", "pw", "auth", "oauth", "sas", "sig", "session", "creds", "jwt", "dsn", "otp", "pin"}
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def may_be_secret(name: str) -> bool:
    """Whether a field of this name may hold a secret, so that the digest of its value counts."""
    return _MAY_BE_SECRET.search(name) is not None


def holds_secrets(name: str) -> bool:
    """Whether a field of this name is a mapping, each value of which may be a secret: `headers`, `cookies`."""
    return _HOLDS_SECRETS.search(name) is not None


@functools.lru_cache(maxsize=4_096)
def is_credential(name: str) -> bool:
    """Whether this is the name of a credential."""
    words = _WORD.findall(name)
    return "".join(words).lower().endswith(_CREDENTIAL_ENDINGS) or (
        bool(words) and words[-1].lower() in _CREDENTIAL_WORDS
    )


def counted_digest(value: Any) -> str:
    """The digest that counts in place of a value that may be secret. A text and another value never have the same one."""
    text = value.encode(errors="surrogatepass") if isinstance(value, str) else b"\0" + canonical(value)
    return DIGEST + digest(text)


def digested(prefix: str, text: str) -> str:
    """A digest in place of `text`, after `prefix` (SECRET or DIGEST). An empty text and a digest stay as they are."""
    if text.startswith((SECRET, DIGEST)) or not text:
        return text
    return prefix + digest(text.encode(errors="surrogatepass"))
