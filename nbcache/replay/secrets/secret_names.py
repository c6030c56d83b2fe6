"""The names of secrets: of fields, variables, headers, options and XML elements whose values are secrets.

To add a name, such as `passcode`, write it as a line into NAMES. Then it is recognised in JSON (`"passcode": "…"`) and
in texts (`passcode=…`, `--passcode …`, `<passcode>…</passcode>`), also as the end of a longer name (`db_passcode`).

The names for keys of the cache are other lists, with other rules: `nbcache/keys/credential_names.py`.
"""

import functools
import re

from nbcache.replay.secrets.compiled import compiled

# Not each key is a secret: `primary_key` is none, and `api_key` is. The word before `key` decides.
_KEY_QUALIFIERS = (
    *("access", "account", "api", "auth", "encryption", "master", "private", "secret", "signing", "subscription"),
)
_SECRET_KEY = "key(?:" + "|".join(f"(?<={word}key)|(?<={word}[-_ ]key)" for word in _KEY_QUALIFIERS) + ")"
# Not each token is a secret either: `eos_token` is a word to a model, and `next_token` a page of a list. A lookbehind
# of re has a fixed length, so only words of the same length share one.
_HARMLESS_TOKENS = (
    "bos|cls|end|eos|eot|max|min|new|num|pad|per|sep|unk",
    "last|mask|next|page|stop",
    "first|image|start",
)
_SECRET_TOKEN = "token" + "".join(f"(?<!(?:{words})[-_]token)" for words in _HARMLESS_TOKENS)

# Each name of a secret, besides those of passwords: a word that is always part of it, and the pattern of its end, in
# lower case.
NAMES = {
    "authorization": "authorization",
    "cookie": "cookie",
    "secret": "secret",
    "key": _SECRET_KEY,
    "token": _SECRET_TOKEN,
}
ANY_NAME = "|".join(NAMES.values())

# The names of passwords in a text: `password`, `passwd`, `passphrase`, `db_pass`, `pwd`. But `mypwd` isn't one, and
# neither is `PWD=/home/me`, a folder.
PASSWORD_NAMES = r"pass(?:word|wd|phrase|(?<=[_-]pass))|pwd(?<![a-z]pwd)(?![ \t]*[=:][ \t]*[\"']?[/~])"  # noqa: S105 - names, no password
# `pass` alone, before a quote or `=`. `PASS: it_works` is what tests print.
PASS_ALONE = r"pass(?<![a-z_-]pass)(?=\\{0,7}[\"'`]|[ \t]*=)"  # noqa: S105 - a name, no password

# The end of a field's name in JSON, where the place needs no check: NAMES, the names of passwords, `auth` alone
# (in the settings of Docker), and the plural of some (`api_keys`).
_END_OF_NAME = (
    rf"(?P<one>{ANY_NAME}|pass(?:word|wd|phrase|(?<![a-z]pass))|pwd|auth(?<![a-z]auth))\Z"
    r"|(?P<several>password|cookie|secret|key(?<=api[-_]key))s\Z"
)
# What a secret is called in reports, by the end of its name. Each other one is a password.
_KINDS = {
    "authorization": "an Authorization header",
    "cookie": "a cookie",
    "key": "a key",
    "secret": "a secret",
    "token": "a token",
}

# Values that are no secrets. Schemas and signatures have them in the place of one: `"password": "string"`.
TYPE_WORDS = (
    *("string", "text", "password", "secret", "optional", "required", "str", "bytes", "secretstr", "varchar", "char"),
    *("none", "null", "undefined", "true", "false", "any", "unknown", "boolean", "bool", "int", "number"),
)


@functools.lru_cache(maxsize=4_096)
def secret_word(name: str) -> str | None:
    """Return the end of `name` that makes its value a secret: `password` of `db_password`. None if there is no such end."""
    match = compiled(_END_OF_NAME, re.ASCII).search(name.lower())
    return None if match is None else match["one"] or match["several"]


def kind_by_name(name: str) -> str:
    """What a secret of this name is called in reports."""
    return next((kind for word, kind in _KINDS.items() if name.endswith(word)), "a password")
