"""One server and one browser for a module, one page and one kernel for a test."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.servers.provider import Provider
from tests.ui.browser.rig import CHROMIUM_OPTIONS, PATIENCE, Notebook, Server, chromium, write_notebook

Open = Callable[..., Notebook]

expect.set_options(timeout=PATIENCE * 1000)


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("jupyter")) as server:
        yield server


# Not for the whole session: a running Playwright holds the thread's event loop, and other tests want their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_OPTIONS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def pages(browser: Browser) -> Iterator[dict[str, Notebook]]:
    """The notebook that is open in each user interface: opening one takes longer than most tests."""
    open_now: dict[str, Notebook] = {}
    yield open_now
    for notebook in open_now.values():
        notebook.close()


@pytest.fixture
def open_notebook(
    jupyter: Server, browser: Browser, pages: dict[str, Notebook], provider: Provider, request: pytest.FixtureRequest
) -> Iterator[Open]:
    """Give `open_notebook(*cells, ui="lab")`: a notebook of these cells, in Lab or in Notebook 7 (`notebook`).

    PROVIDER in a cell is where a model provider answers. Its kernel may have run other tests. However a test ends, no page may have complained of anything, or
    asked anybody but its server.
    """
    failures = request.session.testsfailed
    used: list[Notebook] = []

    def give(*cells: str, ui: str = "lab") -> Notebook:
        if ui not in pages:
            pages[ui] = open_page(browser, jupyter, ui)
        pages[ui].fill(tuple(cell.replace("PROVIDER", f"{provider.url}/v1") for cell in cells))
        used.append(pages[ui])
        return pages[ui]

    yield give
    if request.session.testsfailed > failures:  # whatever state they are in
        while pages:
            pages.popitem()[1].close()
        jupyter.end_kernels()
    for notebook in used:
        errors, external = notebook.complaints()
        assert errors == []
        assert external == []


def open_page(browser: Browser, server: Server, ui: str) -> Notebook:
    path = server.root / f"{ui}.ipynb"
    write_notebook(path)
    # So high that a whole panel is on the screen: axe judges no more than that.
    context = browser.new_context(viewport={"width": 1280, "height": 2000}, locale="en-US", timezone_id="UTC")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    return Notebook(page, server, path).open(server.page_of(path.name, ui))
