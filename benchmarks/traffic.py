"""What a panel sends while a cell makes hits: counted at its comm, in this process, with a page that asks back."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import comm
from comm.base_comm import BaseComm

from nbcache import NotebookCache
from nbcache.ui.panel.board import Board

from . import BenchError
from .columns import NBCACHE
from .figures import Figures
from .workload import Entry, entries

if TYPE_CHECKING:
    from nbcache.ui.panel.widget import Panel

QUIET = 1.5  # seconds after a cell in which what is left has to come
BREATH = 1.0  # seconds between two pages that the browser asks for, as in browser/kernel.js


def measure(folder: Path, hits: int, figures: Figures) -> None:
    """A cell that makes its hits as fast as it can, and one that takes three seconds for them."""
    cache = NotebookCache(folder)
    known = list(entries(range(50)))
    for entry in known:
        cache.update(entry.prompt, entry.llm_string, entry.generations)
    cache.flush()
    try:
        busiest = max(_cell(cache, known, hits, pause) for pause in (0.0, 3.0 / hits))
        figures.add("traffic", NBCACHE, busiest)
    finally:
        cache.close()


def _cell(cache: NotebookCache, known: list[Entry], hits: int, pause: float) -> int:
    """The most messages in any second of a cell."""
    # Widgets take a third of a second to import, which no other part is to pay.
    from nbcache.ui.panel.widget import Panel

    with _comms() as sent:
        panel = Panel(Board(cache), lambda: ("", ""))
        page = _Page(panel)
        page.follow_for(QUIET)
        sent.clear()
        before = cache.stats().hits
        cache.enter_cell("In [1]")
        for number in range(hits):
            entry = known[number % len(known)]
            if not entry.is_answered_by(cache.lookup(entry.prompt, entry.llm_string)):
                raise BenchError("a call of the cell was no hit")
            page.follow()
            time.sleep(pause)
        cache.leave_cell()
        page.follow_for(QUIET)
        if panel.state["hits"] != before + hits:
            raise BenchError(f"the panel shows {panel.state['hits'] - before} of {hits} hits")
        moments = list(sent)
        panel.close()
    return max(sum(0 <= other - moment < 1 for other in moments) for moment in moments)


class _Page:
    """Asks for the entries when they may have changed, one breath after the other: as the browser's side does."""

    def __init__(self, panel: "Panel") -> None:
        self._panel = panel
        self._seen = self._asked = 0.0

    def follow(self) -> None:
        now = time.perf_counter()
        if self._panel.revision == self._seen or now - self._asked < BREATH:
            return
        self._seen, self._asked = self._panel.revision, now
        content = {"type": "page", "id": self._seen, "facets": True}
        message: dict[str, Any] = {"content": {"data": {"method": "custom", "content": content}}, "buffers": []}
        self._panel.comm.handle_msg(message)

    def follow_for(self, seconds: float) -> None:
        ends = time.perf_counter() + seconds
        while time.perf_counter() < ends:
            self.follow()
            time.sleep(0.01)


@contextmanager
def _comms() -> Iterator[list[float]]:
    """The moments at which widgets that are made within send a message."""
    sent: list[float] = []

    class Comm(BaseComm):
        def publish_msg(self, *_: Any, **__: Any) -> None:
            sent.append(time.perf_counter())

    with patch.object(comm, "create_comm", Comm):
        yield sent
