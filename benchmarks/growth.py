"""What grows with a store and what doesn't: the same things at 10,000, 100,000 and 1,000,000 entries.

The stores take long to make, so they are kept for the next run. Their `evict` is for real: each run makes them smaller by
some entries.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter

from nbcache import NotebookCache
from nbcache.entry.records import Filter
from nbcache.ui.panel.board import Board

from . import BenchError, big_store, browser, growth_changes, larger_store
from .figures import Figures
from .growth_pages import pages, searches
from .processes import output_of
from .workload import entries

TRANSFERRED = 100_000  # entries at most that are changed in a copy, exported and imported
PAINTED = 100_000
TIMES = 10  # as large as the store that it is made of
_TEXTS = {"dry run": "tarfile", "dry run, a sentence": "import tarfile", "dry run, nothing": "tarfile xylophone"}
_MISSES = 5  # that are explained


def measure(stores: Path, sizes: tuple[int, ...], rounds: int, figures: Figures) -> None:
    """Measure stores of these sizes in the folder `stores`, and make those that are missing."""
    for size in sizes:
        folder = stores / str(size)
        _make(stores, size)
        column = f"{size:,} entries"
        _opening(folder, column, rounds, figures)
        cache = NotebookCache(folder, scope="folder")
        try:
            _read(cache, column, rounds, figures)
            _change(cache, column, rounds, figures)
        finally:
            cache.close()
        if size <= TRANSFERRED:
            growth_changes.measure(folder, column, figures)
            _transfer(folder, column, figures)
        if size == PAINTED:
            _paint(folder, size, rounds, figures)


def _make(stores: Path, size: int) -> None:
    """Make the store of this size, if it is missing; one of a million of the hundred thousand of another."""
    ready, smaller = stores / f"{size}.ready", size // TIMES
    if ready.exists():
        return
    shutil.rmtree(stores / str(size), ignore_errors=True)  # a half one
    if size > TRANSFERRED:
        _make(stores, smaller)
        larger_store.multiply(stores / str(smaller), stores / str(size), TIMES)
    else:
        big_store.fill(stores / str(size), size)
    ready.touch()


def _opening(folder: Path, column: str, rounds: int, figures: Figures) -> None:
    for _ in range(rounds):
        start = perf_counter()
        cache = NotebookCache(folder, scope="folder")
        if cache.lookup("nothing", "like this") is not None:
            raise BenchError("found what was never stored")
        figures.add("opening", column, perf_counter() - start)
        cache.close()


def _read(cache: NotebookCache, column: str, rounds: int, figures: Figures) -> None:
    board = Board(cache)
    slowest, seconds = pages(board, max(2, rounds // 3))
    print(f"the slowest page at {column}: {slowest}")
    for row, found in {"page": seconds, **searches(board, rounds)}.items():
        for each in found:
            figures.add(row, column, each)
    acts: dict[str, Callable[[], object]] = {"stats": cache.stats, "facets": lambda: cache.contents().facets()}
    for row, act in acts.items():
        for _ in range(rounds):
            figures.add(row, column, _seconds(act))


def _change(cache: NotebookCache, column: str, rounds: int, figures: Figures) -> None:
    for _ in range(max(1, rounds // 3)):
        for name, text in _TEXTS.items():
            figures.add(name, column, _seconds(partial(cache.contents().clear, match=text, dry_run=True)))
    for row in cache.contents().page(Filter(), limit=rounds):
        figures.add("evict", column, _seconds(partial(cache.contents().evict, row.key)))
    for entry in entries(range(0, _MISSES * 700, 700)):
        # LangChain's prompts are edited, as a user does before a cell runs again.
        if cache.lookup(entry.prompt.replace("knows", "knew"), entry.llm_string) is not None:
            raise BenchError("an edited prompt was a hit")
        figures.add("why", column, _seconds(cache.why))


def _transfer(folder: Path, column: str, figures: Figures) -> None:
    """Export and import, each in a process of its own: what they take of time and of memory."""
    with tempfile.TemporaryDirectory() as place:
        for what, store in (("export", folder), ("import", Path(place) / "store")):
            program = [sys.executable, "-m", "benchmarks.transfer", what, str(store), f"{place}/all.llmcache.jsonl"]
            found = json.loads(output_of(program, Path(place)).splitlines()[-1])
            figures.add(what, column, found["seconds"])
            figures.add(f"{what}, memory", column, found["bytes"])


def _paint(folder: Path, size: int, rounds: int, figures: Figures) -> None:
    if lacking := browser.missing():
        print(f"first paint is not measured: this needs {lacking}")
        return
    with tempfile.TemporaryDirectory() as place:
        cache = NotebookCache(folder, scope="folder")
        held = cache.stats().entries
        cache.close()
        for seconds, sent in browser.measure(Path(place), folder, held or 0, rounds):
            figures.add("paint", f"{size:,} entries", seconds)
            figures.add("paint, sent", f"{size:,} entries", sent)


def _seconds(act: Callable[[], object]) -> float:
    start = perf_counter()
    act()
    return perf_counter() - start
