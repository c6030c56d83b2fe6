"""Which entries may contain a text, as far as the search index tells: only these are read for `--match`.

A text such as `ar file` contains the word `file` at its end, and a part of a word before it. What is in no word (signs,
letters of some scripts) is left to those who read the entries. So is everything that isn't indexed yet.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nbcache.stores.index_words import FOLDED, UNSURE, plain
from nbcache.stores.sqlite import search_index
from nbcache.stores.sqlite.id_sets import BLOCK, places_of
from nbcache.stores.sqlite.sql import Execute, written
from nbcache.stores.sqlite.word_matches import entries_with, merged_entries, others_than

_AT_ONCE = 64  # blocks
_MOST_WORDS = 2_000  # of a block; with more, all its entries are candidates
# Chinese characters, which are words by themselves; words of scripts whose letters are not put together of several.
_PARTS = re.compile("[\u4e00-\u9fff]|[^\\W_\u0530-\U0010ffff]+")
_BETWEEN_WORDS = re.compile("[\\x00-\\x7f\u4e00-\u9fff]")  # what is certainly no letter of a word beside it
_ONE_WORD = re.compile(r"[^\W_]+")


class Candidates(NamedTuple):
    """Sets of entries in one block: those that contain the text for sure, and others that have to be read."""

    block: int
    sure: int
    others: int

    def rowids(self) -> list[int]:
        """The ids of all of them."""
        return [self.block * BLOCK + place for place in places_of(self.sure | self.others)]


class _Part(NamedTuple):
    """A part of the text: a word, or a part of one. `starts` and `ends` say which ends of the word are in the text."""

    word: str
    starts: bool
    ends: bool


def candidates(sql: Execute, text: str) -> Iterator[Candidates]:
    """The entries of each block that may contain `text`, which is in lower case."""
    ((first, last),) = sql("SELECT (SELECT min(id) FROM entry), (SELECT max(id) FROM entry)")
    if last is None:
        return
    parts = _parts(text)
    is_word = len(parts) == 1 and parts[0].word == text and text.isascii()
    blocks = range(last // BLOCK, first // BLOCK - 1, -1)
    for at in range(0, len(blocks), _AT_ONCE):
        some = blocks[at : at + _AT_ONCE]
        merged, unsure = merged_entries(sql, some), entries_with(sql, some, "w.word = ?", UNSURE)
        with_text, is_sure = _with_parts(sql, some, parts, merged)
        folded = entries_with(sql, some, "w.word = ?", FOLDED) if is_word and is_sure else {}
        for block in some:
            indexed = merged.get(block, 0)
            bits, doubtful = with_text.get(block, 0), unsure.get(block, 0)
            sure = bits & indexed & ~doubtful & ~folded.get(block, 0) if is_word and is_sure else 0
            others = (bits | doubtful) & indexed & ~sure | others_than(sql, block, indexed)
            if sure or others:
                yield Candidates(block, sure, others)


def _parts(text: str) -> list[_Part]:
    parts = []
    for match in _PARTS.finditer(text):
        folded = unicodedata.normalize("NFKC", match[0]).casefold()
        if _ONE_WORD.fullmatch(folded):
            word = plain(folded)
            is_sign = "\u4e00" <= word <= "\u9fff"
            before, after = text[: match.start()][-1:], text[match.end() :][:1]
            starts, ends = (is_sign or _BETWEEN_WORDS.fullmatch(char) is not None for char in (before, after))
            parts.append(_Part(written(word), starts, ends))
    return sorted(parts, key=lambda part: (not part.starts, -len(part.word)))  # the cheapest first


def _with_parts(
    sql: Execute, blocks: Sequence[int], parts: Sequence[_Part], merged: dict[int, int]
) -> tuple[dict[int, int], bool]:
    """The entries of each block whose words have all these parts; and whether no more than those."""
    of, is_exact = merged, True
    for part in parts:
        left = [block for block in blocks if of.get(block)]
        if part.starts and part.ends:
            one = entries_with(sql, left, "w.word = ?", part.word)
        elif part.starts:
            one = entries_with(sql, left, "w.word >= ? AND w.word < ?", part.word, f"{part.word}\U0010ffff")
        else:
            one = {}
            for block in left:
                found = _words_with(f"{part.word} " if part.ends else part.word, search_index.vocabulary(sql, block))
                if len(found) > _MOST_WORDS:
                    one[block], is_exact = merged[block], False
                elif found:
                    condition = "w.word IN (SELECT value FROM json_each(?))"
                    one |= entries_with(sql, [block], condition, json.dumps(found))
        of = {block: both for block, bits in of.items() if (both := bits & one.get(block, 0))}
    return of, is_exact


def _words_with(part: str, words: str) -> list[str]:
    """The words that contain a part of a word; at its end, if that has a blank. The words are between blanks."""
    found = []
    at = words.find(part)
    while at >= 0:
        end = words.index(" ", at + 1)
        found.append(words[words.rindex(" ", 0, at) + 1 : end])
        at = words.find(part, end)
    return found
