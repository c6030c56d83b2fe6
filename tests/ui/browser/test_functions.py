"""Functions in the panel: what a person does with their entries, from the first filter to the last link."""

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.ui.browser.conftest import Open
from tests.ui.browser.rig import Notebook
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


def fact(notebook: Notebook, name: str) -> Locator:
    """What an opened entry says of itself under this name."""
    facts = opened(notebook).locator(".facts div")
    return facts.filter(has=notebook.page.locator("dt", has_text=re.compile(f"^{name}$"))).locator("dd")


def test_functions_are_chosen_by_kind_read_tagged_and_let_expire(open_notebook: Open) -> None:
    notebook = open_notebook(START, JUDGE, SHOW).run()
    notebook.panel.evaluate("(panel) => { panel.style.width = '700px' }")
    expect(rows(notebook)).to_have_count(5)
    expect(rows(notebook).first.locator(".mark")).to_have_count(0)
    notebook.panel.get_by_label("Kind").select_option("function")
    expect(rows(notebook)).to_have_count(2)
    expect(rows(notebook).locator(".mark")).to_have_text(["function", "function"])
    expect(rows(notebook).first).to_contain_text("judge(question='Is a raft a boat?', strict=True)")

    press(notebook, "Tag what is shown (2)")
    text = notebook.panel.get_by_role("textbox", name="Tag")
    expect(text).to_be_focused()
    assert violations(notebook) == []
    notebook.page.keyboard.press("Enter")
    expect(notebook.panel.get_by_role("alert")).to_contain_text("write a word or a few")
    expect(text).to_be_focused()
    notebook.page.keyboard.type("draft")
    notebook.page.keyboard.press("Enter")
    notebook.status(re.compile("^tagged 2 entries of .*: draft; "))
    expect(notebook.panel.get_by_role("button", name="Tag what is shown (2)")).to_be_focused()
    expect(rows(notebook).locator(".tag")).to_have_text(["draft", "draft"])
    notebook.panel.get_by_label("Kind").select_option("")
    expect(rows(notebook)).to_have_count(5)
    notebook.panel.get_by_label("Tag", exact=True).select_option("draft")
    expect(rows(notebook)).to_have_count(2)
    let_expire(notebook)
    change_the_one_that_is_open(notebook)
    press(notebook, "Clear filters")
    expect(rows(notebook)).to_have_count(5)
    press(notebook, "Clear this notebook")
    expect(notebook.panel.get_by_role("alert")).to_contain_text("That deletes 5 entries (")


def let_expire(notebook: Notebook) -> None:
    press(notebook, "Expire what is shown (2)")
    time = notebook.panel.get_by_role("textbox", name="Time until they expire")
    time.fill("soon")
    press(notebook, "Let 2 entries expire")
    expect(notebook.panel.get_by_role("alert")).to_contain_text("text such as 90s, 12h or 7d")
    expect(time).to_have_value("soon")
    assert violations(notebook) == []
    time.fill("12h")
    press(notebook, "Let 2 entries expire")
    notebook.status(re.compile("^let 2 entries of .* expire in 12h"))


def change_the_one_that_is_open(notebook: Notebook) -> None:
    rows(notebook).first.get_by_role("button").click()
    expect(opened(notebook).get_by_role("region", name="Prompt")).to_have_text(
        "Calljudge(question='Is a raft a boat?', strict=True)"
    )
    expect(opened(notebook).get_by_role("region", name="Answer")).to_contain_text("'strict': True}")
    expect(fact(notebook, "Tags")).to_have_text("draft")
    expect(fact(notebook, "Expires")).to_have_text(re.compile("^20"))
    press(notebook, "Expire")
    assert violations(notebook) == []
    press(notebook, "Keep 1 entry for good")
    expect(fact(notebook, "Expires")).to_have_text("never")
    expect(opened(notebook).get_by_role("button", name="Expire")).to_be_focused()
    press(notebook, "Tag")
    notebook.page.keyboard.press("Escape")
    expect(opened(notebook).get_by_role("button", name="Tag")).to_be_focused()
    notebook.page.keyboard.press("Enter")
    notebook.page.keyboard.type("draft")
    press(notebook, "Untag 1 entry")
    expect(opened(notebook)).to_have_count(0)  # it is no longer among those with this tag
    expect(rows(notebook)).to_have_count(1)
    expect(rows(notebook).get_by_role("button")).to_be_focused()


def test_from_a_function_to_a_call_inside_and_back(open_notebook: Open) -> None:
    notebook = open_notebook(START, JUDGE, SHOW).run()
    notebook.panel.get_by_label("Kind").select_option("function")
    expect(rows(notebook)).to_have_count(2)
    opener = rows(notebook).last.get_by_role("button")
    opener.click()
    inside = opened(notebook).get_by_role("region", name="Calls inside (1)")
    assert violations(notebook) == []
    inside.get_by_role("button", name="tiny: Is a boat a ship?").click()
    expect(opened(notebook).get_by_role("region", name="Prompt")).to_have_text("UserIs a boat a ship?")
    expect(fact(notebook, "Kind")).to_have_text("call")
    back = opened(notebook).get_by_role("button", name="Back to judge(question='Is a boat a ship?', strict=False)")
    expect(back).to_be_focused()
    around = opened(notebook).get_by_role("region", name="In functions").get_by_role("button")
    expect(around).to_have_text("judge(question='Is a boat a ship?', strict=False)")
    notebook.panel.evaluate("(panel) => { panel.style.width = '700px' }")
    assert violations(notebook) == []
    notebook.page.keyboard.press("Enter")
    expect(inside.get_by_role("button")).to_be_focused()
    expect(fact(notebook, "Kind")).to_have_text("function")
    notebook.page.keyboard.press("Enter")
    expect(back).to_be_focused()
    press(notebook, "Evict")
    press(notebook, "Evict entry")
    notebook.status(re.compile("evicted 1 entry"))
    expect(inside.get_by_role("listitem")).to_have_text("tiny: no longer stored")
    expect(opener).to_have_attribute("aria-expanded", "true")
    opened(notebook).get_by_role("button", name="Tag", exact=True).focus()
    notebook.page.keyboard.press("Escape")
    expect(opener).to_be_focused()
