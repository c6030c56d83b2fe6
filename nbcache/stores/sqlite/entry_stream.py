"""Entries with their payloads, one after the other: a few are read at a time, so that memory holds only those."""

import time
from collections.abc import Collection, Iterator
from functools import partial

from nbcache.entry.records import EntryMeta, Filter
from nbcache.errors import DamagedError
from nbcache.stores.sqlite import pages
from nbcache.stores.sqlite.check import Run
from nbcache.stores.sqlite.diskcache_file import CacheFile, payload_in

_AT_ONCE = 256  # entries
_MOST_BYTES = 4_000_000  # of their payloads
_UNREADABLE = b""


class EntryStream:
    """The entries that `which` selects now, or those of them among `keys`. `look` runs what only reads."""

    def __init__(self, look: Run, which: Filter, keys: Collection[str] | None) -> None:
        self._look, self._include_expired = look, which.include_expired
        self._ids = look(lambda cache: pages.ids(cache.execute, which, time.time(), keys))

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[tuple[EntryMeta, bytes]]:
        at = 0
        while at < len(self._ids):
            some, at = self._look(partial(self._some, at=at))
            yield from some

    def _some(self, cache: CacheFile, at: int) -> tuple[list[tuple[EntryMeta, bytes]], int]:
        """The next entries, and where those after them begin."""
        some: list[tuple[EntryMeta, bytes]] = []
        size, expires_after = 0, 0.0 if self._include_expired else time.time()
        while at < len(self._ids) and len(some) < _AT_ONCE and size < _MOST_BYTES:
            row = pages.with_payload(cache.execute, self._ids[at], expires_after)
            at += 1
            if row is not None:
                payload = _payload(*row[1:])
                size += len(payload)
                some.append((row[0], payload))
        return some, at


def _payload(mode: int, value: object) -> bytes:
    try:
        return payload_in(mode, value)
    except DamagedError:
        return _UNREADABLE
