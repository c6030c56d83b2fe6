"""Values beside the name of a secret, in a text: `api_key = "…"`, `"password": "…"`, `--token …`, `<secret>…</secret>`.

The names are in `secret_names.py`. A value in quotes may be anything but a placeholder or a type. A value without
quotes needs a digit, or prose would be taken for a secret: "the key: see above".
"""

from nbcache.replay.secrets.rule import WIDE, Rule
from nbcache.replay.secrets.secret_names import ANY_NAME, NAMES, PASS_ALONE, PASSWORD_NAMES, TYPE_WORDS

# What stands for a secret and is none.
_NO_PLACEHOLDER = (
    r"(?!\\?\$(?:\{|\(|[a-z_]{2,}\w*(?![^\s\"'`;&,)}\]]))"  # of a shell: `${KEY}`, `$(cat key)`, `$KEY`
    r"|\{\{|%\("  # of a template: `{{ key }}`, `%(key)s`
    r"|\{[\w.]{1,40}\}[\"'`:@/]"  # of Python: `f"{key}"`
    r"|(?:bearer|basic|token)[ ][{<$%]"  # `Bearer {key}`
    r"|<[a-z][\w .-]{1,40}>|your[ _-]"  # of instructions: `<api key>`, `your-key`
    r"|[*x.\u2022]{3,}(?![^\s\"'`]))"  # `****`, `xxxx`, `...`
)
_NO_TYPE = rf"(?!(?:{'|'.join(TYPE_WORDS)})(?P=open))"  # `"string"`
_NO_CODE = (
    r"(?![a-z_][\w.]*[(\[{])"  # a call or an index: `get_key(1)`, `keys[0]`
    r"(?![a-z_]\w{0,19}(?:\.[a-z_]\w{0,19}){0,9}\.[a-z_]{1,20}(?![\w.-]))"  # an attribute: `user2.settings.key`
)
_NO_ADDRESS_OR_DATE = r"(?!https?://|\d{4}-\d\d-\d\d(?!\w))"
_WITH_DIGIT = rf"(?=[^\s\"'`{WIDE}]{{0,63}}?\d)"
_NO_PROSE = r"(?![\w'-]{1,40}[,.:;!?]?[ \t]+[a-z])"  # two words with a space between them
# A digit, or 20 characters: a token in quotes is often a word, of a grammar for example.
_NO_WORD = r"(?=[^\s\"'`]{0,63}?\d|[^\s\"'`]{20})"

# One character of a value in quotes. It isn't the quote that opened the value. In JSON that is a text within JSON,
# backslashes are part of the quotes, so `open` has them too.
_QUOTED_CHARACTER = r"(?:(?!(?P=open))(?:\\.|[^\\\r\n]))"
# One character of a value without quotes. The value ends before a quote, an escaped line break (`\n`), and the next
# name of a query or of a connection's settings: `key=a1&page=2`, `password=a1;host=db`.
_BARE_CHARACTER = rf"(?:[^\s\"'`\\&,;{WIDE}]|[&,;](?![\w.-]{{1,64}}=)|\\(?![\\nrt\"'`]))"

# Between the name and the value of an item in a list of headers or fields: `"name": "Authorization", "value": "…"`.
_VALUE_FIELD = r",?(?:\s|\\{1,7}[nr]){0,40}\\{0,7}[\"']?value\\{0,7}[\"']?[ \t]*[:=]"
_ASSIGNMENT = (
    r"\\{0,7}[\"'`]?\]?[ \t]*"  # the end of the name: `"key":`, `headers["key"] =`
    rf"(?:=>|:=|:[ \t]*str[ \t]*=|==?|[:\uff1a]|{_VALUE_FIELD})[ \t]*"
    r"(?:[bfru]{1,2}(?=[\"']))?(?P<open>\\{0,7}(?:\"\"\"|'''|[\"'`]))?"  # the quote, and what Python has before it
)


def _assigned(words: tuple[str, ...], names: str, *, quoted: int, bare: int, condition: str = "") -> Rule:
    """The rule of values that are assigned to `names`, each of which contains one of `words`.

    A value has at least `quoted` characters in quotes, and at least `bare` without. A value in quotes has to meet
    `condition`, a lookahead.
    """
    in_quotes = rf"{_NO_TYPE}{_NO_PLACEHOLDER}{condition}{_QUOTED_CHARACTER}{{{quoted},}}"
    without = (
        rf"{_NO_PLACEHOLDER}{_NO_CODE}{_NO_ADDRESS_OR_DATE}{_WITH_DIGIT}{_BARE_CHARACTER}{{{bare},}}(?<![,;.)\]}}>])"
    )
    pattern = rf"(?P<name>{names}){_ASSIGNMENT}(?P<secret>(?(open){in_quotes}|{without}))"
    return Rule("", pattern, words, folded=True)


_CONDITIONS = {"token": _NO_WORD, "secret": _NO_PROSE, "key": _NO_PROSE}
ASSIGNMENTS = (
    _assigned(("pass", "pwd"), PASSWORD_NAMES, quoted=4, bare=6),
    _assigned(("pass",), PASS_ALONE, quoted=4, bare=6, condition=_NO_PROSE),
    *(
        _assigned((word,), names, quoted=8, bare=8, condition=_CONDITIONS.get(word, ""))
        for word, names in NAMES.items()
    ),
)
# An option of any program, and a value with a digit: `--api-key a1b2c3`. In `--api-key=a1b2c3` it is an assignment.
OPTION = Rule(
    "",
    rf"--[\w-]{{0,24}}?(?P<name>{PASSWORD_NAMES}|{ANY_NAME})[ \t]+(?P<secret>(?=\S{{0,63}}?\d)[^\s\"'`]{{6,}})",
    ("--",),
    folded=True,
)
# An XML element, and a value with a digit: `<db:password>a1b2c3</db:password>`, also in CDATA.
ELEMENT = Rule(
    "",
    rf"<[\w:.-]{{0,24}}?(?P<name>{PASSWORD_NAMES}|{ANY_NAME})(?:\s[^<>]{{0,200}})?>\s{{0,40}}(?:<!\[cdata\[)?"
    r"(?P<secret>(?=[^\s<>]{0,63}?\d)[^\s<>\]]{6,})(?:\]\]>)?\s{0,40}</",
    ("</",),
    folded=True,
)
