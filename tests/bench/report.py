"""The results as a page to read."""

from collections.abc import Iterable, Sequence

from . import contenders as those
from .crowd import Crowd
from .notes import NOTES
from .results import Results
from .timing import Series

TITLES = {
    "hit": "Lookup hit, keys at random",
    "rehit": "Lookup hit, the same keys again",
    "settle": "Writing down a hit (its recency, after the cell)",
    "miss": "Lookup miss",
    "update": "Update",
}
MICRO, MILLI = (1e6, "µs"), (1e3, "ms")


def page(results: Results) -> str:
    """The whole report, in Markdown."""
    return "\n".join(
        [
            "# What nbcache costs",
            "",
            f"Written by `python -m tests.bench`, which ran for {results.seconds / 60:.1f} minutes. The ratios are the",
            "result; the times are those of the machine described below.",
            "",
            *_table(("what", "measured", "best rounds", "target", ""), _targets(results)),
            *_lookups(results),
            "## `llm.invoke` on a hit",
            "",
            *_times("cache", results.invoke, those.IN_MEMORY, MICRO),
            "## First answer in a new process",
            "",
            *_times("cache", results.first_hit, those.SQLITE, MILLI),
            "## A fresh IPython",
            "",
            *_times("cell", results.load.times, next(iter(results.load.times)), MILLI),
            f"## {results.crowd.processes} processes on one store",
            "",
            *_table(
                ("cache", "updates and lookups", "lost", "errors", "wrong", "writing", "reading all"),
                [_crowd("nbcache", results.crowd), _crowd(those.SQLITE, results.sqlite_crowd)],
            ),
            *(f"- {line}" for crowd in (results.crowd, results.sqlite_crowd) for line in crowd.counts.said[:5]),
            "## Bytes on disk",
            "",
            *_table(
                ("cache", "bytes", "an entry"),
                [
                    (name, f"{size:,}", f"{size / results.size.entries:,.0f}")
                    for name, size in (("nbcache", results.size.nbcache), (those.SQLITE, results.size.sqlite))
                ],
            ),
            "## The machine",
            "",
            *_table(("", ""), results.machine.items()),
            "## How it was measured",
            "",
            _notes(results),
        ]
    )


def _targets(results: Results) -> Iterable[Sequence[str]]:
    for target in results.targets():
        verdict = "reached" if target.reached else "**missed**"
        best = "" if target.best is None else f"{target.best:.3g}"
        yield target.what, f"{target.measured:.3g}", best, f"≤ {target.limit:.3g}", verdict


def _lookups(results: Results) -> Iterable[str]:
    sizes = results.sizes
    header = ("cache", *(f"at {n:,}" for n in sizes), *(f"/ SQLiteCache at {n:,}" for n in sizes))
    for what, title in TITLES.items():
        times: dict[tuple[str, int], Series] = getattr(results.lookups, what)
        names = dict.fromkeys(name for name, _ in times)
        yield from (f"## {title}", "")
        yield from _table(
            header,
            (
                (
                    name,
                    *(_time(times[name, n], MICRO) for n in sizes),
                    *(_against_sqlite(times, name, n) for n in sizes),
                )
                for name in names
            ),
        )


def _against_sqlite(times: dict[tuple[str, int], Series], name: str, n: int) -> str:
    theirs = times.get((those.SQLITE, n))
    return f"{times[name, n].ratio(theirs):.4f}" if theirs else ""


def _times(what: str, times: dict[str, Series], floor: str, unit: tuple[float, str]) -> Iterable[str]:
    rows = ((name, _time(each, unit), f"{each.ratio(times[floor]):.2f}") for name, each in times.items())
    return _table((what, "time", f"/ {floor}"), rows)


def _time(series: Series, unit: tuple[float, str]) -> str:
    factor, name = unit
    return f"{series.median * factor:,.1f} {name} ({series.best * factor:,.1f})"


def _crowd(name: str, crowd: Crowd) -> Sequence[str]:
    counts = crowd.counts
    return (
        name,
        f"{crowd.processes} times {crowd.each:,}",
        *(str(number) for number in (counts.lost, counts.errors, counts.wrong)),
        *(f"{seconds:.1f} s" for seconds in (counts.writing, counts.reading)),
    )


def _notes(results: Results) -> str:
    size, filling = results.size, results.lookups.filling
    return NOTES.format(
        answer=size.answer,
        prompt=size.prompt,
        deflated=size.deflated,
        disk=those.FROM_DISK,
        large=results.sizes[-1],
        filling=", ".join(f"{name} {seconds:.0f} s" for name, seconds in filling.items()),
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]
