"""Functions in the panel: what a person does with their entries, from the first filter to the last link."""

import pytest
from playwright.sync_api import expect

from tests.ui.browser.conftest import Open
from tests.ui.browser.test_panel import SHOW, START, opened, press, rows, violations

pytestmark = pytest.mark.slow

JUDGE = """
@nbcache.memoize
def judge(question, strict=False):
    return {"answer": call(question).text, "strict": strict}

judge("Is a boat a ship?")
judge("Is a raft a boat?", strict=True)
call("question 1")
"""


def test_functions_are_chosen_by_kind_and_read(open_notebook: Open) -> None:
    notebook = open_notebook(START, JUDGE, SHOW).run()
    expect(rows(notebook)).to_have_count(5)
    expect(rows(notebook).first.locator(".mark")).to_have_count(0)
    notebook.panel.get_by_label("Kind").select_option("function")
    expect(rows(notebook)).to_have_count(2)
    expect(rows(notebook).locator(".mark")).to_have_text(["function", "function"])
    expect(rows(notebook).first).to_contain_text("judge(question='Is a raft a boat?', strict=True)")
    rows(notebook).first.get_by_role("button").click()
    expect(opened(notebook).get_by_role("region", name="Prompt")).to_have_text(
        "Calljudge(question='Is a raft a boat?', strict=True)"
    )
    expect(opened(notebook).get_by_role("region", name="Answer")).to_contain_text("'strict': True}")
    assert violations(notebook) == []
    press(notebook, "Clear filters")
    expect(rows(notebook)).to_have_count(5)
