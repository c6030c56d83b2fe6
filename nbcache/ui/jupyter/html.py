"""What is shown in a notebook's output: HTML where it is displayed, the same as plain text elsewhere."""

from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING

from nbcache._names import public_in
from nbcache.cache.notebook_cache import NotebookCache
from nbcache.entry.models import Filter
from nbcache.entry.status import OK, STATUSES
from nbcache.errors import StoreError, harmless
from nbcache.session import session
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
        return harmless("\n".join([self.title, *(f"{name + ':':<{width}} {text}" for name, text in self.lines)]))

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th style="{_CELL}">{escape(name)}</th><td style="{_CELL}">{escape(text)}</td></tr>'
            for name, text in self.lines
        )
        return f"<table><caption>{escape(self.title)}</caption><tbody>{rows}</tbody></table>"


def stats(cache: NotebookCache, scope: str | None = None, *, lifetime: bool = False) -> Table:
    """Calls, money and time of this session, or of all that the ledger knows; and what is stored."""
    of = "so far" if lifetime else "this session"
    lines = dict(report.stats_lines(cache.stats(scope, lifetime=lifetime), cache.store, of))
    lines["stored"] += report.statuses_text(_statuses(cache, scope))
    return Table(report.mode(cache), tuple(lines.items()))


def _statuses(cache: NotebookCache, scope: str | None) -> dict[str, int]:
    """How many entries have each status but `ok`."""
    contents = cache.contents(scope)
    try:
        return {status: contents.totals_of(Filter(status=status)).entries for status in STATUSES if status != OK}
    except StoreError:  # `stats` has said so
        return {}


def summary() -> Table:
    """What the panel shows where there are no widgets: counts and money, which are the same in each run."""
    if not session.is_installed():
        return Table("nbcache is off: `%llmcache on` turns it on", ())
    cache = session.installed()
    found = replace(cache.stats(), saved_seconds=0.0, untimed_hits=0)
    stored = report.stored_text(found, cache.store).partition(",")[0]
    lines = dict(report.stats_lines(found, cache.store)) | {"stored": stored}
    return Table(report.mode(cache), tuple(lines.items()))


@public_in("nbcache")
def panel() -> "Panel":
    """The panel: a widget with the numbers of this session and every entry, live."""
    from nbcache.ui.panel.board import Board  # noqa: PLC0415 - widgets take a third of a second to import
    from nbcache.ui.panel.widget import Panel  # noqa: PLC0415

    return Panel(Board(), _texts)


def _texts() -> tuple[str, str]:
    table = summary()
    return repr(table), table._repr_html_()
