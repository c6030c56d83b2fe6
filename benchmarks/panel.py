"""The panel's part of the results: what a hit, a page, a search and the browser cost, and how that is told."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from .browser import Paint
from .hits import NOTE, WATCHED, Hits
from .markdown import MICRO, MILLI, table, time_text
from .pages import FILTERS, PLACES, ROWS, SORTS, Pages
from .target import Target
from .traffic import Traffic


@dataclass(frozen=True)
class Panel:
    """Everything measured of the ledger and the panel; `paint` is missing where there is no browser."""

    entries: int
    hits: Hits
    pages: Pages
    traffic: list[Traffic]
    paint: Paint | None
    without: str
    """What the browser's part needs and isn't installed."""

    def targets(self) -> Iterable[Target]:
        for name in (NOTE, WATCHED):
            each = self.hits.parts[name]
            yield Target(f"the ledger on a hit: {name}, µs", each.median * 1e6, 5, each.best * 1e6)
        (sort, which, place), page = self.pages.slowest_page
        yield Target(
            f"a page of {ROWS} rows at {self.entries:,} entries, the slowest of {len(self.pages.pages)} (sorted by "
            f"`{sort}`, {which}, the {place}), ms",
            page.median * 1e3,
            50,
            page.best * 1e3,
        )
        words, search = self.pages.slowest_search
        yield Target(
            f"a word search at {self.entries:,} entries, the slowest of {len(self.pages.searches)} ({words}), ms",
            search.median * 1e3,
            50,
            search.best * 1e3,
        )
        busiest = max(self.traffic, key=lambda each: each.a_second)
        yield Target(
            f"messages of a panel in the busiest second of a cell of {busiest.hits:,} hits", busiest.a_second, 10
        )
        painted = None if self.paint is None else self.paint.from_run
        sent = None if self.paint is None else self.paint.sent / 1e3
        yield Target(
            f"the panel's first paint at {self.entries:,} entries, from running its cell in JupyterLab, ms",
            None if painted is None else painted.median * 1e3,
            250,
            None if painted is None else painted.best * 1e3,
        )
        yield Target("what is sent for it, without the script, kB", sent, 60)

    def as_json(self) -> dict[str, Any]:
        pages = self.pages
        return {
            "entries": self.entries,
            "hits": {name: list(each.rounds) for name, each in self.hits.parts.items()},
            "pages": {", ".join(place): list(each.rounds) for place, each in pages.pages.items()},
            "searches": {name: list(each.rounds) for name, each in pages.searches.items()},
            "found": pages.found,
            "indexing": pages.indexing,
            "traffic": [asdict(each) for each in self.traffic],
            "paint": self.paint and asdict(self.paint),
        }


def sections(panel: Panel) -> Iterable[str]:
    """The panel's part of the page."""
    yield from ("## A hit in the ledger", "")
    yield from table(("what", "time"), ((name, time_text(each, MICRO)) for name, each in panel.hits.parts.items()))
    yield from (f"## A page of {ROWS} rows at {panel.entries:,} entries", "")
    yield from table(
        ("sorted by", *FILTERS), ((sort, *(_slowest(panel.pages, sort, f) for f in FILTERS)) for sort in SORTS)
    )
    yield from (f"## A word search at {panel.entries:,} entries", "")
    yield from table(
        ("search for", "found", "time"),
        (
            (words, f"{panel.pages.found[words]:,}", time_text(each, MILLI))
            for words, each in panel.pages.searches.items()
        ),
    )
    yield f"Making an entry findable takes {panel.pages.indexing * 1e3:.2f} ms, in the background."
    yield from ("", "## What a panel sends during a cell", "")
    yield from table(
        ("hits", "the cell took", "messages", "in the busiest second"),
        ((f"{each.hits:,}", f"{each.seconds:.1f} s", str(each.messages), str(each.a_second)) for each in panel.traffic),
    )
    yield from (f"## First paint at {panel.entries:,} entries", "", *_paint(panel))


def _slowest(pages: Pages, sort: str, which: str) -> str:
    """The slowest of the places."""
    times = {place: pages.pages[sort, which, place] for place in PLACES}
    place = max(times, key=lambda name: times[name].median)
    return f"{time_text(times[place], MILLI)}, {place}"


def _paint(panel: Panel) -> Iterable[str]:
    paint = panel.paint
    if paint is None:
        return [f"Not measured: this needs {panel.without}.", ""]
    return table(
        ("what", "measured"),
        (
            ("from running the cell to rows on the screen", time_text(paint.from_run, MILLI)),
            ("from the first word of the widget to rows on the screen", time_text(paint.from_widget, MILLI)),
            ("the first panel in a page and a kernel, from running the cell", f"{paint.first * 1e3:,.0f} ms"),
            ("the kernel's messages, without the script", f"{paint.sent / 1e3:,.1f} kB"),
            ("the script", f"{paint.script / 1e3:,.1f} kB"),
            ("both", f"{(paint.sent + paint.script) / 1e3:,.1f} kB"),
            ("the browser", paint.browser),
        ),
    )
