"""The rows of new entries, which an update leaves beside the payload: one statement commits both.

They wait in the column `tag` of diskcache's table, and `move` writes them into `entry` and `preview`: at the end of a cell, in
the background, or when somebody reads or changes these tables, in this process or another. So a killed process loses none.

New payloads have higher ids than all rows of `entry`, since whoever writes there has moved the waiting rows first.
"""

import sqlite3
from typing import Any

import orjson

from nbcache.stores.sqlite import rows, upgrade
from nbcache.stores.sqlite.connection_pool import Pool
from nbcache.stores.sqlite.late_answers import LateAnswer
from nbcache.stores.sqlite.sql import Execute, cleaned

_STORED = (
    "INSERT OR IGNORE INTO Cache (key, raw, store_time, expire_time, access_time, tag, mode, value)"
    " VALUES (?, 1, 0, ?, 0, ?, 1, ?)"
)
_WAITING = "FROM Cache WHERE rowid > (SELECT coalesce(max(id), 0) FROM entry) AND tag IS NOT NULL"
# Columns of a row; of earlier releases the first knew no client of an entry, and neither knew its kind.
_BEFORE_CLIENTS, _BEFORE_KINDS, _COLUMNS = 14, 16, 18
# What a row is not that somebody else has written: no JSON, or no values for these columns.
_WRONG = (
    ValueError,
    TypeError,
    OverflowError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)


def commit(pool: Pool, answer: LateAnswer) -> int | None:
    """Commit a new entry; returns its rowid. None if there is an entry of this key, or it takes more than one statement."""
    try:
        columns = rows.columns_of(answer.meta)
        try:
            row = orjson.dumps(columns)
        except TypeError:  # half of an emoji
            row = orjson.dumps(cleaned(columns))
        connection = pool.acquire_writer()
        try:
            stored = connection.execute(_STORED, (answer.key, answer.expires, row, answer.payload))
            return stored.lastrowid if stored.rowcount else None
        finally:
            pool.release(connection)
    except (TypeError, sqlite3.Error):  # no JSON, or a file that is busy, full or damaged: who does the rest finds out
        return None


def are_left(sql: Execute) -> bool:
    """Whether rows are waiting."""
    return sql(f"SELECT 1 {_WAITING} LIMIT 1").fetchone() is not None


def move(sql: Execute, at_most: int | None = None) -> int:
    """Write the waiting rows, or the first of them. Returns how many there were. Within a transaction."""
    waiting = sql(
        f"SELECT rowid, tag, expire_time, length(value) {_WAITING} ORDER BY rowid LIMIT ?",
        (-1 if at_most is None else at_most,),
    ).fetchall()
    for rowid, tag, expires, size in waiting:
        try:
            columns = _columns_in(tag)
            if len(columns) in {_BEFORE_CLIENTS, _BEFORE_KINDS}:
                columns = (*columns[:-2], *[None] * (_COLUMNS - len(columns)), *columns[-2:])
                upgrade.needs_description(sql, rowid)
            rows.insert(sql, rowid, columns, size, expires)
        except _WRONG:  # `check` writes the row anew
            continue
    if waiting:
        sql("UPDATE Cache SET tag = NULL WHERE rowid BETWEEN ? AND ?", (waiting[0][0], waiting[-1][0]))
    return len(waiting)


def _columns_in(tag: object) -> tuple[Any, ...]:
    """The columns that are written there. Raises ValueError or TypeError if there are none."""
    columns = orjson.loads(tag)  # type: ignore[arg-type]  # anything else is refused
    if not isinstance(columns, list):
        raise TypeError("no list")
    return tuple(columns)
