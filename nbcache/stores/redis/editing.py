"""Changes entries that exist: their tags, and when they expire."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nbcache import codec
from nbcache.entry.edit import Edit
from nbcache.stores.progress import Progress
from nbcache.stores.redis import rows
from nbcache.stores.redis.columns import packed
from nbcache.stores.redis.scripts import Argument, run

if TYPE_CHECKING:
    from nbcache.stores.redis.store import RedisStore

_AT_ONCE = 100  # entries whose payloads are read at once


def edit(store: "RedisStore", keys: Sequence[str], change: Edit, progress: Progress | None = None) -> int:
    """Change these entries, as far as they are there. Returns how many were changed."""
    changed = 0
    for start in range(0, len(keys), _AT_ONCE):
        some = left = keys[start : start + _AT_ONCE]
        while left:  # an entry that somebody else changed meanwhile is read again
            with store.server.request():
                edited, left = _edit(store, left, change)
            changed += edited
        if progress is not None:
            progress(start + len(some), len(keys))
    return changed


def _edit(store: "RedisStore", keys: Sequence[str], change: Edit) -> tuple[int, list[str]]:
    """Change these entries. Returns how many were changed, and those that were not the ones that were read any more."""
    there = run(store.server.listing, store.root, "entries", keys)
    ahead = store.server.ahead()
    edits = {
        key: arguments
        for key, parts in zip(keys, there, strict=True)
        if parts is not None and (arguments := _arguments(key, parts, change, ahead)) is not None
    }
    with store.server.listing.pipeline(transaction=False) as together:
        for arguments in edits.values():
            run(together, store.root, "edit", arguments)
        done = together.execute()
    return sum(done), [key for key, is_done in zip(edits, done, strict=True) if not is_done]


def _arguments(key: str, parts: list[Any], change: Edit, ahead: float) -> list[Argument] | None:
    """What the script takes; None if nothing changes. The server's clock is `ahead` of this machine's by so many seconds."""
    row, payload, now = rows.read_or_none(parts, ahead), parts[-1], time.time()
    if row is None or (row.expires is not None and row.expires <= now) or not change.changes(row.tags, row.expires):
        return None
    tags, expires = change.tags_of(row.tags), change.expiry_of(row.expires)
    after = replace(row, tags=tags, expires=expires, created=row.created + ahead)
    edited = (change.payload or codec.edited)(payload, key, tags=tags, expires=expires is not None)
    digest = hashlib.sha1(payload, usedforsecurity=False).hexdigest()
    expiry = rows.expiry_arguments(None if expires is None else expires + ahead, now + ahead)
    return [key, digest, parts[1], edited, rows.written(after), packed(after, edited), *expiry]
