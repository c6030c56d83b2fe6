"""Run the bench: `python -m benchmarks`. With `--quick` it only shows that it works, and writes nothing."""

import argparse
import importlib.util
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from nbcache.errors import NbcacheWarning

from . import (
    BenchError,
    browser,
    calls,
    cassettes,
    crowd,
    hits,
    invoke,
    lookups,
    machine,
    pages,
    processes,
    shelf,
    size,
    traffic,
)
from .panel import Panel
from .report import page
from .results import Results

HERE = Path(__file__).parent
SHELF = "shelf"
T = TypeVar("T")


@dataclass(frozen=True)
class Scale:
    """How much is done."""

    sizes: tuple[int, int]
    batch: int  # timed calls of each contender in each round
    rounds: int
    invokes: int
    new_processes: int  # rounds of those
    processes: int
    crowd: int  # updates of each of them
    sqlite_crowd: int
    answers: int
    shelf: int  # entries that the panel shows
    pages: int  # rounds of those
    paints: int
    recordings: int  # of a cassette


FULL = Scale((1_000, 100_000), 100, 15, 50, 7, 8, 2_000, 100, 5_000, 100_000, 5, 9, 10_000)
QUICK = Scale((50, 200), 20, 2, 5, 1, 2, 20, 5, 100, 300, 2, 2, 100)


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="a smoke run: its figures mean nothing")
    quick = bool(arguments.parse_args().quick)
    if importlib.util.find_spec("langchain_community") is None:
        print("The bench measures against langchain-community: pip install langchain-community", file=sys.stderr)
        return 2
    _leave_out_the_users_settings()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, warnings.catch_warnings(record=True) as said:
        # SQLiteCache makes LangChain warn on every hit: printing that would be part of its time.
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", NbcacheWarning)
        results = run(QUICK if quick else FULL, Path(folder))
        if said:
            raise BenchError(f"nbcache warned while it was measured: {said[0].message}")
        # A message of an error may name a file of this run; where that was is nobody's business.
        told = json.dumps(results.as_json(), indent=1, ensure_ascii=False).replace(folder, "…")
        read = page(results).replace(folder, "…")
    print(read)
    if quick:
        print("A smoke run: nothing above is a result, and nothing was written.")
    else:
        (HERE / "RESULTS.md").write_text(read, encoding="utf-8")
        (HERE / "results.json").write_text(told + "\n", encoding="utf-8")
    return 0


def run(scale: Scale, folder: Path) -> Results:
    """Measure everything, each part in a folder of its own."""
    start = perf_counter()
    about = machine.describe(folder)
    without = browser.missing()

    def part(name: str, measure: Callable[[Path], T]) -> T:
        began = perf_counter()
        print(f"{name} …", end=" ", file=sys.stderr, flush=True)
        here = folder / name.replace(" ", "-")
        here.mkdir()
        measured = measure(here)
        print(f"{perf_counter() - began:.0f} s", file=sys.stderr)
        return measured

    return Results(
        machine=about,
        sizes=scale.sizes,
        lookups=part(
            "lookups",
            lambda here: lookups.measure(here, scale.sizes, batch=scale.batch, rounds=scale.rounds),
        ),
        invoke=part("invoke", lambda here: invoke.measure(here, batch=scale.invokes, rounds=2 * scale.rounds)),
        first_hit=part("first hit", lambda here: processes.first_hit(here, scale.new_processes)),
        load=part("load_ext", lambda _: processes.load_ext(scale.new_processes)),
        crowd=part("crowd", lambda here: crowd.nbcache_crowd(here, scale.processes, scale.crowd)),
        sqlite_crowd=part(
            "crowd of SQLiteCache", lambda here: crowd.sqlite_crowd(here, scale.processes, scale.sqlite_crowd)
        ),
        size=part("size", lambda here: size.measure(here, scale.answers)),
        calls=part("calls", lambda here: calls.measure(here, batch=scale.batch, rounds=scale.rounds)),
        panel=Panel(
            entries=scale.shelf,
            hits=part("ledger", lambda here: hits.measure(here, batch=10 * scale.batch, rounds=scale.rounds)),
            traffic=part("traffic", lambda here: traffic.measure(here, 1_000)),
            pages=part("pages", lambda here: pages.measure(_shelf(here, scale), scale.shelf, scale.pages)),
            paint=None
            if without
            else part(
                "paint",
                lambda here: browser.measure(here, folder / "pages" / SHELF, scale.shelf, scale.paints),
            ),
            without=without,
        ),
        cassettes=part(
            "cassettes",
            lambda here: cassettes.measure(here, scale.recordings, folder / "pages" / SHELF, scale.shelf),
        ),
        seconds=perf_counter() - start,
    )


def _shelf(folder: Path, scale: Scale) -> Path:
    shelf.fill(folder / SHELF, scale.shelf)
    return folder / SHELF


def _leave_out_the_users_settings() -> None:
    """Settings of the person who runs this would change keys, trace calls or send loopback through a proxy."""
    for name in list(os.environ):
        if name.startswith(("NBCACHE", "OPENAI", "LANGSMITH", "LANGCHAIN")):
            del os.environ[name]
    os.environ["NO_PROXY"] = "127.0.0.1"


if __name__ == "__main__":
    sys.exit(main())
