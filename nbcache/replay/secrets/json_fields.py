"""Which values of a JSON document are secrets by the names beside them.

In an object the name is a field's (`"password": "…"`), or that of an item (`{"name": "Authorization", "value": "…"}`).
In a list of two texts, the name is the first (`["api-key", "…"]`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from nbcache.replay.secrets.compiled import compiled
from nbcache.replay.secrets.encoded import is_login
from nbcache.replay.secrets.secret_names import TYPE_WORDS, secret_word

_ITEM_NAMES = ("name", "key", "header")  # the fields that name an item
_USER_NAMES = frozenset({"user", "username", "user_name", "login", "email", "account", "uid", "host"})
_PAIR = 2
# The second text of a pair is a secret if it has a scheme (`Bearer …`), a digit and 8 characters, or 20 characters:
# `["token", "word"]` may be any list of words.
_VALUE_OF_PAIR = r"(?i:basic|bearer|token|digest|apikey) \S|(?=\S{8})\S*\d|\S{20}"
# A word of at least 8 characters with a letter and a digit, or of at least 20 of any kind.
_LOOKS_RANDOM = r"(?=\S{0,200}?\d)(?=\S{0,200}?[A-Za-z])\S{8}|\S{20}"
_PROSE = r"[A-Za-z_.,:;'()! -]*"


def is_secret_value(name: str, word: str, text: str, *, is_item: bool, has_user: bool = False) -> bool:
    """Whether `text` beside the name of a secret is a secret, rather than a type, a word or prose.

    Args:
        name: the name, in lower case.
        word: the end of it that `secret_word` returns.
        text: the value.
        is_item: whether it is an item of a list. Under `password`, lists hold messages too: what is wrong with a password.
        has_user: whether the name of a user stands beside it. Then `pass` is a password.
    """
    if text.lower() in TYPE_WORDS:
        return False
    if word == "auth":
        return is_login(text)
    if name == "token" or (
        name == "pass" and not has_user
    ):  # a token may be a word of a text, and `pass` what has passed
        return compiled(_LOOKS_RANDOM).match(text) is not None
    return not is_item or word in {"authorization", "cookie"} or compiled(_PROSE).fullmatch(text) is None


def is_secret_pair(value: Sequence[Any]) -> bool:
    """Whether this list is the name of a secret and its value."""
    if len(value) != _PAIR or not isinstance(value[0], str) or not isinstance(value[1], str):
        return False
    word = secret_word(value[0])
    return word is not None and word != "auth" and compiled(_VALUE_OF_PAIR).match(value[1]) is not None


def name_of_item(value: Mapping[Any, Any]) -> str | None:
    """Return the name that an object gives to its `value`, if it is the name of a secret. Otherwise None."""
    if "value" not in value:
        return None
    names = (value[field] for field in _ITEM_NAMES if isinstance(value.get(field), str))
    return next((name for name in names if secret_word(name)), None)


def has_user(value: Mapping[Any, Any]) -> bool:
    """Whether the name of a user or a host is among an object's fields."""
    return not _USER_NAMES.isdisjoint(value)
