"""What secrets look like: the forms in which services hand out keys, and values beside a name that says what they are.

A password in the middle of a sentence looks like any other word; for the like of it there are the user's own patterns.
"""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass

from nbcache.replay.secrets.compiled import compiled
from nbcache.replay.secrets.encoded import is_login
from nbcache.replay.secrets.runs import Signs
from nbcache.replay.secrets.token_forms import CREDENTIAL, INNER_TOKENS, NO_WORDS, TOKENS


@dataclass(frozen=True, slots=True)
class Rule:
    """A form of secrets: the group `secret` of its pattern is one; without that group, all that it matches.

    A pattern takes time in proportion to a text's length: what it looks ahead at is bounded, or ends where the next
    secret could begin. It is compiled when it is first needed.

    To look for what must be there is far quicker than the pattern: one of the `words`, or the `prefix` with which it
    begins, itself a pattern of letters, digits, dashes and underscores, of which at least 15 follow each other.
    """

    kind: str  # "" where the name beside it tells
    source: str
    words: tuple[str, ...] = ()
    prefix: str = ""
    folded: bool = False  # it is sought in the text's lower case: re is slow where case doesn't matter
    proof: Callable[[str], bool] | None = None  # what else has to hold of the secret
    is_token: bool = False
    is_ascii: bool = True

    @property
    def pattern(self) -> re.Pattern[str]:
        """Its pattern."""
        return compiled(self.source, re.ASCII if self.is_ascii else 0)


# A key begins where no word goes on. The letters of an escape, in JSON or in a URL, or of a terminal's color are no word.
_BEFORE = (
    *(r"\\[nrtfb]", r"\\u[\da-fA-F]{4}", r"\\x[\da-fA-F]{2}", r"%[\da-fA-F]{2}"),
    *(r"\[m", r"[\[;]\dm", r"[\[;]\d\dm", r"[\[;]\d\d\dm"),
)
_BEGINNING = "|".join([r"(?<![\w~.-])", *(f"(?<={before})" for before in _BEFORE)])
# Of most keys, no beginning is looked for in the text, but only where as many signs of these follow each other.
_SIGNS, _RUN = Signs("_-"), 15
_VERY_LONG, _BESIDE = 34, frozenset("./~:")
_LOOKED_AT = 4
_LENGTHS = range(2, _LOOKED_AT + 1)
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_ESCAPING, _ESCAPE = frozenset("\\%[;"), r"\d{0,3}m"


def _key(kind: str, prefix: str, rest: str = NO_WORDS) -> Rule:
    """Keys that begin with `prefix`. So does the pattern: re is fast where it begins with letters."""
    starts = "|".join([rf"(?<![\w-]{prefix})", *(f"(?<={before}{prefix})" for before in _BEFORE)])
    pattern = f"{prefix}(?:{starts}){rest}"
    if compiled(r"(?:[\w-]|\[[\w-]+\]|\\d)+").fullmatch(prefix):
        return Rule(kind, pattern, prefix=prefix, is_token=True)
    return Rule(
        kind,
        pattern,
        (prefix.replace("[.]", ".").partition("[")[0],),
        is_token=prefix != CREDENTIAL[1],
    )


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
_CREDENTIALS = rf"(?:digest|oauth)[ \t]+(?=\w+=){_IN_LINE}+|{_SCHEMES}(?![{{<$%]){_IN_WORD}+|(?![{{<$%])(?=\S{{0,64}}?\d|\S{{16}}){_IN_WORD}+"
_COOKIE = rf"[^\s=;,]{{1,64}}={_IN_PAIR}*(?:;[ \t]*[^\s=;,\"'`\\]{{1,64}}(?:={_IN_PAIR}*)?)*"
_WIDE = "\xa0\u2000-\uffef"  # signs of typesetters, and Chinese and its like: there, a value ends without a space
_SORTS = "access", "account", "api", "auth", "encryption", "master", "private", "secret", "signing", "subscription"
_SECRET_KEY = "key(?:" + "|".join(f"(?<={sort}key)|(?<={sort}[-_ ]key)" for sort in _SORTS) + ")"
# As often, a token is a word to a model, or a page of a list.
_OTHERS = "bos|cls|end|eos|eot|max|min|new|num|pad|per|sep|unk", "last|mask|next|page|stop", "first|image|start"
_TOKEN = "token" + "".join(f"(?<!(?:{others})[-_]token)" for others in _OTHERS)
_ASSIGNING = {each: each for each in ("authorization", "cookie", "secret")} | {"key": _SECRET_KEY, "token": _TOKEN}
_NAMES = "|".join(_ASSIGNING.values())
_NAMED = rf"(?P<one>{_NAMES}|pass(?:word|wd|phrase|(?<![a-z]pass))|pwd|auth(?<![a-z]auth))\Z|(?P<several>password|cookie|secret|key(?<=api[-_]key))s\Z"
_KINDS = {"authorization": "an Authorization header", **{w: f"a {w}" for w in ("cookie", "key", "secret", "token")}}
# A short password is one, too. `PASS: it_works` is what tests say, and PWD a folder.
_PASSWORDS = r"pass(?:word|wd|phrase|(?<=[_-]pass))|pwd(?<![a-z]pwd)(?![ \t]*[=:][ \t]*[\"']?[/~])"
_PASS = r"pass(?<![a-z_-]pass)(?=\\{0,7}[\"'`]|[ \t]*=)"  # noqa: S105 - alone it may be what has passed
# In quotes, a value goes on to the sign that opened it; within JSON that is itself a text, backslashes are part of it.
_QUOTED = r"(?:(?!(?P=open))(?:\\.|[^\\\r\n]))"
_TYPES = (  # what a schema says in the place of one
    *("string", "text", "password", "secret", "optional", "required", "str", "bytes", "secretstr", "varchar", "char"),
    *("none", "null", "undefined", "true", "false", "any", "unknown", "boolean", "bool", "int", "number"),
)
# What stands for one: a variable of a shell, a field of a template, or signs that say that there is one.
_REFERENCE = (
    r"(?!\\?\$(?:\{|\(|[a-z_]{2,}\w*(?![^\s\"'`;&,)}\]]))|\{\{|%\(|\{[\w.]{1,40}\}[\"'`:@/]|(?:bearer|basic|token)[ ][{<$%]|<[a-z][\w .-]{1,40}>|your[ _-]"
    r"|[*x.\u2022]{3,}(?![^\s\"'`]))"
)
_TYPE = rf"(?!(?:{'|'.join(_TYPES)})(?P=open)){_REFERENCE}"
# Without, it has a digit, or it may be prose, and is no call, index or attribute of code, no address and no date. It ends
# before punctuation, an escaped line break, and the next name of a query or of a connection's settings.
_CODE = r"(?![a-z_][\w.]*[(\[{])(?![a-z_]\w{0,19}(?:\.[a-z_]\w{0,19}){0,9}\.[a-z_]{1,20}(?![\w.-]))"
_TOLD = rf"{_REFERENCE}{_CODE}(?!https?://|\d{{4}}-\d\d-\d\d(?!\w))(?=[^\s\"'`{_WIDE}]{{0,63}}?\d)"
_BARE = rf"(?:[^\s\"'`\\&,;{_WIDE}]|[&,;](?![\w.-]{{1,64}}=)|\\(?![\\nrt\"'`]))"


# In lists of headers, forms and the like: {"name": "Authorization", "value": …}
_VALUE = r",?(?:\s|\\{1,7}[nr]){0,40}\\{0,7}[\"']?value\\{0,7}[\"']?[ \t]*[:=]"


def _assigned(names: str, quoted: int, bare: int, told: str = "") -> str:
    """A value beside its name, of so many signs at least in quotes and without; what is quoted begins as is `told`."""
    return (
        rf"(?P<name>{names})\\{{0,7}}[\"'`]?\]?[ \t]*(?:=>|:=|:[ \t]*str[ \t]*=|==?|[:\uff1a]|{_VALUE})[ \t]*"
        r"(?:[bfru]{1,2}(?=[\"']))?(?P<open>\\{0,7}(?:\"\"\"|'''|[\"'`]))?"
        rf"(?P<secret>(?(open){_TYPE}{told}{_QUOTED}{{{quoted},}}|{_TOLD}{_BARE}{{{bare},}}(?<![,;.)\]}}>])))"
    )


_NO_WORD = r"(?=[^\s\"'`]{0,63}?\d|[^\s\"'`]{20})"  # a token in quotes is often a word, of a grammar say
_NO_PROSE = r"(?![\w'-]{1,40}[,.:;!?]?[ \t]+[a-z])"
_BEGINS = {"token": _NO_WORD, "secret": _NO_PROSE, "key": _NO_PROSE}
_FLAG = rf"--[\w-]{{0,24}}?(?P<name>{_PASSWORDS}|{_NAMES})[ \t]+(?P<secret>(?=\S{{0,63}}?\d)[^\s\"'`]{{6,}})"
_BEARER = r"bearer[ \t]+(?P<secret>(?=[a-z.~+/=_-]*\d|\S{24})[a-z0-9][\w.~+/=-]{15,})"
_ELEMENT = (
    rf"<[\w:.-]{{0,24}}?(?P<name>{_PASSWORDS}|{_NAMES})(?:\s[^<>]{{0,200}})?>\s{{0,40}}(?:<!\[cdata\[)?"
    r"(?P<secret>(?=[^\s<>]{0,63}?\d)[^\s<>\]]{6,})(?:\]\]>)?\s{0,40}</"
)
# Of letters alone, a password has to stand where nothing else does: in the environment, a query, a connection string, an
# option, or in the line after its user's.
_WORDY = rf"(?!(?:{'|'.join(_TYPES)})(?![\w-]))(?P<secret>[a-z][\w!#%*+.~-]{{3,63}})(?=[\s;&\"'`<]|\\[nr]|\Z)"
_WORDS = "pass(?:word|wd|phrase)?|pwd"
_BEHIND = "|".join(
    rf"(?<=[?&;]{blank}{name}=)" for blank in ("", " ") for name in ("password", "passwd", "passphrase", "pass", "pwd")
)
_LETTERS_ALONE = (
    Rule(
        "",
        r"(?P<name>PASS(?:WORD|WD|PHRASE|(?<=_PASS)))=(?![A-Z_]+(?![\w-]))(?P<secret>[A-Za-z][\w-]{3,63})(?=[\s;&\"'`]|\\[nr]|\Z)",
        ("PASS",),
    ),
    Rule(
        "",
        rf"(?P<name>{_WORDS})=(?:{_BEHIND}){_WORDY}",
        ("password=", "passwd=", "passphrase=", "pass=", "pwd="),
        folded=True,
    ),
    Rule(
        "",
        rf"(?:user(?:name)?|uid|host|dbname)=[^\s=,;()]{{1,64}}[ \t](?:\w{{1,24}}=[^\s=,;()]{{1,64}}[ \t]){{0,4}}"
        rf"(?P<name>{_WORDS})={_WORDY}",
        ("password=", "passwd=", "pass=", "pwd="),
        folded=True,
    ),
    Rule("", rf"--[a-z-]{{0,24}}?(?P<name>{_WORDS})={_WORDY}", ("--",), folded=True),
    Rule(
        "",
        rf"(?:user(?:[ _]?name)?|login|e-?mail):[ \t]*[^\s,;]{{1,64}}[ \t]*(?:\r?\n|(?:\\{{1,7}}r)?\\{{1,7}}n)[ \t-]*"
        rf"(?P<name>{_WORDS}):[ \t]*{_WORDY}(?![ \t]*[^\s\\\"'])",
        ("password:", "passwd:", "passphrase:", "pass:", "pwd:"),
        folded=True,
    ),
)
_WORD_OF_COMMAND = r"(?P<open>[\"'])?(?P<secret>(?![$<{%\s-]|[\d.:/]+(?![^\s\"']))(?(open)(?:(?!(?P=open))[^\r\n])|[^\s\"'`;|&)\\]){3,})"


def _command(name: str, option: str, *words: str) -> Rule:
    """The name of a program, and in the same line an option with a password, which begins with one of `words`."""
    return Rule("a password", rf"{name}(?=[\s.-])[^\n|;&]{{0,200}}?[ \t]{option}{_WORD_OF_COMMAND}", words)


_COMMANDS = (
    _command("mysql(?:dump|admin|import)?", "-p", " -p"),
    _command("mariadb", "-p", " -p"),
    _command("mongosh", "(?:-p|--password)[ =]", " -p", " --password"),
    _command("docker login", "(?:-p|--password)[ =]", " -p", " --password"),
    _command("sshpass", "-p[ ]?", " -p"),
    _command("curl", r"(?:-u|--user)[ =]?[\"']?[^\s:\"'/]{1,64}:", " -u", " --user"),
)
# HTTP's Basic authentication, and a list of logins as Docker keeps it.
_BASIC = r"(?P<secret>[a-z0-9+/]{8,}={0,2})(?![\w+/=-])"
_AUTH = rf"auth(?<=[\"']auth)\\{{0,7}}[\"'][ \t]*:[ \t]*\\{{0,7}}[\"']{_BASIC}"
# Without a scheme, what stands between a colon and an @ is as often a port, or who gets a mail.
_AT_A_MACHINE = r"(?:localhost|\d{1,3}(?:\.\d{1,3}){3}|[\w-]+(?:\.[\w-]+)*(?::\d{2,5}(?!\w)|/\w))"
_ACCOUNT = (
    r":(?<=[\w-]:)(?<!\d:)(?<!mail:)(?<!mailto:)(?<!\bto:)(?<!\bcc:)(?<!from:)(?<!localhost:)(?<!\.(?:com|org|net|dev):)(?<!\.(?:io|ai):)(?![^\s@]{0,64}@sha\d)"
    rf"(?=\d{{4,64}}@(?![\w-]+\.)|[^\s@]{{0,63}}[!#$%^&*]|[^\s@]{{4,64}}@{_AT_A_MACHINE})"
    rf"(?P<secret>(?=[^\s@]{{0,63}}?\d)[^\s:@/\"'`<>(){{}}\[\],;{_WIDE}]{{4,64}})@(?=\w)"
)
_LOGIN = rf"[^\s/?#:@\"'`<>{_WIDE}]*:[^\s/?#\"'`<>{_WIDE}]+"  # or a token alone
# A host and its port before an @ are none, but `john.doe:12345` may be.
_NO_LOGIN = r"(?!(?:localhost|[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|io|dev|ai|local|internal|example|\d+)):\d{2,5}@)"
_URL = rf":(?://|\\/\\/){_NO_LOGIN}(?P<secret>{_LOGIN}|(?=[A-Za-z_-]*\d)[\w-]{{20,}}:?)@(?!sha256:)"
_PEM = r"[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
# Where it is cut off, its lines are Base64, of which the last may be short.
_BASE64 = r"(?:(?:\s|\\[nr])*[A-Za-z0-9+/=]{16,})+(?:(?:\s|\\[nr])*[A-Za-z0-9+/=]+\Z)?"
_PRIVATE_KEY = rf"-----BEGIN {_PEM}(?:(?:[^-]|-(?!----BEGIN ))*?-----END {_PEM}|{_BASE64})"


@functools.cache
def rules() -> tuple[Rule, ...]:
    """All forms of secrets. What may hold others comes before them: torn to pieces, it would no longer be known."""
    return (
        Rule("a private key", _PRIVATE_KEY, ("-----BEGIN ",)),
        _key(*CREDENTIAL),
        _header("proxy-authorization", _CREDENTIALS),
        _header("authorization", _CREDENTIALS),
        _header("set-cookie", _COOKIE),
        _header("cookie", _COOKIE),
        Rule("a password in a URL", _URL, ("://", ":\\/\\/")),
        *_COMMANDS,
        Rule("", _assigned(_PASSWORDS, 4, 6), ("pass", "pwd"), folded=True),
        Rule("", _assigned(_PASS, 4, 6, _NO_PROSE), ("pass",), folded=True),
        *(
            Rule("", _assigned(name, 8, 8, _BEGINS.get(word, "")), (word,), folded=True)
            for word, name in _ASSIGNING.items()
        ),
        Rule("a password", rf"basic[ \t]+{_BASIC}", ("basic ",), folded=True, proof=is_login),
        Rule("a password", _AUTH, ("auth",), folded=True, proof=is_login),
        *_LETTERS_ALONE,
        Rule("a password", _ACCOUNT, ("@",)),
        Rule("", _FLAG, ("--",), folded=True),
        Rule("", _ELEMENT, ("</",), folded=True),
        Rule("a bearer token", _BEARER, ("bearer",), folded=True),
        *(_key(*form) for form in TOKENS),
        *(Rule(kind, f"(?:{_BEGINNING}){pattern}", (word,), is_token=True) for kind, word, pattern in INNER_TOKENS),
    )


@functools.cache
def _roots() -> list[tuple[str, bool, list[int], bool]]:
    """The words to look for first: those that contain no other word. A text without `key` needs no look for `api_key`.

    Each is a word, whether it is sought in lower case, the indexes of the rules that it may lead to, and whether all of
    these are for tokens.
    """
    by_word = [(at, rule) for at, rule in enumerate(rules()) if rule.words]
    words = {(word, rule.folded) for _, rule in by_word for word in rule.words}
    roots = ((word, folded) for word, folded in words if sum(each in word for each, of in words if of is folded) == 1)
    fewest = []
    for root, folded in sorted(roots):
        places = [at for at, rule in by_word if rule.folded is folded and any(root in word for word in rule.words)]
        fewest.append((root, folded, places, all(rules()[at].is_token for at in places)))
    return fewest


@functools.cache
def _prefixes() -> dict[str, list[int]]:
    """The indexes of the rules, by the first characters (at most four) of their keys.

    The first two characters of each are an entry of their own, so that looking at two characters is enough for most texts.
    """
    places: dict[str, list[int]] = {}
    for at, rule in enumerate(rules()):
        for prefix in {each[:_LOOKED_AT] for each in _expanded(rule.prefix)} if rule.prefix else ():
            places.setdefault(prefix[:2], [])
            places.setdefault(prefix, []).append(at)
    return places


def _expanded(prefix: str) -> list[str]:
    """All texts of the pattern `prefix`, up to a digit that may be any."""
    texts = [""]
    for sign in compiled(r"\[[^]]*\]|\\.|.").findall(prefix):
        if sign == r"\d":
            break
        signs = _LETTERS if sign == "[A-Z0-9]" else sign.strip("[]")
        texts = [each + one for each in texts for one in signs]
    return texts


# Under `token` alone stand words as often; under `password`, in lists, what is wrong with one or has to be given besides.
_LOOKS_RANDOM = r"(?=\S{0,200}?\d)(?=\S{0,200}?[A-Za-z])\S{8}|\S{20}"
_PROSE = r"[A-Za-z_.,:;'()! -]*"


def long_runs(text: str) -> list[tuple[int, int]]:
    """The beginning and the end of each run of characters that is long enough for a key."""
    return list(_SIGNS.runs(text, _RUN))


def likely(text: str, runs: list[tuple[int, int]]) -> list[Rule]:
    """The rules that may match `text`, in order: a word or a prefix of theirs is in it. `runs` are its long runs."""
    lower, forms = folded(text), rules()
    # The words of tokens are in very long runs, or beside runs.
    has_inner = any(
        text[start - 1 : start] in _BESIDE or text[end : end + 1] in _BESIDE or end - start > _VERY_LONG
        for start, end in runs
    )
    places: set[int] = set()
    for root, is_folded, with_root, are_tokens in _roots():
        where = lower if is_folded else text
        if (has_inner or not are_tokens) and root in where:
            places.update(at for at in with_root if root in forms[at].words or any(w in where for w in forms[at].words))
    prefixes = _prefixes()
    for start, _ in runs:
        for at in (start,) if text[start - 1 : start] not in _ESCAPING else _beginnings(text, start):
            if text[at : at + 2] in prefixes:
                places.update(*(prefixes.get(text[at : at + length], ()) for length in _LENGTHS))
    return [forms[at] for at in sorted(places)]


def _beginnings(text: str, start: int) -> tuple[int, ...]:
    """Where a key may begin in a run that begins at `start` after what may be of an escape."""
    escape = compiled(_ESCAPE).match(text, start)
    return (start, start + 1, start + 2, start + 3, start + 5, *((escape.end(),) if escape else ()))


@functools.lru_cache(maxsize=4_096)
def named(name: str) -> str | None:
    """What in a key's name says that its value is a secret."""
    match = compiled(_NAMED, re.ASCII).search(name.lower())
    return None if match is None else match["one"] or match["several"]


def is_value(name: str, ending: str, text: str, *, listed: bool, has_user: bool = False) -> bool:
    """Whether a text under a name that ends so is a secret: no type, no word, and where it is `listed` no prose.

    `has_user` tells whether there is a user's name beside it.
    """
    if text.lower() in _TYPES:
        return False
    if ending == "auth":
        return is_login(text)
    if name == "token" or (name == "pass" and not has_user):
        return compiled(_LOOKS_RANDOM).match(text) is not None
    return not listed or ending in {"authorization", "cookie"} or compiled(_PROSE).fullmatch(text) is None


def own(pattern: str) -> Rule:
    """The user's own form. Raises ValueError where it is none."""
    try:
        wrong = "matches the empty text" if compiled(pattern).match("") else ""
    except (TypeError, re.error, OverflowError, RecursionError) as error:
        wrong = str(error)
    if wrong or not isinstance(pattern, str):
        raise ValueError(f"patterns={pattern!r}: {wrong or 'no text'}; write a regular expression like 'ACME-[0-9]+'")
    return Rule(f"your pattern '{pattern}'", pattern, is_ascii=False)


def kind_of(name: str, secret: str) -> str:
    """What a secret is by its own form, or else by its name."""
    forms = (rule for rule in likely(secret, long_runs(secret)) if rule.is_token or rule is rules()[0])
    by_form = (rule.kind for rule in forms if rule.pattern.fullmatch(secret))
    by_name = (kind for ending, kind in _KINDS.items() if name.endswith(ending))
    return next(by_form, next(by_name, "a password"))


def folded(text: str) -> str:
    """`text` in lower case, sign by sign: the lower case of `İ` alone would be two."""
    return text.replace("İ", "i").lower()
