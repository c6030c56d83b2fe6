"""HTTP headers with credentials, in a text: `Authorization: Bearer …`, `Cookie: session=…`, and a bearer token alone."""

from nbcache.replay.secrets.rule import Rule


def _header_character(excluded: str) -> str:
    """The pattern of one character of a header's value: none of `excluded`, not the quote around the header, no escape."""
    return rf"(?:(?!(?P=quote))[^{excluded}\\]|\\(?![\\nr\"'`]))"


_IN_LINE, _IN_WORD, _IN_PAIR = _header_character(r"\r\n"), _header_character(r"\s"), _header_character(r"\s;")
_SCHEMES = r"(?:apikey|basic|bearer|digest|key|negotiate|ntlm|oauth|token)[ \t]+"
_CREDENTIALS = (
    rf"(?:digest|oauth)[ \t]+(?=\w+=){_IN_LINE}+"  # `Digest username="me", nonce="…"`: all of the line
    rf"|{_SCHEMES}(?![{{<$%]){_IN_WORD}+"  # `Bearer a1b2`, but not the placeholders `Bearer {key}` and `Bearer $KEY`
    # Without a scheme, one word with a digit, or of 16 characters: "Authorization: see below" is prose.
    rf"|(?![{{<$%])(?=\S{{0,64}}?\d|\S{{16}}){_IN_WORD}+"
)
# `a=1; b=2; Secure`: the first pair has a `=`, since "Cookie: a small biscuit" is prose.
_COOKIE = rf"[^\s=;,]{{1,64}}={_IN_PAIR}*(?:;[ \t]*[^\s=;,\"'`\\]{{1,64}}(?:={_IN_PAIR}*)?)*"


def _header(name: str, value: str) -> Rule:
    """The rule of a header. In `curl -H "Cookie: a=1"`, the value ends before the quote that stands before its name."""
    quote = rf"(?:(?<=(?P<quote>[\"'`]){name}:)|(?<![\"'`]{name}:))"
    pattern = rf"(?P<name>{name}):{quote}[ \t]*(?P<secret>{value})"
    return Rule("", pattern, (f"{name}:",), folded=True)


HEADERS = (
    _header("proxy-authorization", _CREDENTIALS),
    _header("authorization", _CREDENTIALS),
    _header("set-cookie", _COOKIE),
    _header("cookie", _COOKIE),
)
# `bearer`, and at least 16 characters with a digit among them, or 24 of any kind: "bearer authentication" is prose.
BEARER_TOKEN = Rule(
    "a bearer token",
    r"bearer[ \t]+(?P<secret>(?=[a-z.~+/=_-]*\d|\S{24})[a-z0-9][\w.~+/=-]{15,})",
    ("bearer",),
    folded=True,
)
