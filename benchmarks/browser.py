"""The panel's first paint: from running its cell in JupyterLab to rows on the screen, and what is sent for it."""

import importlib.util
import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from . import BenchError

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.ui.browser.rig import Notebook

NEEDS = ("playwright", "jupyterlab", "ipykernel", "nbformat")
QUIET = 500  # milliseconds in which the last of a cell's messages arrive

# A kernel imports what it needs once, and a folder is opened once: that is not the panel's.
SETUP = """
import nbcache
import nbcache.ui.panel.board, nbcache.ui.panel.widget
cache = nbcache.install({store!r}, scope="folder")
cache.ledger.index()
print(nbcache.stats().entries)
"""
SHOW = "nbcache.panel()"

# Milliseconds from running the cell until there are rows on the screen: the frame that has them is painted when the task
# after it runs.
PAINT = """async () => {
  const { content } = jupyterapp.shell.currentWidget;
  const rows = () => [...document.querySelectorAll("[data-lm-suppress-shortcuts]")]
    .reduce((sum, host) => sum + (host.shadowRoot?.querySelectorAll("tr[data-key]").length ?? 0), 0);
  const frame = () => new Promise(requestAnimationFrame);
  content.activeCellIndex = 1;
  content.widgets[1].model.outputs.clear();
  while (rows()) await frame();
  const start = performance.now();
  jupyterapp.commands.execute("notebook:run-cell");
  while (!rows()) await frame();
  await new Promise((resolve) => setTimeout(resolve));
  const painted = performance.now();
  return [painted - start, rows()];
}"""


def missing() -> str:
    """What isn't installed here of all that this needs; nothing where all of it is."""
    lost = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if not lost:
        from tests.ui.browser.rig import chromium

        try:
            chromium()
        except RuntimeError:
            lost = ["Chromium"]
    return ", ".join(lost)


def measure(folder: Path, store: Path, entries: int, rounds: int) -> list[tuple[float, int]]:
    """Show a panel of the store `rounds` times, in one page of JupyterLab. Seconds until its rows are there, and bytes."""
    from playwright.sync_api import sync_playwright

    from tests.ui.browser.rig import CHROMIUM_OPTIONS, Notebook, Server, chromium, write_notebook

    with ExitStack() as stack:
        server = stack.enter_context(Server(folder))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_OPTIONS)
        stack.callback(browser.close)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        path = server.root / "bench.ipynb"
        write_notebook(path)
        notebook = Notebook(page, server, path).open(server.page_of(path.name, "lab"))
        notebook.fill((SETUP.format(store=str(store)), SHOW))
        notebook.run_cell(0)
        _check(page, entries)
        _, *shown = [_show(page, notebook) for _ in range(rounds + 1)]
        errors, external = notebook.complaints()
        if errors or external:
            raise BenchError(f"the page complained: {errors}, or asked others: {external}")
    return shown


def _check(page: "Page", entries: int) -> None:
    said = page.locator(".jp-Cell").first.locator(".jp-OutputArea-output").inner_text()
    if said.strip() != str(entries):
        raise BenchError(f"the notebook's store should have {entries} entries: {said}")


def _show(page: "Page", notebook: "Notebook") -> tuple[float, int]:
    page.wait_for_timeout(QUIET)
    notebook.frames.clear()
    from_run, rows = page.evaluate(PAINT)
    if not rows:
        raise BenchError("a panel without rows")
    page.wait_for_timeout(QUIET)
    return from_run / 1000, sum(map(len, notebook.frames)) - _script(notebook.frames)


def _script(frames: Iterable[bytes]) -> int:
    """Bytes of the browser's side in these messages, as they are written there."""
    found = 0
    for frame in frames:
        text = frame.decode(errors="replace")
        _, named, rest = text.partition('"_esm":')
        if named:
            rest = rest.lstrip()
            _, end = json.JSONDecoder().raw_decode(rest)
            found += len(rest[:end].encode())
    return found
