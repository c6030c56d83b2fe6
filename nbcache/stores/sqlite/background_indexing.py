"""What is done in the background after entries are stored: they are listed, and their words are indexed.

The entries of an earlier nbcache get their clients and kinds before.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from nbcache.concurrency.locks import Lock
from nbcache.entry.filter import Filter
from nbcache.stores import sqlite

if TYPE_CHECKING:
    from nbcache.stores.sqlite.check import Run
    from nbcache.stores.sqlite.diskcache_file import CacheFile

_LAST = 2**63 - 1  # of all rowids
_OTHERS_AT_ONCE = (
    25  # entries of other processes indexed at once: there may be a million, and somebody may want to write
)
_LOOKED_AT = 16  # blocks checked at once for the search index: some milliseconds


class Indexing:
    """The entries that are not in the search index, as far as this process knows them."""

    def __init__(self) -> None:
        # Rowids: this process's own, and those of other processes, which are looked for from the last rowid down to the
        # first. Below `_unchecked` that isn't done yet.
        self._own: deque[int] = deque()
        self._others: deque[int] = deque()
        self._unchecked = _LAST
        self._one_at_a_time = Lock()

    def stored(self, rowids: Iterable[int]) -> None:
        """Index these entries, too."""
        self._own.extend(rowids)

    @staticmethod
    def describe(which: Filter, look: "Run", write: "Run") -> None:
        """Give all entries their clients and kinds now, if `which` chooses by them: it would pass over those without."""
        is_needed = which.client is not None or which.kind is not None
        while is_needed and look(lambda cache: sqlite.upgrade.lacks_descriptions(cache.execute)):
            write(_describe)
            time.sleep(sqlite.check.PAUSE)

    def step(self, look: "Run", write: "Run", words_of: Callable[[bytes, str], Iterable[str]], at_most: int) -> bool:
        """List, index and purge a few entries. Returns whether some may be left to do."""
        is_left = self.list_some(look, write, at_most)
        is_left = self.index_some(look, write, words_of, at_most) or is_left
        return self.purge_some(look, write) or is_left

    def list_some(self, look: "Run", write: "Run", at_most: int) -> bool:
        """List at most so many entries; before that, those of an earlier nbcache get their clients and kinds.

        Returns whether some may be left to do.
        """
        if look(lambda cache: sqlite.upgrade.lacks_descriptions(cache.execute)):
            write(_describe)
            return True
        is_left = look(lambda cache: sqlite.listing_index.is_left(cache.execute))
        if is_left:
            write(partial(_list, at_most=at_most))
        return is_left

    def index_some(
        self, look: "Run", write: "Run", words_of: Callable[[bytes, str], Iterable[str]], at_most: int
    ) -> bool:
        """Index at most so many entries, or put some that are indexed into the rows of their words.

        Returns whether something may be left to do.
        """
        with self._one_at_a_time:
            return self._index_some(look, write, words_of, at_most)

    def _index_some(
        self, look: "Run", write: "Run", words_of: Callable[[bytes, str], Iterable[str]], at_most: int
    ) -> bool:
        if look(lambda cache: sqlite.search_index.has_many_fresh(cache.execute)):
            write(_merge)
            return True
        if self._unchecked and not self._others:
            rowids, self._unchecked = look(self._missing)
            self._others.extend(sorted(rowids))  # the order in which SQLite fills its pages best
        own = [self._own[at] for at in range(min(at_most, len(self._own)))]
        others = [self._others[at] for at in range(min(at_most - len(own), _OTHERS_AT_ONCE, len(self._others)))]
        if rowids := list(dict.fromkeys(own + others)):
            new = look(lambda cache: sqlite.search_index.unindexed(cache.execute, rowids))
            # Nobody has to wait for this.
            lines = {
                rowid: sqlite.search_index.line_of(words_of(payload, key)) for rowid, (key, payload) in new.items()
            }
            write(partial(_index, new=new, lines=lines))
        for _ in own:
            self._own.popleft()
        for _ in others:
            self._others.popleft()
        if others:
            time.sleep(sqlite.check.PAUSE)
        return bool(self._own or self._others or self._unchecked)

    def purge_some(self, look: "Run", write: "Run") -> bool:
        """Remove some words of deleted entries, and a part of an earlier release's index. Returns whether more may be left."""
        is_left = look(lambda cache: not sqlite.search_index.is_purged(cache.execute))
        is_left = is_left or look(lambda cache: sqlite.earlier_search_index.is_left(cache.execute))
        if is_left:
            write(sqlite.clearing.purge_some)
            write(sqlite.clearing.return_pages)
        return is_left

    def _missing(self, cache: "CacheFile") -> tuple[list[int], int]:
        with cache.snapshot():
            return sqlite.word_matches.missing(cache.execute, self._unchecked, _LOOKED_AT)


def _index(cache: "CacheFile", new: dict[int, tuple[str, bytes]], lines: dict[int, str]) -> None:
    """Put entries into the search index, unless they were changed, deleted or indexed after they were read."""
    sql = cache.execute
    with cache.transaction():
        sqlite.search_index.purge_earlier(sql, lines)
        now = sqlite.search_index.unindexed(sql, lines)
        sqlite.search_index.add(sql, {rowid: line for rowid, line in lines.items() if now.get(rowid) == new[rowid]})


def _merge(cache: "CacheFile") -> None:
    with cache.transaction():
        sqlite.search_index.merge(cache.execute)


def _describe(cache: "CacheFile") -> None:
    with cache.transaction():
        sqlite.upgrade.describe_some(cache.execute)


def _list(cache: "CacheFile", at_most: int) -> None:
    with cache.transaction():
        sqlite.listing_index.extend(cache.execute, at_most)
