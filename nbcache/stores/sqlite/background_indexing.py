"""What is done in the background after entries are stored: they are listed, and their words are indexed."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial

from nbcache.stores.sqlite import earlier_search_index, listing_index, search_index
from nbcache.stores.sqlite.check import PAUSE, Run
from nbcache.stores.sqlite.clearing import purge_some, return_pages
from nbcache.stores.sqlite.diskcache_file import CacheFile

_LAST = 2**63 - 1  # of all rowids
_OTHERS_AT_ONCE = (
    25  # entries of other processes indexed at once: there may be a million, and somebody may want to write
)
_LOOKED_AT = 2_000  # entries checked at once for the search index: about ten milliseconds


class Indexing:
    """The entries that are not in the search index, as far as this process knows them."""

    def __init__(self) -> None:
        # Rowids: this process's own, and those of other processes, which are looked for from the last rowid down to the
        # first. Below `_unchecked` that isn't done yet.
        self._own: deque[int] = deque()
        self._others: deque[int] = deque()
        self._unchecked = _LAST

    def stored(self, rowids: Iterable[int]) -> None:
        """Index these entries, too."""
        self._own.extend(rowids)

    def list_some(self, look: Run, write: Run, at_most: int) -> bool:
        """List at most so many entries. Returns whether some may be left to do."""
        is_left = look(lambda cache: listing_index.is_left(cache.execute))
        if is_left:
            write(partial(_list, at_most=at_most))
        return is_left

    def index_some(self, look: Run, write: Run, words_of: Callable[[bytes, str], Iterable[str]], at_most: int) -> bool:
        """Index at most so many entries. Returns whether some are left to do."""

        def index(cache: CacheFile) -> None:
            sql = cache.execute
            own = [self._own[at] for at in range(min(at_most, len(self._own)))]
            left = [self._others[at] for at in range(min(at_most - len(own), _OTHERS_AT_ONCE, len(self._others)))]
            with cache.transaction():
                search_index.purge_earlier(sql, own + left)
                new = ((rowid, search_index.unindexed(sql, rowid)) for rowid in dict.fromkeys(own + left))
                entries = [(rowid, words_of(entry[1], entry[0])) for rowid, entry in new if entry is not None]
                search_index.add(sql, entries)
            for _ in own:
                self._own.popleft()
            for _ in left:
                self._others.popleft()

        if self._unchecked and not self._others:  # this only reads, so nobody has to wait
            rowids, self._unchecked = look(self._missing)
            self._others.extend(sorted(rowids))  # the order in which SQLite fills its pages best
        if self._own or self._others:
            write(index)
        if self._others:
            time.sleep(PAUSE)
        return bool(self._own or self._others or self._unchecked)

    def purge_some(self, look: Run, write: Run) -> bool:
        """Remove some words of deleted entries, and a part of an earlier release's index. Returns whether more may be left."""
        is_left = look(lambda cache: not search_index.is_purged(cache.execute))
        is_left = is_left or look(lambda cache: earlier_search_index.is_left(cache.execute))
        if is_left:
            write(purge_some)
            write(return_pages)
        return is_left

    def _missing(self, cache: CacheFile) -> tuple[list[int], int]:
        return search_index.missing(cache.execute, self._unchecked, _LOOKED_AT)


def _list(cache: CacheFile, at_most: int) -> None:
    with cache.transaction():
        listing_index.extend(cache.execute, at_most)
