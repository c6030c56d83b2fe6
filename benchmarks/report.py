"""A run as a page to read, and as the table of the docs."""

from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path

from .columns import ALL, NBCACHE
from .figures import INSTRUCTIONS, PROCESSOR, Figures, Spread
from .history import Run
from .markdown import number, table
from .rows import SECTIONS, Row
from .targets import TARGETS, Target

DOCS = Path(__file__).parents[1] / "docs" / "figures.md"
BEGIN, END = "<!-- the bench writes this part: make bench -->", "<!-- the end of what the bench writes -->"


def page(run: Run, earlier: Run | None) -> str:
    """The whole report."""
    lines = [
        "# What nbcache costs",
        "",
        f"Written by `python -m benchmarks`, which ran for {run.seconds / 60:.1f} minutes. The ratios are the result; the",
        "times are those of the machine described below. After each median, in brackets, are the least and the most of the",
        "rounds.",
        "",
        *_targets(run, earlier),
    ]
    for title, rows in SECTIONS.items():
        measured = {name: row for name, row in rows.items() if run.figures.columns(name)}
        if measured:
            lines += [f"## {title}", "", *_section(run.figures, measured)]
    lines += ["## The machine", "", *table(("", ""), run.machine.items()), "## How it is measured", ""]
    return "\n".join([*lines, files(__package__).joinpath("HOW.md").read_text(encoding="utf-8").strip(), ""])


def write_docs(run: Run, earlier: Run | None, file: Path = DOCS) -> None:
    """Put the table of targets into the docs, in place of the one that the bench has written before."""
    text = file.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{file.name} has no part for the bench, between {BEGIN!r} and {END!r}")
    machine = run.machine
    about = (
        f"nbcache {run.version}, {machine['date']}, {machine['cores']} cores ({machine['processor']}), {machine['system']}, "
        f"{machine['Python']}; load before the run {machine['load before the run']}. All columns of a row were measured in "
        "alternation. In brackets: the least and the most of the rounds."
    )
    part = "\n".join(["## Speed and size beside other caches", "", about, "", *_targets(run, earlier)])
    file.write_text(f"{head}{BEGIN}\n\n{part}\n{END}{tail}", encoding="utf-8")


def _targets(run: Run, earlier: Run | None) -> list[str]:
    header = ["", "measured", "processor time", "instructions", "aim", ""]
    if earlier:
        header.append(earlier.version)
    return table(header, (_target(each, run, earlier) for each in TARGETS))


def _target(target: Target, run: Run, earlier: Run | None) -> Sequence[str]:
    measured = target.measured(run.figures)
    others = (target.measured(run.figures, kind) for kind in (PROCESSOR, INSTRUCTIONS))
    unit = f" {target.unit}" if target.unit else ""
    cells = [
        target.what,
        _spread(measured, unit),
        *("" if each is None else number(each.median) for each in others),
        f"≤ {number(target.limit)}{unit}",
        "not measured" if measured is None else "reached" if measured.median <= target.limit else "**missed**",
    ]
    if earlier:
        was = target.measured(earlier.figures)
        cells.append("" if was is None else number(was.median))
    return cells


def _section(figures: Figures, rows: dict[str, Row]) -> Iterable[str]:
    """A table with a line for each row and each of its columns."""
    lines: list[Sequence[str]] = []
    for name, row in rows.items():
        columns = sorted(figures.columns(name), key=lambda column: ALL.index(column) if column in ALL else len(ALL))
        lines += [
            (row.title if column == columns[0] else "", column, *_cells(figures, name, row, column))
            for column in columns
        ]
    return table(("", "", "time or size", "beside", "by processor time", "by instructions"), lines)


def _cells(figures: Figures, name: str, row: Row, column: str) -> Sequence[str]:
    factor, unit = row.unit
    spread = figures.spread(name, column)
    scaled = spread and Spread(spread.median * factor, spread.least * factor, spread.most * factor)
    if column == row.beside or row.beside not in figures.columns(name):
        return _spread(scaled, f" {unit}"), "", "", ""
    ratio, *others = (
        figures.ratio((name, column), (name, row.beside), kind) for kind in ("seconds", PROCESSOR, INSTRUCTIONS)
    )
    beside = f" of {row.beside}'s" if ratio and column == NBCACHE else ""
    return (
        _spread(scaled, f" {unit}"),
        f"{_spread(ratio, '')}{beside}",
        *("" if each is None else number(each.median) for each in others),
    )


def _spread(spread: Spread | None, unit: str) -> str:
    if spread is None:
        return ""
    if spread.least == spread.most:
        return f"{number(spread.median)}{unit}"
    return f"{number(spread.median)}{unit} ({number(spread.least)} to {number(spread.most)})"
