"""The panel: a widget that shows the board live and carries out its buttons' requests.

Numbers go to the browser as traits, which survive a reload of the page. Entries go only as messages, because a saved
notebook may contain the traits.
"""

import contextvars
import json
import logging
import re
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets
from IPython.core.getipython import get_ipython

from nbcache.concurrency.locks import Lock
from nbcache.errors import NbcacheError

if TYPE_CHECKING:
    from nbcache.ui.panel.board import Board

logger = logging.getLogger("nbcache")

_INTERVAL = 0.25  # seconds between two updates, at least

_BROWSER = Path(__file__).parent / "browser"
_PARTS = (
    *("elements.js", "kernel.js", "overview.js", "misses.js"),
    *("changes.js", "entry.js", "filters.js", "table.js", "entries.js", "panel.js"),
)
# Removed when the parts are joined: imports and exports; comments and indents, which each saved notebook would keep.
_LEFT_OUT = re.compile(r"^import [^;]*;\n|^export (?!default)|^ *//.*\n|^ +", re.MULTILINE)


def _module() -> str:
    """The scripts joined into one: a widget's script cannot import others."""
    script = "".join(_LEFT_OUT.sub("", (_BROWSER / part).read_text("utf-8")) for part in _PARTS)
    return script.replace('"PANEL.CSS"', json.dumps((_BROWSER / "panel.css").read_text("utf-8")))


class Panel(anywidget.AnyWidget):
    """Shows `board` for as long as the cell's output exists.

    `summary` gives plain text and HTML for front ends without widgets. A closed panel opens again when it is displayed again.
    """

    _esm = _module()

    state: "traitlets.Dict[str, Any]" = traitlets.Dict().tag(sync=True)
    chart: "traitlets.Dict[str, Any]" = traitlets.Dict().tag(sync=True)
    cells: "traitlets.List[dict[str, Any]]" = traitlets.List().tag(sync=True)
    revision = traitlets.Int().tag(sync=True)

    def __init__(self, board: "Board", summary: Callable[[], tuple[str, str]]) -> None:
        self._board, self._summary = board, summary
        self._pump: _Pump | None = None
        super().__init__()
        self.on_msg(self._answer)
        self._start()

    def refresh(self) -> None:
        """Send what has changed, in one message."""
        try:
            state, chart, cells = self._board.state(), self._board.chart(), self._board.cells()
        except Exception as error:  # noqa: BLE001 - the page shows whatever is wrong with the store
            state, chart, cells = {**self.state, "problem": _error_text(error)}, self.chart, self.cells
        with self.hold_sync():
            self.state, self.chart, self.cells = state, chart, cells
            self.revision += 1

    def close(self) -> None:
        """Close the panel in the browser and end its thread."""
        if self._pump is not None:
            self._pump.stop()
            self._pump = None
        super().close()
        self.layout.close()  # a widget too
        self.__dict__.pop("_repr_mimebundle_", None)  # ipywidgets sets it to mark a widget as closed for good

    def _start(self) -> None:
        self.refresh()
        self._pump = _Pump(self)
        _settle(self)

    def _answer(self, _widget: Any, message: Any, _buffers: Any) -> None:
        """Reply to a request, whatever happens, because the page waits for the reply."""
        number = message.get("id") if isinstance(message, dict) else None
        try:
            reply = self._board.ask(message)
            self.send({**reply, "id": number})
        except Exception as error:  # noqa: BLE001 - as above
            self.send({"type": "error", "text": _error_text(error), "id": number})
            return
        if reply["type"] == "done" and self._pump is not None:
            self._pump.wake()

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        if self.comm is None:
            self.layout.open()
            self.open()
            self._start()
        else:
            _settle(self)
        bundle = super()._repr_mimebundle_(**options)
        if bundle is None:
            return None
        data, metadata = bundle
        plain, html = self._summary()
        return {**data, "text/plain": plain, "text/html": html}, metadata


def _error_text(error: Exception) -> str:
    """The error's message; an unexpected error is logged too."""
    if isinstance(error, NbcacheError | ValueError):
        return str(error)
    logger.error("the panel could not do what was asked", exc_info=error)
    return f"{type(error).__name__}: {error}"


def _nothing() -> None:
    pass


class _Pump:
    """A thread that refreshes a panel after changes of the board: at most once an interval, and always after the last.

    It has a weak reference to the panel, so it keeps no panel alive.
    """

    def __init__(self, panel: Panel) -> None:
        self._panel = weakref.ref(panel)
        self._changed, self._stopped = threading.Event(), threading.Event()
        self.wake = self._changed.set
        try:
            self._stop_listening = panel._board.listen(self.wake)  # noqa: SLF001 - the panel's own part
        except NbcacheError:
            self._stop_listening = _nothing  # the cache is off, so nothing changes
        # A copy of this context tells ipykernel to which cell an update belongs.
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(self._run,), name="nbcache panel", daemon=True).start()

    def stop(self) -> None:
        self._stop_listening()
        self._stopped.set()
        self._changed.set()

    def _run(self) -> None:
        while self._changed.wait() and not self._stopped.is_set():
            self._changed.clear()
            self._refresh()
            self._stopped.wait(_INTERVAL)

    def _refresh(self) -> None:
        panel = self._panel()
        if panel is None:
            self.stop()
            return
        try:
            panel.refresh()
        except Exception:
            logger.debug("the panel could not be updated", exc_info=True)  # the kernel is shutting down


# The cells that made or displayed each panel, each with its execution.
_places: weakref.WeakKeyDictionary[Panel, dict[str, str]] = weakref.WeakKeyDictionary()
_settling = Lock()


def _settle(panel: Panel) -> None:
    """Note that the running cell displays `panel`, and close the panels of the cell's earlier executions."""
    cell, execution = _here()
    with _settling:
        _places.setdefault(panel, {})[cell] = execution
        replaced = [other for other, places in _places.items() if places.get(cell, execution) != execution]
        for other in replaced:
            del _places[other][cell]
        orphans = [other for other in replaced if not _places[other]]
        for other in orphans:
            del _places[other]
    for other in orphans:
        other.close()


def _here() -> tuple[str, str]:
    """The ids of the running cell and its execution. Front ends that don't name cells count as one cell."""
    parent: dict[str, Any] = getattr(get_ipython(), "get_parent", dict)()  # a terminal's shell has none
    return parent.get("metadata", {}).get("cellId", ""), parent.get("header", {}).get("msg_id", "")
