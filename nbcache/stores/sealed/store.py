"""A store whose entries are sealed: it stands before another one, which keeps them.

There is a class for each capability. A sealed store has those of the store that it stands before, without those that need text
(`Searchable`, `Selecting`, `Columnar`) or hand out the store's own memory (`Owning`).
"""

import contextlib
import functools
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from nbcache import codec
from nbcache.codec.payload import created_in
from nbcache.entry.edit import Edit
from nbcache.entry.filter import check_sort
from nbcache.entry.records import Cleared, EntryMeta, Facets, Filter, SessionCall, Spending, Totals, Touch
from nbcache.errors import DamagedError
from nbcache.stores import base
from nbcache.stores.location import SECRET
from nbcache.stores.progress import Counted, Progress
from nbcache.stores.sealed import envelope
from nbcache.stores.sealed.keys import Keys
from nbcache.stores.sealed.rows import Rows, is_applied_here
from nbcache.stores.sqlite.store import DiskStore
from nbcache.stores.tiers.copies import entries_in


def sealed(inner: base.Store) -> "SealedStore":
    """A store that keeps in `inner` what only those can read who have the secret in `NBCACHE_SECRET`.

    Raises ValueError if the secret is too short, and MissingPackageError without the package `cryptography`.
    """
    if isinstance(inner, SealedStore):
        return inner
    has = tuple(part for capability, part in _PARTS if isinstance(inner, capability))
    return _class(has)(inner, Keys(os.environ.get(SECRET, "")))


def _sealed_at(place: Path | base.Store) -> "SealedStore":
    return sealed(DiskStore(place) if isinstance(place, Path) else place)


class SealedStore:
    """Keeps, in the store `inner`, payloads that are encrypted under keys that are an HMAC. `sealed` makes one."""

    def __init__(self, inner: Any, keys: Keys) -> None:
        self.inner = inner
        self._keys, self._rows = keys, Rows(keys)

    def __reduce__(self) -> tuple[Any, ...]:
        """A worker process reads the secret from its environment, and not from here."""
        return _sealed_at, (self.inner.folder if isinstance(self.inner, DiskStore) else self.inner,)

    @property
    def url(self) -> str:
        """The URL of the store that keeps the entries, and that they are sealed."""
        return f"{self.inner.url} (sealed)"

    def get(self, key: str, *, wait: bool = True, include_expired: bool = False) -> bytes | None:
        """The payload of `key`, or None if there is none or it has expired. Raises DamagedError for one that was planted."""
        kept_as = self._keys.key(key)
        found = self.inner.get(kept_as, wait=wait, include_expired=include_expired)
        return None if found is None else self._opened(found, kept_as)

    def put(self, key: str, payload: bytes, meta: EntryMeta, ttl: float | None = None) -> None:
        """Keep `payload` for `ttl` seconds, or for good."""
        kept_as, closed, row = self._entry(key, payload, meta)
        self.inner.put(kept_as, closed, row, ttl)

    def close(self) -> None:
        """Close the store that keeps the entries."""
        self.inner.close()

    def evicted(self, rows: Iterable[EntryMeta]) -> list[EntryMeta]:
        """Rows of entries that `inner` has evicted, opened."""
        return self._rows.all_opened(rows)

    def _opened(self, found: bytes, kept_as: str) -> bytes:
        try:
            return envelope.opened(self._keys, found, kept_as)[1]
        except DamagedError as error:  # under a key that only our secret makes: it was planted, and is replaced
            raise DamagedError(str(error)) from None

    def _entry(self, key: str, payload: bytes, meta: EntryMeta) -> tuple[str, bytes, EntryMeta]:
        row = self._rows.sealed(key, meta)
        return row.key, envelope.closed(self._keys, key, payload, meta.created), row

    def _kept_as(self, keys: Iterable[str]) -> list[str]:
        return [self._keys.key(key) for key in keys]


class _Deletable(SealedStore):
    def delete(self, key: str) -> bool:
        """Delete the entry. Returns whether there was one."""
        return cast("bool", self.inner.delete(self._keys.key(key)))


class _Listable(_Deletable):
    def touch(self, touches: Iterable[Touch]) -> None:
        """Update rows: last hit, hits, owners, costs."""
        self.inner.touch(
            replace(touch, key=self._keys.key(touch.key), notebook=self._rows.notebook(touch.notebook))
            for touch in touches
        )

    def page(
        self,
        which: Filter = Filter(),  # noqa: B008 - frozen
        *,
        sort: str = "created",
        descending: bool = True,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[EntryMeta]:
        """The rows that `which` selects, in this order; rows without a value come last if it descends."""
        check_sort(sort)
        wanted = self._rows.filter(which)
        if not is_applied_here(which, sort):
            rows = self.inner.page(wanted, sort=sort, descending=descending, limit=limit, offset=offset)
            return self._rows.all_opened(rows)
        by_text = is_applied_here(Filter(), sort)
        rows = self.inner.page(wanted, sort="created" if by_text else sort, descending=descending)
        opened = self._selected(self._rows.all_opened(rows), which)
        if by_text:
            opened.sort(key=lambda row: ((value := getattr(row, sort)) is not None, value), reverse=descending)
        return opened[offset:] if limit is None else opened[offset : offset + limit]

    def totals(self, which: Filter = Filter()) -> Totals:  # noqa: B008 - frozen
        """How many entries `which` selects, and how many bytes."""
        if is_applied_here(which):
            rows = self.page(which)
            return Totals(len(rows), sum(row.size_bytes for row in rows), self.inner.totals().evictions)
        kept = self.inner.totals(self._rows.filter(which))
        return Totals(kept.entries, max(0, kept.size_bytes - kept.entries * envelope.OVERHEAD), kept.evictions)

    def facets(self, notebook: str | None = None) -> Facets:
        """The values that the entries have."""
        return self._rows.facets(self.inner.facets(self._rows.notebook(notebook)))

    def clear(self, keys: Sequence[str], *, owner: str | None = None) -> Cleared:
        """Delete these entries; with an `owner`, remove its ownership and delete entries without another owner."""
        return self._cleared(self.inner.clear(self._kept_as(keys), owner=self._rows.notebook(owner)))

    def entries(self, keys: Collection[str]) -> Iterator[tuple[EntryMeta, bytes]]:
        """Those of these entries that are there and have not expired, with previews: a nearer tier may keep text."""
        for row, found in entries_in(self.inner, self._kept_as(keys)):
            opened = self._rows.opened(row)
            with contextlib.suppress(DamagedError):
                if opened is not None:
                    payload = self._opened(found, row.key)
                    header = codec.read(payload, opened.key).header().meta
                    yield replace(opened, prompt=header.prompt, answer=header.answer), payload

    def others(self) -> int:
        """How many entries the store has that are not sealed with this secret: they are misses."""
        return max(0, int(self.inner.totals().entries) - self.totals().entries)

    def _selected(self, rows: list[EntryMeta], which: Filter) -> list[EntryMeta]:
        return [row for row in rows if replace(which, prompt=None).selects(row)]

    def _cleared(self, done: Cleared) -> Cleared:
        return replace(done, size_bytes=max(0, done.size_bytes - done.deleted * envelope.OVERHEAD))


class _Streamable(_Listable):
    def stream(self, which: Filter, keys: Collection[str] | None = None) -> Counted[tuple[EntryMeta, bytes]]:
        """The entries that `which` selects now, or those of them among `keys`, each with its payload; the newest first."""
        if is_applied_here(which):
            keys = {row.key for row in self.page(which) if keys is None or row.key in keys}
        kept_as = None if keys is None else frozenset(self._kept_as(keys))
        return _Stream(self, self.inner.stream(self._rows.filter(which), kept_as))

    def clear(self, keys: Sequence[str], *, owner: str | None = None, progress: Progress | None = None) -> Cleared:
        """As `Listable.clear`. `progress` is called with how many are done, and of how many."""
        kept_as = self._kept_as(keys)
        return self._cleared(self.inner.clear(kept_as, owner=self._rows.notebook(owner), progress=progress))

    def opened_entry(self, row: EntryMeta, payload: bytes) -> tuple[EntryMeta, bytes] | None:
        """An entry as people read it, with an empty payload if that can't be opened. None if it isn't ours."""
        opened = self._rows.opened(row)
        if opened is None:
            return None
        try:
            return opened, self._opened(payload, row.key)
        except DamagedError:
            return opened, b""


class _Stream:
    """The entries of a sealed store, as they are read."""

    def __init__(self, store: _Streamable, entries: Counted[tuple[EntryMeta, bytes]]) -> None:
        self._store, self._entries = store, entries

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[tuple[EntryMeta, bytes]]:
        opened = (self._store.opened_entry(*entry) for entry in self._entries)
        return (entry for entry in opened if entry is not None)


class _Editable(_Listable):
    def edit(self, keys: Sequence[str], change: Edit, progress: Progress | None = None) -> int:
        """Change these entries, as far as they are there. Returns how many were changed."""
        add, remove = self._rows.tags(change.add), self._rows.tags(change.remove)
        change = replace(change, add=add, remove=remove, payload=self._edited)
        return cast("int", self.inner.edit(self._kept_as(keys), change, progress))

    def _edited(self, found: bytes, kept_as: str, *, tags: Sequence[str] | None, expires: bool | None) -> bytes:
        """As `codec.edited`, of a sealed payload. What can't be opened stays as it is."""
        try:
            key, payload = envelope.opened(self._keys, found, kept_as)
        except DamagedError:
            return found
        opened_tags = None if tags is None else self._rows.opened_tags(tags)
        edited = codec.edited(payload, key, tags=opened_tags, expires=expires)
        return envelope.closed(self._keys, key, edited, created_in(found))


class _Ledger(SealedStore):
    def record(self, rows: Iterable[Spending]) -> None:
        """Add rows to the lifetime ledger, which nothing clears."""
        self.inner.record([self._rows.spending(row) for row in rows])

    def spendings(self, notebook: str | None = None) -> list[Spending]:
        """The lifetime ledger: a row for each model in each execution of a cell, oldest first."""
        return self._rows.opened_spendings(self.inner.spendings(self._rows.notebook(notebook)))

    def record_calls(self, session: str, notebook: str | None, calls: Iterable[SessionCall]) -> None:
        """Record what a session of a notebook called; the last two sessions of each notebook are kept."""
        self.inner.record_calls(session, self._rows.notebook(notebook), [self._rows.call(call) for call in calls])

    def last_calls(self, notebook: str | None, but: str | None = None) -> list[SessionCall]:
        """What the last session of a notebook called, other than the session `but`, in the order of the calls."""
        return self._rows.opened_calls(self.inner.last_calls(self._rows.notebook(notebook), but))

    def rename(self, notebook: str, new: str) -> None:
        """Move a notebook's rows and calls to its new name."""
        self.inner.rename(self._rows.notebook(notebook), self._rows.notebook(new))


class _Tombstones(SealedStore):
    def tombstone(self, key: str, when: float, *, keep: bool = False) -> tuple[str, float] | None:
        """Why and when the entry `key`, which missed at `when`, was removed; without `keep` only once."""
        return cast("tuple[str, float] | None", self.inner.tombstone(self._keys.key(key), when, keep=keep))


class _Bounded(SealedStore):
    def bound(self, max_bytes: int | None, max_entries: int | None) -> None:
        """From the next `put` on, evict what exceeds these bounds. Raises ValueError if one is below 1."""
        self.inner.bound(max_bytes, max_entries)


class _Checkable(SealedStore):
    def check(
        self,
        *,
        fix: bool = False,
        read: Callable[[bytes, str], EntryMeta] | None = None,
        progress: Progress | None = None,
    ) -> list[str]:
        """What is wrong, a line each; with `fix` entries that were changed or planted are deleted. Those of others stay."""
        unread = dict[str, type[DamagedError]]()

        def read_sealed(found: bytes, kept_as: str) -> EntryMeta:
            try:
                key, payload = envelope.opened(self._keys, found, kept_as)
            except envelope.NotOursError as error:
                unread[str(error)] = type(error)
                raise
            assert read is not None
            return self._rows.sealed(key, read(payload, key))

        lines = self.inner.check(fix=fix, read=None if read is None else read_sealed, progress=progress)
        return [line for line in lines if line not in unread] + _of_others([*unread.values()])


class _Bulk(SealedStore):
    def put_all(self, entries: Iterable[tuple[str, bytes, EntryMeta]]) -> None:
        """As `put` for each key with its payload and row, for good: all of them or none."""
        self.inner.put_all(self._entry(*entry) for entry in entries)


class _ChangeTracking(SealedStore):
    def change_token(self) -> object:
        """A value that is equal only while nothing in the store has changed. None if that isn't known now."""
        return self.inner.change_token()


class _PayloadTracking(SealedStore):
    def payload_token(self) -> object:
        """A value that is equal only while no payload was changed or deleted. None if that isn't known now."""
        return self.inner.payload_token()


class _Expiring(SealedStore):
    def expiry(self, key: str) -> float | None:
        """When the entry expires (seconds since the epoch). None if there is none, or if it never does."""
        return cast("float | None", self.inner.expiry(self._keys.key(key)))


class _Buffered(SealedStore):
    def flush(self, within: float) -> None:
        """Wait until what was stored has reached its place, for at most `within` seconds."""
        self.inner.flush(within)


class _Remote(SealedStore):
    def connect(self) -> None:
        """Ask the server once. Raises ValueError if it refuses the password, and StoreError if it does not answer."""
        self.inner.connect()


class _Leasing(SealedStore):
    def lease(self, key: str, token: str, seconds: float) -> bytes | bool | None:
        """The payload of `key`; without one, whether the lease is the token's now. None if nobody needs it."""
        kept_as = self._keys.key(key)
        found = self.inner.lease(kept_as, token, seconds)
        return self._opened(found, kept_as) if isinstance(found, bytes) else cast("bool | None", found)

    def renew(self, leases: Mapping[str, str], seconds: float) -> None:
        """Let these keys' leases last for so many seconds from now."""
        self.inner.renew({self._keys.key(key): token for key, token in leases.items()}, seconds)

    def put_leased(self, key: str, payload: bytes, meta: EntryMeta, ttl: float | None, token: str) -> None:
        """As `put`. If the lease is the token's no longer, an entry that was stored meanwhile stays."""
        kept_as, closed, row = self._entry(key, payload, meta)
        self.inner.put_leased(kept_as, closed, row, ttl, token)

    def release(self, key: str, token: str, *, failed: bool) -> None:
        """End the token's lease without an answer."""
        self.inner.release(self._keys.key(key), token, failed=failed)


# The richer come first: a class takes its methods from them.
_PARTS: tuple[tuple[Any, type[SealedStore]], ...] = (
    (base.Streamable, _Streamable),
    (base.Editable, _Editable),
    (base.Listable, _Listable),
    (base.Deletable, _Deletable),
    (base.LedgerStore, _Ledger),
    (base.Tombstones, _Tombstones),
    (base.Bounded, _Bounded),
    (base.Checkable, _Checkable),
    (base.Bulk, _Bulk),
    (base.ChangeTracking, _ChangeTracking),
    (base.PayloadTracking, _PayloadTracking),
    (base.Expiring, _Expiring),
    (base.Buffered, _Buffered),
    (base.Remote, _Remote),
    (base.Leasing, _Leasing),
)


@functools.cache
def _class(parts: tuple[type[SealedStore], ...]) -> type[SealedStore]:
    return type("SealedStore", (*parts, SealedStore), {"__doc__": SealedStore.__doc__})


def _of_others(kinds: Sequence[type[DamagedError]]) -> list[str]:
    lines = []
    if unsealed := kinds.count(envelope.UnsealedError):
        lines.append(f"{_entries(unsealed)} not sealed: {_no_hits(unsealed)} while {SECRET} is set")
    if other := kinds.count(envelope.OtherSecretError):
        lines.append(f"{_entries(other)} sealed with another {SECRET}: {_no_hits(other)} with this one")
    return lines


def _entries(number: int) -> str:
    return "1 entry is" if number == 1 else f"{number} entries are"


def _no_hits(number: int) -> str:
    return "it is no hit" if number == 1 else "they are no hits"
