"""Which names are those of credentials, and the digest that is stored in place of one."""

import functools
import re

from nbcache.keys.canonical import digest

# The prefixes of digests: of a credential, which doesn't count in `replay`, and of a value that may be one.
SECRET, DIGEST = "!secret:", "!digest:"
_ENDS = (
    *("key", "token", "secret", "password", "passwd", "passphrase", "passcode", "authorization", "credential"),
    *("credentials", "secrets", "passwords", "cookie", "cookies", "signature", "connectionstring", "bearer"),
)
_WORDS = frozenset({"pass", "pwd", "pw", "auth", "oauth", "sas", "sig", "session", "creds", "jwt", "dsn", "otp", "pin"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
FORM = re.compile(r"[0-9a-f]{16}")  # of a digest


@functools.lru_cache(maxsize=4_096)
def is_credential(name: str) -> bool:
    """Whether this is the name of a credential."""
    words = _WORD.findall(name)
    return "".join(words).lower().endswith(_ENDS) or (bool(words) and words[-1].lower() in _WORDS)


def digested(mark: str, text: str) -> str:
    """A digest in place of `text`, after the prefix `mark`; an empty text and a digest stay as they are."""
    if text.startswith((SECRET, DIGEST)) or not text:
        return text
    return mark + digest(text.encode(errors="surrogatepass"))
