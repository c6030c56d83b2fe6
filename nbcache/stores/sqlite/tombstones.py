"""Tombstones: why and when an entry was removed. It had expired, exceeded the bounds, or a user deleted it. They have no text."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbcache.stores.sqlite.sql import Execute, moment, text

if TYPE_CHECKING:
    from nbcache.stores.sqlite.diskcache_file import CacheFile

MOST = 10_000  # the latest are kept
EXPIRED = "SELECT rowid, key, expire_time FROM Cache WHERE expire_time <= ?"
_DELETE_OLDEST = f"DELETE FROM tombstone WHERE id <= (SELECT max(id) FROM tombstone) - {MOST}"
_OF_JSON = "SELECT value FROM json_each(?)"
_MAY_HAVE_ONE = (
    "SELECT EXISTS (SELECT 1 FROM tombstone WHERE key = ?1)"
    " OR EXISTS (SELECT 1 FROM Cache WHERE key = ?1 AND expire_time IS NOT NULL)"
)


def delete_entry(sql: Execute, rowid: int, key: str, when: float, why: str) -> None:
    """Delete an expired or evicted entry, and write its tombstone."""
    sql("DELETE FROM Cache WHERE rowid = ?", (rowid,))
    if sql("DELETE FROM tombstone WHERE key = ? AND gone = ? AND why = 'told'", (key, when)).rowcount > 0:
        return
    sql("INSERT OR REPLACE INTO tombstone (key, gone, why) VALUES (?, ?, ?)", (key, when, why))
    sql(_DELETE_OLDEST)


def delete_expired(sql: Execute, rowids: Sequence[int]) -> None:
    """Delete these expired entries, and write their tombstones, as `delete_entry` does for one."""
    ids = (json.dumps(rowids),)
    gone = f"SELECT key, expire_time FROM Cache WHERE rowid IN ({_OF_JSON})"
    sql(
        "INSERT OR REPLACE INTO tombstone (key, gone, why) SELECT key, expire_time, 'expired'"
        f" FROM ({gone}) c WHERE (key, expire_time, 'told') NOT IN (SELECT key, gone, why FROM tombstone WHERE key = c.key)",
        ids,
    )
    sql(f"DELETE FROM tombstone WHERE why = 'told' AND (key, gone) IN ({gone})", ids)
    sql(f"DELETE FROM Cache WHERE rowid IN ({_OF_JSON})", ids)
    sql(_DELETE_OLDEST)


def write(sql: Execute, keys: Sequence[str], when: float, why: str) -> None:
    """Write the tombstones of entries that were deleted."""
    sql(
        "INSERT OR REPLACE INTO tombstone (key, gone, why) SELECT value, ?, ? FROM json_each(?)",
        (when, why, json.dumps(keys)),
    )
    sql(_DELETE_OLDEST)


def look_up(cache: "CacheFile", key: str, when: float) -> bool | tuple[str, float] | None:
    """Whether `take` may find why `key` was removed. In a store that can only be read, what it would find."""
    if cache.is_read_only:
        return _reason(cache.execute, key, when, keep=True)
    return bool(cache.execute(_MAY_HAVE_ONE, (key,)).fetchone()[0])


def take(cache: "CacheFile", key: str, when: float, *, keep: bool) -> tuple[str, float] | None:
    """Why (`expired`, `cleared` …) and when `key`, which missed at `when`, was removed; without `keep` only once."""
    with cache.transaction():
        cache.delete_expired()
        return _reason(cache.execute, key, when, keep=keep)


def _reason(sql: Execute, key: str, when: float, *, keep: bool) -> tuple[str, float] | None:
    expired = sql(f"{EXPIRED} AND key = ?", (when, key)).fetchone()
    row = sql("SELECT why, gone FROM tombstone WHERE key = ? AND gone <= ?", (key, when)).fetchone()
    if expired is not None and row != ("told", expired[2]):  # it is still there
        if not keep:
            sql("INSERT OR REPLACE INTO tombstone (key, gone, why) VALUES (?, ?, 'told')", (key, expired[2]))
        return "expired", float(expired[2])
    if row is None or row[0] == "told":
        return None
    if not keep:
        sql("DELETE FROM tombstone WHERE key = ?", (key,))
    return text(row[0]), moment(row[1]) or when
