"""Entries that were selected, of which only the keys are in memory: their rows are read when they are needed."""

import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, overload

from nbcache.entry.edit import Edit
from nbcache.entry.records import Cleared, EntryMeta
from nbcache.stores.redis.scripts import run

if TYPE_CHECKING:
    from nbcache.stores.redis.store import RedisStore

_AT_ONCE = 500  # rows


class StoredSelection(Sequence[EntryMeta]):
    """The rows of entries, in an order. Those that are gone by the time they are read are left out."""

    def __init__(self, store: "RedisStore", keys: list[str]) -> None:
        self._store, self._keys = store, keys

    def __len__(self) -> int:
        return len(self._keys)

    @overload
    def __getitem__(self, at: int) -> EntryMeta: ...
    @overload
    def __getitem__(self, at: slice) -> "StoredSelection": ...
    def __getitem__(self, at: int | slice) -> "EntryMeta | StoredSelection":
        if isinstance(at, slice):
            return StoredSelection(self._store, self._keys[at])
        (row,) = self[at : at + 1 or None]
        return row

    def __iter__(self) -> Iterator[EntryMeta]:
        for start in range(0, len(self._keys), _AT_ONCE):
            with self._store.server.request():
                some = self._keys[start : start + _AT_ONCE]
                there = run(self._store.server.listing, self._store.root, "rows_of_keys", some)
            yield from (row for row, _ in self._store.rows_in(there))

    def keys(self) -> list[str]:
        """Their keys."""
        return self._keys

    def costs(self) -> Iterator[Decimal | None]:
        """What each of them cost."""
        return (row.cost_usd for row in self)

    def clearing(self, owner: str | None) -> Cleared:
        """What it would do to clear them for `owner`. Expired ones are not counted."""
        now, going, size, kept = time.time(), list[str](), 0, 0
        for row in self:
            if row.expires is not None and row.expires <= now:
                continue
            if owner is not None and set(row.notebooks) - {owner}:
                kept += 1
            else:
                going.append(row.key)
                size += row.size_bytes
        return Cleared(len(going), size, kept, StoredSelection(self._store, going))

    def changed_by(self, change: Edit) -> "StoredSelection":
        """Those of them of which a change makes something another."""
        return StoredSelection(self._store, [row.key for row in self if change.changes(row.tags, row.expires)])
