"""The search index: which words are in which entry. It is filled in the background, after entries are stored.

A row of `word` has the entries of one block with one word: of 256 ids in a row, a byte for each. So new entries change the
last block alone, and a deleted one is removed from its own, however many blocks there are. Beginnings of one and two letters
have rows, too, with `*`; of longer ones all words are read.

`indexed` has the words of an entry, sorted, so that no sentence can be read from it. When the entry is deleted, a trigger
moves them to `unindexed`. `purge` removes the entry from the rows of these words, and SQLite overwrites what is removed.
"""

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from nbcache.stores.sqlite.sql import Execute, text, whole, written

_BLOCK = 256  # ids: the place of one in its block is a byte
_READ_AT_ONCE = 256  # blocks
_LETTERS = 2  # of the longest beginning that has a row
_LAST_SIGN = "\U0010ffff"
_GONE = (
    "INSERT INTO unindexed (id, words) SELECT id, words FROM indexed WHERE id = OLD.rowid;"
    " DELETE FROM indexed WHERE id = OLD.rowid; END"
)
STATEMENTS = (
    "CREATE TABLE word (block INTEGER, word TEXT, entries BLOB, PRIMARY KEY (block, word)) WITHOUT ROWID",
    "CREATE TABLE indexed (id INTEGER PRIMARY KEY, words TEXT)",
    "CREATE TABLE unindexed (number INTEGER PRIMARY KEY, id INTEGER, words TEXT)",
    "CREATE INDEX unindexed_id ON unindexed (id)",
    f"CREATE TRIGGER indexed_gone AFTER DELETE ON Cache BEGIN {_GONE}",
    # An entry that gets another key keeps its words.
    f"CREATE TRIGGER indexed_changed AFTER UPDATE OF value ON Cache WHEN OLD.key = NEW.key BEGIN {_GONE}",
)
_ADD = (
    "INSERT INTO word (block, word, entries) VALUES (?, ?, ?) ON CONFLICT (block, word)"
    " DO UPDATE SET entries = CAST(entries || excluded.entries AS BLOB)"
)
_RANGE = "SELECT (SELECT min(id) FROM indexed), (SELECT max(id) FROM indexed)"  # a look at either end
_OF_BLOCKS = "SELECT w.block, w.entries FROM json_each(?) b CROSS JOIN word w ON w.block = b.value AND"
_MARKS = re.compile("[\u0300-\u036f]+")  # accents, once a letter is taken apart
_IS_THERE = "EXISTS (SELECT 1 FROM indexed WHERE id = {})"
_BETWEEN = "id >= ? AND id < ?"


def make(sql: Execute) -> None:
    """Make the tables that are not there. Within a transaction."""
    there = {name for (name,) in sql("SELECT name FROM sqlite_master")}
    for statement in STATEMENTS:
        if statement.split()[2] not in there:
            sql(statement)


def is_filled(sql: Execute) -> bool:
    """Whether any entry is in the index."""
    return sql("SELECT 1 FROM indexed LIMIT 1").fetchone() is not None


def missing(sql: Execute, before: int, at_most: int) -> tuple[list[int], int]:
    """Find the entries that are not in the index, among the `at_most` newest below the rowid `before`.

    Returns their rowids, and the rowid below which to continue; 0 if there are no more.
    """
    looked = sql(
        f"SELECT id, {_IS_THERE.format('entry.id')} FROM entry WHERE id < ? ORDER BY id DESC LIMIT ?", (before, at_most)
    ).fetchall()
    return [rowid for rowid, is_there in looked if not is_there], looked[-1][0] if len(looked) == at_most else 0


def unindexed(sql: Execute, rowid: int) -> tuple[str, bytes] | None:
    """The key and the payload of an entry. None if it was deleted, or another process has indexed it."""
    row: tuple[str, bytes] | None = sql(
        f"SELECT key, value FROM Cache WHERE rowid = ?1 AND NOT {_IS_THERE.format('?1')}", (rowid,)
    ).fetchone()
    return row


def add(sql: Execute, entries: Iterable[tuple[int, Iterable[str]]]) -> None:
    """Put entries that are not in the index into it, by their rowids, with their words. Within a transaction."""
    lines = [(rowid, written(" ".join(sorted(set(map(_plain, words)))))) for rowid, words in entries]
    for line in lines:
        sql("INSERT INTO indexed (id, words) VALUES (?, ?)", line)
    _write(sql, lines)


def is_purged(sql: Execute) -> bool:
    """Whether no words of deleted entries are left."""
    return sql("SELECT 1 FROM unindexed LIMIT 1").fetchone() is None


def purge(sql: Execute) -> bool:
    """Remove deleted entries of one block from the index, with their words. Returns whether there were any.

    Within a transaction.
    """
    row = sql("SELECT id FROM unindexed LIMIT 1").fetchone()
    if row is not None:
        _purge_block(sql, (whole(row[0]) or 0) // _BLOCK)
        sql("DELETE FROM unindexed WHERE typeof(id) != 'integer' AND id IS ?", row)
    return row is not None


def purge_earlier(sql: Execute, rowids: Iterable[int]) -> None:
    """Remove deleted entries whose ids new entries may have. Within a transaction."""
    for block in {rowid // _BLOCK for rowid in rowids}:
        _purge_block(sql, block)


def _purge_block(sql: Execute, block: int) -> None:
    ids = (block * _BLOCK, (block + 1) * _BLOCK)
    gone = sql(f"SELECT id, words FROM unindexed WHERE {_BETWEEN}", ids).fetchall()
    if not gone:
        return
    left = sql(f"SELECT id, words FROM indexed WHERE {_BETWEEN}", ids).fetchall()
    if len(left) < len(gone):  # it is quicker to write the block anew
        sql("DELETE FROM word WHERE block = ?", (block,))
        _write(sql, ((rowid, text(words)) for rowid, words in left))
    else:
        for (_, word), places in _by_word((rowid, text(words)) for rowid, words in gone).items():
            row = sql("SELECT entries FROM word WHERE block = ? AND word = ?", (block, word)).fetchone()
            if row is not None and (others := _places(row[0]).translate(None, delete=bytes(places))):
                sql("UPDATE word SET entries = ? WHERE block = ? AND word = ?", (others, block, word))
            else:
                sql("DELETE FROM word WHERE block = ? AND word = ?", (block, word))
    sql(f"DELETE FROM unindexed WHERE {_BETWEEN}", ids)


def _write(sql: Execute, lines: Iterable[tuple[int, str]]) -> None:
    """Write entries into the rows of their words, which are in a line."""
    for (block, word), places in sorted(_by_word(lines).items()):  # the order in which SQLite fills its pages best
        sql(_ADD, (block, word, bytes(places)))


def _by_word(lines: Iterable[tuple[int, str]]) -> dict[tuple[int, str], list[int]]:
    """The places of entries, by block and word."""
    places = defaultdict(list)
    for rowid, line in lines:
        block, place = divmod(rowid, _BLOCK)
        for word in _with_beginnings(line.split()):
            places[block, word].append(place)
    return places


class Matches:
    """The entries with all of `words`: as whole words, or as beginnings of words. Their rowids are looked up block by block."""

    def __init__(self, sql: Execute, words: Sequence[str], *, are_whole: bool = False) -> None:
        self._sql, self._are_whole = sql, are_whole
        self._words = sorted({written(_plain(word)) for word in words}, key=len, reverse=True)  # long ones are rare
        self._blocks: dict[int, set[int]] = {}
        self._gone = {rowid for (rowid,) in sql("SELECT id FROM unindexed")}  # not removed from `word` yet

    def __contains__(self, rowid: int) -> bool:
        block, place = divmod(rowid, _BLOCK)
        if block not in self._blocks:
            self._blocks[block] = self._read([block]).get(block, set())
        return place in self._blocks[block] and rowid not in self._gone

    def __iter__(self) -> Iterator[int]:
        """The rowids, the newest block first."""
        ((first, last),) = self._sql(_RANGE)
        blocks = iter(range((whole(last) or 0) // _BLOCK, (whole(first) or 0) // _BLOCK - 1, -1))
        at_once = 4  # the first few are all that most readers need
        while some := list(islice(blocks, at_once)):
            for block, places in sorted(self._read(some).items(), reverse=True):
                start = block * _BLOCK
                yield from (start + place for place in places if start + place not in self._gone)
            at_once = min(4 * at_once, _READ_AT_ONCE)

    def _read(self, blocks: Sequence[int]) -> dict[int, set[int]]:
        """The places of the matches in each of these blocks, where there are any."""
        of: dict[int, set[int]] | None = None
        for word in self._words:
            some = self._of_word(list(of or blocks), word)
            of = some if of is None else {block: both for block in some if (both := of[block] & some[block])}
            if not of:
                break
        return of or {}

    def _of_word(self, blocks: Sequence[int], word: str) -> dict[int, set[int]]:
        values = [json.dumps(blocks), word]
        if self._are_whole or len(word) <= _LETTERS:
            values[1] += "" if self._are_whole else "*"
            rows = self._sql(f"{_OF_BLOCKS} w.word = ?", values)
        else:
            rows = self._sql(f"{_OF_BLOCKS} w.word >= ? AND w.word < ?", (*values, word + _LAST_SIGN))
        of: dict[int, set[int]] = {}
        for block, entries in rows:
            of.setdefault(block, set()).update(_places(entries))
        return of


def _plain(word: str) -> str:
    """A word without accents."""
    if word.isascii():
        return word
    return unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFD", word)))


def _with_beginnings(words: Iterable[str]) -> set[str]:
    """The words, and their beginnings that have rows."""
    names = set(words)
    for length in range(1, _LETTERS + 1):
        names |= {f"{word[:length]}*" for word in words if len(word) >= length}
    return names


def _places(entries: object) -> bytes:
    """The places in a row, in which there may be anything."""
    return entries if isinstance(entries, bytes) else b""
