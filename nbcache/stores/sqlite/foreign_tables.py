"""Whether the tables of a database are those that nbcache makes: checked before anything of it is used.

A foreign view, trigger, generated column or index on an expression could keep SQLite busy without end, fill the memory,
or delete entries. So a file with one of these is left alone.
"""

import functools
import re
import sqlite3
from pathlib import Path

from nbcache.errors import StoreRefusedError
from nbcache.stores.sqlite import earlier_search_index, schema, session_calls
from nbcache.stores.sqlite.sql import Execute

_MOST = 100  # tables, indexes and triggers: we have thirty
_LOOK_ALIKE = 4  # adjacent characters in which a damaged definition may differ
_BLANKS = str.maketrans("", "", " \n\t\r'\"")
_EARLIER = (
    # Version 1
    "CREATE TABLE entry (id INTEGER PRIMARY KEY, model TEXT NOT NULL, prompt TEXT NOT NULL, answer TEXT NOT NULL, status"
    " TEXT NOT NULL, created REAL NOT NULL, tags TEXT NOT NULL, cell TEXT, last_hit REAL, hits INTEGER NOT NULL DEFAULT 0,"
    " size INTEGER NOT NULL, used REAL NOT NULL)",
    "CREATE INDEX entry_created ON entry (created)",
    "CREATE TABLE owner (id INTEGER, notebook TEXT, PRIMARY KEY (id, notebook)) WITHOUT ROWID",
    "CREATE TRIGGER entry_gone AFTER DELETE ON Cache BEGIN INSERT OR REPLACE INTO tombstone (key, gone, why) SELECT"
    " OLD.key, julianday('now'), 'expired' WHERE OLD.expire_time < (julianday('now') - 2440587.5) * 86400; DELETE FROM"
    " entry WHERE id = OLD.rowid; DELETE FROM owner WHERE id = OLD.rowid; END",
    # diskcache's, of which earlier versions had all
    "CREATE INDEX Cache_expire_time ON Cache (expire_time)",
    *(
        f"CREATE TRIGGER Settings_{name} AFTER {what} ON Cache FOR EACH ROW BEGIN UPDATE Settings SET value = value"
        f' {change} WHERE key = "{name.split("_")[0]}"; END'
        for name, what, change in (
            ("count_insert", "INSERT", "+ 1"),
            ("count_delete", "DELETE", "- 1"),
            ("size_insert", "INSERT", "+ NEW.size"),
            ("size_update", "UPDATE", "+ NEW.size - OLD.size"),
            ("size_delete", "DELETE", "- OLD.size"),
        )
    ),
)
_NEEDED = ("Cache", "entry", "preview", "tombstone", "total", "spending", "entry_gone")


def inspect(sql: Execute, database: Path) -> None:
    """Raise StoreRefusedError if a table isn't ours, and sqlite3.DatabaseError if one is damaged."""
    there = sql("SELECT name, sql FROM sqlite_master LIMIT ?", (_MOST,)).fetchall()
    statements = _our_statements()
    strange = [(str(name), written) for name, written in there if not _is_ours(str(name), written, statements)]
    if any(not _is_damaged(written, statements) for _, written in strange) or len(there) == _MOST:
        shown = ", ".join(ascii(name[:40]) for name, _ in strange[:3])
        raise StoreRefusedError(
            f"{database} holds what nbcache has not made ({shown}) and could do harm; it is left alone. Move it away to "
            "have a new cache"
        )
    names = {name for name, _ in there}
    if strange or ("preview" in names and not names.issuperset(_NEEDED)):
        raise sqlite3.DatabaseError("malformed: its tables are not as they were made")


@functools.cache
def _our_statements() -> frozenset[str]:
    statements = (
        *schema.STATEMENTS,
        session_calls.TABLE,
        *earlier_search_index.STATEMENTS,
        *schema.OF_EARLIER_VERSIONS,
        *_EARLIER,
    )
    return frozenset(_plain(statement) for statement in statements)


def _plain(statement: str) -> str:
    return statement.translate(_BLANKS).replace("IFNOTEXISTS", "")


def _is_ours(name: str, written: object, statements: frozenset[str]) -> bool:
    if written is None or name.startswith("sqlite_"):  # SQLite's own: it refuses such names to others
        return name.startswith("sqlite_autoindex_") or name in {"sqlite_stat1", "sqlite_stat4"}
    if not isinstance(written, str):
        return False
    text = _plain(written)
    return text in statements or any(
        _without_later_columns(text, ours) == ours for ours in statements if _table(ours) in text
    )


def _table(statement: str) -> str:
    """How the statement that makes a table begins; the whole of any other."""
    return statement[: statement.index("(") + 1] if statement.startswith("CREATETABLE") else statement


def _without_later_columns(text: str, ours: str) -> str:
    """`text` without the columns that a later release has added: each a name and a type, and nothing to be worked out."""
    return re.sub(r",[a-z_0-9]+(?:INTEGER|REAL|TEXT|BLOB)(?=[,)])", lambda each: each[0] * (each[0] in ours), text)


def _is_damaged(written: object, statements: frozenset[str]) -> bool:
    """Whether this is one of our statements with a few bytes changed."""
    if not isinstance(written, str):  # SQLite does not use it then
        return True
    text = _plain(written)
    return any(
        abs(len(text) - len(ours)) <= 1  # a blank became a letter
        and _in_common(text, ours) + _in_common(text[::-1], ours[::-1]) >= len(ours) - _LOOK_ALIKE
        for ours in statements
    )


def _in_common(one: str, other: str) -> int:
    """The length of their common beginning."""
    return next(
        (at for at, (here, there) in enumerate(zip(one, other, strict=False)) if here != there),
        min(len(one), len(other)),
    )
