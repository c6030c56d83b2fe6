"""Eight processes write to and read from one store at the same time; then each reads what all of them wrote."""

import multiprocessing
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from queue import Empty
from time import perf_counter
from typing import Any

from langchain_core.caches import BaseCache

from nbcache import NotebookCache
from nbcache.errors import NbcacheWarning

from . import BenchError
from . import contenders as those
from .workload import Entry, entries

PATIENCE = 300  # seconds until a process that says nothing counts as hung


@dataclass(frozen=True)
class Counts:
    """What one process, or all of them, saw. `writing` covers the updates with the lookups between them, in seconds."""

    lost: int = 0
    errors: int = 0
    wrong: int = 0
    writing: float = 0.0
    reading: float = 0.0
    said: tuple[str, ...] = ()

    def __add__(self, other: "Counts") -> "Counts":
        """Add the counts up; processes run at the same time, so the slowest one's seconds are everybody's."""
        return Counts(
            self.lost + other.lost,
            self.errors + other.errors,
            self.wrong + other.wrong,
            max(self.writing, other.writing),
            max(self.reading, other.reading),
            tuple(dict.fromkeys(self.said + other.said)),
        )


@dataclass(frozen=True)
class Crowd:
    """`processes` processes made `each` updates and as many lookups, and then read everything."""

    processes: int
    each: int
    counts: Counts


def nbcache_crowd(folder: Path, processes: int, each: int) -> Crowd:
    return _crowd(partial(NotebookCache, folder / "nbcache"), processes, each)


def sqlite_crowd(folder: Path, processes: int, each: int) -> Crowd:
    file = folder / "langchain.db"
    those.fill_sqlite(file, [])  # it can't be made by several at once
    return _crowd(partial(those.sqlite_cache, file), processes, each)


def _crowd(opened: Callable[[], BaseCache], processes: int, each: int) -> Crowd:
    # New interpreters, as kernels are: a fork would share connections that no two kernels share.
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(processes), context.Queue()
    workers = [
        context.Process(target=_work, args=(opened, _Share(number, processes, each), barrier, results))
        for number in range(processes)
    ]
    for worker in workers:
        worker.start()
    try:
        counts = sum((results.get(timeout=PATIENCE) for _ in workers), Counts())
    except Empty:
        raise BenchError("a process of the crowd died or hung") from None
    finally:
        for worker in workers:
            worker.join(timeout=10)
            worker.kill()
    return Crowd(processes, each, counts)


@dataclass(frozen=True)
class _Share:
    """What one process of the crowd does."""

    number: int
    processes: int
    each: int


def _work(opened: Callable[[], BaseCache], share: _Share, barrier: Barrier, results: Any) -> None:
    everything = list(entries(range(share.processes * share.each)))
    mine = everything[share.number :: share.processes]
    # What the process before this one is writing just now: there already, or not yet; never anything else.
    others = everything[(share.number - 1) % share.processes :: share.processes]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("ignore")  # LangChain's own, see __main__
        warnings.simplefilter("always", NbcacheWarning)
        cache = opened()
        barrier.wait()
        start = perf_counter()
        written = sum((_write(cache, own, other) for own, other in zip(mine, others, strict=True)), Counts())
        writing = perf_counter() - start
        barrier.wait()
        start = perf_counter()
        read = sum((_read(cache, entry) for entry in everything), Counts())
        reading = perf_counter() - start
    warned = tuple(str(warning.message) for warning in said)
    results.put(written + read + Counts(errors=len(warned), writing=writing, reading=reading, said=warned))


def _write(cache: BaseCache, own: Entry, other: Entry) -> Counts:
    try:
        cache.update(own.prompt, own.llm_string, own.generations)
        found = cache.lookup(other.prompt, other.llm_string)
    except Exception as error:  # noqa: BLE001 - whatever it is, a user's call would have failed with it
        return Counts(errors=1, said=(f"{type(error).__name__}: {error}"[:200],))
    return Counts(wrong=int(found is not None and not other.is_answered_by(found)))


def _read(cache: BaseCache, entry: Entry) -> Counts:
    try:
        found = cache.lookup(entry.prompt, entry.llm_string)
    except Exception as error:  # noqa: BLE001 - as above
        return Counts(errors=1, said=(f"{type(error).__name__}: {error}"[:200],))
    if found is None:
        return Counts(lost=1)
    return Counts(wrong=int(not entry.is_answered_by(found)))
