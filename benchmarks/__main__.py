"""Run the bench, which takes about ten minutes: `python -m benchmarks`.

It adds a line to `benchmarks/history.jsonl`, and writes `benchmarks/RESULTS.md` and the table in `docs/figures.md`.
"""

import argparse
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import nbcache
from nbcache.errors import NbcacheWarning

from . import (
    BenchError,
    columns,
    counts,
    crowd,
    disk,
    functions,
    growth,
    history,
    instructions,
    kernels,
    load,
    machine,
    redis_store,
    report,
    size,
    team,
    tiers,
    traffic,
)
from .figures import Figures
from .kernel import Amounts

HERE = Path(__file__).parent
STORES = HERE.parent / ".venv" / "growth"


@dataclass(frozen=True)
class Scale:
    """How much is done."""

    amounts: Amounts = field(default_factory=Amounts)
    kernels: int = 5  # rounds of them
    entries: int = 10_000
    batch: int = 100
    rounds: int = 15
    processes: int = 8
    crowd: int = 500  # updates of each of them
    members: team.Load = field(default_factory=team.Load)
    answers: int = 5_000
    hits: int = 1_000
    sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    rows: int = 100_000  # of a data frame
    on_server: int = 100_000  # entries


_FEW = Amounts(
    questions=6, batches=1, long=1, chats=(1, 1, 1), streams=2, threads=3, at_once=10, texts=10, misses=10, requests=200
)
FULL = Scale()
QUICK = Scale(_FEW, 1, 60, 10, 2, 2, 5, team.Load(2, 20, 5, 1), 50, 20, (300, 600), 100, 300)


def main() -> int:
    arguments = _arguments()
    if arguments.report:
        *_, run = history.runs()
        _write(run)
        return 0
    if lacking := columns.missing():
        print(f"left out, since they are not installed: {', '.join(lacking)}", file=sys.stderr)
    scale, stores = (QUICK, None) if arguments.quick else (FULL, arguments.stores)
    run = measure(scale, stores, arguments.part, with_growth=arguments.growth)
    if arguments.quick:
        print(report.page(run, None))
        print("A smoke run: nothing above is a result, and nothing was written.")
        return 0
    if arguments.part or arguments.growth:
        known = history.runs()
        run = history.merged(run, known[-1] if known and known[-1].version == run.version else None)
    _keep(run)
    return 0


def measure(
    scale: Scale, stores: Path | None, names: Sequence[str] | None = None, *, with_growth: bool = False
) -> history.Run:
    """Measure the parts with these names, or all. Large stores are kept in `stores`; without it, they are not."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # DSPy's litellm would look for prices in the network
    _leave_out_the_users_settings()
    disk.check()
    figures, start = Figures(), perf_counter()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, warnings.catch_warnings(record=True) as caught:
        # SQLiteCache makes LangChain warn on every hit: printing that would be part of its time.
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", NbcacheWarning)
        about = machine.describe(Path(folder))
        parts = _parts(scale, figures, stores or Path(folder) / "stores", with_growth=with_growth)
        for name, part in parts.items():
            if not names or name in names:
                _measure(Path(folder) / name, name, part)
        if caught:
            raise BenchError(f"nbcache warned while it was measured: {caught[0].message}")
    return history.Run(nbcache.__version__, history.commit(), about, figures, perf_counter() - start)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smoke run: its figures mean nothing")
    parser.add_argument(
        "--growth", action="store_true", help="what grows with a store, at up to 1,000,000 entries, alone"
    )
    parser.add_argument("--stores", type=Path, default=STORES, help="where the large stores are kept for the next run")
    parser.add_argument(
        "--part", action="append", help="measure this part alone: " + ", ".join(_parts(QUICK, Figures(), STORES))
    )
    parser.add_argument(
        "--report", action="store_true", help="write the page and the docs' table of the last run again"
    )
    return parser.parse_args()


def _parts(
    scale: Scale, figures: Figures, stores: Path, *, with_growth: bool = False
) -> dict[str, Callable[[Path], None]]:
    """The parts of the bench. What isn't a matter of time comes last."""
    if with_growth:
        return {"growth": lambda _: growth.measure(stores, scale.sizes, min(scale.rounds, 9), figures)}
    return {
        "kernels": lambda here: kernels.measure(here, scale.amounts, scale.kernels, figures),
        "disk": lambda here: disk.measure(here, scale.entries, batch=scale.batch, rounds=scale.rounds, figures=figures),
        "functions": lambda here: functions.measure(
            here, scale.rows, calls=scale.batch, rounds=scale.rounds, figures=figures
        ),
        "redis": lambda _: redis_store.measure(
            scale.on_server, batch=scale.batch, rounds=scale.rounds, figures=figures
        ),
        "tiers": lambda here: tiers.measure(here, batch=scale.batch, rounds=scale.rounds, figures=figures),
        "load": lambda _: load.measure(min(scale.rounds, 7), figures),
        "traffic": lambda here: traffic.measure(here, scale.hits, figures),
        "crowd": lambda here: crowd.measure(here, scale.processes, scale.crowd, figures),
        "team": lambda _: team.measure(scale.members, figures),
        "size": lambda here: size.measure(here, scale.answers, figures),
        "counts": lambda here: counts.measure(here, scale.amounts, figures),
    }


def _measure(folder: Path, name: str, part: Callable[[Path], None]) -> None:
    folder.mkdir()
    start = perf_counter()
    print(f"{name} …", end=" ", file=sys.stderr, flush=True)
    if name == "counts" and (lacking := instructions.missing()):
        print(f"without instructions: this needs {lacking}", end=" ", file=sys.stderr)
    part(folder)
    print(f"{perf_counter() - start:.0f} s", file=sys.stderr)


def _keep(run: history.Run, file: Path = history.FILE) -> None:
    """Add a run to the history, then write the page. The figures stay even if the page can't be written."""
    history.append(run, file)
    try:
        _write(run)
    except Exception as error:
        error.add_note(f"The figures are in {file}: `python -m benchmarks --report` writes the page of them.")
        raise


def _write(run: history.Run) -> None:
    earlier = history.before(run, history.runs())
    text = report.page(run, earlier)
    (HERE / "RESULTS.md").write_text(text, encoding="utf-8")
    report.write_docs(run, earlier)
    print(text)


def _leave_out_the_users_settings() -> None:
    """Settings of the person who runs this would change keys, trace calls or send loopback through a proxy."""
    for name in list(os.environ):
        if name.startswith(("NBCACHE", "OPENAI", "LANGSMITH", "LANGCHAIN")):
            del os.environ[name]
    os.environ["NO_PROXY"] = "127.0.0.1"


if __name__ == "__main__":
    sys.exit(main())
