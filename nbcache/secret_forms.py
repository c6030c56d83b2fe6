"""What secrets look like: the forms in which services hand out keys, and values beside a name that says what they are.

A password in the middle of a sentence looks like any other word; for the like of it there are the user's own patterns.
"""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from nbcache.token_forms import NO_WORDS, TOKENS


@dataclass(frozen=True, slots=True)
class Rule:
    """A form of secrets: the group `secret` of its pattern is one; without that group, all that it matches.

    A pattern takes time in proportion to a text's length: what it looks ahead at is bounded, or ends where the next
    secret could begin. It is compiled when it is first needed.

    To look for what must be there is far quicker than the pattern: one of the `words`, or the `prefix` with which it
    begins, itself a pattern that ends with `-` or `_`.
    """

    kind: str  # "" where the name beside it tells
    source: str
    words: tuple[str, ...] = ()
    prefix: str = ""
    folded: bool = False  # it is sought in the text's lower case: re is slow where case doesn't matter
    is_ascii: bool = True

    @property
    def pattern(self) -> re.Pattern[str]:
        """Its pattern."""
        return _compiled(self.source, re.ASCII if self.is_ascii else 0)


@functools.cache
def _compiled(source: str, flags: int) -> re.Pattern[str]:
    return re.compile(source, flags)


# A key begins where no word goes on. The letters of an escape, in JSON or in a URL, or of a terminal's color are no word.
_BEFORE = (
    *(r"\\[nrtfb]", r"\\u[\da-fA-F]{4}", r"\\x[\da-fA-F]{2}", r"%[\da-fA-F]{2}"),
    *(r"\[m", r"[\[;]\dm", r"[\[;]\d\dm", r"[\[;]\d\d\dm"),
)
_ENDS = "-_"  # of most beginnings


def _key(kind: str, prefix: str, rest: str = NO_WORDS) -> Rule:
    """Keys that begin with `prefix`. So does the pattern: re is fast where it begins with letters."""
    starts = "|".join([rf"(?<![\w-]{prefix})", *(f"(?<={before}{prefix})" for before in _BEFORE)])
    pattern = f"{prefix}(?:{starts}){rest}"
    if prefix[-1] in _ENDS:
        return Rule(kind, pattern, prefix=prefix)
    return Rule(kind, pattern, (prefix.partition("[")[0],))


_KEYS = tuple(_key(*form) for form in TOKENS)


def _header(name: str, value: str) -> Rule:
    """A header with its value. What stands around both, quotes or a sentence, isn't part of it."""
    quote = rf"(?:(?<=(?P<quote>[\"'`]){name}:)|(?<![\"'`]{name}:))"
    pattern = rf"(?P<name>{name}):{quote}[ \t]*(?P<secret>{value})"
    return Rule("", pattern, (f"{name}:",), folded=True)


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
_NAMED = rf"(?P<one>{_NAMES}|pass(?:word|wd|phrase|(?<=[_-]pass))|pwd)\Z|(?P<several>password|cookie|secret|key(?<=api[-_]key))s\Z"
_KINDS = {"authorization": "an Authorization header", **{w: f"a {w}" for w in ("cookie", "key", "secret", "token")}}
# A short password is one, too. `PASS: it_works` is what tests say, and PWD a folder.
_PASSWORDS = r"pass(?:word|wd|phrase|(?<=[_-]pass)|(?<![a-z]pass)(?=\\{0,7}[\"'`]|[ \t]*=))|pwd(?<![a-z]pwd)(?![ \t]*[=:][ \t]*[\"']?[/~])"
# In quotes, a value goes on to the sign that opened it; within JSON that is itself a text, backslashes are part of it.
_QUOTED = r"(?:(?!(?P=open))(?:\\.|[^\\\r\n]))"
_TYPES = "string", "text", "password", "secret", "optional", "required"  # what a schema says in the place of one
_TYPE = rf"(?!(?:{'|'.join(_TYPES)})(?P=open))"
# Without, it has a digit, or it may be prose, and is no call, index or attribute of code, no address and no date. It ends
# before punctuation, an escaped line break, and the next name of a query or of a connection's settings.
_CODE = r"(?![a-z_][\w.]*[(\[{])(?![a-z_]\w{0,19}(?:\.[a-z_]\w{0,19}){0,9}\.[a-z_]{1,20}(?![\w.-]))"
_TOLD = rf"{_CODE}(?!https?://|\d{{4}}-\d\d-\d\d(?!\w))(?=[^\s\"'`{_WIDE}]{{0,63}}?\d)"
_BARE = rf"(?:[^\s\"'`\\&,;{_WIDE}]|[&,;](?![\w.-]{{1,64}}=)|\\(?![\\nrt\"'`]))"


def _assigned(names: str, quoted: int, bare: int, told: str = "") -> str:
    """A value beside its name, of so many signs at least in quotes and without; what is quoted begins as is `told`."""
    return (
        rf"(?P<name>{names})\\{{0,7}}[\"'`]?\]?[ \t]*(?:=>|:=|:[ \t]*str[ \t]*=|==?|[:\uff1a])[ \t]*"
        r"(?:[bfru]{1,2}(?=[\"']))?(?P<open>\\{0,7}(?:\"\"\"|'''|[\"'`]))?"
        rf"(?P<secret>(?(open){_TYPE}{told}{_QUOTED}{{{quoted},}}|{_TOLD}{_BARE}{{{bare},}}(?<![,;.)\]}}>])))"
    )


_NO_WORD = r"(?=[^\s\"'`]{0,63}?\d|[^\s\"'`]{20})"  # a token in quotes is often a word, of a grammar say
_FLAG = rf"--[\w-]{{0,24}}?(?P<name>{_PASSWORDS}|{_NAMES})[ \t]+(?P<secret>(?=\S{{0,63}}?\d)[^\s\"'`]{{6,}})"
_BEARER = r"bearer[ \t]+(?P<secret>(?=[a-z.~+/=_-]*\d|\S{24})[a-z0-9][\w.~+/=-]{15,})"
_ELEMENT = (
    rf"<[\w:.-]{{0,24}}?(?P<name>{_PASSWORDS}|{_NAMES})(?:\s[^<>]{{0,200}})?>\s{{0,40}}(?:<!\[cdata\[)?"
    r"(?P<secret>(?=[^\s<>]{0,63}?\d)[^\s<>\]]{6,})(?:\]\]>)?\s{0,40}</"
)
_LOGIN = rf"[^\s/?#:@\"'`<>{_WIDE}]*:[^\s/?#\"'`<>{_WIDE}]+"  # or a token alone
_NO_LOGIN = r"(?!(?:localhost|[\w-]+(?:\.[\w-]+)+):\d{2,5}@)"
_URL = rf":(?://|\\/\\/){_NO_LOGIN}(?P<secret>{_LOGIN}|(?=[A-Za-z_-]*\d)[\w-]{{20,}}:?)@(?!sha256:)"
_PEM = r"[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
# Where it is cut off, its lines are Base64, of which the last may be short.
_BASE64 = r"(?:(?:\s|\\[nr])*[A-Za-z0-9+/=]{16,})+(?:(?:\s|\\[nr])*[A-Za-z0-9+/=]+\Z)?"
_PRIVATE_KEY = rf"-----BEGIN {_PEM}(?:(?:[^-]|-(?!----BEGIN ))*?-----END {_PEM}|{_BASE64})"
# What may hold others comes before them: torn to pieces, it would no longer be known.
RULES = (
    Rule("a private key", _PRIVATE_KEY, ("-----BEGIN ",)),
    _header("proxy-authorization", _CREDENTIALS),
    _header("authorization", _CREDENTIALS),
    _header("set-cookie", _COOKIE),
    _header("cookie", _COOKIE),
    Rule("a password in a URL", _URL, ("://", ":\\/\\/")),
    Rule("", _assigned(_PASSWORDS, 4, 6), ("pass", "pwd"), folded=True),
    *(
        Rule("", _assigned(name, 8, 8, _NO_WORD if word == "token" else ""), (word,), folded=True)
        for word, name in _ASSIGNING.items()
    ),
    Rule("", _FLAG, ("--",), folded=True),
    Rule("", _ELEMENT, ("</",), folded=True),
    Rule("a bearer token", _BEARER, ("bearer",), folded=True),
    *_KEYS,
)


@functools.cache
def _sought_first() -> tuple[list[tuple[str, bool, list[int]]], list[tuple[re.Pattern[str], list[int]]]]:
    return list(_roots()), list(_marks())


def _roots() -> Iterator[tuple[str, bool, list[int]]]:
    """The fewest words to look for: where a shorter one is not, no longer one can be. Each with its rules' places."""
    words = {(word, rule.folded) for rule in RULES for word in rule.words}
    roots = ((word, folded) for word, folded in words if sum(each in word for each, of in words if of is folded) == 1)
    for root, folded in sorted(roots):
        places = [at for at, rule in enumerate(RULES) if rule.folded is folded and any(root in w for w in rule.words)]
        yield root, folded, places


def _marks() -> Iterator[tuple[re.Pattern[str], list[int]]]:
    """A pattern for all prefixes with the same end, by which it begins: that is found at once. With its rules' places."""
    for end in _ENDS:
        places = [at for at, rule in enumerate(RULES) if rule.prefix.endswith(end)]
        before: dict[str, list[str]] = {}  # by the sign before it, which tells most of them apart
        for prefix in dict.fromkeys(RULES[at].prefix for at in places):
            before.setdefault(re.findall(r"\[[^]]*\]|\\.|.", prefix)[-2], []).append(f"(?<={prefix})")
        sought = (f"(?<={sign}{end})(?:{'|'.join(prefixes)})" for sign, prefixes in before.items())
        yield _compiled(f"{end}(?:{'|'.join(sought)})", 0), places


# Under `token` alone stand words as often; under `password`, in lists, what is wrong with one or has to be given besides.
_TOKEN_VALUE = re.compile(r"(?=\S{0,200}?\d)(?=\S{0,200}?[A-Za-z])\S{8}|\S{20}")
_PROSE = re.compile(r"[A-Za-z_.,:;'()! -]*")


def likely(text: str) -> list[Rule]:
    """The rules of which something is in `text` that must be there, in their order."""
    lower = folded(text)
    roots, marks = _sought_first()
    places = {at for root, is_folded, rules in roots if root in (lower if is_folded else text) for at in rules}
    places.update(at for mark, rules in marks if mark.search(text) for at in rules)
    return [RULES[at] for at in sorted(places)]


@functools.lru_cache(maxsize=4_096)
def named(name: str) -> str | None:
    """What in a key's name says that its value is a secret."""
    found = _compiled(_NAMED, re.ASCII).search(name.lower())
    return None if found is None else found["one"] or found["several"]


def is_value(name: str, ending: str, text: str, *, listed: bool) -> bool:
    """Whether a text under a name that ends so is a secret: no type, no word, and where it is `listed` no prose."""
    if text.lower() in _TYPES:
        return False
    if name == "token":
        return _TOKEN_VALUE.match(text) is not None
    return not listed or ending in {"authorization", "cookie"} or _PROSE.fullmatch(text) is None


def own(pattern: str) -> Rule:
    """The user's own form. Raises ValueError where it is none."""
    try:
        wrong = "matches the empty text" if _compiled(pattern, 0).match("") else ""
    except (TypeError, re.error, OverflowError, RecursionError) as error:
        wrong = str(error)
    if wrong or not isinstance(pattern, str):
        raise ValueError(f"patterns={pattern!r}: {wrong or 'no text'}; write a regular expression like 'ACME-[0-9]+'")
    return Rule(f"your pattern '{pattern}'", pattern, is_ascii=False)


def kind_of(name: str, secret: str) -> str:
    """What a secret is by its own form, or else by its name."""
    by_form = (rule.kind for rule in (RULES[0], *_KEYS) if rule.pattern.fullmatch(secret))
    by_name = (kind for ending, kind in _KINDS.items() if name.endswith(ending))
    return next(by_form, next(by_name, "a password"))


def folded(text: str) -> str:
    """`text` in lower case, sign by sign: the lower case of `İ` alone would be two."""
    return text.replace("İ", "i").lower()
