"""Patterns of names, as shells have them: `*` is any text, `?` any sign, `[a-c]` one of these. Upper case is not lower case."""

import re

_SIGNS = re.compile(r"[*?\[]")


def is_glob(text: str) -> bool:
    """Whether `text` has a sign of a pattern."""
    return _SIGNS.search(text) is not None


def matches(pattern: str, text: str) -> bool:
    """Whether `text` is what the pattern stands for, or is the pattern itself: a name may have a `[` in it."""
    from fnmatch import fnmatchcase  # noqa: PLC0415 - no call needs it

    return text == pattern or fnmatchcase(text, pattern)


def longest_text(pattern: str) -> str:
    """The longest text that everything has in it that the pattern stands for."""
    return max(re.split(r"[*?]|\[.*", pattern, flags=re.DOTALL), key=len)
