"""What a store is: the smallest protocol, and one protocol for each further capability.

To write a store, begin with `Store`: two methods that matter, a name, and `close`. That is a valid store. Calls are
answered from it, and money and time of the session are counted in memory. Add the methods of a capability, and what needs
it works as well; what needs a missing one says so. nbcache asks with `isinstance`, when the cache opens and never per call.

A whole store:

    import time

    class DictStore:
        url = "dict://"

        def __init__(self):
            self._entries = {}

        def get(self, key, *, wait=True, include_expired=False):
            payload, expires = self._entries.get(key, (None, None))
            return payload if include_expired or expires is None or time.time() < expires else None

        def put(self, key, payload, meta, ttl=None):
            self._entries[key] = (payload, None if ttl is None else time.time() + ttl)

        def close(self):
            pass

    nbcache.install(DictStore())

The tests in `tests/stores/contract/` say what each protocol promises, a file for each. To run them with your own store, in
a clone of the repository, add it to `STORES` in the `conftest.py` there and run `pytest tests/stores/contract`: the tests of
the capabilities that it has are run. `MemoryStore` has all capabilities but `ChangeTracking`, `Columnar`, `Owning`,
`Selecting`, `Copyable`, `Expiring`, `Buffered`, `Remote` and `Leasing`, and is short.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from nbcache.entry.filter import Filter
from nbcache.stores.progress import Counted, Progress

if TYPE_CHECKING:
    from nbcache.entry.edit import Edit
    from nbcache.entry.records import Cleared, EntryMeta, Facets, SessionCall, Spending, Totals, Touch
    from nbcache.stores.selection import Search, Selection


@runtime_checkable
class Store(Protocol):
    """What every store can do: keep bytes under a key, and return them.

    All methods of a store may be called from any thread, at the same time. What fails raises StoreError; to the user's
    call it is a miss.
    """

    @property
    def url(self) -> str:
        """The store's name for people: `disk:///path`, `memory://`. Without a password: it is printed."""

    def get(self, key: str, *, wait: bool = True, include_expired: bool = False) -> bytes | None:
        """The payload of `key`, or None if there is none or it has expired.

        `wait` is false on an event loop: a store that would block, as over a network, raises StoreBusyError and is
        asked again in a thread. With `include_expired` also an expired payload, if it is still there.
        """

    def put(self, key: str, payload: bytes, meta: "EntryMeta", ttl: float | None = None) -> None:
        """Keep `payload` for `ttl` seconds, or for good. It is committed when this returns.

        An earlier payload of `key` is replaced. `meta` describes the entry, for a store that lists its entries: there the
        owners (`notebooks`), hits and the last hit of an entry that is replaced stay.
        """

    def close(self) -> None:
        """Release connections and files. A store that is used again opens again."""


@runtime_checkable
class Deletable(Protocol):
    """Entries can be deleted one by one: `%llmcache evict KEY`."""

    def delete(self, key: str) -> bool:
        """Delete the entry for good. Returns whether there was one."""


@runtime_checkable
class Listable(Deletable, Protocol):
    """Entries can be listed, counted and cleared: `ls`, `clear`, `export`, the panel's table, what is stored by `stats`."""

    def touch(self, touches: "Iterable[Touch]") -> None:
        """Update rows: last hit, hits, owners, costs. Keys without an entry are skipped."""

    def page(
        self,
        which: Filter = Filter(),  # noqa: B008 - frozen
        *,
        sort: str = "created",
        descending: bool = True,
        limit: int | None = None,
        offset: int = 0,
    ) -> "list[EntryMeta]":
        """The rows that `which` selects, sorted by `sort`, a field of EntryMeta among `SORTABLE`.

        Raises ValueError for another. `Filter.words` is only set for a store that is `Searchable`.
        """

    def totals(self, which: Filter = Filter()) -> "Totals":  # noqa: B008 - frozen
        """How many entries `which` selects, and how many bytes."""

    def facets(self, notebook: str | None = None) -> "Facets":
        """The values that the entries have, of the store or of what one notebook owns."""

    def clear(self, keys: Sequence[str], *, owner: str | None = None) -> "Cleared":
        """Delete these entries; with an `owner`, remove its ownership and delete entries without another owner."""


@runtime_checkable
class Editable(Listable, Protocol):
    """Entries that exist can get other tags, or another time at which they expire: `tag`, `untag` and `expire`."""

    def edit(self, keys: Sequence[str], change: "Edit", progress: Progress | None = None) -> int:
        """Change these entries, as far as they are there. Returns how many were changed: none that was so already.

        A payload is changed with its row, by `codec.edited`. `progress` is called with how many are done, and of how many.
        """


@runtime_checkable
class Columnar(Listable, Protocol):
    """All rows can be read as columns: a DataFrame of a million entries needs no object for each."""

    def columns(self, which: Filter = Filter()) -> dict[str, list[Any]]:  # noqa: B008 - frozen
        """The fields of EntryMeta, each with its values in the order of the rows that `which` selects, the newest first."""


@runtime_checkable
class Streamable(Listable, Protocol):
    """More entries can be read than fit in memory, and progress is shown: `export`, and `clear`."""

    def stream(self, which: Filter, keys: Collection[str] | None = None) -> "Counted[tuple[EntryMeta, bytes]]":
        """The entries that `which` selects now, or those of them among `keys`, each with its payload; the newest first.

        A few are read at a time. Between them the store is free to be written, and an entry that is gone by its turn is
        left out. A payload that can't be read is empty.
        """

    def clear(self, keys: Sequence[str], *, owner: str | None = None, progress: Progress | None = None) -> "Cleared":
        """As `Listable.clear`. `progress` is called with how many are done, and of how many."""


@runtime_checkable
class Selecting(Listable, Protocol):
    """Entries can be selected without all of their rows in memory, by their texts without reading each, and counted quickly.

    `clear` and `ls` in a store of a million entries, and the panel's search.
    """

    def select(self, which: Filter, search: "Search | None" = None, progress: Progress | None = None) -> "Selection":
        """The rows that `which` selects now, the newest first; with `search` those of the entries with its text.

        `which.words` is not set. `progress` is called with how many entries are read, and of how many.
        """

    def number(self, which: Filter) -> int:
        """How many entries `which` selects: quicker than `totals`, where it has words that many entries have."""


@runtime_checkable
class Searchable(Protocol):
    """Entries can be found by their words: the panel's search, and the nearest entry that `why` compares with."""

    def index(self, words_of: Callable[[bytes, str], Iterable[str]], at_most: int = 100) -> bool:
        """Index at most so many entries by the words of their payloads. Returns whether some are left to do."""

    def similar(self, words: Sequence[str], limit: int) -> list[str]:
        """The keys of indexed entries that have most of these words, the most similar first."""


@runtime_checkable
class LedgerStore(Protocol):
    """The ledger outlives the session: `stats --lifetime`, `history`, and `plan` before the first call."""

    def record(self, rows: "Iterable[Spending]") -> None:
        """Add rows to the lifetime ledger, which nothing clears."""

    def spendings(self, notebook: str | None = None) -> "list[Spending]":
        """The lifetime ledger: a row for each model in each execution of a cell, oldest first."""

    def record_calls(self, session: str, notebook: str | None, calls: "Iterable[SessionCall]") -> None:
        """Record what a session of a notebook called; the last two sessions of each notebook are kept."""

    def last_calls(self, notebook: str | None, but: str | None = None) -> "list[SessionCall]":
        """What the last session of a notebook called, other than the session `but`, in the order of the calls."""

    def rename(self, notebook: str, new: str) -> None:
        """Move a notebook's rows and calls to its new name."""


@runtime_checkable
class Tombstones(Protocol):
    """A miss can be explained: the entry expired, or was deleted."""

    def tombstone(self, key: str, when: float, *, keep: bool = False) -> tuple[str, float] | None:
        """Why and when the entry `key`, which missed at `when`, was removed. None if it wasn't.

        Why is `expired`, `evicted` (to keep within the bounds), `cleared` (by `clear`) or `evicted by hand` (by `delete`).
        Without `keep` the tombstone is removed, so that one removal explains one miss.
        """


@runtime_checkable
class Bounded(Protocol):
    """The store can be kept small: `max_bytes` and `max_entries`."""

    def bound(self, max_bytes: int | None, max_entries: int | None) -> None:
        """From the next `put` on, evict what exceeds these bounds, least recently used first.

        Raises ValueError if one is below 1.
        """


@runtime_checkable
class Checkable(Protocol):
    """The store can be checked and repaired: `%llmcache check`."""

    def check(
        self,
        *,
        fix: bool = False,
        read: "Callable[[bytes, str], EntryMeta] | None" = None,
        progress: Progress | None = None,
    ) -> list[str]:
        """What is wrong with the store, a line each. With `fix`, repair it: damaged entries are deleted.

        `read` reads the row from a payload and raises DamagedError if the payload is damaged. `progress` is called
        with how many entries are done, and of how many.
        """


@runtime_checkable
class Bulk(Protocol):
    """Many entries can be stored in one transaction: `%llmcache import`."""

    def put_all(self, entries: "Iterable[tuple[str, bytes, EntryMeta]]") -> None:
        """As `put` for each key with its payload and row, for good: all of them or none."""


@runtime_checkable
class ChangeTracking(Protocol):
    """A hit can be answered from memory without reading the store, while nothing in it has changed."""

    def change_token(self) -> object:
        """A value that is equal only while nothing in the store has changed. None if that isn't known now."""


@runtime_checkable
class PayloadTracking(Protocol):
    """Says whether a payload has changed or was deleted. New entries, and what else is written, need not count."""

    payload_token: Callable[[], object]
    """Returns a value that is equal only while no payload was changed or deleted. None if that isn't known now."""


@runtime_checkable
class Owning(Protocol):
    """A large payload can be read into memory that belongs to the reader: arrays are made of it without a copy."""

    def get_owned(self, key: str, *, wait: bool = True) -> bytes | memoryview | None:
        """As `get`. A memoryview can be written to, and nobody else has its memory."""


@runtime_checkable
class Copyable(Protocol):
    """A few entries can be read whole by their keys, in a time that does not depend on how many there are: to fill a nearer tier."""

    def entries(self, keys: Collection[str]) -> "Iterable[tuple[EntryMeta, bytes]]":
        """Those of these entries that are there and have not expired, each with its payload."""


@runtime_checkable
class Expiring(Protocol):
    """A store without rows says when an entry expires, so that a nearer tier keeps a copy no longer."""

    def expiry(self, key: str) -> float | None:
        """When the entry expires (seconds since the epoch). None if there is none, or if it never does."""


@runtime_checkable
class Buffered(Protocol):
    """Not all that is stored has reached its place when `put` returns."""

    def flush(self, within: float) -> None:
        """Wait for that for at most `within` seconds, and for less if it can't be done now."""


@runtime_checkable
class Remote(Protocol):
    """The store is on a server, which several people may use: there an owner of entries is a user with a notebook."""

    def connect(self) -> None:
        """Ask the server once, for at most a second.

        Raises ValueError if it refuses the password, and StoreError if it does not answer.
        """


@runtime_checkable
class Leasing(Store, Protocol):
    """Of identical calls in several processes one makes the request: the one that has the lease of their key.

    A lease is a token's, which no other call has. It ends after some seconds if it is not renewed, and with every `put` of its key.
    """

    def lease(self, key: str, token: str, seconds: float) -> bytes | bool | None:
        """The payload of `key`; without one, whether the lease is the token's now.

        Returns None if nobody needs it: an answer of this key was not stored a moment ago.
        """

    def renew(self, leases: Mapping[str, str], seconds: float) -> None:
        """Let these keys' leases last for so many seconds from now. One that had ended is taken again, if nothing took its place."""

    def put_leased(self, key: str, payload: bytes, meta: "EntryMeta", ttl: float | None, token: str) -> None:
        """As `put`. If the lease is the token's no longer, an entry that was stored meanwhile stays."""

    def release(self, key: str, token: str, *, failed: bool) -> None:
        """End the token's lease without an answer: the call failed, or its answer is not stored, as those that wait are told."""


def tiers_of(store: Store) -> Sequence[Store]:
    """The stores of which `store` consists: only itself, unless it has tiers."""
    tiers: Sequence[Store] = getattr(store, "tiers", (store,))
    return tiers


def names_of(store: Store) -> Sequence[str]:
    """The names of its tiers."""
    names: Sequence[str] = getattr(store, "names", (store.url,))
    return names


def home_of(store: Store) -> Store:
    """The store whose entries are listed, and that has the ledger: itself, unless it has tiers."""
    home: Store = getattr(store, "home", store)
    return home
