"""Texts in Base64: found within other texts, and read."""

import base64
import binascii
from collections.abc import Iterator
from typing import NamedTuple

from nbcache.replay.secrets.compiled import compiled
from nbcache.replay.secrets.runs import Signs

_SHORTEST = 24  # signs of what is looked into: no key is shorter in Base64
_HEAD = 64  # signs by which most of what is no text is known
_BASE64 = Signs("+/")
_BREAK = r"(?:\r?\n|\\r\\n|\\n)"  # as it is, or as JSON writes it
# Lines of Base64, as tools break it up, the last of which may be short.
_LINES = (
    rf"(?P<whole>(?P<lines>[A-Za-z0-9+/]{{{_SHORTEST},}}+(?:{_BREAK}[A-Za-z0-9+/]{{{_SHORTEST},}}+)*+)={{0,2}}"
    rf"(?:(?<=[A-Za-z0-9+/]{{60}}){_BREAK}[A-Za-z0-9+/]+={{0,2}})?)(?![A-Za-z0-9_-])"
)
# The first of four signs where the first of three characters is ASCII.
_ASCII = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef")
_CONTROLS = "[\0-\x08\x0b\x0c\x0e-\x1f\x7f]"


class Encoded(NamedTuple):
    """A text that stands in another one in Base64, and where: `start` and `end` of its signs."""

    start: int
    end: int
    text: str


def encoded_texts(text: str) -> Iterator[Encoded]:
    """The texts that are in `text` in Base64, in their order. What is no text there, an image say, is passed over."""
    done = 0
    for start, _ in _BASE64.runs(text, _SHORTEST):
        before = text[start - 1 : start]
        begin = start + (before == "\\" and text[start] in "nrt")  # the sign of an escape
        if start < done or before in {"_", "-"} or not _ASCII.issuperset(text[begin : begin + _SHORTEST - 1 : 4]):
            continue
        if _beginning(text[begin : begin + _HEAD]) is None:
            continue
        lines = compiled(_LINES).match(text, begin)
        for part in ("whole", "lines") if lines else ():  # a word may follow in the next line
            inner = decoded(compiled(_BREAK).sub("", lines[part]))  # type: ignore[index]
            if inner is not None:
                done = lines.end(part)  # type: ignore[union-attr]
                yield Encoded(begin, done, inner)
                break


def _beginning(signs: str) -> str | None:
    """What a beginning says: a sign of UTF-8 may have been cut off."""
    run = compiled("[A-Za-z0-9+/]*").match(signs)
    size = len(run[0]) // 4 * 4 if run else 0
    return next(filter(None, (decoded(signs[: size - 4 * less]) for less in range(3))), None)


def decoded(signs: str) -> str | None:
    """The text that `signs` are in Base64. None if they are no text."""
    try:
        text = base64.b64decode(signs + "=" * (-len(signs) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return None if compiled(_CONTROLS).search(text) else text


def is_login(signs: str) -> bool:
    """Whether this is a user and a password in Base64, as HTTP's Basic authentication has them."""
    user, colon, password = (decoded(signs) or "").partition(":")
    return bool(user and colon and password) and user.isprintable() and password.isprintable()
