"""The store on a Redis or Valkey server."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from nbcache import public_in
from nbcache.entry.durations_and_sizes import count, size
from nbcache.entry.edit import Edit
from nbcache.entry.filter import check_sort
from nbcache.entry.records import Cleared, EntryMeta, Facets, Filter, SessionCall, Spending, Totals, Touch
from nbcache.errors import StoreBusyError, TooLargeError
from nbcache.stores import redis
from nbcache.stores.evictions import report
from nbcache.stores.index_words import words_of
from nbcache.stores.progress import Counted, Progress
from nbcache.stores.redis import rows
from nbcache.stores.redis.address import address
from nbcache.stores.redis.batches import Batches
from nbcache.stores.redis.columns import packed
from nbcache.stores.redis.scripts import Argument, run
from nbcache.stores.redis.server import Server
from nbcache.stores.selection import Search, Selection

if TYPE_CHECKING:
    from nbcache.stores.redis.searches import Searches

WordsOf = Callable[[bytes, str], Iterable[str]]
_LARGEST = 512 * 2**20  # bytes of a value: the server ends the connection of who sends more
_AT_ONCE = 200  # entries that one script changes: the server does nothing else meanwhile


@public_in("nbcache.stores")
class RedisStore:
    """A store on a Redis or Valkey server: `redis://host:6379/0?prefix=team`.

    The server keeps entries until they are cleared or expire, or exceed `max_bytes` or `max_entries`. Needs redis-py:
    `pip install "nbcache[redis]"`. Raises MissingPackageError without it, and ValueError for a wrong URL. Nothing is sent before the
    store is used.
    """

    def __init__(self, url: str, *, max_bytes: int | None = None, max_entries: int | None = None) -> None:
        self._place = url
        self.server = Server(address(url))
        # 2 is the version of what is kept under these keys, and how.
        self.root = f"{{{self.server.address.prefix}}}:2:"
        self.batches = Batches(self)
        self.words_of: WordsOf = words_of
        self.evicted_keys = 0  # by the server, of which the lists know
        self.bound(max_bytes, max_entries)

    @property
    def url(self) -> str:
        """The URL, without a password."""
        return self.server.address.url

    @cached_property
    def searches(self) -> "Searches":
        """What searches have found in this process."""
        return redis.searches.Searches(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """A worker process gets a store of its own on the same server."""
        return type(self), (self._place,), {"_max_bytes": self._max_bytes, "_max_entries": self._max_entries}

    def connect(self) -> None:
        """Ask the server once, for at most a second. Raises ValueError if it refuses the password, StoreError if it is silent."""
        self.server.connect()

    def get(self, key: str, *, wait: bool = True, include_expired: bool = False) -> bytes | None:
        """The payload of `key`, or None if there is none or it has expired.

        Raises StoreBusyError without `wait`: an answer over a network is waited for in a thread.
        """
        if not wait:
            raise StoreBusyError(f"{self.url} is asked in a thread")
        entry: bytes | None
        with self.server.request():
            entry = cast("Any", self.server.calls).execute_command("GET", f"{self.root}e:{key}")
        if entry is None:
            return None
        expires = None if include_expired else rows.expiry_in(entry)
        return None if expires is not None and expires <= self.server.now() else rows.payload_in(entry)

    def put(self, key: str, payload: bytes, meta: EntryMeta, ttl: float | None = None) -> None:
        """Keep `payload` for `ttl` seconds, or for good. Raises TooLargeError if it is larger than the bound, or than 512 MB."""
        self.put_leased(key, payload, meta, ttl, "")

    def put_leased(self, key: str, payload: bytes, meta: EntryMeta, ttl: float | None, token: str) -> None:
        """As `put`. If the lease is the token's no longer, an entry that was stored meanwhile stays."""
        arguments = self._entry(key, payload, meta, ttl, token)
        with self.server.request():
            evicted = run(self.server.calls, self.root, "put", arguments)
        self._report(evicted)

    def put_all(self, entries: Iterable[tuple[str, bytes, EntryMeta]]) -> None:
        """As `put` for each key with its payload and row, for good: all of them or none."""
        whole = [self._entry(key, payload, meta, None) for key, payload, meta in entries]
        with self.server.request(), self.server.listing.pipeline(transaction=True) as together:
            for arguments in whole:
                run(together, self.root, "put", arguments)
            evicted = together.execute()
        self._report([row for some in evicted for row in some])

    def touch(self, touches: Iterable[Touch]) -> None:
        """Update rows: last hit, hits, owners, costs."""
        ahead = self.server.ahead()
        self.batches.write("touch", [_of_touch(touch) for touch in touches], repr(time.time() + ahead), repr(ahead))

    def delete(self, key: str) -> bool:
        """Delete the entry. Returns whether there was one."""
        with self.server.request():
            return bool(
                run(self.server.listing, self.root, "delete", [repr(self.server.now()), "evicted by hand", "", key])[0]
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
        with self.server.request():
            end = None if limit is None else offset + limit
            return redis.pages.page(self, which, redis.listing.Order(sort, descending), slice(offset, end))

    def stream(self, which: Filter, keys: Collection[str] | None = None) -> Counted[tuple[EntryMeta, bytes]]:
        """The entries that `which` selects now, or those of them among `keys`, each with its payload; the newest first."""
        with self.server.request():
            return redis.pages.Stream(self, which, keys)

    def entries(self, keys: Collection[str]) -> list[tuple[EntryMeta, bytes]]:
        """Those of these entries that are there and have not expired, each with its payload."""
        with self.server.request():
            there = run(self.server.listing, self.root, "entries", [*keys])
        now = time.time()
        return [entry for entry in self.rows_in(there) if entry[0].expires is None or entry[0].expires > now]

    def totals(self, which: Filter = Filter()) -> Totals:  # noqa: B008 - frozen
        """How many entries `which` selects, and how many bytes."""
        with self.server.request():
            return redis.pages.totals(self, which)

    def facets(self, notebook: str | None = None) -> Facets:
        """The values that the entries have."""
        with self.server.request():
            return redis.pages.facets(self, notebook)

    def columns(self, which: Filter = Filter()) -> dict[str, list[Any]]:  # noqa: B008 - frozen
        """The fields of EntryMeta, each with its values in the order of the rows that `which` selects, the newest first."""
        with self.server.request():
            return redis.pages.columns(self, which)

    def select(self, which: Filter, search: Search | None = None, progress: Progress | None = None) -> Selection:
        """The rows that `which` selects now, the newest first; with `search` those of the entries with its text."""
        with self.server.request():
            return redis.pages.select(self, which, search, progress)

    def number(self, which: Filter) -> int:
        """How many entries `which` selects."""
        with self.server.request():
            return redis.pages.number(self, which)

    def index(self, words_of: WordsOf, at_most: int = 100) -> bool:  # noqa: ARG002 - nothing is indexed
        """Search by these words from now on. Returns whether some entries are left to index: there are never any."""
        self.words_of = words_of
        return False

    def similar(self, words: Sequence[str], limit: int) -> list[str]:
        """The keys of the entries that have most of these words, the most similar first."""
        with self.server.request():
            return redis.pages.similar(self, words, limit)

    def clear(self, keys: Sequence[str], *, owner: str | None = None, progress: Progress | None = None) -> Cleared:
        """Delete these entries; with an `owner`, remove its ownership and delete entries without another owner."""
        done, whose = Cleared(), rows.owner_argument(owner)
        order = [*dict.fromkeys(keys)][::-1]  # the newest entries last: their tombstones stay
        for start in range(0, len(order), _AT_ONCE):
            some = order[start : start + _AT_ONCE]
            with self.server.request():
                now = repr(self.server.now())
                done += Cleared(*run(self.server.listing, self.root, "delete", [now, "cleared", whose, *some]))
            if progress is not None:
                progress(start + len(some), len(order))
        return done

    def edit(self, keys: Sequence[str], change: Edit, progress: Progress | None = None) -> int:
        """Change these entries, as far as they are there. Returns how many were changed."""
        return redis.editing.edit(self, keys, change, progress)

    def tombstone(self, key: str, when: float, *, keep: bool = False) -> tuple[str, float] | None:
        """Why and when the entry `key`, which missed at `when`, was removed; without `keep` only once."""
        with self.server.request():
            when += self.server.ahead()
            gone = run(self.server.calls, self.root, "tombstone", [key, repr(when), int(keep)])
        return rows.tombstone(gone, self.server.ahead()) if gone else None

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
        """What is wrong with the store, a line each; with `fix` damaged entries are deleted, and lists written anew."""
        with self.server.request():
            return redis.check.check(self, fix=fix, read=read, progress=progress)

    def record(self, rows: Iterable[Spending]) -> None:
        """Add rows to the lifetime ledger, which nothing clears."""
        redis.ledger.record(self, rows)

    def spendings(self, notebook: str | None = None) -> list[Spending]:
        """The lifetime ledger: a row for each model in each execution of a cell, oldest first."""
        with self.server.request():
            return redis.ledger.spendings(self, notebook)

    def record_calls(self, session: str, notebook: str | None, calls: Iterable[SessionCall]) -> None:
        """Record what a session of a notebook called; the last two sessions of each notebook are kept."""
        with self.server.request():
            redis.ledger.record_calls(self, session, notebook, calls)

    def last_calls(self, notebook: str | None, but: str | None = None) -> list[SessionCall]:
        """What the last session of a notebook called, other than the session `but`, in the order of the calls."""
        with self.server.request():
            return redis.ledger.last_calls(self, notebook, but)

    def rename(self, notebook: str, new: str) -> None:
        """Move a notebook's rows and calls to its new name."""
        with self.server.request():
            redis.ledger.rename(self, notebook, new)

    def lease(self, key: str, token: str, seconds: float) -> bytes | bool | None:
        """The payload of `key`; without one, whether the lease is the token's now. None if nobody needs it."""
        with self.server.request():
            return redis.leases.lease(self, key, token, seconds)

    def renew(self, leases: Mapping[str, str], seconds: float) -> None:
        """Let these keys' leases last for so many seconds from now, or take them again."""
        with self.server.request():
            redis.leases.renew(self, leases, seconds)

    def release(self, key: str, token: str, *, failed: bool) -> None:
        """End the token's lease without an answer."""
        with self.server.request():
            redis.leases.release(self, key, token, failed=failed)

    def close(self) -> None:
        """Close the connections. A store that is used again opens them again."""
        self.server.close()

    def _entry(self, key: str, payload: bytes, meta: EntryMeta, ttl: float | None, token: str = "") -> list[Argument]:
        if len(payload) > _LARGEST:
            raise TooLargeError(f"an answer of {len(payload)} bytes is larger than Redis takes ({_LARGEST} bytes)")
        if self._max_bytes is not None and len(payload) > self._max_bytes:
            raise TooLargeError(f"an answer of {len(payload)} bytes is larger than max_bytes={self._max_bytes}")
        ahead = self.server.ahead()
        now = time.time() + ahead
        row = replace(meta, created=meta.created + ahead) if ahead else meta
        expiry = rows.expiry_arguments(None if ttl is None else now + ttl, now)
        bounds = (self._max_bytes or 0, self._max_entries or 0, int(report.to is not None))
        owners = (owner.encode(errors="surrogatepass") for owner in meta.notebooks)
        return [key, payload, rows.written(row), packed(row, payload), repr(now), *expiry, *bounds, token, *owners]

    def rows_in(self, there: Iterable[list[Any] | None]) -> Iterator[tuple[EntryMeta, bytes]]:
        """The rows that a script returns, with their times by this machine's clock, and the payloads if it returns these.

        Entries that are gone are left out, and damaged ones, which `check` says.
        """
        ahead = self.server.ahead()
        for parts in there:
            if parts and (row := rows.read_or_none(parts, ahead)):
                yield row, parts[-1]

    def _report(self, evicted: Sequence[Any]) -> None:
        if evicted and report.to is not None:
            report.to(self, [row for row, _ in self.rows_in(evicted)])


def _of_touch(touch: Touch) -> list[Argument]:
    cost = "" if touch.cost_usd is None else str(touch.cost_usd)
    return [touch.key, rows.owner_argument(touch.notebook), touch.hits, repr(touch.when), cost, int(touch.charged)]
