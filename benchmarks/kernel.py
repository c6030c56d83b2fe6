"""One kernel with one cache, as a user has it: a fresh process with IPython, where each part is a cell.

`python -m benchmarks.kernel JOB` with a `Job` as JSON. Prints figures as JSON: seconds a call, by row and column.
"""

import gc
import json
import os
import pickle
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

from . import BenchError, instructions
from .columns import IN_MEMORY, NBCACHE, SQLITE


@dataclass(frozen=True)
class Amounts:
    """How many calls each part makes."""

    questions: int = 100
    batches: int = 3
    long: int = 10
    chats: tuple[int, int, int] = (10, 2, 1)  # of 2, 20 and 200 turns
    streams: int = 20
    threads: int = 50
    at_once: int = 1_000
    texts: int = 1_000
    misses: int = 100_000  # whose memory is looked at
    requests: int = 10_000  # that are no calls of a model, with nbcache and without it

    @property
    def stored(self) -> int:
        """Questions whose answers are stored."""
        return max(self.questions, self.at_once) + 1


@dataclass(frozen=True)
class Job:
    """What a kernel is to do."""

    column: str
    folder: str
    cases: str
    what: str = "measure"  # or "fill", "count", "memory"
    model: str = "client"  # or "own"
    amounts: Amounts = field(default_factory=Amounts)
    number: int = 0
    """The round: misses have to be new in each."""
    tree: str = ""
    """The folder that holds another version's package."""

    @classmethod
    def of(cls, text: str) -> "Job":
        values = json.loads(text)
        amounts = values.pop("amounts")
        return cls(**values, amounts=Amounts(**{**amounts, "chats": tuple(amounts["chats"])}))


class Meter:
    """Takes the time of calls, or counts their instructions, and keeps the figures."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._figures: dict[str, dict[str, dict[str, list[float]]]] = {"seconds": {}, "processor": {}}

    def add(self, row: str, figure: float, column: str = "", kind: str = "seconds") -> None:
        self._figures[kind].setdefault(row, {}).setdefault(column or self._job.column, []).append(figure)

    def batch(
        self,
        row: str,
        call: Callable[..., Any],
        arguments: Iterable[tuple[Any, ...]],
        *,
        each: int = 1,
        column: str = "",
    ) -> list[Any]:
        """Make the calls, and keep what one of them took. `each` is how many calls one is. Returns the answers.

        The processor's time is that of all threads: what is done in the background is in it.
        """
        ready = list(arguments)
        count, column = len(ready) * each, column or self._job.column
        counting = self._job.what == "count"
        gc.collect()  # garbage of the preparation is not the calls'
        with instructions.counted(f"{row}|{column}|{count}") if counting else nullcontext():
            worked, start = process_time(), perf_counter()
            answers = [call(*one) for one in ready]
            seconds, processor = perf_counter() - start, process_time() - worked
        self.add(row, seconds / count, column)
        self.add(row, processor / count, column, "processor")
        return answers

    def figures(self) -> dict[str, dict[str, dict[str, float]]]:
        """The median of the batches."""
        return {
            kind: {row: {column: median(each) for column, each in of.items()} for row, of in rows.items()}
            for kind, rows in self._figures.items()
        }


class Kernel:
    """A shell with a cache in it."""

    def __init__(self, job: Job) -> None:
        from IPython.core.interactiveshell import InteractiveShell

        self.job = job
        self.shell: Any = InteractiveShell.instance()
        self._cells = 0

    def cell(self, part: Callable[[], Any]) -> None:
        """Run `part` in a cell of its own."""
        self._cells += 1
        self.shell.user_ns["part"] = part
        self.shell.run_cell("part()", store_history=False, cell_id=f"cell-{self._cells}").raise_error()

    def open_cache(self) -> None:
        """Turn the cache on, as its users do."""
        from langchain_core.globals import set_llm_cache

        if self.job.column == NBCACHE:
            os.environ |= {"NBCACHE_DIR": self.job.folder, "NBCACHE_NOTEBOOK": "bench.ipynb"}
            self.shell.run_cell("%load_ext nbcache", store_history=False).raise_error()
            self._check_version()
        elif self.job.column == IN_MEMORY:
            from langchain_core.caches import InMemoryCache

            cache = InMemoryCache()
            if self._memory.exists():
                cache._cache = pickle.loads(self._memory.read_bytes())
            set_llm_cache(cache)
        elif self.job.column == SQLITE:
            from langchain_community.cache import SQLiteCache

            set_llm_cache(SQLiteCache(str(Path(self.job.folder) / "langchain.db")))

    def settle(self) -> None:
        """Do what was left for later, as a kernel does that is left alone: the next one would do it in its first calls."""
        from langchain_core.globals import get_llm_cache

        if self.job.column == NBCACHE:
            cache: Any = get_llm_cache()
            cache.flush()
            cache.ledger.index()

    def keep_memory(self) -> None:
        """Write down what a cache in memory has, for the next kernel."""
        from langchain_core.caches import InMemoryCache
        from langchain_core.globals import get_llm_cache

        cache = get_llm_cache()
        if isinstance(cache, InMemoryCache):
            self._memory.write_bytes(pickle.dumps(cache._cache))

    @property
    def _memory(self) -> Path:
        return Path(self.job.folder) / "memory.pickle"

    def _check_version(self) -> None:
        import nbcache

        if self.job.tree and not Path(nbcache.__file__).is_relative_to(self.job.tree):
            raise BenchError(f"{nbcache.__file__} is measured, not {self.job.tree}")


def main(arguments: Sequence[str]) -> None:
    job = Job.of(arguments[0])
    if job.tree:
        sys.path.insert(0, job.tree)
    warnings.simplefilter("ignore")  # SQLiteCache makes LangChain warn on every hit: printing that would be its time
    Path(job.folder).mkdir(parents=True, exist_ok=True)
    from . import kernel_parts

    meter = Meter(job)
    kernel_parts.run(Kernel(job), meter)
    json.dump(meter.figures(), sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
