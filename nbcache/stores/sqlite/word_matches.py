"""Which entries have certain words: they are looked up in the search index block by block."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice

from nbcache.stores.index_words import plain
from nbcache.stores.sqlite.id_sets import BLOCK, by_block, places_of, unpacked
from nbcache.stores.sqlite.search_index import ALL, LETTERS
from nbcache.stores.sqlite.sql import Execute, text, whole, written

_READ_AT_ONCE = 256  # blocks
_LAST_SIGN = "\U0010ffff"
_RANGE = (  # a look at each end
    "SELECT (SELECT min(block) FROM vocabulary), (SELECT max(block) FROM vocabulary),"
    " (SELECT min(id) FROM fresh) / ?1, (SELECT max(id) FROM fresh) / ?1"
)
_OF_BLOCKS = "SELECT w.block, w.entries FROM json_each(?) b CROSS JOIN word w ON w.block = b.value AND"


def blocks(sql: Execute) -> range:
    """The blocks, the newest first."""
    ends = [whole(end) for end in sql(_RANGE, (BLOCK,)).fetchone()]
    there = [end for end in ends if end is not None]
    return range(max(there), min(there) - 1, -1) if there else range(0)


def entries_with(sql: Execute, some: Sequence[int], condition: str, *values: object) -> dict[int, int]:
    """The entries that have a word for which a condition holds, in each of these blocks that has any."""
    of: dict[int, int] = defaultdict(int)
    for block, entries in sql(f"{_OF_BLOCKS} {condition}", (json.dumps([*some]), *values)):
        of[block] |= unpacked(entries)
    return of


class Matches:
    """The entries with all of `words`: as whole words, or as beginnings of words. They are looked up block by block."""

    def __init__(self, sql: Execute, words: Sequence[str], *, are_whole: bool = False) -> None:
        self._sql, self._are_whole = sql, are_whole
        self._words = sorted({written(plain(word)) for word in words}, key=len, reverse=True)  # long ones are rare
        self._blocks: dict[int, int] = {}
        self._gone, self._fresh = gone(sql), self._of_fresh()

    def __contains__(self, rowid: int) -> bool:
        block, place = divmod(rowid, BLOCK)
        if block not in self._blocks:
            self._blocks[block] = dict(self._of([block])).get(block, 0)
        return bool(self._blocks[block] >> place & 1)

    def __iter__(self) -> Iterator[int]:
        """The rowids, the newest block first."""
        for block, bits in self.blocks():
            start = block * BLOCK
            yield from (start + place for place in places_of(bits))

    def blocks(self) -> Iterator[tuple[int, int]]:
        """The entries of each block that has any, the newest block first."""
        left = iter(blocks(self._sql))
        at_once = 2  # the first few are all that most readers need
        while some := list(islice(left, at_once)):
            yield from self._of(some)
            at_once = min(8 * at_once, _READ_AT_ONCE)

    def _of(self, some: Sequence[int]) -> list[tuple[int, int]]:
        of: dict[int, int] | None = None
        for word in self._words:
            one = self._of_word(some if of is None else [*of], word)
            of = (
                one if of is None else {block: both for block, bits in of.items() if (both := bits & one.get(block, 0))}
            )
            if not of:
                break
        live = {block: bits & ~self._gone.get(block, 0) for block, bits in (of or {}).items()}
        for block in some:
            if block in self._fresh:
                live[block] = live.get(block, 0) | self._fresh[block]
        return sorted(((block, bits) for block, bits in live.items() if bits), reverse=True)

    def _of_fresh(self) -> dict[int, int]:
        """The fresh entries with these words, of each block."""
        of: dict[int, int] = defaultdict(int)
        parts = [f" {word} " if self._are_whole else f" {word}" for word in self._words]
        for rowid, words in self._sql("SELECT id, words FROM fresh JOIN indexed USING (id)"):
            line = f" {text(words)} "
            if all(part in line for part in parts):
                block, place = divmod(rowid, BLOCK)
                of[block] |= 1 << place
        return of

    def _of_word(self, some: Sequence[int], word: str) -> dict[int, int]:
        if self._are_whole or len(word) <= LETTERS:
            return entries_with(self._sql, some, "w.word = ?", word if self._are_whole else word + "*")
        return entries_with(self._sql, some, "w.word >= ? AND w.word < ?", word, word + _LAST_SIGN)


def missing(sql: Execute, before: int, at_most: int) -> tuple[list[int], int]:
    """Find the entries that are not in the index, in the `at_most` newest blocks below the rowid `before`.

    Returns their rowids, and the rowid below which to continue; 0 if there are no more.
    """
    ((first, last),) = sql("SELECT (SELECT min(id) FROM entry), (SELECT max(id) FROM entry WHERE id < ?)", (before,))
    if first is None or last is None:
        return [], 0
    some = range(last // BLOCK, max(last // BLOCK - at_most, first // BLOCK - 1), -1)
    fresh, merged = by_block(sql("SELECT id FROM fresh")), merged_entries(sql, some)
    rowids = [
        block * BLOCK + place
        for block in some
        for place in places_of(others_than(sql, block, merged.get(block, 0) | fresh.get(block, 0)))
    ]
    return [rowid for rowid in rowids if rowid < before], some[-1] * BLOCK if some[-1] > first // BLOCK else 0


def merged_entries(sql: Execute, some: Sequence[int]) -> dict[int, int]:
    """The entries of these blocks that are in the rows of their words."""
    deleted = gone(sql)
    return {block: bits & ~deleted.get(block, 0) for block, bits in entries_with(sql, some, "w.word = ?", ALL).items()}


def others_than(sql: Execute, block: int, indexed: int) -> int:
    """The entries of a block besides those that are indexed."""
    ids = (block * BLOCK, (block + 1) * BLOCK)
    ((entries,),) = sql("SELECT count(*) FROM entry WHERE id >= ? AND id < ?", ids)
    if entries == indexed.bit_count():
        return 0
    return by_block(sql("SELECT id FROM entry WHERE id >= ? AND id < ?", ids)).get(block, 0) & ~indexed


def gone(sql: Execute) -> dict[int, int]:
    """The deleted entries that are not removed from `word` yet, of each block."""
    return by_block(sql("SELECT id FROM unindexed"))
