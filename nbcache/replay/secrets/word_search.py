"""Looks for many words in a text at once."""

import re
from collections.abc import Callable, Iterable

from pydantic_core import SchemaValidator, core_schema

_AT_ONCE = 8  # words: so many are found together in about the time of one


class WordSearch:
    """A search for words.

    `word in text` takes a microsecond for 1,500 characters. The regular expressions of pydantic-core, which are Rust's,
    find one of several words in a tenth of that time.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._words = [*words]
        groups = [self._words[at : at + _AT_ONCE] for at in range(0, len(self._words), _AT_ONCE)]
        self._groups = [(_finds(*group), [(word, _finds(word)) for word in group]) for group in groups]

    def words_in(self, text: str) -> list[str]:
        """The words that are in `text`."""
        if not _is_unicode(text):  # Rust has no such text, and would find nothing in it
            return [word for word in self._words if word in text]
        return [word for finds_one, group in self._groups if finds_one(text) for word, finds in group if finds(text)]


def _finds(*words: str) -> Callable[[str], bool]:
    """A function that tells whether one of the words is in a text."""
    schema = core_schema.str_schema(pattern="|".join(map(re.escape, words)))
    finds: Callable[[str], bool] = SchemaValidator(schema).isinstance_python
    return finds


def _is_unicode(text: str) -> bool:
    """Whether a text has no lone surrogate: half of an emoji."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
