"""The pictures of the README: `python -m tests.ui.browser.screenshots` runs notebooks/dashboard.ipynb in JupyterLab.

Its panel is shot as it stands there, once in light and once in dark, with an entry open.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.support.paths import ROOT
from tests.ui.browser.rig import CHROMIUM_OPTIONS, Notebook, Server, chromium

NOTEBOOKS = ROOT / "notebooks"
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server, sync_playwright() as playwright:
        for file in (NOTEBOOKS / "dashboard.ipynb", *NOTEBOOKS.glob("demo_*.py")):
            shutil.copy(file, server.root)
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_OPTIONS)
        context = browser.new_context(viewport={"width": 1280, "height": 2200}, locale="en-US", timezone_id="UTC")
        shoot(context.new_page(), server)
        browser.close()
    return 0


def shoot(page: Page, server: Server) -> None:
    """Run the notebook in `page`, open an entry in its panel, and take the pictures."""
    notebook = Notebook(page, server, server.root / "dashboard.ipynb")
    notebook.open(server.page_of("dashboard.ipynb", "lab"))
    notebook.run()
    notebook.panel.locator("header").scroll_into_view_if_needed()
    rows = notebook.panel.locator("tbody tr[data-key]")
    rows.last.get_by_role("button").first.click()
    notebook.panel.get_by_text("Parameters").wait_for()
    for theme, name in THEMES.items():
        notebook.dress(name)
        page.mouse.move(0, 0)
        notebook.panel.screenshot(path=NOTEBOOKS / "images" / f"panel-{theme}.png", animations="disabled")


if __name__ == "__main__":
    sys.exit(main())
