"""Looks in entries for a text, or for a pattern of the whole prompt (`clear --match`, `ls --match`), or for words (the panel)."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from nbcache import codec
from nbcache.entry.globs import is_glob, longest_text, matches
from nbcache.entry.records import SEALED_PREVIEW
from nbcache.entry.text import answer_text, asked_text, prompt_text, words
from nbcache.errors import DamagedError
from nbcache.stores.index_words import INSIDE, plain
from nbcache.stores.selection import Shown

# Letters and blanks that are in the JSON of an entry as they are in its text. Between two parts of a text are other signs.
_PHRASE = re.compile("[a-z]+(?: +[a-z]+)*")
_SHORTEST = 3
# What the text of an entry has besides: roles, and what stands for a value that is no text.
_ADDED = ("assistant", "content", "false", "infinity", "message", "none", "null", "system", "tool", "true", "user")
# The arguments of tools are shown with escapes, `\u00e9`, whose end may be taken for the beginning of a word.
_END_OF_ESCAPE = re.compile("u?[0-9a-f]{0,4} *")
# Letters besides `I` and `K` whose lower case has an `i` or a `k`: in JSON as they are, and as escapes.
_SIGNS, _ESCAPES = ("\u0130", "\u212a"), ("\\u0130", "\\u212a")
_OTHERS = re.compile("[a-hjl-z]+")
_LETTERS, _ESCAPE = re.compile("[a-z]+"), rb"\u"
_ELLIPSIS = "\u2026".encode()  # at the end of what a row shows


def search_for(match: str) -> "TextSearch | PromptSearch":
    """The search for what a user typed: a text anywhere in any case, or a pattern of the whole prompt."""
    return PromptSearch(match) if is_glob(match) else TextSearch(match)


class PromptSearch:
    """A search for the prompts that a pattern stands for: the whole prompt, or the last message of a chat."""

    needs_more = True

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self.text = longest_text(pattern).lower()

    def is_in(self, row: Shown, payload: bytes) -> bool:
        """Whether the prompt of this entry matches. Of an entry that can't be read it is the beginning, which its row has."""
        try:
            prompt = codec.read(payload, row.key).header().shown_prompt
        except DamagedError:
            return matches(self._pattern, row.prompt)
        return matches(self._pattern, prompt_text(prompt)) or matches(self._pattern, asked_text(prompt))


class TextSearch:
    """A search for a text in the prompts and the answers of entries, in any case."""

    needs_more = False

    def __init__(self, text: str) -> None:
        self.text = text.lower()
        phrase = max(_PHRASE.findall(self.text), key=len, default="")
        self._in_ascii = _sought(phrase, _ESCAPES)
        self._in_others = _sought(_END_OF_ESCAPE.sub("", phrase, count=1), _ESCAPES + _SIGNS)

    def is_in(self, row: Shown, payload: bytes) -> bool:
        """Whether the text is in this entry. An entry that can't be read is searched as far as its row goes."""
        if row.prompt != SEALED_PREVIEW and (self.text in row.prompt.lower() or self.text in row.answer.lower()):
            return True
        try:
            return self._is_in_payload(codec.read(payload, row.key))
        except DamagedError:
            return False

    def _is_in_payload(self, payload: codec.Payload) -> bool:
        answer, header = payload.written()
        if self._may_be_in(answer) and self.text in answer_text(payload.plain()).lower():
            return True
        return self._may_be_in(header) and self.text in prompt_text(payload.header().shown_prompt).lower()

    def _may_be_in(self, written: bytes) -> bool:
        """Whether the text may be in a part of an entry. To look for a phrase in its JSON takes far less time than to read that."""
        folded = written.lower()
        phrase, letters, like = self._in_ascii if written.isascii() else self._in_others
        return phrase in folded or (letters in folded and any(sign in folded for sign in like))


class WordSearch:
    """A search for entries with words that begin in some ways. `words_of` finds the words of an entry."""

    def __init__(self, beginnings: Iterable[str], words_of: Callable[[bytes, str], Iterable[str]]) -> None:
        self._beginnings, self._words_of = [*beginnings], words_of
        self._letters = [_letters_of(beginning) for beginning in self._beginnings]

    def is_in(self, row: Shown, payload: bytes) -> bool:
        """Whether this entry has such words. An entry that can't be read is searched as far as its row goes."""
        if not self._may_be_in(payload, row.key):
            return False
        return self._are_in(words(f"{row.prompt} {row.answer}")) or self._are_in(self._words_of(payload, row.key))

    def _may_be_in(self, payload: bytes, key: str) -> bool:
        """Whether an entry may have such words, by its JSON: where that has only ASCII, it has the letters of each word."""
        try:
            written = b" ".join(codec.read(payload, key).written())
        except DamagedError:
            return True
        folded = written.lower()
        if all(letters in folded for letters in self._letters) or _ESCAPE in folded:
            return True
        return not folded.isascii() and not folded.replace(_ELLIPSIS, b"").isascii()

    def _are_in(self, found: Iterable[str]) -> bool:
        named = [*map(plain, found)]
        return all(any(word.startswith(beginning) for word in named) for beginning in self._beginnings)


class _Sought(NamedTuple):
    """What is looked for in JSON: a phrase or, where one of the signs `like` is, the letters in it that these aren't like."""

    phrase: bytes
    letters: bytes
    like: Sequence[bytes]


def _sought(phrase: str, like: Sequence[str]) -> _Sought:
    letters = max(_OTHERS.findall(phrase), key=len, default="")
    return _Sought(_needle(phrase), _needle(letters), [sign.encode() for sign in like if set("ik") & set(phrase)])


def _letters_of(beginning: str) -> bytes:
    """Letters that are in the JSON of an entry with a word that begins so: numbers may be written in another way there."""
    if beginning.startswith(INSIDE):
        return beginning.removeprefix(INSIDE).encode()
    return _needle(max(_LETTERS.findall(beginning), key=len, default=""))


def _needle(phrase: str) -> bytes:
    """The phrase, if it can't be what the text of an entry has besides. Else no letters, which are in every text."""
    return b"" if len(phrase) < _SHORTEST or any(phrase in word for word in _ADDED) else phrase.encode()
