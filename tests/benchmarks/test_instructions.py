"""Counting instructions with callgrind."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import BenchError, instructions
from tests.support.paths import ROOT

_PROGRAM = """
from itertools import repeat
from benchmarks.instructions import counted
def work(size):  # it takes no memory: whether a block of memory is full is chance
    for _ in repeat(None, 100_000 * size):
        pass
work(1)
for name, size in (("at first", 1), ("once", 1), ("again", 1), ("four times", 4)):
    with counted(f"work|{name}|{size}"):
        work(size)
    work(5)
"""

pytestmark = pytest.mark.skipif(bool(instructions.missing()), reason=f"needs {instructions.missing()}")


@pytest.mark.slow
def test_the_same_work_takes_the_same_instructions_and_nothing_else_is_counted(tmp_path: Path) -> None:
    counts = instructions.of_program([sys.executable, "-c", _PROGRAM], tmp_path)["work"]
    assert counts["again"] == pytest.approx(counts["once"], rel=0.01)
    assert counts["four times"] == pytest.approx(counts["once"], rel=0.05)


@pytest.mark.slow
def test_a_program_that_fails_is_not_counted(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="ZeroDivisionError"):
        instructions.of_program([sys.executable, "-c", "1 / 0"], tmp_path)


def test_a_program_that_counts_runs_without_valgrind_too() -> None:
    subprocess.run([sys.executable, "-c", _PROGRAM], cwd=ROOT, check=True, timeout=60)
