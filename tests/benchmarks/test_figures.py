"""What the bench makes of its figures: ratios, the history of releases, the table in the docs."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as bench
from benchmarks import history, report
from benchmarks.figures import PROCESSOR, Figures, Spread
from benchmarks.rows import ROWS, SECTIONS
from benchmarks.targets import TARGETS
from tests.support.paths import ROOT


def _figures(repeated: list[float]) -> Figures:
    figures = Figures()
    for ours, theirs in zip(repeated, (10.0, 20.0, 40.0), strict=True):
        figures.add("repeated", "nbcache", ours)
        figures.add("repeated", "InMemoryCache", theirs)
    return figures


def _run(version: str, date: str = "2026-11-30 04:00 UTC", repeated: float = 1e-5) -> history.Run:
    machine = dict.fromkeys(("cores", "processor", "system", "Python", "load before the run"), "some") | {"date": date}
    return history.Run(version, "abc", machine, _figures([repeated] * 3))


def test_a_ratio_is_taken_within_each_round() -> None:
    figures = _figures([1.0, 4.0, 2.0])
    ours, theirs = ("repeated", "nbcache"), ("repeated", "InMemoryCache")
    assert figures.ratio(ours, theirs) == Spread(0.1, 0.05, 0.2)
    assert figures.ratio(ours, theirs, PROCESSOR) is None


def test_a_round_in_which_the_other_figure_is_0_has_no_ratio() -> None:
    figures = _figures([1.0, 4.0, 2.0])
    ours, theirs = ("repeated", "nbcache"), ("repeated", "InMemoryCache")
    figures.kinds["seconds"]["repeated"]["InMemoryCache"][:2] = [0.0, 0.0]
    assert figures.ratio(ours, theirs) == Spread(0.05, 0.05, 0.05)
    figures.kinds["seconds"]["repeated"]["InMemoryCache"][2] = 0.0
    assert figures.ratio(ours, theirs) is None
    assert "| repeated hit, nobody listens | nbcache | " in report.page(history.Run("2", "", {}, figures), None)


def test_figures_are_kept_when_the_page_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "history.jsonl"
    monkeypatch.setattr(report, "page", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError) as raised:
        bench._keep(_run("2"), file)
    assert "--report" in raised.value.__notes__[0]
    assert [run.version for run in history.runs(file)] == ["2"]


def test_every_run_is_kept_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    for version in ("1", "2"):
        history.append(_run(version), file)
    assert [run.version for run in history.runs(file)] == ["1", "2"]
    assert history.runs(file)[0].figures.rounds("repeated", "InMemoryCache") == [10, 20, 40]


def test_a_run_replaces_the_one_of_the_same_version_and_day_only(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    for run in (_run("1", "2026-11-29 01:00 UTC"), _run("2"), _run("2", repeated=3.0)):
        history.append(run, file)
    kept = history.runs(file)
    assert [(run.version, run.figures.rounds("repeated", "nbcache")[0]) for run in kept] == [("1", 1e-5), ("2", 3.0)]
    assert history.before(kept[-1], kept) == kept[0]


def test_a_part_that_runs_alone_keeps_the_other_parts_figures() -> None:
    part = history.Run("1", "abc", {}, Figures())
    part.figures.add("load", "nbcache", 1.0)
    assert set(history.merged(part, _run("1")).figures.kinds["seconds"]) == {"repeated", "load"}


def test_the_docs_get_the_table_and_keep_all_else(tmp_path: Path) -> None:
    file = tmp_path / "figures.md"
    file.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    for _ in range(2):
        report.write_docs(_run("2"), _run("1"), file)
    text = file.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "\nold\n" not in text
    assert text.count("nobody listens") == 1


def test_the_docs_of_this_repository_have_a_place_for_the_table() -> None:
    text = report.DOCS.read_text(encoding="utf-8")
    assert text.index(report.BEGIN) < text.index(report.END)


def test_docs_without_a_place_for_the_table_are_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "figures.md"
    file.write_text("nothing", encoding="utf-8")
    with pytest.raises(ValueError, match=r"figures\.md has no part for the bench"):
        report.write_docs(_run("2"), None, file)
    assert file.read_text(encoding="utf-8") == "nothing"


def test_a_missed_aim_is_called_missed_and_one_that_nobody_measured_is_not_called_reached() -> None:
    lines = report.page(_run("2", repeated=100.0), None).splitlines()
    (missed,) = (line for line in lines if "where nobody listens /" in line)
    assert "**missed**" in missed
    assert sum("not measured" in line for line in lines) == len(TARGETS) - 1


def test_the_page_names_no_row_twice() -> None:
    names = [name for section in SECTIONS.values() for name in section]
    assert len(names) == len(set(names)) == len(ROWS)


def test_the_bench_needs_no_package_that_only_tests_have() -> None:
    program = "import sys; sys.modules['pytest'] = None; import benchmarks.__main__"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)
