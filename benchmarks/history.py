"""The releases that were measured, one a line in `history.jsonl`: version, commit, date, machine and all figures."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .figures import KINDS, Figures

FILE = Path(__file__).with_name("history.jsonl")


@dataclass(frozen=True)
class Run:
    """One run of the bench."""

    version: str
    commit: str
    machine: dict[str, str]
    figures: Figures
    seconds: float = 0.0

    def as_line(self) -> str:
        """The run as a line of the file."""
        values = {**vars(self), "figures": self.figures.as_json(), "seconds": round(self.seconds)}
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def of_line(cls, line: str) -> "Run":
        values: dict[str, Any] = json.loads(line)
        kinds = {kind: values["figures"].get(kind, {}) for kind in KINDS}
        return cls(**{**values, "figures": Figures(kinds)})


def runs(file: Path = FILE) -> list[Run]:
    """All runs, the latest last."""
    return [Run.of_line(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def append(run: Run, file: Path = FILE) -> None:
    """Add a run, in place of those of the same version on the same day: a bench that is run again replaces its figures."""
    others = [each for each in runs(file) if (each.version, _day(each)) != (run.version, _day(run))]
    file.write_text("".join(f"{each.as_line()}\n" for each in [*others, run]), encoding="utf-8")


def before(run: Run, all_runs: list[Run]) -> Run | None:
    """The latest run of another version."""
    others = [each for each in all_runs if each.version != run.version]
    return others[-1] if others else None


def merged(run: Run, earlier: Run | None) -> Run:
    """The run with the rows of an earlier one that it didn't measure: a bench can be run in parts."""
    if earlier is None:
        return run
    kinds = {kind: {**earlier.figures.kinds[kind], **run.figures.kinds[kind]} for kind in KINDS}
    return Run(run.version, run.commit, run.machine, Figures(kinds), run.seconds + earlier.seconds)


def commit() -> str:
    """The commit that is measured; with `+` if files have been changed since."""
    root = Path(__file__).parents[1]

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--", "nbcache") else "")


def _day(run: Run) -> str:
    return run.machine.get("date", "")[:10]
