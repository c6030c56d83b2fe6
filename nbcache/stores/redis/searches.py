"""Searches by words. There is no index of words on the server, which would take more than the entries: payloads are read.

What a search has found is remembered in this process, so that the next page of it reads new entries alone. So is what its
words exclude: a longer word is looked for among the entries that have its beginning.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nbcache.concurrency.locks import Lock
from nbcache.entry.filter import FUNCTIONS
from nbcache.errors import DamagedError
from nbcache.stores.index_words import INSIDE, plain
from nbcache.stores.progress import Progress
from nbcache.stores.redis import rows
from nbcache.stores.redis.columns import signature
from nbcache.stores.selection import Shown
from nbcache.stores.text_search import WordSearch

if TYPE_CHECKING:
    from nbcache.stores.redis.listing import Array, Listing
    from nbcache.stores.redis.store import RedisStore

NEEDED = ("key", "size_bytes", "prompt")  # columns
_REMEMBERED = 8  # searches: 9 bytes for each entry that they have looked at
_COMPARED = 100  # entries whose words are compared, to find the most similar
_AT_ONCE = 256  # entries that are read at once
_MOST_BYTES = 4_000_000  # of their payloads
IsIn = Callable[[Shown, bytes], bool]
WordsOf = Callable[[bytes, str], Iterable[str]]


class _Beginning:
    """What a row shows of an entry; nothing of a damaged one. It is read when it is needed: of most entries it isn't."""

    def __init__(self, key: str, row: bytes) -> None:
        self.key, self._row = key, row

    @property
    def prompt(self) -> str:
        """The beginning of its prompt."""
        return self._texts[0]

    @property
    def answer(self) -> str:
        """The beginning of its answer."""
        return self._texts[1]

    @cached_property
    def _texts(self) -> tuple[str, str]:
        with suppress(DamagedError):
            return rows.texts(self._row)
        return "", ""


class _Found(NamedTuple):
    """The entries that a search has looked at, sorted, and whether each has the words."""

    ids: "Array"
    has: "Array"

    def of(self, ids: "Array") -> tuple["Array", "Array"]:
        """Which of these were looked at, and which of them have the words."""
        if not len(self.ids):
            return np.zeros(len(ids), bool), np.zeros(len(ids), bool)
        at = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        seen = self.ids[at] == ids
        return seen, seen & self.has[at]


_NOTHING = _Found(np.zeros(0, np.uint64), np.zeros(0, bool))


class Searches:
    """The searches of a store by words."""

    def __init__(self, store: "RedisStore") -> None:
        self._store, self._lock = store, Lock()
        self._found: OrderedDict[frozenset[str], _Found] = OrderedDict()

    def having(self, listing: "Listing", slots: "Array", words: Iterable[str]) -> "Array":
        """Those of the slots whose entries have words that begin so."""
        wanted = frozenset(map(plain, words))
        ids = listing.ids(slots)
        with self._lock:
            found = self._found.get(wanted, _NOTHING)
            excluding = [other for words_, other in self._found.items() if _implies(wanted, words_)]
            if wanted in self._found:
                self._found.move_to_end(wanted)
        seen, has = found.of(ids)
        if seen.all():  # to note that again would take longer than all else of a page
            return np.asarray(slots[has])
        for other in excluding:
            looked_at, has_beginnings = other.of(ids)
            seen = seen | (looked_at & ~has_beginnings)
        left = np.flatnonzero(~seen)
        has[left] = contain(self._store, listing, slots[left], WordSearch(wanted, self._store.words_of).is_in)
        self._remember(wanted, listing, ids, has)
        return np.asarray(slots[has])

    def similar(self, listing: "Listing", slots: "Array", words: Sequence[str], limit: int) -> list[str]:
        """The keys of the entries at these slots that have most of the words, the most similar first."""
        inside = [word for word in words if word.startswith(INSIDE)]
        if inside:
            return listing.keys(self.having(listing, listing.among(slots, "kind", FUNCTIONS), inside))[:limit]
        common = listing.common(slots, signature(words))
        best = np.argsort(-common, kind="stable")[: max(limit, _COMPARED)]
        keys = listing.keys(slots[best[common[best] > 0]])
        wanted, counted = {*map(plain, words)}, dict[str, int]()
        for key, _, payload in read(self._store, keys, listing.sizes(slots[best])):
            counted[key] = len(wanted.intersection(map(plain, self._store.words_of(payload, key))))
        return [key for key in sorted(counted, key=lambda key: -counted[key]) if counted[key]][:limit]

    def _remember(self, wanted: frozenset[str], listing: "Listing", ids: "Array", has: "Array") -> None:
        with self._lock:
            before = self._found.get(wanted, _NOTHING)
            others = np.isin(before.ids, listing.ids(listing.slots())) & ~np.isin(before.ids, ids)
            all_ids = np.concatenate([before.ids[others], ids])
            order = np.argsort(all_ids)
            self._found[wanted] = _Found(all_ids[order], np.concatenate([before.has[others], has])[order])
            self._found.move_to_end(wanted)
            while len(self._found) > _REMEMBERED:
                self._found.popitem(last=False)


def contain(
    store: "RedisStore", listing: "Listing", slots: "Array", is_in: IsIn, progress: Progress | None = None
) -> "Array":
    """Which of the entries at these slots contain what is looked for. One that has gone meanwhile doesn't."""
    keys = listing.keys(slots)
    places = {key: place for place, key in enumerate(keys)}
    has = np.zeros(len(slots), bool)
    for number, (key, shown, payload) in enumerate(read(store, keys, listing.sizes(slots)), 1):
        has[places[key]] = is_in(shown, payload)
        if progress is not None:
            progress(number, len(keys))
    return has


def read(store: "RedisStore", keys: Sequence[str], sizes: "Array") -> Iterator[tuple[str, Shown, bytes]]:
    """The entries with these keys that are there, with their payloads, of these sizes: memory holds some of them at a time."""
    for part in parts(sizes):
        with store.server.request():
            found: Any = store.server.listing.mget([f"{store.root}e:{key}" for key in keys[part]])
        for key, entry in zip(keys[part], found, strict=True):
            if entry is not None:
                yield key, _Beginning(key, rows.row_in(entry)), rows.payload_in(entry)


def parts(sizes: "Array") -> Iterator[slice]:
    """The parts in which entries of these sizes are read."""
    ends, start = np.cumsum(sizes), 0
    while start < len(ends):
        before = ends[start - 1] if start else 0
        end = int(np.searchsorted(ends, before + _MOST_BYTES, side="right"))
        end = min(max(end, start + 1), start + _AT_ONCE)
        yield slice(start, end)
        start = end


def _implies(wanted: frozenset[str], beginnings: frozenset[str]) -> bool:
    """Whether whatever has the wanted words has words with these beginnings."""
    return wanted != beginnings and all(any(word.startswith(start) for word in wanted) for start in beginnings)
