"""Entries with their payloads, one after the other: a few are read at a time, so that memory holds only those."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from nbcache.errors import DamagedError
from nbcache.stores.sqlite.check import Run
from nbcache.stores.sqlite.diskcache_file import CacheFile, payload_in
from nbcache.stores.sqlite.sql import Execute

if TYPE_CHECKING:
    from array import array

_AT_ONCE = 256  # entries
_MOST_BYTES = 4_000_000  # of their payloads
_UNREADABLE = b""
_Row = TypeVar("_Row")
# Reads rows as `pages.with_payloads` does.
Read = Callable[[Execute, Sequence[int], float], Iterator[tuple[int, _Row, tuple[int, object]]]]


class EntryStream(Generic[_Row]):
    """The entries with these ids, in this order, as `read` reads them. `look` runs what only reads."""

    def __init__(self, look: Run, ids: "array[int]", read: "Read[_Row]", *, include_expired: bool) -> None:
        self._look, self._ids, self._read, self._include_expired = look, ids, read, include_expired

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[tuple[_Row, bytes]]:
        return ((row, payload) for _, row, payload in self.with_ids())

    def with_ids(self) -> Iterator[tuple[int, _Row, bytes]]:
        """Each entry with its id."""
        at = 0
        while at < len(self._ids):
            some, read = self._look(partial(self._some, ids=self._ids[at : at + _AT_ONCE]))
            yield from some
            at += read

    def _some(self, cache: CacheFile, ids: "array[int]") -> tuple[list[tuple[int, _Row, bytes]], int]:
        """The first of these entries, and how many of the ids are done."""
        some: list[tuple[int, _Row, bytes]] = []
        size, expires_after = 0, 0.0 if self._include_expired else time.time()
        for at, row, stored in self._read(cache.execute, ids, expires_after):
            payload = _payload(*stored)
            some.append((ids[at], row, payload))
            size += len(payload)
            if size >= _MOST_BYTES:
                return some, at + 1
        return some, len(ids)


def _payload(mode: int, value: object) -> bytes:
    try:
        return payload_in(mode, value)
    except DamagedError:
        return _UNREADABLE
