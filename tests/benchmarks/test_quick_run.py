"""A tiny run of the bench: every row is measured, and every aim can be looked at."""

from pathlib import Path

import pytest

from benchmarks import __main__ as bench
from benchmarks import instructions, kernels, report
from benchmarks.cases import write_cases
from benchmarks.columns import NBCACHE
from benchmarks.kernel import Job
from benchmarks.rows import ROWS, SECTIONS
from tests.servers.redis_server import programs

_GROWTH = set(SECTIONS["What is stored grows"])
_ELSEWHERE = {"paint", "paint, sent"}  # the browser's tests look at these
if not programs():
    _ELSEWHERE |= {row for title, rows in SECTIONS.items() if "server" in title for row in rows}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]


def test_a_tiny_run_measures_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.instructions.missing", lambda: "time")  # counting has a test of its own
    run = bench.measure(bench.QUICK, None)
    assert set(run.figures.kinds["seconds"]) == set(ROWS) - _GROWTH - _ELSEWHERE
    assert all(run.figures.rounds(row, NBCACHE) for row in set(ROWS) - _GROWTH - _ELSEWHERE)
    assert "| repeated hit, nobody listens | nbcache |" in report.page(run, None)


@pytest.mark.before_release
def test_a_tiny_run_measures_what_grows() -> None:
    figures = bench.measure(bench.QUICK, None, with_growth=True).figures
    assert set(figures.kinds["seconds"]) == _GROWTH
    assert all(set(figures.columns(row)) == {"300 entries", "600 entries"} for row in _GROWTH)


@pytest.mark.before_release
@pytest.mark.skipif(bool(instructions.missing()), reason=f"needs {instructions.missing()}")
def test_a_kernels_calls_are_counted(tmp_path: Path) -> None:
    few = bench.QUICK.amounts
    write_cases(tmp_path / "cases.json", few)
    counts = kernels.counted(Job(NBCACHE, str(tmp_path / "store"), str(tmp_path / "cases.json"), amounts=few))
    assert {"first hits", "repeated", "turn 200", "stream", "miss", "update by hand"} <= set(counts)
    assert counts["repeated"][NBCACHE] < counts["first hits"][NBCACHE] < counts["miss"][NBCACHE]
