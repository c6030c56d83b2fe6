"""Another version of nbcache beside this one: `python -m benchmarks.beside PATH`, of a folder that holds its package.

    git worktree add ../before COMMIT && .venv/bin/python -m benchmarks.beside ../before

Kernels of both in alternation, as in the bench, with a real client and with a model class of a user's own. A ratio is the
median of the rounds, by processor time, and by instructions with `--count`.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from . import instructions, kernels
from .cases import write_cases
from .columns import NBCACHE
from .counts import FEW
from .figures import INSTRUCTIONS, PROCESSOR, Figures
from .kernel import Amounts, Job
from .markdown import number, table
from .rows import ROWS

HERE = Path(__file__).parents[1]
_OTHER = "other"
_KINDS = {"client": "ChatOpenAI", "own": "a model class of one's own"}


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beside", description=__doc__.partition("\n")[0])
    parser.add_argument("other", type=Path, help="the folder that holds the other version's package")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", action="store_true", help="count instructions, too; this needs valgrind")
    given = parser.parse_args(arguments)
    if not (given.other / "nbcache").is_dir():
        parser.error(f"there is no package nbcache in {given.other}")
    if given.count and (lacking := instructions.missing()):
        parser.error(f"--count needs {lacking}")
    trees = {_OTHER: given.other.resolve(), NBCACHE: HERE}
    for kind, title in _KINDS.items():
        with tempfile.TemporaryDirectory() as folder:
            figures = _measured(Path(folder), kind, trees, given.rounds, count=given.count)
        print("\n".join(["", f"### {title}", "", *_table(figures)]))
    return 0


def _measured(folder: Path, kind: str, trees: dict[str, Path], rounds: int, *, count: bool) -> Figures:
    figures, cases, amounts = Figures(), folder / "cases.json", Amounts()
    write_cases(cases, amounts)
    for number_of_round in range(-1, rounds):
        for column, tree in trees.items() if number_of_round % 2 else reversed(trees.items()):
            what = "fill" if number_of_round < 0 else "measure"
            job = Job(NBCACHE, str(folder / column), str(cases), what, kind, amounts, number_of_round, str(tree))
            _add(figures, column, kernels.run(job))
    for column, tree in trees.items() if count else ():
        job = Job(NBCACHE, str(folder / f"counted-{column}"), str(cases), "count", kind, FEW, 0, str(tree))
        _add(figures, column, {INSTRUCTIONS: kernels.counted(job)})
    return figures


def _add(figures: Figures, column: str, kinds: dict[str, dict[str, dict[str, float]]]) -> None:
    for kind, rows in kinds.items():
        for row, columns in rows.items():
            figures.add(row, column, columns[NBCACHE], kind)


def _table(figures: Figures) -> list[str]:
    lines = []
    for row in figures.kinds[PROCESSOR]:
        factor, unit = ROWS[row].unit
        pair = [figures.spread(row, column, PROCESSOR) for column in (_OTHER, NBCACHE)]
        ratio = figures.ratio((row, NBCACHE), (row, _OTHER), PROCESSOR)
        counted = figures.ratio((row, NBCACHE), (row, _OTHER), INSTRUCTIONS)
        times = ["" if each is None else f"{number(each.median * factor)} {unit}" for each in pair]
        ratios = ["" if each is None else number(each.median) for each in (ratio, counted)]
        spread = f" ({number(ratio.least)} to {number(ratio.most)})" if ratio else ""
        lines.append((ROWS[row].title, *times, ratios[0] + spread, ratios[1]))
    return table(("", "other", "this", "this / other", "by instructions"), lines)


if __name__ == "__main__":
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    sys.exit(main())
