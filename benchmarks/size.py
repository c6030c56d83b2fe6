"""Bytes on disk for the same answers, with everything that each cache puts beside them."""

from collections.abc import Callable, Iterable
from pathlib import Path

from nbcache import NotebookCache
from nbcache.entry.records import Filter
from nbcache.stores import DiskStore, open_store
from tests.support.rows import full

from . import BenchError
from .columns import NBCACHE, SQLITE, missing
from .contenders import fill_sqlite
from .figures import Figures
from .workload import entries

CHUNK = 1_000


class _Unindexed(DiskStore):
    """A store whose entries nobody makes findable by their words."""

    def index(self, words_of: Callable[[bytes, str], Iterable[str]], at_most: int = 100) -> bool:
        return False


def measure(folder: Path, count: int, figures: Figures) -> None:
    """Store the same `count` entries in both. nbcache's by `update`, SQLiteCache's in bulk: the same rows."""
    file, ours = folder / "langchain.db", folder / "nbcache"
    has_sqlite = SQLITE not in missing()
    cache = NotebookCache(_Unindexed(ours))
    for start in range(0, count, CHUNK):
        chunk = list(entries(range(start, min(start + CHUNK, count))))
        for entry in chunk:
            cache.lookup(entry.prompt, entry.llm_string)
            cache.update(entry.prompt, entry.llm_string, entry.generations)
        if has_sqlite:
            fill_sqlite(file, chunk)
    cache.close()
    # Before anything opens the store again: what is on disk now is what a user finds there.
    figures.add("disk, unindexed", NBCACHE, _bytes(ours) / count)
    _index(ours, count)
    figures.add("disk", NBCACHE, _bytes(ours) / count)
    for row in ("disk", "disk, unindexed") if has_sqlite else ():
        figures.add(row, SQLITE, file.stat().st_size / count)
    _check(ours, count)


def _bytes(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


def _index(folder: Path, count: int) -> None:
    cache = NotebookCache(folder)
    cache.ledger.index()
    found = full(cache.store).totals(Filter(words=("senior", "python"))).entries
    cache.close()
    if found != count:
        raise BenchError(f"the words of the system prompt find {found} of {count} entries")


def _check(folder: Path, count: int) -> None:
    """A small folder is worth nothing where entries, their previews or what the calls used are missing."""
    store = open_store(folder)
    rows = full(store).page()
    store.close()
    if len(rows) != count or not all(row.prompt and row.answer and row.model and row.input_tokens for row in rows):
        raise BenchError(f"{len(rows)} of {count} rows, or rows without previews")
    cache = NotebookCache(folder, memory=0)
    for entry in entries(range(0, count, max(1, count // 200))):
        if not entry.is_answered_by(cache.lookup(entry.prompt, entry.llm_string)):
            raise BenchError("an entry is missing or wrong")
    cache.close()
