"""Where entries are kept: bytes and a row of metadata in, bytes and rows out."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable
from urllib.parse import unquote, urlsplit

from nbcache.entry.models import Cleared, EntryMeta, Facets, Filter, SessionCall, Spending, Totals, Touch
from nbcache.stores.memory import MemoryStore
from nbcache.stores.progress import Progress
from nbcache.stores.sqlite.store import DiskStore

__all__ = ["DiskStore", "MemoryStore", "Store", "open_store"]


@runtime_checkable
class Store(Protocol):
    """What the cache asks of a store.

    Safe to use from any thread. What fails raises StoreError; StoreBusyError where another process is in
    the way, at once where `wait` is false.
    """

    @property
    def url(self) -> str:
        """What the store is called: `disk:///path`, `memory://`."""

    def get(self, key: str, *, wait: bool = True, stale: bool = False) -> bytes | None:
        """The payload of `key`, or None where there is none or it has expired; with `stale` what has, if still there."""

    def version(self) -> object:
        """What is equal only while nothing in the store has changed; None where that can't be told."""

    def put(self, key: str, payload: bytes, meta: EntryMeta, ttl: float | None = None) -> None:
        """Keep `payload` for `ttl` seconds, or for good. Committed when it returns.

        A payload that is there already is replaced; its owners stay owners.
        """

    def put_all(self, entries: Iterable[tuple[str, bytes, EntryMeta]]) -> None:
        """As `put` for each key with its payload and row, for good: all of them or none."""

    def touch(self, touches: Iterable[Touch]) -> None:
        """Write down what was noted of entries: recency, hits, owners, costs. Keys that are gone are passed over."""

    def delete(self, key: str) -> bool:
        """Delete the entry for good; whether there was one."""

    def page(
        self,
        which: Filter = Filter(),  # noqa: B008 - frozen
        *,
        sort: str = "created",
        descending: bool = True,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[EntryMeta]:
        """The rows that `which` means, in this order: `sort` is a field of EntryMeta, among `SORTABLE`."""

    def totals(self, which: Filter = Filter()) -> Totals:  # noqa: B008 - frozen
        """How many entries `which` means, and how many bytes."""

    def facets(self, notebook: str | None = None) -> Facets:
        """The values that the entries have, of the store or of what one notebook owns."""

    def index(self, words_of: Callable[[bytes, str], Iterable[str]], at_most: int = 100) -> bool:
        """Make entries findable by the words of their payloads, `at_most` so many; whether some are left to do."""

    def record(self, rows: Iterable[Spending]) -> None:
        """Add rows to the lifetime ledger, which nothing clears."""

    def spendings(self, notebook: str | None = None) -> list[Spending]:
        """The lifetime ledger: a row for each model in each execution of a cell, oldest first."""

    def record_calls(self, session: str, notebook: str | None, calls: Iterable[SessionCall]) -> None:
        """Write down what a session of a notebook has called; only of its last two sessions it is kept."""

    def last_calls(self, notebook: str | None, but: str | None = None) -> list[SessionCall]:
        """What the last session of a notebook called, other than the session `but`, in the order of the calls."""

    def rename(self, notebook: str, new: str) -> None:
        """Let what the ledger knows of a notebook's calls be known under its new name."""

    def gone(self, key: str, when: float, *, keep: bool = False) -> tuple[str, float] | None:
        """Why and when `key`, missed at `when`, had gone by itself: `expired` or `evicted`. Without `keep`, told once."""

    def alike(self, words: Sequence[str], limit: int) -> list[str]:
        """The keys of entries that say most of these words, as far as they are indexed: the likeliest first, about."""

    def clear(self, keys: Sequence[str], *, owner: str | None = None) -> Cleared:
        """Delete these entries; with an `owner`, take its ownership away and delete what nobody owns any more."""

    def bound(self, max_bytes: int | None, max_entries: int | None) -> None:
        """Evict from the next `put` on, least recently used first, what is over these bounds.

        Raises ValueError where one is below 1.
        """

    def check(
        self,
        *,
        fix: bool = False,
        read: Callable[[bytes, str], EntryMeta] | None = None,
        progress: Progress | None = None,
    ) -> list[str]:
        """What is wrong with the store, a line each. With `fix`, mend it: damaged entries are deleted.

        `read` reads the row out of a payload and raises DamagedError where the payload is damaged; `progress` is told how
        many are done.
        """

    def close(self) -> None:
        """Let go of files. A store that is used again opens again."""


def open_store(place: "str | Path | Store", *, max_bytes: int | None = None, max_entries: int | None = None) -> Store:
    """The store at `place`: a folder's path, `disk:///path`, `memory://`, or a store.

    Raises ValueError for a place that can't be one. Nothing is made on disk before it is used.
    """
    if isinstance(place, Store):
        store: Store = place
    elif isinstance(place, Path):
        store = DiskStore(place)
    elif isinstance(place, str) and place.strip():
        store = _of_url(place)
    else:
        raise ValueError(f"store={place!r}: write a folder, disk:///path or memory://")
    if max_bytes is not None or max_entries is not None:
        store.bound(max_bytes, max_entries)
    return store


def _of_url(place: str) -> Store:
    parts = urlsplit(place)
    if "://" not in place:
        return DiskStore(Path(place))
    if parts.scheme == "memory" and not parts.netloc and parts.path in {"", "/"}:
        return MemoryStore()
    if parts.scheme == "disk" and not parts.netloc and parts.path not in {"", "/"}:
        return DiskStore(Path(unquote(parts.path)))
    raise ValueError(f"store={place!r}: write a folder, disk:///absolute/path (three slashes) or memory://")
