"""Evicts the least recently used entries of a store with bounds. What expires by itself is in `expiry`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nbcache.entry.filter import Filter
from nbcache.errors import TooLargeError
from nbcache.stores import sqlite

if TYPE_CHECKING:
    from nbcache.entry.records import EntryMeta
    from nbcache.stores.sqlite.diskcache_file import CacheFile
    from nbcache.stores.sqlite.sql import Execute

_AT_ONCE = 100  # entries in one transaction: others may want to write


class Bounds:
    """How many bytes and entries a store may have."""

    def __init__(self, max_bytes: int | None, max_entries: int | None) -> None:
        self._max_bytes, self._max_entries = max_bytes, max_entries
        self._counted: CacheFile | None = None  # the file whose totals were counted by this process
        self._evicted: list[EntryMeta] = []
        self._is_over = False
        self.are_set = max_bytes is not None or max_entries is not None

    def check(self, payload: bytes) -> None:
        """Raise TooLargeError for a payload that is larger than all may be."""
        if self._max_bytes is not None and len(payload) > self._max_bytes:
            raise TooLargeError(f"an answer of {len(payload)} bytes is larger than max_bytes={self._max_bytes}")

    def keep(self, cache: "CacheFile", *, spare: str) -> None:
        """Bring the store within its bounds, or nearer to them. Totals are counted once by this process before they are used."""
        if not self.are_set:
            return
        if self._counted is not cache:
            sqlite.totals.recount(cache.execute)
            self._counted = cache
        from nbcache.stores.evictions import report  # noqa: PLC0415 - few stores have bounds

        gone = None if report.to is None else self._evicted
        self._is_over = evict(
            cache.execute, self._max_bytes, self._max_entries, spare=spare, now=time.time(), gone=gone
        )

    @contextmanager
    def keeping(self, store: object, cache: "CacheFile", *, spare: str) -> Iterator[None]:
        """After this block, in which `keep` was called, go on until the store is within its bounds, and report what is evicted.

        Others can write meanwhile. If the block is left by an error, nothing is done.
        """
        self._evicted, self._is_over = [], False
        yield
        evicted = self._evicted
        try:
            while self._is_over:
                self._evicted = []
                time.sleep(sqlite.check.PAUSE)
                with cache.transaction():
                    self.keep(cache, spare=spare)
                evicted += self._evicted
        finally:
            if evicted:
                from nbcache.stores.evictions import report  # noqa: PLC0415 - as above

                if report.to is not None:
                    report.to(store, evicted)


def evict(  # noqa: PLR0913 - the bounds, and who is told
    sql: "Execute",
    max_bytes: int | None,
    max_entries: int | None,
    *,
    spare: str,
    now: float,
    gone: "list[EntryMeta] | None" = None,
) -> bool:
    """Delete some of the least recently used entries, but not `spare`, until the store is within its bounds.

    `gone` gets their rows. Expired entries, which go first, are not counted as evicted. Returns whether more have to go.
    """
    sqlite.schema.make_bounded(sql)
    sqlite.rows.put_last(sql, spare, now)

    def is_over(held: tuple[int, int], entries: int = 0, size: int = 0) -> bool:
        return (max_entries is not None and held[0] > max_entries + entries) or (
            max_bytes is not None and held[1] > max_bytes + size
        )

    held = sqlite.totals.read(sql)
    if held is None or is_over(held, 1, sqlite.rows.size_of(sql, spare, now) or 0):
        # Over by more than this entry: count first, so that a wrong total evicts nothing.
        held = sqlite.totals.recount(sql)
    for _ in range(_AT_ONCE):
        if not is_over(held) or not _evict_one(sql, spare, now, gone):
            return False
        held = sqlite.totals.read(sql) or sqlite.totals.recount(sql)
    return is_over(held)


def _evict_one(sql: "Execute", spare: str, now: float, gone: "list[EntryMeta] | None") -> bool:
    """Delete an expired entry or, if there is none, the least recently used one. Returns whether there was one."""
    expired = sql(f"{sqlite.tombstones.EXPIRED} AND key != ? ORDER BY expire_time LIMIT 1", (now, spare)).fetchone()
    if expired is not None:
        rowid, key, ended = expired
        sqlite.tombstones.delete_entry(sql, rowid, key, ended, "expired")
        return True
    row = sql(
        f"SELECT c.rowid, c.key FROM entry e JOIN Cache c ON c.rowid = e.id WHERE e.id != {sqlite.rows.ROWID}"
        " ORDER BY e.used, e.id LIMIT 1",
        (spare,),
    ).fetchone()
    if row is not None:
        if gone is not None:
            gone += sqlite.pages.select(sql, Filter(key=row[1]), now, sqlite.pages.Part(limit=1))
        sqlite.tombstones.delete_entry(sql, row[0], row[1], now, "evicted")
        sqlite.totals.add_eviction(sql)
    return row is not None
