"""When expired entries are deleted.

A lookup ignores an entry as soon as it has expired. The entry is deleted an hour later at the earliest, if the clock still
says that it has expired. A clock that is ahead for a while deletes nothing.
"""

from nbcache.stores.sqlite import tombstones
from nbcache.stores.sqlite.sql import Execute, number

PROOF = 3600.0  # seconds
_AT_ONCE = 200  # entries in one transaction: others may want to write, and a user waits for this one

_LAST_CLOCK = "SELECT value FROM total WHERE name = 'clock'"
_AHEAD = "SELECT id, created, expires FROM entry WHERE expires IS NOT NULL AND created > ?"


def is_due(last_clock: float | None, now: float) -> bool:
    """Whether to look for expired entries now, if that was done last when the clock said `last_clock`."""
    return last_clock is None or now < last_clock or now >= last_clock + PROOF


def delete_expired(sql: Execute, now: float) -> bool:
    """Delete some expired entries, and correct those that were stored while the clock was ahead. Within a transaction.

    Returns whether more may be left to delete.
    """
    row = sql(_LAST_CLOCK).fetchone()
    last_clock = None if row is None else number(row[0])
    if not is_due(last_clock, now):
        return False
    if last_clock is not None and now < last_clock:
        _correct_ahead(sql, now)
    elif last_clock is not None and delete_expired_until(sql, last_clock):
        return True
    sql("INSERT OR REPLACE INTO total VALUES ('clock', ?)", (int(now),))
    return False


def delete_expired_until(sql: Execute, when: float) -> bool:
    """Delete some of the entries that had expired at `when`. Returns whether more may be left. Within a transaction."""
    rowids = [rowid for rowid, _, _ in sql(f"{tombstones.EXPIRED} LIMIT ?", (when, _AT_ONCE))]
    if rowids:
        tombstones.delete_expired(sql, rowids)
    return len(rowids) == _AT_ONCE


def _correct_ahead(sql: Execute, now: float) -> None:
    """Give entries that were created in the future the time of now, and their whole time to live from now on."""
    for rowid, created, expires in sql(_AHEAD, (now + 1,)).fetchall():
        begun, ends = number(created), number(expires)
        anew = now if begun is None or ends is None else now + ends - begun
        sql("UPDATE entry SET created = ?, expires = ? WHERE id = ?", (now, anew, rowid))
        sql("UPDATE Cache SET expire_time = ? WHERE rowid = ?", (anew, rowid))
