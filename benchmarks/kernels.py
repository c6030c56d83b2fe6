"""Kernels side by side: each round a fresh process for each column, in an order that rotates."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from . import instructions
from .cases import write_cases
from .columns import IN_MEMORY, NBCACHE, NONE, SQLITE, missing
from .figures import Figures
from .kernel import Amounts, Job
from .processes import output_of

COLUMNS = tuple(column for column in (NBCACHE, IN_MEMORY, SQLITE, NONE) if column not in missing())


def measure(folder: Path, amounts: Amounts, rounds: int, figures: Figures) -> None:
    """Fill a store for each column, then measure kernels that find what is in it."""
    cases = folder / "cases.json"
    write_cases(cases, amounts)
    jobs = {column: Job(column, str(folder / column), str(cases), amounts=amounts) for column in COLUMNS}
    for column in COLUMNS[:-1]:
        run(replace(jobs[column], what="fill"))
    for number in range(rounds):
        turn = number % len(COLUMNS)
        for column in COLUMNS[turn:] + COLUMNS[:turn]:
            figures.add_all(run(replace(jobs[column], number=number)))


def counted(job: Job) -> dict[str, dict[str, float]]:
    """Instructions of the calls of a job, by row and column."""
    Path(job.folder).mkdir()
    if job.column != NONE:
        run(replace(job, what="fill"))
    return instructions.of_program(_program(replace(job, what="count")), Path(job.folder))


def run(job: Job) -> dict[str, dict[str, dict[str, float]]]:
    """Run a kernel. Returns its figures."""
    found: dict[str, Any] = json.loads(output_of(_program(job), Path(job.cases).parent).splitlines()[-1])
    return found


def _program(job: Job) -> list[str]:
    return [sys.executable, "-m", "benchmarks.kernel", json.dumps(asdict(job))]
