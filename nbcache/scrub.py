"""Secrets in what others will read: found, and replaced by a placeholder.

Known are the forms in which services hand out keys, and values beside a name that says what they are. A password in the
middle of a sentence looks like any other word; for the like of it there are the user's own patterns.
"""

import functools
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

SECRET = "[secret]"  # noqa: S105 - what is written in place of one


class _Rule(NamedTuple):
    """A form of secrets: the group `secret` of its pattern is one; without that group, all that it matches."""

    kind: str  # "" where the name beside it tells
    words: tuple[str, ...]  # one is in every text that it matches; to look for those is far quicker. () if unknown
    pattern: re.Pattern[str]
    folded: bool = False  # it is sought in the text's lower case: re is slow where case doesn't matter


# A key begins where no word goes on. The letters of an escape, in JSON or in a URL, or of a terminal's color are no word.
_BEFORE = (r"\\[nrt]", r"\\u[\da-fA-F]{4}", r"%[\da-fA-F]{2}", r"[\[;]\dm", r"[\[;]\d\dm")
# Where keys have dashes, names of CSS classes and of files look alike; those are of shorter words, all in lower case.
_NO_WORDS = r"(?=[a-z_-]*(?:[A-Z0-9]|(?<=[a-z]{16})))[\w-]{20,}"


def _key(kind: str, prefix: str, rest: str = _NO_WORDS) -> _Rule:
    """Keys that begin with `prefix`. So does the pattern: re is fast where it begins with letters."""
    starts = "|".join([rf"(?<![\w-]{prefix})", *(f"(?<={before}{prefix})" for before in _BEFORE)])
    return _Rule(kind, (prefix.partition("[")[0],), re.compile(f"{prefix}(?:{starts}){rest}", re.ASCII))


_KEYS = (
    _key("an Anthropic key", "sk-ant-"),
    _key("an OpenRouter key", "sk-or-"),
    _key("an OpenAI key", "sk-"),
    _key("a Groq key", "gsk_", r"[A-Za-z0-9]{20,}"),
    _key("an xAI key", "xai-", r"[A-Za-z0-9]{20,}"),
    _key("a LangSmith key", "lsv2_", r"\w{20,}"),
    _key("a Tavily key", "tvly-"),
    _key("a Google key", "AIza", r"[\w-]{35,}+(?![+/=])"),  # but not within Base64, which has those signs too
    _key("a Hugging Face token", "hf_", r"[A-Za-z0-9]{30,}"),
    _key("a GitHub token", "gh[pousr]_", r"[A-Za-z0-9]{36,}"),
    _key("a GitHub token", "github_pat_", r"\w{20,}"),
    _key("a GitLab token", "glpat-", r"[\w-]{20,}(?:\.[\w-]+)*"),
    _key("a Slack token", "xox[abeprs]-", r"(?=[A-Za-z-]*\d)[A-Za-z0-9-]{10,}"),
    _key("an AWS key", "AKIA", r"[A-Z0-9]{16}(?![A-Za-z0-9])"),
    _key("an AWS key", "ASIA", r"[A-Z0-9]{16}(?![A-Za-z0-9])"),
    _key("a Stripe key", "sk_live_", r"[A-Za-z0-9]{16,}"),
    _key("a Stripe key", "rk_live_", r"[A-Za-z0-9]{16,}"),
    _key("a Stripe key", "sk_test_", r"[A-Za-z0-9]{16,}"),
    _key("a Stripe secret", "whsec_", r"[A-Za-z0-9+/=]{20,}"),
    _key("a Slack token", "xapp-", r"(?=[A-Za-z0-9-]*\d)[A-Za-z0-9-]{20,}"),
    _key("a SendGrid key", "SG[.]", r"[\w-]{16,}\.[\w-]{16,}"),
    _key("an npm token", "npm_", r"[A-Za-z0-9]{36}"),
    _key("a PyPI token", "pypi-AgE", r"[\w-]{20,}"),
    _key("a Google secret", "GOCSPX-", r"[\w-]{20,}"),
    _key("a Google token", "ya29[.]", r"[\w.-]{20,}"),
    _key("a DigitalOcean token", "dop_v1_", r"[a-f0-9]{64}"),
    _key("an NVIDIA key", "nvapi-"),
    _key("a Perplexity key", "pplx-", r"[A-Za-z0-9]{32,}"),
    _key("a Replicate token", "r8_", r"[A-Za-z0-9]{32,}"),
    _key("a Cerebras key", "csk-", r"[A-Za-z0-9]{32,}"),
    _key("a Fireworks key", "fw_", r"(?=[A-Za-z]*\d)[A-Za-z0-9]{20,}"),
    _key("a JSON web token", "eyJ", r"[\w-]+\.eyJ[\w-]+\.[\w-]*"),
)


def _header(name: str, value: str) -> _Rule:
    """A header with its value. What stands around both, quotes or a sentence, isn't part of it."""
    quote = rf"(?:(?<=(?P<quote>[\"'`]){name}:)|(?<![\"'`]{name}:))"
    pattern = rf"(?P<name>{name}):{quote}[ \t]*(?P<secret>{value})"
    return _Rule("", (f"{name}:",), re.compile(pattern, re.ASCII), folded=True)


def _signs(but: str) -> str:
    """One sign of a header's value, none of these and not the quote around it all."""
    return rf"(?:(?!(?P=quote))[^{but}\\]|\\(?![\\nr\"'`]))"


# "Authorization: see below" is prose, and so is "Cookie: a small biscuit".
_IN_LINE, _IN_WORD, _IN_PAIR = _signs(r"\r\n"), _signs(r"\s"), _signs(r"\s;")
_SCHEMES = r"(?:apikey|basic|bearer|digest|key|negotiate|ntlm|oauth|token)[ \t]+"
_CREDENTIALS = rf"(?:digest|oauth)[ \t]+(?=\w+=){_IN_LINE}+|{_SCHEMES}{_IN_WORD}+|(?=\S{{0,64}}?\d|\S{{16}}){_IN_WORD}+"
_COOKIE = rf"[^\s=;,]{{1,64}}={_IN_PAIR}*(?:;[ \t]*[^\s=;,\"'`\\]{{1,64}}(?:={_IN_PAIR}*)?)*"
_WIDE = "\xa0\u2000-\uffef"  # signs of typesetters, and Chinese and its like: there, a value ends without a space
_SORTS = "access", "account", "api", "auth", "encryption", "master", "private", "secret", "signing", "subscription"
_SECRET_KEY = "key(?:" + "|".join(f"(?<={sort}key)|(?<={sort}[-_ ]key)" for sort in _SORTS) + ")"
# As often, a token is a word to a model, or a page of a list.
_OTHERS = "bos|cls|end|eos|eot|max|min|new|num|pad|per|sep|unk", "last|mask|next|page|stop", "first|image|start"
_TOKEN = "token" + "".join(f"(?<!(?:{others})[-_]token)" for others in _OTHERS)
_ASSIGNING = {each: each for each in ("authorization", "cookie", "secret")} | {"key": _SECRET_KEY, "token": _TOKEN}
_NAMES = "|".join(_ASSIGNING.values())
_NAMED = re.compile(rf"(?:{_NAMES}|pass(?:word|wd|phrase|(?<=[_-]pass))|pwd)\Z", re.ASCII)
_KINDS = {"authorization": "an Authorization header", **{w: f"a {w}" for w in ("cookie", "key", "secret", "token")}}
_PASSWORDS = "pass(?:word|wd|phrase|(?<![a-z]pass))|pwd(?<![a-z]pwd)"  # a short one is one, too
# In quotes, a value goes on to the sign that opened it; within JSON that is itself a text, backslashes are part of it.
_QUOTED = r"(?:(?!(?P=open))(?:\\.|[^\\\r\n]))"
# Without, it has a digit, or it may be prose, and is no call, index or attribute of code, no address and no date. It ends
# before punctuation, an escaped line break, and the next name of a query or of a connection's settings.
_CODE = r"(?![a-z_][\w.]*[(\[{])(?![a-z_]\w{0,19}(?:\.[a-z_]\w{0,19}){0,9}\.[a-z_]{1,20}(?![\w.-]))"
_TOLD = rf"{_CODE}(?!https?://|\d{{4}}-\d\d-\d\d(?!\w))(?=[^\s\"'`{_WIDE}]{{0,63}}?\d)"
_BARE = rf"(?:[^\s\"'`\\&,;{_WIDE}]|[&,;](?![\w.-]{{1,64}}=)|\\(?![\\nrt\"'`]))"


def _assigned(names: str, quoted: int, bare: int) -> re.Pattern[str]:
    """A value beside its name, of so many signs at least in quotes and without."""
    return re.compile(
        rf"(?P<name>{names})\\{{0,7}}[\"'`]?\]?[ \t]*(?:=>|:=|:[ \t]*str[ \t]*=|==?|[:\uff1a])[ \t]*"
        r"(?:[bfru]{1,2}(?=[\"']))?(?P<open>\\{0,7}[\"'`])?"
        rf"(?P<secret>(?(open){_QUOTED}{{{quoted},}}|{_TOLD}{_BARE}{{{bare},}}(?<![,;.)\]}}>])))",
        re.ASCII,
    )


_FLAG = rf"--[\w-]{{0,24}}?(?P<name>{_PASSWORDS}|{_NAMES})[ \t]+(?P<secret>(?=\S{{0,63}}?\d)[^\s\"'`]{{6,}})"
_BEARER = r"bearer[ \t]+(?P<secret>(?=[a-z.~+/=_-]*\d|\S{24})[a-z0-9][\w.~+/=-]{15,})"
_ELEMENT = (
    rf"<[\w:.-]{{0,24}}?(?P<name>{_PASSWORDS}|{_NAMES})>[ \t]*(?P<secret>(?=[^\s<>]{{0,63}}?\d)[^\s<>]{{6,}})[ \t]*</"
)
_LOGIN = rf"[^\s/?#:@\"'`<>{_WIDE}]*:[^\s/?#\"'`<>{_WIDE}]+"  # or a token alone
_URL = rf"://(?!(?:localhost|[\w-]+(?:\.[\w-]+)+):\d{{2,5}}@)(?P<secret>{_LOGIN}|(?=[A-Za-z_-]*\d)[\w-]{{20,}})@"
_PEM = r"[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
# Where it is cut off, its lines are Base64, of which the last may be short.
_BASE64 = r"(?:(?:\s|\\[nr])*[A-Za-z0-9+/=]{16,})+(?:(?:\s|\\[nr])*[A-Za-z0-9+/=]+\Z)?"
_PRIVATE_KEY = re.compile(rf"-----BEGIN {_PEM}(?:(?:[^-]|-(?!----BEGIN ))*?-----END {_PEM}|{_BASE64})")
# What may hold others comes before them: torn to pieces, it would no longer be known.
_RULES = (
    _Rule("a private key", ("-----BEGIN ",), _PRIVATE_KEY),
    _header("proxy-authorization", _CREDENTIALS),
    _header("authorization", _CREDENTIALS),
    _header("set-cookie", _COOKIE),
    _header("cookie", _COOKIE),
    _Rule("a password in a URL", ("://",), re.compile(_URL, re.ASCII)),
    _Rule("", ("pass", "pwd"), _assigned(_PASSWORDS, 4, 6), folded=True),
    *(_Rule("", (word,), _assigned(name, 8, 8), folded=True) for word, name in _ASSIGNING.items()),
    _Rule("", ("--",), re.compile(_FLAG, re.ASCII), folded=True),
    _Rule("", ("</",), re.compile(_ELEMENT, re.ASCII), folded=True),
    _Rule("a bearer token", ("bearer",), re.compile(_BEARER, re.ASCII), folded=True),
    *_KEYS,
)


def _roots() -> Iterator[tuple[str, bool, list[int]]]:
    """The fewest words to look for: where a shorter one is not, no longer one can be. Each with its rules' places."""
    words = {(word, rule.folded) for rule in _RULES for word in rule.words}
    roots = ((word, folded) for word, folded in words if sum(each in word for each, of in words if of is folded) == 1)
    for root, folded in sorted(roots):
        places = [at for at, rule in enumerate(_RULES) if rule.folded is folded and any(root in w for w in rule.words)]
        yield root, folded, places


_ROOTS = list(_roots())


def _likely(text: str) -> list[int]:
    """The places of the rules of which a word is in `text`, in their order."""
    lower = _folded(text)
    return sorted({at for root, folded, places in _ROOTS if root in (lower if folded else text) for at in places})


_SHORT, _REMEMBERED = 1_000, 4_096  # characters, and texts
_LONG_WORD = 20  # letters: more are none


class Scrubber:
    """Takes secrets out of texts and JSON values, and what the user's own regular expressions match besides.

    Where such an expression has a group named `secret`, that group alone is taken out. It is sought between the secrets
    that are found already, as in texts of their own. Raises ValueError where one is wrong.
    """

    def __init__(self, patterns: str | Iterable[str] = ()) -> None:
        if not isinstance(patterns, Iterable):
            raise ValueError(f"patterns={patterns!r}: write a regular expression, or several")  # noqa: TRY004 - a setting
        self.patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)
        self._rules = (*_RULES, *map(_own, self.patterns))
        self._harmless: set[str] = set()  # most texts of entries are names of fields, the same in all

    def text(self, text: str) -> str:
        """`text` without secrets."""
        return SECRET.join(self._parts(text)[::2])

    def value(self, value: Any) -> Any:
        """A JSON value without secrets: those in its texts, and the texts under keys that name one, such as `password`."""
        return self._clean(value, [])

    def found(self, value: Any) -> list[str]:
        """What `value` takes out, in words for a report: each kind once, in the order in which they come."""
        kinds: list[str] = []
        self._clean(value, kinds)
        return list(dict.fromkeys(kinds))

    def _clean(self, value: Any, kinds: list[str]) -> Any:
        if isinstance(value, str):
            if value in self._harmless:
                return value
            parts = self._parts(value)
            kinds += filter(None, parts[1::2])
            return SECRET.join(parts[::2])
        if isinstance(value, list):
            return [self._clean(item, kinds) for item in value]
        return self._clean_dict(value, kinds) if isinstance(value, dict) else value

    def _clean_dict(self, value: dict[Any, Any], kinds: list[str]) -> dict[Any, Any]:
        clean = {}
        for key, item in value.items():
            name = key if key in self._harmless else self._clean(key, kinds)
            if not isinstance(item, str | list | dict):
                clean[name] = item
            elif (
                isinstance(name, str) and (named := _named(name)) and "logprob" not in value
            ):  # words that a model weighed
                clean[name] = self._clean_named(name.lower(), named[0], item, kinds)
            else:
                clean[name] = self._clean(item, kinds)
        return clean

    def _clean_named(self, name: str, ending: str, item: Any, kinds: list[str]) -> Any:
        """What stands under a name that says what it is: a text is a secret, and so is each of several."""
        if isinstance(item, list):
            return [self._clean_named(name, ending, each, kinds) for each in item]
        is_word = name == "token" and isinstance(item, str) and item.isalpha() and len(item) < _LONG_WORD
        if not isinstance(item, str) or is_word or item in {"", SECRET}:
            return self._clean(item, kinds)
        kinds.append(_kind(ending, item))
        return SECRET

    def _parts(self, text: str) -> list[str]:
        """The text around its secrets, and in each one's place its kind; "" for what is a placeholder already."""
        if text in self._harmless:
            return [text]
        parts = self._sought(text)
        if len(parts) == 1 and len(text) < _SHORT and len(self._harmless) < _REMEMBERED:
            self._harmless.add(text)
        return parts

    def _sought(self, text: str) -> list[str]:
        parts = [part for piece in text.split(SECRET) for part in ("", piece)][1:]
        likely = [*_likely(text), *range(len(_RULES), len(self._rules))]
        before = 0
        while len(parts) > before:  # once more: where a text ends now, a pattern may match that didn't
            before = len(parts)
            for rule in map(self._rules.__getitem__, likely):
                parts = [cut for at, part in enumerate(parts) for cut in ([part] if at % 2 else _cut(rule, part))]
        return parts


@functools.lru_cache(maxsize=_REMEMBERED)
def _named(name: str) -> "re.Match[str] | None":
    """What in a key's name says that its value is a secret."""
    return _NAMED.search(name.lower())


def _own(pattern: str) -> _Rule:
    """The user's own form. Raises ValueError where it is none."""
    try:
        wrong = "matches the empty text" if re.match(pattern, "") else ""
    except (TypeError, re.error, OverflowError, RecursionError) as error:
        wrong = str(error)
    if wrong or not isinstance(pattern, str):
        raise ValueError(f"patterns={pattern!r}: {wrong or 'no text'}; write a regular expression like 'ACME-[0-9]+'")
    return _Rule(f"your pattern '{pattern}'", (), re.compile(pattern))


def _cut(rule: _Rule, text: str) -> list[str]:
    """`text` around the secrets of one form, and in each one's place its kind."""
    group = "secret" if "secret" in rule.pattern.groupindex else 0
    parts, end = [], 0
    for match in rule.pattern.finditer(_folded(text) if rule.folded else text):
        start, stop = match.span(group)
        if start < stop:
            parts += [text[end:start], rule.kind or _kind(match["name"], text[start:stop])]
            end = stop
    return [*parts, text[end:]]


def _kind(name: str, secret: str) -> str:
    """What a secret is by its own form, or else by its name."""
    own = (rule.kind for rule in (_RULES[0], *_KEYS) if rule.pattern.fullmatch(secret))
    named = (kind for ending, kind in _KINDS.items() if name.endswith(ending))
    return next(own, next(named, "a password"))


def _folded(text: str) -> str:
    """`text` in lower case, sign by sign: the lower case of `İ` alone would be two."""
    return text.replace("İ", "i").lower()
