"""Gives entries other tags, or another time at which they expire: a few at a time, so that other kernels need not wait to write.

The payload has the tags, too, and a mark of whether it expires. So row and payload are written in one transaction.
"""

import time
from collections.abc import Sequence
from functools import partial

from nbcache.entry.edit import Edit
from nbcache.stores.progress import Progress
from nbcache.stores.sqlite import new_rows
from nbcache.stores.sqlite.check import PAUSE, Run
from nbcache.stores.sqlite.diskcache_file import CacheFile
from nbcache.stores.sqlite.sql import Execute, cleaned, joined, moment, split

_AT_ONCE = 0.05  # seconds in one transaction
_LOOKED_AT = 10_000  # keys: far more than are changed in that time
_LIVE = (
    "SELECT c.rowid, c.expire_time, e.tags, e.size FROM Cache c JOIN entry e ON e.id = c.rowid"
    " WHERE c.key = ? AND c.raw = 1 AND (c.expire_time IS NULL OR c.expire_time > ?)"
)


def edit(write: Run, keys: Sequence[str], change: Edit, progress: Progress | None = None) -> list[int]:
    """Change these entries, as far as they are there. Returns the ids of those that were changed."""
    done, changed = 0, list[int]()
    while done < len(keys):
        ids, some = write(partial(_edit_some, keys=keys[done : done + _LOOKED_AT], change=change))
        changed += ids
        done += some
        if progress is not None:
            progress(done, len(keys))
        if done < len(keys):
            time.sleep(PAUSE)
    return changed


def _edit_some(cache: CacheFile, keys: Sequence[str], change: Edit) -> tuple[list[int], int]:
    """The ids of those that were changed, and how many of the keys are done."""
    changed, number = list[int](), 0
    sql, now, ends = cache.execute, time.time(), time.monotonic() + _AT_ONCE
    with cache.transaction():
        new_rows.move(sql)
        for number, key in enumerate(keys, 1):  # noqa: B007 - the last is returned
            changed += _edit(sql, key, change, now)
            if time.monotonic() > ends:
                break
    return changed, number


def _edit(sql: Execute, key: str, change: Edit, now: float) -> list[int]:
    """Change one entry. Returns its id; nothing if there is no such entry, or nothing of it is another afterwards."""
    row = sql(_LIVE, (key, now)).fetchone()
    if row is None:
        return []
    rowid, ended, written, size = row
    tags, expires = split(written), moment(ended)
    new_tags, new_expires = cleaned(change.tags_of(tags)), change.expiry_of(expires)
    is_tagged = {*new_tags} != {*tags}
    if not is_tagged and new_expires == expires:
        return []
    if is_tagged or (new_expires is None) != (expires is None):
        size = _edit_payload(sql, rowid, key, new_tags if is_tagged else None, new_expires) or size
    else:
        sql("UPDATE Cache SET expire_time = ? WHERE rowid = ?", (new_expires, rowid))
    if is_tagged:
        sql(
            "UPDATE entry SET tags = ?, expires = ?, size = ? WHERE id = ?",
            (joined(new_tags), new_expires, size, rowid),
        )
    else:
        sql("UPDATE entry SET expires = ?, size = ? WHERE id = ?", (new_expires, size, rowid))
    return [rowid]


def _edit_payload(sql: Execute, rowid: int, key: str, tags: Sequence[str] | None, expires: float | None) -> int | None:
    """Write the payload and when it expires. Returns its size; None if it is none of nbcache's."""
    from nbcache import codec  # noqa: PLC0415 - LangChain's classes, which a store needs for this alone

    (payload,) = sql("SELECT value FROM Cache WHERE rowid = ?", (rowid,)).fetchone()
    if not isinstance(payload, bytes):
        sql("UPDATE Cache SET expire_time = ? WHERE rowid = ?", (expires, rowid))
        return None
    edited = codec.edited(payload, key, tags=tags, expires=expires is not None)
    sql("UPDATE Cache SET value = ?, expire_time = ? WHERE rowid = ?", (edited, expires, rowid))
    return len(edited)
