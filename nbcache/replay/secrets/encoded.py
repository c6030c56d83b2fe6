"""Finds texts that stand in Base64 within other texts, and reads them."""

import base64
from collections.abc import Iterator
from typing import NamedTuple

from nbcache.replay.secrets.compiled import compiled
from nbcache.replay.secrets.runs import Characters

_SHORTEST = 24  # characters; no key is shorter in Base64
_HEAD = (
    64  # characters that are read first: they show that most of what looks like Base64, such as an image, is no text
)
_BASE64 = Characters("+/")
_LINE_BREAK = r"(?:\r?\n|\\r\\n|\\n)"  # as it is, or escaped in JSON
# Base64 in one line or in several, as tools break it. The group `lines` has the lines of at least 24 characters. The
# group `whole` has, besides, the `=` at the end or a shorter last line.
_LINES = (
    rf"(?P<whole>(?P<lines>[A-Za-z0-9+/]{{{_SHORTEST},}}+(?:{_LINE_BREAK}[A-Za-z0-9+/]{{{_SHORTEST},}}+)*+)={{0,2}}"
    rf"(?:(?<=[A-Za-z0-9+/]{{60}}){_LINE_BREAK}[A-Za-z0-9+/]+={{0,2}})?)(?![A-Za-z0-9_-])"
)
# Base64 writes three bytes as four characters. If the first byte is ASCII, the first character is one of these.
_ASCII_FIRST = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef")
_CONTROL_CHARACTERS = "[\0-\x08\x0b\x0c\x0e-\x1f\x7f]"


class Encoded(NamedTuple):
    """A text that stands in Base64 in another one, and where its Base64 starts and ends there."""

    start: int
    end: int
    text: str


def encoded_texts(text: str) -> Iterator[Encoded]:
    """Yield the texts that stand in Base64 in `text`, in their order. Images and other data that are no text are left out."""
    done = 0
    for run_start, _ in _BASE64.runs(text, _SHORTEST):
        before = text[run_start - 1 : run_start]
        start = run_start + (before == "\\" and text[run_start] in "nrt")  # the letter of an escape, `\n`
        first_characters = text[start : start + _SHORTEST - 1 : 4]
        if run_start < done or before in {"_", "-"} or not _ASCII_FIRST.issuperset(first_characters):
            continue
        if _decoded_beginning(text[start : start + _HEAD]) is None:
            continue
        lines = compiled(_LINES).match(text, start)
        for part in (
            ("whole", "lines") if lines else ()
        ):  # what looks like a shorter last line may be a word of the text
            inner = decoded(compiled(_LINE_BREAK).sub("", lines[part]))  # type: ignore[index]
            if inner is not None:
                done = lines.end(part)  # type: ignore[union-attr]
                yield Encoded(start, done, inner)
                break


def _decoded_beginning(characters: str) -> str | None:
    """The text of the Base64 at the beginning of `characters`. None if it is no text.

    Up to two groups of four are left out at the end, since a character of several bytes may have been cut off there.
    """
    run = compiled("[A-Za-z0-9+/]*").match(characters)
    size = len(run[0]) // 4 * 4 if run else 0
    return next(filter(None, (decoded(characters[: size - 4 * less]) for less in range(3))), None)


def decoded(characters: str) -> str | None:
    """Return the text that `characters` are in Base64. None if they are no Base64, or no text."""
    try:
        text = base64.b64decode(characters + "=" * (-len(characters) % 4), validate=True).decode()
    except ValueError:  # binascii's and Unicode's errors are
        return None
    return None if compiled(_CONTROL_CHARACTERS).search(text) else text


def is_login(characters: str) -> bool:
    """Whether this is a user and a password in Base64, as HTTP's Basic authentication has them: `me:sesame`."""
    user, colon, password = (decoded(characters) or "").partition(":")
    return bool(user and colon and password) and user.isprintable() and password.isprintable()
