"""A store in this process's memory, with almost every capability. Nothing survives the kernel."""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

from nbcache import codec, public_in
from nbcache.concurrency.locks import Lock
from nbcache.entry.durations_and_sizes import count, size
from nbcache.entry.edit import Edit
from nbcache.entry.filter import check_sort
from nbcache.entry.records import Cleared, EntryMeta, Facets, Filter, SessionCall, Spending, Totals, Touch
from nbcache.errors import DamagedError, TooLargeError
from nbcache.stores.evictions import report
from nbcache.stores.progress import Progress, followed
from nbcache.stores.sqlite.expiry import is_due

_TOMBSTONES = 10_000  # the latest are kept


@public_in("nbcache.stores")
class MemoryStore:
    """Bounded in entries and bytes; evicts the least recently used first."""

    def __init__(
        self,
        max_entries: int | None = None,
        max_bytes: int | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._lock = Lock()
        self._entries: OrderedDict[str, tuple[bytes, EntryMeta]] = OrderedDict()
        self._bytes = 0
        self._evictions = 0
        self._words: dict[str, frozenset[str]] = {}
        self._spendings: list[Spending] = []
        self._sessions: dict[tuple[str | None, str], dict[tuple[str, str], SessionCall]] = {}
        self._tombstones: dict[str, tuple[float, str]] = {}
        # Expired entries that are still there, and have explained a miss.
        self._explained: set[tuple[str, float | None]] = set()
        self._last_clock: float | None = None
        self.bound(max_bytes, max_entries)

    @property
    def url(self) -> str:
        """`memory://`."""
        return "memory://"

    def get(self, key: str, *, wait: bool = True, include_expired: bool = False) -> bytes | None:  # noqa: ARG002 - it never waits
        """The payload of `key`, or None if there is none or it has expired.

        With `include_expired` also an expired payload, if it is still there.
        """
        with self._lock:
            entry = self._entries.get(key) if include_expired else self._live(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: str, payload: bytes, meta: EntryMeta, ttl: float | None = None) -> None:
        """Keep `payload` for `ttl` seconds, or for good. Raises TooLargeError if it is larger than the bound."""
        if self._max_bytes is not None and len(payload) > self._max_bytes:
            raise TooLargeError(f"an answer of {len(payload)} bytes is larger than max_bytes={self._max_bytes}")
        now = self._clock()
        with self._lock:
            self._delete_expired(now)
            old = self._live(key)
            if old is None and key in self._entries:  # it has expired
                self._bury(key, self._entries[key][1].expires or now, "expired")
            before = meta if old is None else old[1]
            row = replace(
                meta,
                key=key,
                notebooks=tuple(sorted({*before.notebooks, *meta.notebooks})),
                hits=before.hits,
                last_hit=before.last_hit,
                size_bytes=len(payload),
                expires=None if ttl is None else now + ttl,
            )
            self._drop(key)
            self._entries[key] = (payload, row)
            self._bytes += len(payload)
            self._evict()

    def put_all(self, entries: Iterable[tuple[str, bytes, EntryMeta]]) -> None:
        """Keep all of these for good: none, if one of them can't be had."""
        whole = list(entries)
        with self._lock:
            for key, payload, meta in whole:
                self.put(key, payload, meta)

    def touch(self, touches: Iterable[Touch]) -> None:
        """Update rows: last hit, hits, owners, costs."""
        with self._lock:
            for touch in touches:
                entry = self._live(touch.key)
                if entry is None:
                    continue
                payload, meta = entry
                owners = meta.notebooks
                if touch.notebook is not None and touch.notebook not in owners:
                    owners = (*owners, touch.notebook)
                last_hit = max(meta.last_hit or 0.0, touch.when) if touch.hits else meta.last_hit
                meta = replace(meta, hits=meta.hits + touch.hits, last_hit=last_hit, notebooks=owners)
                if touch.cost_usd is not None:
                    meta = replace(meta, cost_usd=touch.cost_usd, charged=touch.charged)
                self._entries[touch.key] = (payload, meta)

    def edit(self, keys: Sequence[str], change: Edit, progress: Progress | None = None) -> int:
        """Change these entries, as far as they are there. Returns how many were changed."""
        changed = 0
        with self._lock:
            for key in followed(keys, progress):
                entry = self._live(key)
                if entry is None or not change.changes(entry[1].tags, entry[1].expires):
                    continue
                tags, expires = change.tags_of(entry[1].tags), change.expiry_of(entry[1].expires)
                payload = (change.payload or codec.edited)(entry[0], key, tags=tags, expires=expires is not None)
                self._entries[key] = payload, replace(entry[1], tags=tags, expires=expires, size_bytes=len(payload))
                self._bytes += len(payload) - len(entry[0])
                changed += 1
        return changed

    def delete(self, key: str) -> bool:
        """Delete the entry. Returns whether there was one."""
        with self._lock:
            there = self._live(key) is not None
            self._delete(key, "evicted by hand")
            return there

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
        with self._lock:
            live = self._entries.get if which.include_expired else self._live
            rows = [entry[1] for key in list(self._entries) if (entry := live(key)) and self._is_selected(key, which)]

        def rank(row: EntryMeta) -> tuple[bool, Any]:
            value = getattr(row, sort)
            return value is not None, value

        rows.sort(key=rank)
        if descending:
            rows.reverse()
        return rows[offset:] if limit is None else rows[offset : offset + limit]

    def stream(self, which: Filter, keys: Collection[str] | None = None) -> list[tuple[EntryMeta, bytes]]:
        """The entries that `which` selects now, or those of them among `keys`, each with its payload; the newest first."""
        with self._lock:
            rows = self.page(which)
            return [(row, self._entries[row.key][0]) for row in rows if keys is None or row.key in keys]

    def totals(self, which: Filter = Filter()) -> Totals:  # noqa: B008 - frozen
        """How many entries `which` selects, and how many bytes."""
        rows = self.page(which)
        return Totals(len(rows), sum(row.size_bytes for row in rows), self._evictions)

    def facets(self, notebook: str | None = None) -> Facets:
        """The values that the entries have."""
        rows = self.page(Filter(notebook=notebook))
        return Facets(
            _values([row.model] for row in rows),
            _values(row.tags for row in rows),
            _values(row.notebooks for row in rows),
            _values([row.cell] for row in rows),
            _values([row.status] for row in rows),
            _values([row.client] for row in rows),
            _values([row.kind] for row in rows),
            _values([row.function] for row in rows),
        )

    def index(self, words_of: Callable[[bytes, str], Iterable[str]], at_most: int = 100) -> bool:
        """Index at most so many entries by the words of their payloads. Returns whether some are left to do."""
        with self._lock:
            left = [key for key in self._entries if key not in self._words]
            for key in left[:at_most]:
                self._words[key] = frozenset(words_of(self._entries[key][0], key))
        return len(left) > at_most

    def record(self, rows: Iterable[Spending]) -> None:
        """Add rows to the ledger, for as long as this process lives."""
        with self._lock:
            self._spendings += rows

    def spendings(self, notebook: str | None = None) -> list[Spending]:
        """The ledger: a row for each model in each execution of a cell, oldest first."""
        summed: dict[object, Spending] = {}
        with self._lock:
            for row in self._spendings:
                if notebook is None or row.notebook == notebook:
                    which = (row.session, row.execution, row.notebook, row.cell, row.model, row.kind)
                    if which in summed:
                        summed[which].add(row)
                    else:
                        summed[which] = replace(row)
        return sorted(summed.values(), key=lambda row: row.when)

    def record_calls(self, session: str, notebook: str | None, calls: Iterable[SessionCall]) -> None:
        """Record what a session of a notebook called."""
        with self._lock:
            of = self._sessions.setdefault((notebook, session), {})
            of |= {(call.key, call.model): call for call in calls}
            mine = [each for each in self._sessions if each[0] == notebook]
            for old in mine[:-2]:
                del self._sessions[old]

    def last_calls(self, notebook: str | None, but: str | None = None) -> list[SessionCall]:
        """What the last session of a notebook called, other than the session `but`, in the order of the calls."""
        with self._lock:
            mine = [calls for (of, session), calls in self._sessions.items() if of == notebook and session != but]
            made = [call for call in mine[-1].values() if call.calls] if mine else []
            return sorted(made, key=attrgetter("when", "key"))

    def rename(self, notebook: str, new: str) -> None:
        """Move a notebook's rows and calls to its new name."""
        with self._lock:
            for row in self._spendings:
                row.notebook = new if row.notebook == notebook else row.notebook
            self._sessions = {
                (new if of == notebook else of, session): calls for (of, session), calls in self._sessions.items()
            }

    def similar(self, words: Sequence[str], limit: int) -> list[str]:
        """The keys of indexed entries that have most of these words, the most similar first."""
        wanted = set(words)
        with self._lock:
            common = {key: len(wanted & indexed) for key, indexed in self._words.items()}
        return [key for key in sorted(common, key=lambda key: -common[key]) if common[key]][:limit]

    def tombstone(self, key: str, when: float, *, keep: bool = False) -> tuple[str, float] | None:
        """Why and when the entry `key`, which missed at `when`, was removed; without `keep` only once."""
        with self._lock:
            entry = self._entries.get(key)
            if (
                entry is not None
                and _has_expired(entry[1], when)
                and (of := (key, entry[1].expires)) not in self._explained
            ):
                if not keep:
                    self._explained.add(of)
                return "expired", entry[1].expires or when
            went, why = self._tombstones.get(key, (when, None))
            if why is not None and went <= when:
                if not keep:
                    del self._tombstones[key]
                return why, went
            return None

    def clear(self, keys: Sequence[str], *, owner: str | None = None, progress: Progress | None = None) -> Cleared:
        """Delete these entries; with an `owner`, remove its ownership and delete entries without another owner."""
        deleted = freed = kept = 0
        with self._lock:
            # The newest entries last: their tombstones stay.
            for key in followed([*dict.fromkeys(keys)][::-1], progress):
                entry = self._live(key)
                if entry is None:
                    self._delete(key, "cleared")
                    continue
                payload, meta = entry
                others = tuple(name for name in meta.notebooks if name != owner)
                if owner is not None and others:
                    self._entries[key] = (payload, replace(meta, notebooks=others))
                    kept += 1
                else:
                    self._delete(key, "cleared")
                    deleted += 1
                    freed += meta.size_bytes
        return Cleared(deleted, freed, kept)

    def bound(self, max_bytes: int | None, max_entries: int | None) -> None:
        """From the next `put` on, evict what exceeds these bounds. Raises ValueError if one is below 1."""
        self._max_bytes, self._max_entries = size(max_bytes), count(max_entries)

    def check(
        self,
        *,
        fix: bool = False,
        read: Callable[[bytes, str], EntryMeta] | None = None,
        progress: Progress | None = None,
    ) -> list[str]:
        """The entries that `read` finds damaged, a line each; with `fix` they are deleted."""
        problems = []
        with self._lock:
            for key, (payload, _) in followed(list(self._entries.items()), progress):
                try:
                    if read is not None:
                        read(payload, key)
                except DamagedError as error:
                    problems.append(str(error))
                    if fix and not error.newer:
                        self._drop(key)
        return problems

    def close(self) -> None:
        """There is nothing to close."""

    def _is_selected(self, key: str, which: Filter) -> bool:
        meta, indexed = self._entries[key][1], self._words.get(key, frozenset())
        return which.selects(meta) and all(any(each.startswith(word) for each in indexed) for word in which.words)

    def _live(self, key: str) -> tuple[bytes, EntryMeta] | None:
        entry = self._entries.get(key)
        return None if entry is None or _has_expired(entry[1], self._clock()) else entry

    def _delete_expired(self, now: float) -> None:
        """Delete expired entries, and correct those that were stored while the clock was ahead, as `expiry` does."""
        last_clock = self._last_clock
        if not is_due(last_clock, now):
            return
        self._last_clock = now
        if last_clock is None:
            return
        for key, (payload, meta) in list(self._entries.items()):
            if meta.expires is not None and now < last_clock and meta.created > now + 1:
                self._entries[key] = payload, replace(meta, created=now, expires=now + meta.expires - meta.created)
            elif now >= last_clock and _has_expired(meta, last_clock):
                self._drop_expired(key, meta)

    def _drop_expired(self, key: str, meta: EntryMeta) -> None:
        self._drop(key)
        if (key, meta.expires) not in self._explained and meta.expires is not None:
            self._bury(key, meta.expires, "expired")

    def _delete(self, key: str, why: str) -> None:
        """Delete an entry, and leave a tombstone."""
        if (entry := self._entries.get(key)) is None:
            return
        if _has_expired(entry[1], self._clock()):
            self._drop_expired(key, entry[1])
        else:
            self._drop(key)
            self._bury(key, self._clock(), why)

    def _bury(self, key: str, when: float, why: str) -> None:
        self._tombstones.pop(key, None)
        self._tombstones[key] = (when, why)
        if len(self._tombstones) > _TOMBSTONES:
            del self._tombstones[next(iter(self._tombstones))]

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        self._words.pop(key, None)
        if entry is not None:
            self._bytes -= len(entry[0])

    def _evict(self) -> None:
        for key, (_, meta) in list(self._entries.items()) if self._is_over() else ():
            if _has_expired(meta, self._clock()):
                self._drop_expired(key, meta)  # expired entries go first, and are not counted as evicted
        evicted = []
        while self._is_over():
            key = next(iter(self._entries))
            evicted.append(self._entries[key][1])
            self._drop(key)
            self._bury(key, self._clock(), "evicted")
            self._evictions += 1
        if evicted and report.to is not None:
            report.to(self, evicted)

    def _is_over(self) -> bool:
        return (self._max_entries is not None and len(self._entries) > self._max_entries) or (
            self._max_bytes is not None and self._bytes > self._max_bytes
        )


def _values(each: Iterable[Iterable[str | None]]) -> tuple[str, ...]:
    return tuple(sorted({value for values in each for value in values if value}))


def _has_expired(meta: EntryMeta, when: float) -> bool:
    """Whether the entry has expired then."""
    return meta.expires is not None and meta.expires <= when
