"""Pages of the panel's table, and searches in it: what the kernel does for them, as the panel asks for it."""

from collections.abc import Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any

from nbcache.ui.panel.board import Board

from . import BenchError
from .timing import alternate

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
SEARCHES = {"search, word": "subprocess", "search, prefix": "subpr", "search, letter": "s"}


def pages(
    board: Board, rounds: int, sorts: Sequence[str] = SORTS, filters: Mapping[str, dict[str, str]] = FILTERS
) -> tuple[str, list[float]]:
    """The slowest of all sorts, filters and places: what it is, and its seconds."""
    totals = {name: _total(board, chosen) for name, chosen in filters.items()}
    runs = {
        f"sorted by {sort}, {name}, the {place}": partial(
            _page, board, {**filters[name], "sort": sort}, int(part * totals[name]), totals[name]
        )
        for sort in sorts
        for name in filters
        for place, part in PLACES.items()
    }
    found = alternate(runs, rounds)
    return max(found.items(), key=lambda page: sorted(page[1])[rounds // 2])


def searches(board: Board, rounds: int) -> dict[str, list[float]]:
    """The seconds of each search."""
    totals = {row: _total(board, {"search": words}) for row, words in SEARCHES.items()}
    if not all(totals.values()):
        raise BenchError(f"the searches found nothing: {totals}")
    return alternate(
        {row: partial(_page, board, {"search": words}, 0, totals[row]) for row, words in SEARCHES.items()}, rounds
    )


def _total(board: Board, filters: dict[str, str]) -> int:
    return int(board.ask({"type": "page", **filters})["total"])


def _page(board: Board, filters: dict[str, Any], offset: int, total: int, _number: int) -> float:
    request = {"type": "page", "limit": ROWS, "offset": offset, **filters}
    start = perf_counter()
    reply = board.ask(request)
    seconds = perf_counter() - start
    _check(reply, filters, total)
    return seconds


def _check(reply: dict[str, Any], filters: dict[str, Any], total: int) -> None:
    rows, sort = reply["rows"], filters.get("sort")
    if reply["total"] != total or len(rows) != min(ROWS, total - reply["offset"]):
        raise BenchError(f"{len(rows)} rows of {reply['total']}, {filters}")
    for name in ("model", "status"):
        if name in filters and any(row[name] != filters[name] for row in rows):
            raise BenchError(f"a page of others than {filters}")
    if sort and sort != "cost":  # which is a text for people
        values = [row[sort] for row in rows if row[sort] is not None]
        if values != sorted(values, reverse=True):
            raise BenchError(f"a page is not sorted by {sort}")
