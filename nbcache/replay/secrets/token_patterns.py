"""Rules for secrets that are known by their form alone: the tokens of `service_tokens.py`, and private keys."""

from collections.abc import Iterator

from nbcache.replay.secrets.compiled import compiled
from nbcache.replay.secrets.rule import Rule
from nbcache.replay.secrets.service_tokens import CREDENTIAL, INNER_TOKENS, NO_WORDS, TOKENS

# A token begins where no word goes on. After an escape it begins, too, though letters or digits stand before it.
_ESCAPES = (
    *(r"\\[nrtfb]", r"\\u[\da-fA-F]{4}", r"\\x[\da-fA-F]{2}"),  # in JSON and in code: `\n`, `\u00e4`, `\x1b`
    r"%[\da-fA-F]{2}",  # in a URL: `%3D`
    *(r"\[m", r"[\[;]\dm", r"[\[;]\d\dm", r"[\[;]\d\d\dm"),  # the end of a terminal's color: `ESC[1;32m`
)
_BEGINNING = "|".join([r"(?<![\w~.-])", *(f"(?<={escape})" for escape in _ESCAPES)])

# A private key in PEM, up to its end. Where it is cut off, up to the last line of Base64, which may be short.
_PEM_LABEL = r"[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
_PEM_LINES = r"(?:(?:\s|\\[nr])*[A-Za-z0-9+/=]{16,})+(?:(?:\s|\\[nr])*[A-Za-z0-9+/=]+\Z)?"
PRIVATE_KEY = Rule(
    "a private key",
    rf"-----BEGIN {_PEM_LABEL}(?:(?:[^-]|-(?!----BEGIN ))*?-----END {_PEM_LABEL}|{_PEM_LINES})",
    ("-----BEGIN ",),
)


def credential_digest() -> Rule:
    """Return the rule of the digests that the cache writes in place of credentials: another user's is another one."""
    return _token(*CREDENTIAL, is_token=False)


def token_rules() -> Iterator[Rule]:
    """Yield the rules of all known services' tokens, in the order of `service_tokens.py`."""
    for form in TOKENS:
        yield _token(*form)
    for kind, word, pattern in INNER_TOKENS:
        yield Rule(kind, f"(?:{_BEGINNING}){pattern}", (word,), is_token=True)


def _token(kind: str, prefix: str, rest: str = NO_WORDS, *, is_token: bool = True) -> Rule:
    """The rule of tokens that begin with `prefix`.

    What may stand before a token is checked after the prefix, by looking back: re is fast if a pattern begins with
    letters.
    """
    starts = "|".join([rf"(?<![\w-]{prefix})", *(f"(?<={escape}{prefix})" for escape in _ESCAPES)])
    pattern = f"{prefix}(?:{starts}){rest}"
    if compiled(r"(?:[\w-]|\[[\w-]+\]|\\d)+").fullmatch(prefix):
        return Rule(kind, pattern, prefix=prefix, is_token=is_token)
    word = prefix.replace("[.]", ".").partition("[")[0]
    return Rule(kind, pattern, (word,), is_token=is_token)
