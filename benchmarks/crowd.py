"""Eight processes write to and read from one store at the same time; then each reads what all of them wrote."""

import multiprocessing
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from queue import Empty
from typing import Any

from langchain_core.caches import BaseCache

from nbcache import NotebookCache
from nbcache.errors import NbcacheWarning

from . import BenchError, columns
from .figures import Figures
from .workload import Entry, entries

PATIENCE = 300  # seconds until a process that says nothing counts as hung


@dataclass(frozen=True)
class Counts:
    """What one process, or all of them, saw."""

    lost: int = 0
    errors: int = 0
    wrong: int = 0
    warned: tuple[str, ...] = ()

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.lost + other.lost,
            self.errors + other.errors,
            self.wrong + other.wrong,
            tuple(dict.fromkeys(self.warned + other.warned)),
        )


def measure(folder: Path, processes: int, each: int, figures: Figures) -> None:
    """What `processes` processes lose, get wrong or fail in, with `each` updates and as many lookups.

    nbcache's alone: SQLiteCache's updates would take minutes.
    """
    counts = _crowd(partial(NotebookCache, folder / "nbcache"), processes, each)
    figures.add("crowd", columns.NBCACHE, counts.lost + counts.errors + counts.wrong)
    for line in counts.warned[:5]:
        print(line)


def _crowd(opened: Callable[[], BaseCache], processes: int, each: int) -> Counts:
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
    return counts


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
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")  # LangChain's own, see __main__
        warnings.simplefilter("always", NbcacheWarning)
        cache = opened()
        barrier.wait()
        written = sum((_write(cache, own, other) for own, other in zip(mine, others, strict=True)), Counts())
        barrier.wait()
        read = sum((_read(cache, entry) for entry in everything), Counts())
    warned = tuple(str(warning.message) for warning in caught)
    results.put(written + read + Counts(errors=len(warned), warned=warned))


def _write(cache: BaseCache, own: Entry, other: Entry) -> Counts:
    try:
        cache.update(own.prompt, own.llm_string, own.generations)
        found = cache.lookup(other.prompt, other.llm_string)
    except Exception as error:  # noqa: BLE001 - whatever it is, a user's call would have failed with it
        return Counts(errors=1, warned=(f"{type(error).__name__}: {error}"[:200],))
    return Counts(wrong=int(found is not None and not other.is_answered_by(found)))


def _read(cache: BaseCache, entry: Entry) -> Counts:
    try:
        found = cache.lookup(entry.prompt, entry.llm_string)
    except Exception as error:  # noqa: BLE001 - as above
        return Counts(errors=1, warned=(f"{type(error).__name__}: {error}"[:200],))
    if found is None:
        return Counts(lost=1)
    return Counts(wrong=int(not entry.is_answered_by(found)))
