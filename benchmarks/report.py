"""The results as a page to read."""

from collections.abc import Iterable, Sequence

from . import contenders as those
from .crowd import Crowd
from .markdown import MICRO, MILLI, compared, table, time_text
from .notes import NOTES
from .panel import sections
from .results import Results
from .timing import Series

TITLES = {
    "hit": "Lookup hit, keys at random",
    "rehit": "Lookup hit, the same keys again",
    "settle": "What a hit leaves for after the cell: its price, sums and recency",
    "miss": "Lookup miss",
    "update": "Update",
}


def page(results: Results) -> str:
    """The whole report, in Markdown."""
    return "\n".join(
        [
            "# What nbcache costs",
            "",
            f"Written by `python -m benchmarks`, which ran for {results.seconds / 60:.1f} minutes. The ratios are the",
            "result; the times are those of the machine described below.",
            "",
            *table(("what", "measured", "best rounds", "target", ""), _targets(results)),
            *_lookups(results),
            "## `llm.invoke` on a hit",
            "",
            *compared("cache", results.invoke, those.IN_MEMORY, MICRO),
            "## First answer in a new process",
            "",
            *compared("cache", results.first_hit, those.SQLITE, MILLI),
            "## A fresh IPython",
            "",
            *compared("cell", results.load.times, next(iter(results.load.times)), MILLI),
            f"## {results.crowd.processes} processes on one store",
            "",
            *table(
                ("cache", "updates and lookups", "lost", "errors", "wrong", "writing", "reading all"),
                [_crowd("nbcache", results.crowd), _crowd(those.SQLITE, results.sqlite_crowd)],
            ),
            *(f"- {line}" for crowd in (results.crowd, results.sqlite_crowd) for line in crowd.counts.said[:5]),
            "## Bytes on disk",
            "",
            *table(
                ("cache", "bytes", "an entry"),
                [
                    (name, f"{size:,}", f"{size / results.size.entries:,.0f}")
                    for name, size in (
                        ("nbcache", results.size.nbcache),
                        ("nbcache, without its search index", results.size.unindexed),
                        (those.SQLITE, results.size.sqlite),
                    )
                ],
            ),
            *results.calls.sections(),
            *sections(results.panel),
            *results.cassettes.sections(),
            "## The machine",
            "",
            *table(("", ""), results.machine.items()),
            "## How it was measured",
            "",
            _notes(results),
        ]
    )


def _targets(results: Results) -> Iterable[Sequence[str]]:
    for target in results.targets():
        measured, best = ("" if each is None else f"{each:.3g}" for each in (target.measured, target.best))
        verdict = "reached" if target.reached else "not measured" if target.measured is None else "**missed**"
        yield target.what, measured, best, f"≤ {target.limit:.3g}", verdict


def _lookups(results: Results) -> Iterable[str]:
    sizes = results.sizes
    header = ("cache", *(f"at {n:,}" for n in sizes), *(f"/ SQLiteCache at {n:,}" for n in sizes))
    for what, title in TITLES.items():
        times: dict[tuple[str, int], Series] = getattr(results.lookups, what)
        names = dict.fromkeys(name for name, _ in times)
        yield from (f"## {title}", "")
        yield from table(
            header,
            (
                (
                    name,
                    *(time_text(times[name, n], MICRO) for n in sizes),
                    *(_against_sqlite(times, name, n) for n in sizes),
                )
                for name in names
            ),
        )


def _against_sqlite(times: dict[tuple[str, int], Series], name: str, n: int) -> str:
    theirs = times.get((those.SQLITE, n))
    return f"{times[name, n].ratio(theirs):.4f}" if theirs else ""


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
        shelf=results.panel.entries,
        filling=", ".join(f"{name} {seconds:.0f} s" for name, seconds in filling.items()),
    )
