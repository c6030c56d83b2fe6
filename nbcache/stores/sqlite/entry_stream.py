"""Entries with their payloads, one after the other: a few are read at a time, so that memory holds only those."""

import time
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from nbcache.entry.records import EntryMeta
from nbcache.errors import DamagedError
from nbcache.stores.sqlite import pages
from nbcache.stores.sqlite.check import Run
from nbcache.stores.sqlite.diskcache_file import CacheFile, payload_in

if TYPE_CHECKING:
    from array import array

_AT_ONCE = 256  # entries
_MOST_BYTES = 4_000_000  # of their payloads
_UNREADABLE = b""


class EntryStream:
    """The entries with these ids, in this order. `look` runs what only reads."""

    def __init__(self, look: Run, ids: "array[int]", *, include_expired: bool) -> None:
        self._look, self._ids, self._include_expired = look, ids, include_expired

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[tuple[EntryMeta, bytes]]:
        return ((row, payload) for _, row, payload in self.with_ids())

    def with_ids(self) -> Iterator[tuple[int, EntryMeta, bytes]]:
        """Each entry with its id."""
        at = 0
        while at < len(self._ids):
            some, at = self._look(partial(self._some, at=at))
            yield from some

    def _some(self, cache: CacheFile, at: int) -> tuple[list[tuple[int, EntryMeta, bytes]], int]:
        """The next entries, and where those after them begin."""
        some: list[tuple[int, EntryMeta, bytes]] = []
        size, expires_after = 0, 0.0 if self._include_expired else time.time()
        while at < len(self._ids) and len(some) < _AT_ONCE and size < _MOST_BYTES:
            rowid = self._ids[at]
            row = pages.with_payload(cache.execute, rowid, expires_after)
            at += 1
            if row is not None:
                payload = _payload(*row[1:])
                size += len(payload)
                some.append((rowid, row[0], payload))
        return some, at


def _payload(mode: int, value: object) -> bytes:
    try:
        return payload_in(mode, value)
    except DamagedError:
        return _UNREADABLE
