"""Brings the entries of an earlier nbcache's store up to date: the keys that their calls have now, and what describes them.

The tables are upgraded at once. The entries follow, a few in each transaction, and the store records how far that
is done: after a killed process the next one continues, and processes that open the store at the same time share the work.
Without its key an entry would not be found, so this is done when the store is opened. Clients and kinds follow in the background.
"""

import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from nbcache.entry.filter import CALL
from nbcache.errors import DamagedError, warn_once
from nbcache.stores.sqlite import rows
from nbcache.stores.sqlite.sql import Execute, split

_AT_ONCE, _SHORTLY = 0.05, 0.01  # seconds in one transaction, and in one in the background: others may want to write
_TIMEOUT = 30.0  # seconds to wait for another process before the upgrade is put off
_PAUSE = 0.005  # seconds between two transactions, for others
_LEFT = "SELECT value FROM total WHERE name = ?"  # the last rowid that is done; no row when all are
_DESCRIBED = (  # few rows differ, and only these are written
    "UPDATE entry SET (client, streamed, kind, function) = (?1, ?2, ?3, ?4)"
    " WHERE id = ?5 AND (client, streamed, kind, function) IS NOT (?1, ?2, ?3, ?4)"
)
_NEXT = "SELECT rowid, key, value FROM Cache WHERE rowid > ? AND raw = 1 ORDER BY rowid LIMIT 1"


def is_left(sql: Execute) -> bool:
    """Whether entries are left without their new keys."""
    return _is_left(sql, "rekeyed")


def finish(sql: Execute, transaction: Callable[[], AbstractContextManager[None]]) -> None:
    """Give all entries their new keys. Raises sqlite3.OperationalError if the file is locked."""
    deadline, lost = time.monotonic() + _TIMEOUT, 0
    while is_left(sql):
        try:
            with transaction():
                lost += _take_step(sql, "rekeyed", _rekey, _AT_ONCE)
            deadline = time.monotonic() + _TIMEOUT
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE)
    if lost:
        warn_once(
            "rekeyed",
            f"nbcache: {lost:,} of the entries that an earlier release stored don't tell enough of their calls to be found "
            "from now on. They stay in the store, and such a call is paid once more",
        )


def lacks_descriptions(sql: Execute) -> bool:
    """Whether entries are left whose rows may lack their client or kind."""
    return _is_left(sql, "described")


def needs_description(sql: Execute, rowid: int) -> None:
    """Let `describe_some` come to this entry, and to those after it: an earlier nbcache has just stored it. Within a transaction."""
    sql(
        "INSERT INTO total VALUES ('described', ?) ON CONFLICT (name) DO UPDATE SET value = min(value, excluded.value)",
        (rowid - 1,),
    )


def describe_some(sql: Execute) -> None:
    """Write the client and the kind of some entries into their rows. Within a transaction."""
    _take_step(sql, "described", _describe, _SHORTLY)


def _is_left(sql: Execute, name: str) -> bool:
    return sql(_LEFT, (name,)).fetchone() is not None


def _take_step(sql: Execute, name: str, step: Callable[[Execute, int, str, bytes], bool], seconds: float) -> int:
    """Take this step for the next entries. Returns for how many of them it could not be taken. Within a transaction."""
    lost = 0
    ends = time.monotonic() + seconds
    left = sql(_LEFT, (name,)).fetchone()
    while left is not None and time.monotonic() < ends:
        entry = sql(_NEXT, left).fetchone()
        if entry is None:
            sql("DELETE FROM total WHERE name = ?", (name,))
            return lost
        rowid, key, payload = entry
        is_entry = isinstance(key, str) and isinstance(payload, bytes)
        lost += not (is_entry and step(sql, rowid, key, payload))
        left = (rowid,)
        sql("UPDATE total SET value = ? WHERE name = ?", (rowid, name))
    return lost


def _rekey(sql: Execute, rowid: int, key: str, payload: bytes) -> bool:
    """Give an entry the key that its call has now. False if it lacks its call."""
    from nbcache.stores.sqlite.rekeying import rekeyed  # noqa: PLC0415 - LangChain's classes, for what is done once

    new = rekeyed(payload, key)
    if new is not None and new[0] != key:
        _move(sql, rowid, key, *new)
    return new is not None


def _move(sql: Execute, rowid: int, key: str, new: str, payload: bytes) -> None:
    """Move an entry to its new key. Of two that are the same call now, the later one stays, with the owners of both."""
    from nbcache.stores.sqlite.rekeying import is_later  # noqa: PLC0415 - as above

    twin = sql("SELECT rowid, value FROM Cache WHERE key = ? AND raw = 1", (new,)).fetchone()
    if twin is not None:
        goes, stays = (rowid, twin[0]) if is_later(twin[1], payload) else (twin[0], rowid)
        owners = sql("SELECT notebooks FROM entry WHERE id = ?", (goes,)).fetchone()
        for name in split(owners and owners[0]):
            rows.own(sql, stays, name)
        sql("DELETE FROM Cache WHERE rowid = ?", (goes,))
    sql("UPDATE Cache SET key = ?, value = ? WHERE rowid = ?", (new, payload, rowid))  # unless it was just deleted
    if sql("SELECT 1 FROM sqlite_master WHERE name = 'called'").fetchone() is not None:
        sql("UPDATE OR REPLACE called SET key = ? WHERE key = ?", (new, key))


def _describe(sql: Execute, rowid: int, key: str, payload: bytes) -> bool:
    """Write the client and the kind of an entry into its row. False if its payload can't be read."""
    from nbcache import codec  # noqa: PLC0415 - as above
    from nbcache.codec.entry_description import row_in  # noqa: PLC0415

    try:
        row = row_in(codec.read(payload, key))
    except DamagedError:
        return False
    columns = (row.client, int(row.streamed) or None, None if row.kind == CALL else row.kind, row.function)
    sql(_DESCRIBED, (*columns, rowid))
    return True
