"""What is listed of a store: pages of rows, totals, facets, selections and streams."""

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from nbcache.entry.records import EntryMeta, Facets, Filter, Totals
from nbcache.keys.digests import KEY_LENGTH
from nbcache.stores.progress import Progress
from nbcache.stores.redis import rebuilding, searches
from nbcache.stores.redis.listing import AT_ONCE, Listing, Order, columns_of, rows_at
from nbcache.stores.redis.scripts import run
from nbcache.stores.redis.selection import StoredSelection

if TYPE_CHECKING:
    from nbcache.stores.redis.listing import Array
    from nbcache.stores.redis.store import RedisStore
    from nbcache.stores.selection import Search

_NEWEST_FIRST = Order("created", descending=True)


def page(store: "RedisStore", which: Filter, order: Order, part: slice) -> list[EntryMeta]:
    """A part of the rows that `which` selects, in an order."""
    if which.key is not None and len(which.key) == KEY_LENGTH and not which.words:
        found = run(store.server.listing, store.root, "rows_of_keys", [which.key])
        return [row for row, _ in store.rows_in(found) if _is_live(row, which)][part]
    listing = _listed(store, (order.sort, *columns_of(which)))
    slots = listing.ordered(_selected(store, listing, which), order, part.stop)[part]
    return list(_rows(store, slots.tolist(), which))


def totals(store: "RedisStore", which: Filter) -> Totals:
    """How many entries `which` selects, and how many bytes."""
    rebuilding.prepare(store)
    entries, size, evictions = run(store.server.listing, store.root, "totals", [repr(store.server.now())])
    if which == Filter():
        return Totals(entries, size, evictions)
    listing = _listed(store, ("size_bytes", *columns_of(which)))
    slots = _selected(store, listing, which)
    return Totals(len(slots), int(listing.total("size_bytes", slots)), evictions)


def number(store: "RedisStore", which: Filter) -> int:
    """How many entries `which` selects."""
    return len(_selected(store, _listed(store, columns_of(which)), which))


def select(store: "RedisStore", which: Filter, search: "Search | None", progress: Progress | None) -> StoredSelection:
    """The entries that `which` selects and that contain what is searched for, the newest first."""
    listing = _listed(store, (*searches.NEEDED, *columns_of(which)))
    slots = listing.ordered(_selected(store, listing, which), _NEWEST_FIRST)
    if search is not None:
        slots = slots[searches.contain(store, listing, slots, search.is_in, progress)]
    return StoredSelection(store, listing.keys(slots))


def columns(store: "RedisStore", which: Filter) -> dict[str, list[Any]]:
    """The fields of EntryMeta, each with its values in the order of the rows that `which` selects, the newest first."""
    listing = _listed(store, columns_of(which))
    slots = listing.ordered(_selected(store, listing, which), _NEWEST_FIRST).tolist()
    values: dict[str, list[Any]] = {field.name: [] for field in fields(EntryMeta)}
    for start in range(0, len(slots), AT_ONCE):
        for row in _rows(store, slots[start : start + AT_ONCE], which):
            for name, of_all in values.items():
                of_all.append(getattr(row, name))
    return values


def similar(store: "RedisStore", words: Sequence[str], limit: int) -> list[str]:
    """The keys of the entries that have most of these words, the most similar first."""
    listing = _listed(store, (*searches.NEEDED, "kind", "words"))
    slots = listing.ordered(listing.select(Filter(), store.server.now()), _NEWEST_FIRST)
    return store.searches.similar(listing, slots, words, limit)


def facets(store: "RedisStore", notebook: str | None) -> Facets:
    """The values that the entries have."""
    columns = {field.name: field.name for field in fields(Facets)} | {"tag": "tags", "notebook": "notebooks"}
    which = Filter(notebook=notebook)
    listing = _listed(store, (*columns.values(), *columns_of(which)))
    slots = listing.select(which, store.server.now())
    found: dict[str, tuple[str, ...]] = {}
    for name, column in columns.items():
        values = [getattr(row, column) for row in listing.values(column, slots).values()]
        each = values if name == column else [value for several in values for value in several]
        found[name] = tuple(sorted({value for value in each if value}))
    return Facets(**found)


class Stream:
    """The entries that a filter selects, or those of them among `keys`, with their payloads; the newest first."""

    def __init__(self, store: "RedisStore", which: Filter, keys: Collection[str] | None) -> None:
        self._store = store
        listing = _listed(store, ("key", "size_bytes", *columns_of(which)))
        slots = listing.ordered(_selected(store, listing, which), _NEWEST_FIRST)
        all_keys, among = listing.keys(slots), None if keys is None else frozenset(keys)
        mine = [place for place, key in enumerate(all_keys) if among is None or key in among]
        self._wanted, self._sizes = [all_keys[place] for place in mine], listing.sizes(slots)[mine]

    def __len__(self) -> int:
        return len(self._wanted)

    def __iter__(self) -> Iterator[tuple[EntryMeta, bytes]]:
        for part in searches.parts(self._sizes):
            with self._store.server.request():
                there = run(self._store.server.listing, self._store.root, "entries", self._wanted[part])
            yield from self._store.rows_in(there)


def _selected(store: "RedisStore", listing: Listing, which: Filter) -> "Array":
    """The slots of the entries that `which` selects."""
    slots = listing.select(which, store.server.now())
    return store.searches.having(listing, slots, which.words) if which.words else slots


def _rows(store: "RedisStore", slots: Sequence[int], which: Filter | None = None) -> Iterator[EntryMeta]:
    return (row for row in rows_at(store, slots) if row is not None and (which is None or which.selects(row)))


def _is_live(row: EntryMeta, which: Filter) -> bool:
    return which.selects(row) and (which.include_expired or row.expires is None or row.expires > time.time())


def _listed(store: "RedisStore", names: Sequence[str]) -> Listing:
    """The columns with these names, of lists that are right."""
    rebuilding.prepare(store)
    return Listing(store, names)
