"""The search index that versions 1 to 3 had, made by SQLite's FTS5. It is removed in the background, a part at a time.

FTS5 only marks deleted words, until it has merged all of a large index. That took seconds for one deleted entry.
"""

import sqlite3
from contextlib import suppress

from nbcache.stores.sqlite.sql import Execute

_GONE = "CREATE TRIGGER words_gone AFTER DELETE ON Cache BEGIN DELETE FROM words WHERE rowid = OLD.rowid; END"
_CHANGED = (
    "CREATE TRIGGER words_changed AFTER UPDATE OF value ON Cache WHEN OLD.key = NEW.key BEGIN"
    " DELETE FROM words WHERE rowid = OLD.rowid; END"
)
_PREFIX = ", prefix='2 3 4 5 6'"
_TABLE = f"CREATE VIRTUAL TABLE words USING fts5(text, detail=none, columnsize=0, tokenize='unicode61'{_PREFIX})"
STATEMENTS = (
    *(_TABLE, _TABLE.replace(_PREFIX, ""), _GONE, _CHANGED, _CHANGED.replace(" WHEN OLD.key = NEW.key", "")),
    # FTS5's own
    "CREATE TABLE words_data (id INTEGER PRIMARY KEY, block BLOB)",
    "CREATE TABLE words_idx (segid, term, pgno, PRIMARY KEY (segid, term)) WITHOUT ROWID",
    "CREATE TABLE words_content (id INTEGER PRIMARY KEY, c0)",
    "CREATE TABLE words_config (k PRIMARY KEY, v) WITHOUT ROWID",
)
# Its tables with text, and the rows of each. The first two of `words_data` have none, and FTS5 can't drop the index without.
_TEXT = {"words_content": "id FROM words_content", "words_data": "id FROM words_data WHERE id > 10"}
_TEXT |= {"words_idx": "segid, term FROM words_idx"}
_ROWS = 50  # removed in one step: of up to a page each


def leave(sql: Execute) -> None:
    """Use it no longer. Within a transaction."""
    for name in ("words_gone", "words_changed"):
        sql(f"DROP TRIGGER IF EXISTS {name}")


def is_left(sql: Execute) -> bool:
    """Whether a part of it is left."""
    return sql("SELECT 1 FROM sqlite_master WHERE name = 'words_content'").fetchone() is not None


def remove_some(sql: Execute) -> bool:
    """Remove the next part. Returns whether there is more. Within a transaction."""
    if not is_left(sql):
        return False
    for table, rows in _TEXT.items():
        key = rows.partition(" FROM ")[0]
        if sql(f"DELETE FROM {table} WHERE ({key}) IN (SELECT {rows} LIMIT {_ROWS})").rowcount:
            return True
    with suppress(sqlite3.OperationalError):  # this SQLite has no FTS5: the name stays
        sql("DROP TABLE words")
    for table in (*_TEXT, "words_config"):
        sql(f"DROP TABLE IF EXISTS {table}")
    return False
