"""What a notebook's output shows: HTML in a browser, the same as plain text elsewhere."""

from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING

from nbcache import public_in
from nbcache.cache.notebook_cache import NotebookCache
from nbcache.errors import StoreError, harmless
from nbcache.session import installation
from nbcache.ui import report

if TYPE_CHECKING:
    from nbcache.ui.panel.widget import Panel

_CELL = "text-align:left;padding:2px 12px 2px 0"


@dataclass(frozen=True, slots=True)
class Table:
    """Names and texts, in two columns: a rich table in a notebook, lines in a terminal."""

    title: str
    lines: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        width = max((len(name) for name, _ in self.lines), default=0) + 1
        return harmless("\n".join([self.title, *([report.aligned(self.lines, width)] if self.lines else [])]))

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th style="{_CELL}">{escape(name)}</th><td style="{_CELL}">{escape(text)}</td></tr>'
            for name, text in self.lines
        )
        return f"<table><caption>{escape(self.title)}</caption><tbody>{rows}</tbody></table>"


def stats(cache: NotebookCache, scope: str | None = None, *, lifetime: bool = False) -> Table:
    """Calls, money and time of this session, or of the ledger's whole life; and what is stored."""
    of = "so far" if lifetime else "this session"
    numbers = cache.stats(scope, lifetime=lifetime)
    try:
        statuses = report.status_counts(cache.contents(scope))
    except StoreError:  # the numbers say so
        statuses = {}
    passed = () if lifetime else report.passed_lines(cache)
    rows = cache.spendings(scope, lifetime=lifetime)
    return Table(report.mode(cache), (*report.stats_lines(numbers, cache.store, of, statuses, rows), *passed))


def summary() -> Table:
    """What stands for the panel where there are no widgets: counts and money, which are the same in each run."""
    if not installation.is_installed():
        return Table("nbcache is off: `%llmcache on` turns it on", ())
    cache = installation.installed()
    numbers = replace(cache.stats(), saved_seconds=0.0, untimed_hits=0)
    stored = report.stored_text(numbers, cache.store).partition(",")[0]
    lines = dict(report.stats_lines(numbers, cache.store, rows=cache.ledger.rows())) | {"stored": stored}
    return Table(report.mode(cache), tuple(lines.items()))


@public_in("nbcache")
def panel() -> "Panel":
    """The panel: a live widget with this session's numbers and every entry."""
    from nbcache.ui.panel.board import Board  # noqa: PLC0415 - widgets take a third of a second to import
    from nbcache.ui.panel.widget import Panel  # noqa: PLC0415

    return Panel(Board(), _texts)


def _texts() -> tuple[str, str]:
    table = summary()
    return repr(table), table._repr_html_()
