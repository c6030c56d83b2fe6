"""Another version of nbcache beside this one: `python -m benchmarks.beside PATH`, of a folder that holds its package.

    git worktree add ../before COMMIT && .venv/bin/python -m benchmarks.beside ../before

Each is measured in processes of its own, in alternation; a row is the best of its rounds, in microseconds of processor time.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parents[1]
_LEAST = 20  # microseconds of which a ratio says something


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beside", description=__doc__.partition("\n")[0])
    parser.add_argument("other", type=Path, help="the folder that holds the other version's package")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    if not (given.other / "nbcache").is_dir():
        parser.error(f"there is no package nbcache in {given.other}")
    for kind, title in (("client", "ChatOpenAI"), ("own", "a model class of one's own")):
        rounds = [[_measured(tree, kind) for tree in (given.other.resolve(), HERE)] for _ in range(given.rounds)]
        print(f"\n| {title}, µs | other | this | this / other |\n| --- | --: | --: | --: |")
        for row in rounds[0][0]:
            other, this = (min(each[side][row] for each in rounds) for side in (0, 1))
            ratio = f"{this / other:.2f}" if other > _LEAST else ""
            print(f"| {row} | {other:,.0f} | {this:,.0f} | {ratio} |")
    return 0


def _measured(tree: Path, kind: str) -> dict[str, float]:
    """The rows of one version: what it stores, a new process finds."""
    rows: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for part in ("load", "store", "find"):
            done = subprocess.run(
                [sys.executable, str(Path(__file__).with_name("beside_child.py")), kind, part, folder],
                env={**os.environ, "PYTHONPATH": str(tree), "OPENAI_API_KEY": "none"},
                cwd=folder,
                check=True,
                capture_output=True,
                text=True,
            )
            rows |= json.loads(done.stdout)
    return rows


if __name__ == "__main__":
    sys.exit(main())
