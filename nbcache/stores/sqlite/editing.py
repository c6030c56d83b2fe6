"""Gives entries other tags, or another time at which they expire: a few at a time, so that other kernels need not wait to write.

The payload has the tags, too, and a mark of whether it expires. So row and payload are written in one transaction. The rows are
written by few statements: one for each row would take several times as long, since SQLite can undo each statement.
"""

import json
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from nbcache.entry.edit import Edit
from nbcache.stores.progress import Progress
from nbcache.stores.sqlite import listing_index, new_rows
from nbcache.stores.sqlite.check import PAUSE, Run
from nbcache.stores.sqlite.diskcache_file import CacheFile
from nbcache.stores.sqlite.sql import Execute, cleaned, joined, moment, split

_AT_ONCE = 0.05  # seconds for payloads in one transaction; their rows take twice as long at worst
_LOOKED_AT, _IN_ORDER_AT_ONCE = 250, 10_000  # keys
_IN_ORDER = (
    "SELECT k.value FROM json_each(?) k LEFT JOIN Cache c ON c.key = k.value AND c.raw = 1"
    " LEFT JOIN entry e ON e.id = c.rowid ORDER BY e.facet, k.key"
)
_LIVE = (
    "SELECT k.value, c.rowid, c.expire_time, e.tags, e.size, e.facet FROM json_each(?) k"
    " CROSS JOIN Cache c ON c.key = k.value AND c.raw = 1 JOIN entry e ON e.id = c.rowid"
    " WHERE c.expire_time IS NULL OR c.expire_time > ? ORDER BY k.key"
)
# Its words stay: see `search_index`.
_PAYLOAD = "UPDATE Cache SET value = ?, expire_time = ?, access_count = access_count + 1 WHERE rowid = ?"
_SIZED = "UPDATE entry SET tags = ?, size = json_extract(j.value, '$[1]')"
_OF_ROWS = "FROM json_each(?) j WHERE entry.id = json_extract(j.value, '$[0]')"


class _Tagged(NamedTuple):
    """What an entry has after it got other tags."""

    rowid: int
    size: int
    facet: int | None
    tags: str


class _Edited(NamedTuple):
    """The ids of the entries whose payloads were changed, what their rows get, and how many of the keys are done."""

    changed: list[int]
    tagged: list[_Tagged]
    keys: int


def edit(write: Run, keys: Sequence[str], change: Edit, progress: Progress | None = None) -> list[int]:
    """Change these entries, as far as they are there. Returns the ids of those that were changed."""
    changed = list[int]()
    try:
        for start in range(0, len(keys), _IN_ORDER_AT_ONCE):
            some, done = keys[start : start + _IN_ORDER_AT_ONCE], 0
            if change.add or change.remove:
                some = write(partial(_in_order, keys=some))
            while done < len(some):
                ids, number = write(partial(_edit_some, keys=some, done=done, change=change))
                changed += ids
                done += number
                if progress is not None:
                    progress(start + done, len(keys))
                if start + done < len(keys):
                    time.sleep(PAUSE)
    finally:
        write(CacheFile.read_few_pages)
    return changed


def _in_order(cache: CacheFile, keys: Sequence[str]) -> list[str]:
    """The keys of entries with equal values together: then these can be changed where the listing has them."""
    return [key for (key,) in cache.execute(_IN_ORDER, (json.dumps([*keys]),))]


def _edit_some(cache: CacheFile, keys: Sequence[str], done: int, change: Edit) -> tuple[list[int], int]:
    """Change entries for a moment, from the index `done` on. The ids of those that were changed, and how many keys are done."""
    changed, tagged, at = list[int](), list[_Tagged](), done
    sql, ends = cache.execute, time.monotonic() + _AT_ONCE
    cache.read_many_pages()
    with cache.transaction():
        new_rows.move(sql)
        while at < len(keys) and time.monotonic() < ends:
            edited = _edit_payloads(sql, keys[at : at + _LOOKED_AT], change, ends)
            changed += edited.changed
            tagged += edited.tagged
            at += edited.keys
        if change.sets_expiry:
            expiring = (change.expires, json.dumps(changed))
            sql("UPDATE entry SET expires = ? WHERE id IN (SELECT value FROM json_each(?))", expiring)
        _tag_rows(sql, tagged)
    return changed, at - done


def _edit_payloads(sql: Execute, keys: Sequence[str], change: Edit, ends: float) -> _Edited:
    """Write the payloads of these entries, and when they expire, until the time `ends`."""
    edited = _Edited([], [], len(keys))
    for key, rowid, ended, written, size, facet in sql(
        _LIVE, (json.dumps([*dict.fromkeys(keys)]), time.time())
    ).fetchall():
        tags, expires = split(written), moment(ended)
        new_tags, new_expires = cleaned(change.tags_of(tags)), change.expiry_of(expires)
        is_tagged = {*new_tags} != {*tags}
        if is_tagged or (new_expires is None) != (expires is None):
            new_size = _edit_payload(sql, rowid, new_tags if is_tagged else None, new_expires, change)
            if is_tagged:
                edited.tagged.append(_Tagged(rowid, new_size or size, facet, joined(new_tags)))
        elif new_expires != expires:
            sql("UPDATE Cache SET expire_time = ? WHERE rowid = ?", (new_expires, rowid))
        else:
            continue
        edited.changed.append(rowid)
        if time.monotonic() > ends:
            return edited._replace(keys=keys.index(key) + 1)
    return edited


def _edit_payload(
    sql: Execute, rowid: int, tags: Sequence[str] | None, expires: float | None, change: Edit
) -> int | None:
    """Write the payload and when it expires. Returns its size; None if it is none of nbcache's."""
    from nbcache import codec  # noqa: PLC0415 - LangChain's classes, which a store needs for this alone

    key, payload = sql("SELECT key, value FROM Cache WHERE rowid = ?", (rowid,)).fetchone()
    if not isinstance(payload, bytes):
        sql("UPDATE Cache SET expire_time = ? WHERE rowid = ?", (expires, rowid))
        return None
    edited = (change.payload or codec.edited)(payload, key, tags=tags, expires=expires is not None)
    sql(_PAYLOAD, (edited, expires, rowid))
    return len(edited)


def _tag_rows(sql: Execute, tagged: Iterable[_Tagged]) -> None:
    """Write the rows of these entries. Only those are moved in the listing whose values others have, too, that stay as they are."""
    of_values, kept, moved = (defaultdict[Any, list[_Tagged]](list) for _ in range(3))
    for each in tagged:
        of_values[each.facet, each.tags].append(each)
    for (facet, tags), some in of_values.items():
        after = None if facet is None else listing_index.with_tags(sql, facet, tags, len(some))
        if after == facet:
            kept[tags] += some
        else:
            moved[tags] += [each._replace(facet=after) for each in some]
    for tags, some in kept.items():
        sql(f"{_SIZED} {_OF_ROWS}", (tags, json.dumps(some)))
    for tags, some in moved.items():
        sql(f"{_SIZED}, facet = json_extract(j.value, '$[2]') {_OF_ROWS}", (tags, json.dumps(some)))
