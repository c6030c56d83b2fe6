"""Gives the entries of an earlier nbcache's store the keys that their calls have now.

The tables are upgraded at once. The keys follow, a few entries in each transaction, and the store records how far that
is done: after a killed process the next one continues, and processes that open the store at the same time share the work.
"""

import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from nbcache.errors import warn_once
from nbcache.stores.sqlite import rows
from nbcache.stores.sqlite.sql import Execute, split

_AT_ONCE = 0.05  # seconds in one transaction: others may be waiting to write
_TIMEOUT = 30.0  # seconds to wait for another process before the upgrade is put off
_PAUSE = 0.005  # seconds between two transactions, for others
_LEFT = "SELECT value FROM total WHERE name = 'rekeyed'"  # the last rowid that has its new key; no row when all have
_NEXT = "SELECT rowid, key, value FROM Cache WHERE rowid > ? AND raw = 1 ORDER BY rowid LIMIT 1"


def is_left(sql: Execute) -> bool:
    """Whether entries are left without their new keys."""
    return sql(_LEFT).fetchone() is not None


def finish(sql: Execute, transaction: Callable[[], AbstractContextManager[None]]) -> None:
    """Give all entries their new keys. Raises sqlite3.OperationalError if the file is locked."""
    deadline, lost = time.monotonic() + _TIMEOUT, 0
    while is_left(sql):
        try:
            with transaction():
                lost += _some(sql)
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


def _some(sql: Execute) -> int:
    """Give the next entries their keys; returns how many of them lack their call. Within a transaction."""
    from nbcache.stores.sqlite.rekeying import rekeyed  # noqa: PLC0415 - LangChain's classes, for what is done once

    lost = 0
    ends = time.monotonic() + _AT_ONCE
    left = sql(_LEFT).fetchone()
    while left is not None and time.monotonic() < ends:
        entry = sql(_NEXT, left).fetchone()
        if entry is None:
            sql("DELETE FROM total WHERE name = 'rekeyed'")
            return lost
        rowid, key, payload = entry
        new = rekeyed(payload, key) if isinstance(key, str) and isinstance(payload, bytes) else None
        if new is None:
            lost += 1
        elif new[0] != key:
            _move(sql, rowid, key, *new)
        left = (rowid,)
        sql("UPDATE total SET value = ? WHERE name = 'rekeyed'", left)
    return lost


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
