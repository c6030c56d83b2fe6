"""Compares the entries of a store with the columns in which they are listed, and repairs them."""

import hashlib
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from nbcache.entry.durations_and_sizes import LAST_SECOND
from nbcache.entry.records import EntryMeta
from nbcache.errors import DamagedError
from nbcache.stores.progress import Progress
from nbcache.stores.redis import rebuilding, rows
from nbcache.stores.redis.columns import OF_ROW, packed
from nbcache.stores.redis.listing import Listing
from nbcache.stores.redis.scripts import Argument, run

if TYPE_CHECKING:
    from nbcache.stores.redis.store import RedisStore

Read = Callable[[bytes, str], EntryMeta]
_AT_ONCE = 100


def check(store: "RedisStore", *, fix: bool, read: Read | None, progress: Progress | None) -> list[str]:
    """What is wrong, a line each; with `fix` it is repaired. What others change meanwhile is passed over."""
    rebuilding.prepare(store)
    listing = Listing(store, ("key", "size_bytes", *OF_ROW))
    slots = listing.slots()
    keys = listing.keys(slots)
    checker = _Checker(store, read, fix=fix)
    problems: list[str] = []
    for start in range(0, len(keys), _AT_ONCE):
        some = keys[start : start + _AT_ONCE]
        for key, slot, parts in zip(
            some, slots[start : start + _AT_ONCE].tolist(), checker.run("entries", *some), strict=True
        ):
            if parts is None:
                problems += checker.missing(key, slot)
            else:
                problems += checker.damaged(parts) or checker.misplaced(
                    parts, listing.packed(slot), listing.expiry_and_size(slot)
                )
        if progress is not None:
            progress(start + len(some), len(keys))
    problems += checker.unlisted()
    return [*problems, *(["the totals are wrong"] if checker.run("recount", int(fix)) else [])]


class _Checker:
    """Says of each part of a store what is wrong with it; with `fix` it is repaired."""

    def __init__(self, store: "RedisStore", read: Read | None, *, fix: bool) -> None:
        self._store, self._read, self._fix = store, read, fix

    def run(self, name: str, *arguments: Argument) -> Any:
        """Run a script."""
        return run(self._store.server.listing, self._store.root, name, arguments)

    def missing(self, key: str, slot: int) -> list[str]:
        """An entry that is not there, if it is still listed."""
        return [f"entry {key[:8]} is listed, and not there"] if self.run("forget", int(self._fix), key, slot) else []

    def damaged(self, parts: Any) -> list[str]:
        """An entry whose payload or row can't be read."""
        key = parts[0].decode()
        try:
            rows.read(parts)
            if self._read is not None:
                self._read(parts[-1], key)
        except DamagedError as error:
            if self._fix and not error.newer:
                self.run("delete", repr(self._store.server.now()), "", "", key)
            return [str(error)]
        return []

    def misplaced(self, parts: Any, columns: bytes, others: tuple[float, float]) -> list[str]:
        """An entry that is listed with other values than its row has."""
        row, payload = rows.read(parts), parts[-1]
        listed, size = others
        expires = min(listed, LAST_SECOND) if math.isfinite(listed) else None
        if (packed(row, payload), row.expires, len(payload)) == (columns, expires, size):
            return []
        if self._fix:
            digest = hashlib.sha1(payload, usedforsecurity=False).hexdigest()
            expiry = rows.expiry_arguments(row.expires, self._store.server.now())
            self.run("edit", row.key, digest, parts[1], payload, parts[1], packed(row, payload), *expiry)
        return [f"entry {row.key[:8]} is listed with values of another"]

    def unlisted(self) -> Iterator[str]:
        """The entries that are there, and in no list."""
        for key in rebuilding.unlisted(self._store):
            if self._fix:
                rebuilding.list_anew(self._store, [key])
            yield f"entry {key[:8]} is in no list"
