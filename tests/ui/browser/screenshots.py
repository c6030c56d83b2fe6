"""The pictures of the README and the docs: `python -m tests.ui.browser.screenshots` takes them anew, in JupyterLab.

A notebook asks models on loopback, at the prices of the real ones: in `panel.png` with the last cells, and in
`panel-entry.png` with an entry open, in dark.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.docs.model import Model
from tests.support.paths import ROOT
from tests.ui.browser.rig import CHROMIUM_OPTIONS, Notebook, Server, chromium, write_notebook

IMAGES = ROOT / "docs" / "images"
REVIEWS = {
    "The ferry was an hour late and nobody told us why.": "Negative. The guest complains of a long delay and of a lack of "
    "information; the ferry itself is not judged.",
    "Breakfast alone is worth the trip: figs, cheese, warm bread.": "Positive. The guest praises the breakfast in "
    "detail and calls it a reason to come.",
    "Nice view, thin walls.": "Mixed. The view is praised; the thin walls stand for noise from other rooms.",
    "The owner drove us to the station herself. Thank you, Marta!": "Positive. The guest thanks the owner by name for "
    "help that went beyond the service.",
    "We could not find the house, and the phone number is wrong.": "Negative. The house is hard to find, and the "
    "contact details are out of date: the phone number needs to be corrected.",
    "Clean, quiet, close to the harbour.": "Positive. Three short points of praise: cleanliness, quiet and location.",
}
QUESTION = "\n\nIs this review positive, negative or mixed? Say why in one or two sentences."
ANSWERS = {review + QUESTION: answer for review, answer in REVIEWS.items()}

_HIDDEN = """\
import os
os.environ["OPENAI_API_KEY"] = "sk-none"
from tests.docs.model import redirected
redirection = redirected({url!r})
redirection.__enter__()
question, reviews = {question!r}, {reviews!r}"""
_LOAD = """\
%load_ext nbcache
import nbcache
from langchain_openai import ChatOpenAI
from openai import OpenAI

small, client = ChatOpenAI(model="gpt-4o-mini"), OpenAI()


@nbcache.memoize(tags="reviews")
def mood(review: str) -> str:
    return small.invoke(review + question).text.split(".")[0]"""
_ASK = """\
moods = [mood(review) for review in reviews[:3]]
message = {"role": "user", "content": reviews[4] + question}
harder = client.chat.completions.create(model="gpt-4o", messages=[message])"""


def main() -> int:
    with (
        tempfile.TemporaryDirectory() as folder,
        Model(ANSWERS, seconds=0.012) as model,
        Server(Path(folder)) as server,
        sync_playwright() as playwright,
    ):
        write_notebook(server.root / "reviews.ipynb")
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_OPTIONS)
        context = browser.new_context(viewport={"width": 1240, "height": 1700}, locale="en-US", timezone_id="UTC")
        shoot(context.new_page(), server, model.url)
        browser.close()
    return 0


def shoot(page: Page, server: Server, url: str) -> None:
    """Run the notebook in `page`, and take the pictures."""
    hidden = _HIDDEN.format(url=url, question=QUESTION, reviews=list(REVIEWS))
    notebook = Notebook(page, server, server.root / "reviews.ipynb")
    notebook.open(server.page_of("reviews.ipynb", "lab"))
    notebook.fill((hidden, _LOAD, _ASK, "%llmcache"))
    notebook.run()
    notebook.run_cell(2)
    notebook.run_cell(2)
    rows = notebook.panel.locator("tbody tr[data-key]")
    expect(rows.first.locator("td").nth(2)).to_have_text("2")  # hits
    cells = page.locator(".jp-CodeCell")
    top, bottom = cells.nth(1).bounding_box(), notebook.panel.bounding_box()
    assert top
    assert bottom
    page.mouse.move(0, 0)
    clip = {**top, "height": bottom["y"] + bottom["height"] - top["y"] + 8}
    page.screenshot(path=IMAGES / "panel.png", clip=clip, animations="disabled")  # type: ignore[arg-type]
    rows.last.get_by_role("button").first.click()
    notebook.panel.get_by_text("Parameters").wait_for()
    notebook.dress("JupyterLab Dark")
    notebook.panel.get_by_role("table", name="Entries").screenshot(
        path=IMAGES / "panel-entry.png", animations="disabled"
    )


if __name__ == "__main__":
    sys.exit(main())
