"""The words by which an entry is found, in every store that can be searched, and the marks beside them."""

import re
import time
import unicodedata
from contextlib import suppress
from typing import TYPE_CHECKING

from nbcache import codec

if TYPE_CHECKING:
    from nbcache.stores.base import Searchable

_AT_ONCE = 20  # entries indexed in one transaction, for which an update may have to wait
# Marks beside the words of an entry. With the first, the entry may contain what its words don't. With the second, its text
# may be written in other letters than its words.
UNSURE, FOLDED = "?", "~"
# Begins the words that stand for the calls inside of a function. It is in no word of a text, and no part of a word is looked for
# in these.
INSIDE = ">"
_DIGITS = 16  # of a key that such a word has: whoever looks for it reads the entry
_ACCENTS = re.compile("[\u0300-\u036f]+")  # once a letter is taken apart


def words_of(payload: bytes, key: str) -> set[str]:
    """The words by which an entry is found, of its prompt and its answer; and marks for what its words don't tell.

    The entry of a function has a word for each call inside, too.
    """
    from nbcache.entry.text import answer_text, prompt_text  # noqa: PLC0415 - only new entries have to be read

    try:
        whole = codec.read(payload, key)
        header = whole.header()
        texts = (
            (prompt_text(header.shown_prompt), header.meta.prompt),
            (answer_text(whole.plain()), header.meta.answer),
        )
        inside = {word_of_key(call.key) for call in header.calls or () if call.key is not None}
        return inside.union(*(_words_and_marks(text, preview) for text, preview in texts))
    except Exception:  # noqa: BLE001 - one such entry must not keep the others from being found
        return {UNSURE}


def _words_and_marks(text: str, preview: str) -> set[str]:
    from nbcache.entry.text import has_other_words, is_folded, words  # noqa: PLC0415 - as above

    found = words(text)
    shown = preview.removesuffix("…")
    is_shown = shown in text or shown in " ".join(text.split())
    marks = {UNSURE} if has_other_words(text, found) or not is_shown else set()
    return found | marks | ({FOLDED} if is_folded(text, found) else set())


def index_new_entries(store: "Searchable", within: float | None = None) -> None:
    """Index the words of new entries, for at most `within` seconds. Never raises."""
    ends = None if within is None else time.monotonic() + within
    with suppress(Exception):  # where nothing can be written, what is indexed is found; the next call tries again
        while store.index(words_of, _AT_ONCE):
            if ends is not None and time.monotonic() > ends:
                return


def word_of_key(key: str) -> str:
    """The word of a function's entry that stands for the call `key` inside."""
    return INSIDE + key[:_DIGITS]


def plain(word: str) -> str:
    """A word without accents."""
    if word.isascii():
        return word
    return unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", word)))
