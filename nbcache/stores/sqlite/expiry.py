"""When what has expired is deleted.

A lookup passes over it as soon as the clock says so. It is deleted only when the clock was seen past its end an hour
ago and still says so: a clock that is ahead for a while takes nothing away.
"""

from nbcache.stores.sqlite import rows
from nbcache.stores.sqlite.sql import Execute, number

PROOF = 3600.0  # seconds

_SEEN = "SELECT value FROM total WHERE name = 'clock'"
_EXPIRED = "SELECT rowid, key, expire_time FROM Cache WHERE expire_time <= ?"
_AHEAD = "SELECT id, created, expires FROM entry WHERE expires IS NOT NULL AND created > ?"


def is_due(seen: float | None, now: float) -> bool:
    """Whether the time has come to look what has expired, after the clock said `seen` the last time."""
    return seen is None or now < seen or now >= seen + PROOF


def forget(sql: Execute, now: float) -> None:
    """Delete what has expired for good, and mend what was stored while the clock was ahead. Within a transaction."""
    row = sql(_SEEN).fetchone()
    seen = None if row is None else number(row[0])
    if not is_due(seen, now):
        return
    if seen is not None and now < seen:
        _mend_ahead(sql, now)
    elif seen is not None:
        forget_until(sql, seen)
    sql("INSERT OR REPLACE INTO total VALUES ('clock', ?)", (int(now),))


def forget_until(sql: Execute, when: float) -> None:
    """Delete what had expired then."""
    for rowid, key, expired in sql(_EXPIRED, (when,)).fetchall():
        rows.bury(sql, rowid, key, expired, "expired")


def _mend_ahead(sql: Execute, now: float) -> None:
    """Let entries of which the time of creation is still to come be of now, and live as long as they were meant to."""
    for rowid, created, expires in sql(_AHEAD, (now + 1,)).fetchall():
        begun, ends = number(created), number(expires)
        anew = now if begun is None or ends is None else now + ends - begun
        sql("UPDATE entry SET created = ?, expires = ? WHERE id = ?", (now, anew, rowid))
        sql("UPDATE Cache SET expire_time = ? WHERE rowid = ?", (anew, rowid))
