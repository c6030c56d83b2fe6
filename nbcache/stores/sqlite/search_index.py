"""The search index: which words are in which entry. It is filled in the background, after entries are stored.

A row of `word` has the entries of one block with one word. So new entries change the last block alone, and a deleted one is
removed from its own, however many blocks there are. Beginnings of up to two letters have rows, too, with `*`; that of no
letter has all entries of the block. Of longer beginnings all words are read. `vocabulary` has the words of a block in one
line, in which parts of words are looked for.

`indexed` has the words of an entry, sorted, so that no sentence can be read from it. A new entry is in `fresh` at first: its
words are looked for in this line, and `merge` puts some hundred entries into the rows of their words at once. When an entry
is deleted, a trigger moves its words to `unindexed`. `purge` removes it from the rows of these words, and SQLite overwrites
what is removed.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence

from nbcache.stores.index_words import INSIDE, plain
from nbcache.stores.sqlite import id_sets
from nbcache.stores.sqlite.id_sets import BLOCK, joined
from nbcache.stores.sqlite.sql import Execute, text, whole, written

MERGED_AT_ONCE = 100  # entries: a common word's row is written once for all, and nobody waits for long to write
_PURGED_AT_ONCE = 500  # entries of one block: some tens of milliseconds
LETTERS = 2  # of the longest beginning that has a row
ALL = "*"  # the beginning of no letter
_GONE = (
    "INSERT INTO unindexed (id, words) SELECT id, words FROM indexed WHERE id = OLD.rowid;"
    " DELETE FROM indexed WHERE id = OLD.rowid; END"
)
_ON_CHANGE = "CREATE TRIGGER indexed_changed AFTER UPDATE OF value ON Cache WHEN OLD.key = NEW.key"
OF_VERSION_6 = (f"{_ON_CHANGE} BEGIN {_GONE}",)
STATEMENTS = (
    "CREATE TABLE word (block INTEGER, word TEXT, entries BLOB, PRIMARY KEY (block, word)) WITHOUT ROWID",
    "CREATE TABLE vocabulary (block INTEGER PRIMARY KEY, words TEXT)",
    "CREATE TABLE indexed (id INTEGER PRIMARY KEY, words TEXT)",
    "CREATE TABLE fresh (id INTEGER PRIMARY KEY)",
    "CREATE TABLE unindexed (number INTEGER PRIMARY KEY, id INTEGER, words TEXT)",
    "CREATE INDEX unindexed_id ON unindexed (id)",
    f"CREATE TRIGGER indexed_gone AFTER DELETE ON Cache BEGIN {_GONE}",
    # An entry that gets another key keeps its words; so does one that gets other tags, which `access_count` counts: nothing else
    # uses this column of diskcache's.
    f"{_ON_CHANGE} AND OLD.access_count IS NEW.access_count BEGIN {_GONE}",
    "CREATE TRIGGER fresh_gone AFTER DELETE ON indexed BEGIN DELETE FROM fresh WHERE id = OLD.id; END",
)
_OF_WORDS = "SELECT word, entries FROM word WHERE block = ? AND word IN (SELECT value FROM json_each(?))"
_PUT = "INSERT INTO word VALUES (?, ?, ?) ON CONFLICT (block, word) DO UPDATE SET entries = excluded.entries"
# Many words at once, of which the sets are as long. One statement leaves the interpreter to other threads.
_SETS = "INSERT INTO word SELECT ?1, value, substr(?2, 1 + key * ?4, ?4) FROM json_each(?3) WHERE true ON CONFLICT (block, word)"
_PUT_SETS = f"{_SETS} DO UPDATE SET entries = excluded.entries"
_PUT_LISTS = f"{_SETS} DO UPDATE SET entries = CAST(entries || excluded.entries AS BLOB)"  # their rows stay lists
_OTHERS = f"{_OF_WORDS} AND NOT (typeof(entries) = 'blob' AND length(entries) + ? < {id_sets.BYTES})"
_NEW_WORDS = (
    "SELECT json_group_array(value) FROM json_each(?2)"
    " WHERE NOT EXISTS (SELECT 1 FROM word WHERE block = ?1 AND word = value)"
)
_UNINDEXED = (
    "SELECT rowid, key, value FROM Cache WHERE rowid IN (SELECT value FROM json_each(?))"
    " AND NOT EXISTS (SELECT 1 FROM indexed WHERE id = Cache.rowid)"
)
_BETWEEN = "id >= ? AND id < ?"


def make(sql: Execute) -> None:
    """Make the tables that are not there. Within a transaction."""
    there = {name for (name,) in sql("SELECT name FROM sqlite_master")}
    if "word" in there and "vocabulary" not in there:  # it has other blocks
        sql("DROP TABLE word")
        sql("DELETE FROM indexed")
        there.remove("word")
    if "indexed_changed" in there:
        sql("DROP TRIGGER indexed_changed")  # that of an earlier version
        there.remove("indexed_changed")
    for statement in STATEMENTS:
        if statement.split()[2] not in there:
            sql(statement)


def is_filled(sql: Execute) -> bool:
    """Whether any entry is in the index."""
    return sql("SELECT 1 FROM indexed LIMIT 1").fetchone() is not None


def unindexed(sql: Execute, rowids: Iterable[int]) -> dict[int, tuple[str, bytes]]:
    """The keys and the payloads of these entries, by rowid, without those that were deleted or are indexed."""
    return {rowid: (key, value) for rowid, key, value in sql(_UNINDEXED, (json.dumps([*rowids]),)).fetchall()}


def line_of(words: Iterable[str]) -> str:
    """The words of an entry, as `add` writes them."""
    words = sorted(set(words))
    line = " ".join(words)
    return line if line.isascii() else written(" ".join(sorted(set(map(plain, words)))))


def add(sql: Execute, lines: dict[int, str]) -> None:
    """Put entries that are not in the index into it: the lines of their words, by rowid. Within a transaction."""
    rows = json.dumps([*lines.items()])
    sql(
        "INSERT INTO indexed SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)", (rows,)
    )
    sql("INSERT INTO fresh SELECT value FROM json_each(?)", (json.dumps([*lines]),))


def has_many_fresh(sql: Execute) -> bool:
    """Whether so many entries are fresh that some should be merged."""
    return sql("SELECT 1 FROM fresh LIMIT 1 OFFSET ?", (MERGED_AT_ONCE - 1,)).fetchone() is not None


def merge(sql: Execute) -> None:
    """Put fresh entries of one block into the rows of their words. Within a transaction."""
    sql("DELETE FROM fresh WHERE id NOT IN (SELECT id FROM indexed)")
    most = "SELECT id / ? AS block FROM fresh GROUP BY block ORDER BY count(*) DESC LIMIT 1"
    for (block,) in sql(most, (BLOCK,)).fetchall():
        ids = (block * BLOCK, (block + 1) * BLOCK, MERGED_AT_ONCE)
        lines = sql(f"SELECT id, words FROM fresh JOIN indexed USING (id) WHERE {_BETWEEN} LIMIT ?", ids).fetchall()
        for of_block, of_word in _by_block((rowid, text(words)) for rowid, words in lines).items():
            _add(sql, of_block, of_word)
        merged = json.dumps([rowid for rowid, _ in lines])
        sql("DELETE FROM fresh WHERE id IN (SELECT value FROM json_each(?))", (merged,))


def is_purged(sql: Execute) -> bool:
    """Whether no words of deleted entries are left."""
    return sql("SELECT 1 FROM unindexed LIMIT 1").fetchone() is None


def purge(sql: Execute) -> bool:
    """Remove some deleted entries of one block from the index, with their words. Returns whether there were any.

    Within a transaction.
    """
    row = sql("SELECT id FROM unindexed LIMIT 1").fetchone()
    if row is None:
        return False
    block = (whole(row[0]) or 0) // BLOCK
    ids = (block * BLOCK, (block + 1) * BLOCK)
    if sql(f"SELECT 1 FROM indexed WHERE {_BETWEEN} LIMIT 1", ids).fetchone() is None:  # all of it is gone
        for table in ("word", "vocabulary"):
            sql(f"DELETE FROM {table} WHERE block = ?", (block,))
        sql(f"DELETE FROM unindexed WHERE {_BETWEEN}", ids)
    else:
        _purge(sql, f"{_BETWEEN} LIMIT {_PURGED_AT_ONCE}", ids)
    sql("DELETE FROM unindexed WHERE typeof(id) != 'integer' AND id IS ?", row)
    return True


def purge_earlier(sql: Execute, rowids: Iterable[int]) -> None:
    """Remove deleted entries whose ids new entries have. Within a transaction."""
    _purge(sql, "id IN (SELECT value FROM json_each(?))", (json.dumps([*rowids]),))


def _purge(sql: Execute, which: str, values: tuple[object, ...]) -> None:
    """Remove these deleted entries from the rows of their words. A word that no entry of the block has any more goes."""
    gone = sql(f"SELECT number, id, words FROM unindexed WHERE {which}", values).fetchall()
    lines_by_block = _lines_by_block((rowid, text(words)) for _, rowid, words in gone)
    for block, lines in lines_by_block.items():
        _purge_block(sql, block, {place for place, _ in lines}, {word for _, line in lines for word in line.split()})
    numbers = json.dumps([number for number, _, _ in gone])
    sql("DELETE FROM unindexed WHERE number IN (SELECT value FROM json_each(?))", (numbers,))


def _purge_block(sql: Execute, block: int, places: set[int], words: set[str]) -> None:
    """Remove the entries at these places, which have these words among them."""
    heads = {f"{word[:length]}*" for word in words for length in range(1, min(LETTERS, len(word)) + 1)}
    gone, lost = id_sets.bits_of(places), set[str]()
    left: dict[int, dict[str, bytes]] = defaultdict(dict)  # by the length of the set in the file
    for word, entries in sql(_OF_WORDS, (block, json.dumps(sorted(words | heads | {ALL})))).fetchall():
        others = id_sets.without(entries, places, gone)
        if not others:
            lost.add(word)
        elif others != entries:
            left[len(others)][word] = others
    for length, sets in left.items():
        sql(_PUT_SETS, (block, b"".join(sets.values()), json.dumps([*sets]), length))
    if lost:
        sql(
            "DELETE FROM word WHERE block = ? AND word IN (SELECT value FROM json_each(?))",
            (block, json.dumps(sorted(lost))),
        )
        _put_vocabulary(sql, block, [word for word in vocabulary(sql, block).split() if word not in lost])


def _add(sql: Execute, block: int, of_word: dict[str, bytes]) -> None:
    words = sorted(of_word)  # the order in which SQLite fills its pages best
    new = json.loads(sql(_NEW_WORDS, (block, json.dumps(words))).fetchone()[0])
    longest = max(map(len, of_word.values()))
    others = sql(_OTHERS, (block, json.dumps(words), longest)).fetchall()
    for word, entries in others:
        sql(_PUT, (block, word, joined(entries if isinstance(entries, bytes) else b"", of_word.pop(word))))
    lists: dict[int, list[str]] = defaultdict(list)
    for word in words:
        if word in of_word:
            lists[len(of_word[word])].append(word)
    for length, some in lists.items():
        sql(_PUT_LISTS, (block, b"".join(map(of_word.__getitem__, some)), json.dumps(some), length))
    if new := [word for word in new if not (word.endswith("*") or word.startswith(INSIDE))]:
        _put_vocabulary(sql, block, vocabulary(sql, block).split() + new)


def vocabulary(sql: Execute, block: int) -> str:
    """The words of the entries of a block, with a blank before and after each."""
    row = sql("SELECT words FROM vocabulary WHERE block = ?", (block,)).fetchone()
    return "" if row is None else text(row[0])


def _put_vocabulary(sql: Execute, block: int, words: Iterable[str]) -> None:
    sql("INSERT OR REPLACE INTO vocabulary VALUES (?, ?)", (block, " ".join(["", *sorted(words), ""])))


def _by_block(lines: Iterable[tuple[int, str]]) -> dict[int, dict[str, bytes]]:
    """The entries of each block, by word and by beginning of words: as lists of places."""
    return {block: _by_word(some) for block, some in _lines_by_block(lines).items()}


def _lines_by_block(lines: Iterable[tuple[object, str]]) -> dict[int, list[tuple[int, str]]]:
    """The words of entries, with their places in each block."""
    of_block: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for rowid, line in lines:
        block, place = divmod(whole(rowid) or 0, BLOCK)
        of_block[block].append((place, line))
    return of_block


def _by_word(lines: Sequence[tuple[int, str]]) -> dict[str, bytes]:
    """As `_by_block`, of one block: each line with its place."""
    of_word: dict[str, int] = defaultdict(int)  # a bit for each line
    for number, (_, line) in enumerate(lines):
        bit = 1 << number
        for word in line.split():
            of_word[word] |= bit
    words = of_word
    for length in range(LETTERS, 0, -1):
        heads: dict[str, int] = defaultdict(int)
        for word, bits in words.items():
            heads[word[:length]] |= bits
        of_word = of_word | {f"{head}*": bits for head, bits in heads.items() if len(head) == length}
        words = heads
    of_word[ALL] = (1 << len(lines)) - 1
    places = [id_sets.written(place) for place, _ in lines]
    of_one = {1 << number: place for number, place in enumerate(places)}  # most words are in one entry
    return {word: of_one.get(bits) or b"".join(id_sets.chosen(places, bits)) for word, bits in of_word.items()}
