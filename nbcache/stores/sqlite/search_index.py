"""The search index: which words are in which entry. It is filled in the background, after entries are stored.

It holds each entry's words once and sorted, so that no sentence can be read from it. A query matches words that begin
with its words.
"""

import sqlite3
from collections.abc import Iterable

from nbcache.stores.sqlite.sql import Execute, written

_PREFIX = "prefix='2 3 4 5 6'"  # a tenth of the bytes more; beginnings of common words are found in half of the time
_GONE = "CREATE TRIGGER words_gone AFTER DELETE ON Cache BEGIN DELETE FROM words WHERE rowid = OLD.rowid; END"
_CHANGED = (
    "CREATE TRIGGER words_changed AFTER UPDATE OF value ON Cache WHEN OLD.key = NEW.key BEGIN"
    " DELETE FROM words WHERE rowid = OLD.rowid; END"  # an entry that gets another key keeps its words
)
_TABLE = f"CREATE VIRTUAL TABLE words USING fts5(text, detail=none, columnsize=0, tokenize='unicode61', {_PREFIX})"
STATEMENTS = (
    *(_TABLE, _TABLE.replace(f", {_PREFIX}", ""), _GONE, _CHANGED, _CHANGED.replace(" WHEN OLD.key = NEW.key", "")),
    # FTS5's own
    "CREATE TABLE words_data (id INTEGER PRIMARY KEY, block BLOB)",
    "CREATE TABLE words_idx (segid, term, pgno, PRIMARY KEY (segid, term)) WITHOUT ROWID",
    "CREATE TABLE words_content (id INTEGER PRIMARY KEY, c0)",
    "CREATE TABLE words_config (k PRIMARY KEY, v) WITHOUT ROWID",
)
_PAGES = 16  # of the index merged at once: a few milliseconds
_MADE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'words'"


def make(sql: Execute) -> bool:
    """Make the index unless it is there; False if this SQLite has no FTS5. Within a transaction."""
    if is_made(sql):
        return True
    try:
        sql(_TABLE)
    except sqlite3.OperationalError as error:
        if "fts5" not in str(error):
            raise
        return False
    sql(_GONE)
    sql(_CHANGED)
    return True


def remake_triggers(sql: Execute) -> None:
    """Give the index of an earlier version the triggers of this one. Within a transaction."""
    if is_made(sql):
        sql("DROP TRIGGER IF EXISTS words_changed")
        sql(_CHANGED)


def is_made(sql: Execute) -> bool:
    """Whether there is an index."""
    return sql(_MADE).fetchone() is not None


def missing(sql: Execute, before: int, at_most: int) -> tuple[list[int], int]:
    """Find the entries that are not in the index, among the `at_most` newest below the rowid `before`.

    Returns their rowids, and the rowid below which to continue; 0 if there are no more.
    """
    is_there = "EXISTS (SELECT 1 FROM words_content c WHERE c.id = entry.id)" if is_made(sql) else "0"
    looked = sql(
        f"SELECT id, {is_there} FROM entry WHERE id < ? ORDER BY id DESC LIMIT ?",
        (before, at_most),
    ).fetchall()
    return [rowid for rowid, is_there in looked if not is_there], looked[-1][0] if len(looked) == at_most else 0


def unindexed(sql: Execute, rowid: int) -> tuple[str, bytes] | None:
    """The key and the payload of an entry. None if it was deleted, or another process has indexed it."""
    row: tuple[str, bytes] | None = sql(
        "SELECT key, value FROM Cache WHERE rowid = ?1 AND NOT EXISTS (SELECT 1 FROM words_content WHERE id = ?1)",
        (rowid,),
    ).fetchone()
    return row


def add(sql: Execute, rowid: int, words: Iterable[str]) -> None:
    """Put an entry into the index, with these words."""
    sql("INSERT OR REPLACE INTO words (rowid, text) VALUES (?, ?)", (rowid, written(" ".join(sorted(set(words))))))


def query(words: Iterable[str]) -> str:
    """The FTS5 query for entries with all of `words`, which may be beginnings of words."""
    return " AND ".join(f'"{written(word)}"*' for word in words)


def whole(words: Iterable[str]) -> str:
    """The FTS5 query for entries with all of `words` as whole words."""
    return " AND ".join(f'"{written(word)}"' for word in words)


def purge_some(sql: Execute, *, is_first: bool) -> bool:
    """Remove a part of the deleted words from the file, where FTS5 only marks them. Returns whether there is more.

    FTS5's `optimize` would do it all at once. For a large index that takes seconds, in which nobody could write.
    """
    if not is_made(sql):
        return False
    ((before,),) = sql("SELECT total_changes()")
    sql("INSERT INTO words (words, rank) VALUES ('merge', ?)", (-_PAGES if is_first else _PAGES,))
    ((after,),) = sql("SELECT total_changes()")
    return bool(after - before > 1)  # FTS5's documentation: one change, when nothing was left to be done
