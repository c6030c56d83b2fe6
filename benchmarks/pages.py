"""A page of the panel's table, and a search in it: what the kernel does for them, as the panel asks for it."""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nbcache import NotebookCache
from nbcache.ui.panel.board import Board
from tests.support.rows import full

from . import BenchError
from .timing import Series, alternate

ROWS = 50
SORTS = (
    *("created", "last_hit", "expires", "hits", "size_bytes", "input_tokens", "output_tokens", "cost", "seconds"),
    "model",
)
FILTERS: dict[str, dict[str, str]] = {
    "all": {},
    "a model": {"model": "gpt-4o-mini"},
    "a tag": {"tag": "draft"},
    "a notebook": {"notebook": "load.ipynb"},
    "a status": {"status": "ok"},
}
PLACES = {"first": 0.0, "middle": 0.5, "last": 1.0}
SEARCHES = {
    "a rare word": "pickletools",
    "two rare words": "imaplib traceback",
    "a usual word": "subprocess",
    "a usual word and a common one": "subprocess return",
    "a common word": "self",
    "two common words": "return the",
    "a word of every entry": "the",
    "two words of every entry": "python code",
    "a letter that many words begin with": "s",
    "a word of none": "nirgendwo",
}

Place = tuple[str, str, str]  # a sort, a filter, a place


@dataclass(frozen=True)
class Pages:
    """Seconds of a page (with the count of all that the filter means), by place; and of a search, by what it is for."""

    entries: int
    pages: dict[Place, Series]
    searches: dict[str, Series]
    found: dict[str, int]
    """Entries that each search found."""
    indexing: float
    """Seconds an entry to make it findable by words."""

    @property
    def slowest_page(self) -> tuple[Place, Series]:
        return max(self.pages.items(), key=lambda page: page[1].median)

    @property
    def slowest_search(self) -> tuple[str, Series]:
        return max(self.searches.items(), key=lambda search: search[1].median)


def measure(folder: Path, entries: int, rounds: int) -> Pages:
    """Fill the index of the store in `folder`, then time pages and searches."""
    cache = NotebookCache(folder, scope="folder")
    board = Board(cache)
    try:
        start = time.perf_counter()
        cache.ledger.index()
        indexing = time.perf_counter() - start
        if full(cache.store).index(lambda *_: ()):
            raise BenchError("the search index is not done")
        found = {what: _total(board, {"search": words}) for what, words in SEARCHES.items()}
        if _total(board, {}) != entries or not found["a rare word"] or found["a word of none"]:
            raise BenchError(f"the store is not what it should be: {found}")
        pages = {
            (sort, name, place): partial(_page, board, {**filters, "sort": sort}, PLACES[place])
            for sort in SORTS
            for name, filters in FILTERS.items()
            for place in PLACES
        }
        searches = {what: partial(_page, board, {"search": words}, 0.0) for what, words in SEARCHES.items()}
        return Pages(entries, alternate(pages, rounds), alternate(searches, rounds), found, indexing / entries)
    finally:
        cache.close()


def _total(board: Board, filters: dict[str, str]) -> int:
    return int(board.ask({"type": "page", **filters})["total"])


def _page(board: Board, asked: dict[str, Any], place: float, _number: int) -> float:
    """Seconds of one page at this part of the way through what the filter means."""
    total = _total(board, {name: asked[name] for name in asked if name != "sort"})
    request = {"type": "page", "limit": ROWS, "offset": int(place * total), **asked}
    start = time.perf_counter()
    reply = board.ask(request)
    seconds = time.perf_counter() - start
    _check(reply, asked, total)
    return seconds


def _check(reply: dict[str, Any], asked: dict[str, Any], total: int) -> None:
    rows, sort = reply["rows"], asked.get("sort")
    if reply["total"] != total or len(rows) != min(ROWS, total - reply["offset"]):
        raise BenchError(f"{len(rows)} rows of {reply['total']}, {asked}")
    for name, field in (("model", "model"), ("status", "status")):
        if name in asked and any(row[field] != asked[name] for row in rows):
            raise BenchError(f"a page of others than {asked}")
    if sort and sort != "cost":  # which is a text for people
        values = [row[sort] for row in rows if row[sort] is not None]
        if values != sorted(values, reverse=True):
            raise BenchError(f"a page is not sorted by {sort}")
