"""Lookups and updates by hand, of every cache side by side in one process."""

import random
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from . import BenchError, contenders, instructions
from .columns import SQLITE
from .contender import Contender
from .figures import PROCESSOR, Figures
from .provider import provider
from .timing import Times, alternate, timed
from .workload import check_realism, entries

NOWHERE = 3_000_000  # positions that no store of the bench holds
CHUNK = 1_000  # entries in memory at once while the stores are filled
WARM_UP = 20  # calls before each timed batch: the code of the contender before it left the processor's caches


@dataclass
class _Watch:
    """Takes times, or counts instructions, of the batches that are measured."""

    counting: bool
    row: str = ""

    def timed(
        self, name: str, call: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]
    ) -> tuple[Times, list[Any]]:
        return timed(call, arguments, f"{self.row}|{name}|{len(arguments)}" if self.counting else "")


def measure(folder: Path, size: int, *, batch: int, rounds: int, figures: Figures, counting: bool = False) -> None:
    """Fill a store of each, then time `batch` lookups or updates a round."""
    field = _filled(folder, size)
    # No key is drawn twice, but where that is the row: nbcache keeps decoded answers.
    drawn = random.Random(7).sample(range(size), min(size, rounds * batch))
    watch = _Watch(counting)
    rows = {
        "lookup": lambda name, number: _hits(watch, name, field[name], drawn[number * batch :][:batch], 1),
        "lookup again": lambda name, number: _hits(watch, name, field[name], drawn[number * batch :][:batch], 2),
        "no entry": lambda name, number: _nothing(watch, name, field[name], batch, number),
        # Last, because it makes the stores larger.
        "update": lambda name, number: _updates(watch, name, field[name], size + number * batch, batch),
    }
    try:
        for row, run in rows.items():
            watch.row = row
            for name, rounds_of_it in alternate({name: partial(run, name) for name in field}, rounds).items():
                for times in rounds_of_it:
                    figures.add(row, name, times.seconds)
                    figures.add(row, name, times.processor, PROCESSOR)
    finally:
        for each in field.values():
            each.close()


def counted(folder: Path) -> dict[str, dict[str, float]]:
    """Instructions of the same, with few entries, by row and column."""
    folder /= "by hand"
    folder.mkdir()
    return instructions.of_program([sys.executable, "-m", "benchmarks.disk", str(folder)], folder)


def check() -> None:
    """See that the entries are what LangChain makes of OpenAI's replies."""
    with provider([0]) as server:
        check_realism(server.base_url, 0)


def _filled(folder: Path, size: int) -> dict[str, Contender]:
    """Every cache with the same entries."""
    field = contenders.all_of_them(folder)
    for start in range(0, size, CHUNK):
        chunk = list(entries(range(start, min(start + CHUNK, size))))
        for name, each in field.items():
            if name == SQLITE:  # one by one it would take minutes
                contenders.fill_sqlite(folder / SQLITE / "langchain.db", chunk)
            else:
                for entry in chunk:
                    each.put(*each.key(entry), each.value(entry))
    for each in field.values():
        each.settle()
    return field


def _hits(watch: _Watch, name: str, contender: Contender, wanted: list[int], times: int) -> Times:
    """The last of so many passes over the same keys."""
    others = [contender.key(entry) for entry in entries(range(NOWHERE, NOWHERE + WARM_UP))]
    timed(contender.get, others)
    for _ in range(times - 1):
        timed(contender.get, [contender.key(entry) for entry in entries(wanted)])
    taken, found = watch.timed(name, contender.get, [contender.key(entry) for entry in entries(wanted)])
    if not all(map(contender.right, entries(wanted), found)):
        raise BenchError(f"a wrong answer of {name}, or none")
    contender.settle()
    return taken


def _nothing(watch: _Watch, name: str, contender: Contender, batch: int, number: int) -> Times:
    start = NOWHERE + WARM_UP + number * batch
    keys = [contender.key(entry) for entry in entries(range(start, start + batch))]
    taken, found = watch.timed(name, contender.get, keys)
    if any(each != contender.nothing for each in found):
        raise BenchError(f"{name} found what was never stored")
    contender.settle()
    return taken


def _updates(watch: _Watch, name: str, contender: Contender, start: int, batch: int) -> Times:
    new = list(entries(range(start, start + batch)))
    arguments = [(*contender.key(entry), contender.value(entry)) for entry in new]
    # LangChain looks up before it updates, with the same strings.
    timed(contender.get, [each[:-1] for each in arguments])
    taken, _ = watch.timed(name, contender.put, arguments)
    if not all(contender.right(entry, contender.get(*contender.key(entry))) for entry in new):
        raise BenchError(f"{name} lost an update")
    contender.settle()
    return taken


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    measure(Path(sys.argv[1]), 40, batch=10, rounds=2, figures=Figures(), counting=True)
