"""Bytes on disk for the same answers, with everything that each cache puts beside them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from zlib import compress

from nbcache import NotebookCache
from nbcache.entry.records import Filter
from nbcache.stores import DiskStore, open_store
from tests.support.rows import full

from . import BenchError
from . import contenders as those
from .workload import entries

CHUNK = 1_000


class _Unindexed(DiskStore):
    """A store whose entries nobody makes findable by their words."""

    def index(self, words_of: Callable[[bytes, str], Iterable[str]], at_most: int = 100) -> bool:
        return False


@dataclass(frozen=True)
class Sizes:
    """Bytes of all files after closing; and what the entries are like, in mean bytes."""

    entries: int
    unindexed: int
    """nbcache's before its search index is filled, which happens in the background."""
    nbcache: int
    sqlite: int
    answer: float
    prompt: float
    deflated: float
    """How far zlib gets with the answers one by one, as a fraction: whether they are real text."""


def measure(folder: Path, count: int) -> Sizes:
    """Store the same `count` entries in both. nbcache's by `update`, SQLiteCache's in bulk: the same rows."""
    file, ours = folder / "langchain.db", folder / "nbcache"
    cache = NotebookCache(_Unindexed(ours))
    answers, prompts, deflated = 0, 0, 0
    for start in range(0, count, CHUNK):
        chunk = list(entries(range(start, min(start + CHUNK, count))))
        for entry in chunk:
            cache.lookup(entry.prompt, entry.llm_string)
            cache.update(entry.prompt, entry.llm_string, entry.generations)
            answers += len(entry.answer.encode())
            prompts += len(entry.prompt.encode())
            deflated += len(compress(entry.answer.encode()))
        those.fill_sqlite(file, chunk)
    cache.close()
    # Before anything opens the store again: what is on disk now is what a user finds there.
    unindexed = _bytes(ours)
    _index(ours, count)
    size = _bytes(ours)
    _check(ours, count)
    return Sizes(count, unindexed, size, file.stat().st_size, answers / count, prompts / count, deflated / answers)


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
