"""The panel in JupyterLab and Notebook 7: what a person sees there is what the kernel knows."""

import re
import time
from ast import literal_eval
from collections import Counter
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.servers.provider import Provider
from tests.ui.browser.conftest import Open
from tests.ui.browser.rig import Notebook

pytestmark = pytest.mark.slow

BOTH = pytest.mark.parametrize("ui", ["lab", "notebook"])

# Gives `call(text)`, which is paid once; `numbers()`, what the kernel counted; and `keys()`. In a store of its own.
START = """
%unload_ext nbcache
import os, pathlib, tempfile, threading
os.environ["NBCACHE_DIR"] = tempfile.mkdtemp()
%load_ext nbcache
%config NBCache.prices = {"tiny": {"input": 1000, "output": 5000}}
import nbcache
from langchain_openai import ChatOpenAI
from nbcache.session.installation import installed
from nbcache.ui.panel.board import Board
from nbcache.ui.panel.widget import Panel
tiny = ChatOpenAI(model="tiny", base_url="PROVIDER", api_key="none")
def call(text):
    return tiny.invoke(text)
numbers = Board().state
def keys():
    return [row.key for row in installed().store.page()]
"""
# A store that holds as many before anybody listens to it. Nothing opens them: they need no payload.
HUNDRED_THOUSAND = (
    START
    + """
from nbcache.entry.records import EntryMeta
from nbcache.stores import MemoryStore
store = MemoryStore()
for number in range(100_000):
    store.put(f"{number:040x}", b"", EntryMeta(
        key=f"{number:040x}",
        prompt=f"question {number}",
        answer="an answer",
        model="small" if number % 3 else "large",
        status="ok" if number % 10 else "cut off",
        tags=("round",) if number % 100 == 0 else (),
        client="langchain" if number % 5 else "openai",
        streamed=number % 10 == 5,
        hits=number,
        created=1_700_000_000 - number,
    ))
nbcache.install(store=store, scope="folder")
"""
)
OFF = START + "\n%unload_ext nbcache"
UNLISTABLE = (
    START
    + """
class Unlistable(Board):
    def state(self):
        return {**super().state(), "listable": False}
"""
)
PARTLY_LISTED = (
    START
    + """
class PartlyListed(Board):
    def state(self):
        return {**super().state(), "unlisted": "momento://team can't list entries: this shows what this machine has stored"}
"""
)
FAILING = (
    START
    + """
class Failing(Board):
    fails = failures = 0
    def _page(self, message):
        if self.fails:
            self.failures += 1
            raise RuntimeError("busy")
        return super()._page(message)
board = Failing()
"""
)
SHOW_UNLISTABLE = "Panel(Unlistable(), lambda: ('', ''))"
SHOW = "panel = nbcache.panel()\npanel"
CALLS = "for number in [1, 2, 3, 1, 2, 1]:\n    call(f'question {number}')"

DONE = re.compile(r"\[\d+\]:")  # the prompt of a cell that has run

# Calls until the test says that it has seen enough.
UNTIL_SEEN = """
rounds = 0
while not pathlib.Path('seen').exists():
    call('question 1')
    rounds += 1
"""


def card(notebook: Notebook, name: str) -> Locator:
    return notebook.panel.locator(f"[data-card={name}]")


def rows(notebook: Notebook) -> Locator:
    return notebook.panel.locator("tr[data-key]")


def opened(notebook: Notebook) -> Locator:
    return notebook.panel.get_by_role("region", name="Entry", exact=True)


def shown(first: int, last: int, total: int) -> str:
    """What the panel says of a page."""
    return f"{first:,}\N{EN DASH}{last:,} of {total:,}"


def misses(notebook: Notebook) -> Locator:
    """The rows of the list of misses, which is unfolded once the panel has caught up."""
    expect(card(notebook, "misses")).to_have_text(notebook.value("numbers()['misses']"))
    notebook.panel.get_by_text("Recent misses").click()
    expect(notebook.panel.locator(".misses[open]")).to_be_visible()
    return notebook.panel.get_by_role("list", name="Recent misses").get_by_role("listitem")


def press(notebook: Notebook, name: str) -> None:
    notebook.panel.get_by_role("button", name=name, exact=True).click()


def search(notebook: Notebook, text: str) -> None:
    """Type it into the search; all that was stored can be found by then."""
    notebook.value("installed().ledger.index()")
    notebook.panel.get_by_role("searchbox").fill(text)


def violations(notebook: Notebook) -> list[str]:
    """What axe finds wrong with the panel as it is now, and the contrasts that it could not make out.

    It judges what is on the screen, and takes Lab's page for hidden as long as its body has no height.
    """
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
    notebook.page.evaluate(axe)
    notebook.page.evaluate("document.body.style.height = '100vh'")
    for _ in range(5):  # Lab may still be moving its cells when axe looks
        notebook.panel.locator("header").scroll_into_view_if_needed()
        expect(notebook.panel.locator("header")).to_be_in_viewport(ratio=1)
        found: dict[str, Any] = notebook.panel.evaluate("(panel) => axe.run(panel.getRootNode().host)")
        seen = [node["html"] for one in found["passes"] if one["id"] == "color-contrast" for node in one["nodes"]]
        if any("LLM cache" in html for html in seen):
            break
    else:
        raise AssertionError("axe did not see the panel's head")
    unclear = [one for one in found["incomplete"] if one["id"] == "color-contrast"]
    return [f"{one['id']}: {node['html']}" for one in found["violations"] + unclear for node in one["nodes"]]


@BOTH
def test_the_numbers_are_the_kernels(open_notebook: Open, ui: str) -> None:
    notebook = open_notebook(START, SHOW, CALLS, ui=ui).run()
    for name in ("hits", "misses", "entries"):
        expect(card(notebook, name)).to_have_text("3")
        assert notebook.value(f"numbers()[{name!r}]") == "3"
    expect(card(notebook, "hit_rate")).to_have_text("50.0%")
    tokens = "{row.prompt: (row.input_tokens, row.output_tokens) for row in installed().store.page()}"
    prices = {prompt: put * 0.001 + got * 0.005 for prompt, (put, got) in literal_eval(notebook.value(tokens)).items()}
    one, two, three = (next(price for prompt, price in prices.items() if end in prompt) for end in "123")
    expect(card(notebook, "spent")).to_have_text(f"${one + two + three:.2f}")
    expect(card(notebook, "saved")).to_have_text(f"up to ${2 * one + two:.2f}")
    assert repr(card(notebook, "time_saved").text_content()) == notebook.value("numbers()['time_saved']")
    expect(notebook.panel.get_by_role("img")).to_have_attribute(
        "aria-label", re.compile(rf"saved up to \${2 * one + two:.2f}, spent \${one + two + three:.2f} in all")
    )

    expect(notebook.panel.locator(".where")).to_have_text(shown(1, 3, 3))
    expect(rows(notebook).first).to_contain_text(f"${three:.3f}")
    notebook.panel.get_by_text("By cell").click()
    cell = notebook.panel.get_by_role("table", name="Cells").locator("tbody tr")
    expect(cell).to_have_count(1)
    calls, hits, spent = (cell.locator("td").nth(index) for index in range(3))
    expect(calls).to_have_text("6")
    expect(hits).to_have_text("3")
    expect(spent).to_have_text(f"${one + two + three:.2f}")


def test_live_while_a_cell_runs_and_the_last_update_is_not_lost(open_notebook: Open) -> None:
    notebook = open_notebook(START, SHOW, UNTIL_SEEN).begin()
    expect(card(notebook, "hits")).to_have_text(re.compile(r"[1-9][\d,]*"))
    busy = notebook.page.locator(".jp-InputPrompt").last
    expect(busy).to_have_text("[*]:")
    (notebook.path.parent / "seen").touch()
    expect(busy).to_have_text(DONE)
    expect(card(notebook, "hits")).to_have_text(f"{int(notebook.value('rounds')) - 1:,}")


def test_at_most_four_updates_a_second(open_notebook: Open) -> None:
    notebook = open_notebook(START, SHOW).run()
    expect(notebook.panel.locator(".empty")).to_be_visible()
    begin = time.monotonic()
    notebook.frames.clear()
    notebook.value("[call('question 1') for _ in range(5000)] and None")
    expect(card(notebook, "hits")).to_have_text("4,999")
    seconds = time.monotonic() - begin  # the last update comes after the calls
    updates = [frame for frame in notebook.frames if re.search(rb'"method": ?"update"', frame)]
    # Panels of other tests, whose cells were deleted, live until their kernel ends: each has a comm of its own.
    panels = Counter(match[1] for frame in updates if (match := re.search(rb'"comm_id": ?"(\w+)"', frame)))
    assert panels.total() == len(updates)
    assert 1 <= max(panels.values()) <= 4 * seconds + 2


@BOTH
def test_evict_one_entry(open_notebook: Open, ui: str) -> None:
    notebook = open_notebook(START, SHOW, CALLS, ui=ui).run()
    expect(rows(notebook)).to_have_count(3)
    victim, heir = (rows(notebook).nth(index).get_attribute("data-key") for index in (0, 1))
    rows(notebook).first.get_by_role("button").click()
    press(notebook, "Evict")
    press(notebook, "Cancel")
    expect(opened(notebook).get_by_role("button", name="Evict", exact=True)).to_be_focused()
    press(notebook, "Evict")
    press(notebook, "Evict entry")
    notebook.status(re.compile(r"evicted 1 entry, .* freed"))
    expect(rows(notebook)).to_have_count(2)
    expect(card(notebook, "entries")).to_have_text("2")
    expect(notebook.panel.locator(f"[data-key='{heir}']").get_by_role("button")).to_be_focused()
    assert notebook.value(f"{victim!r} in keys()") == "False"
    assert notebook.value("len(keys())") == "2"


def test_an_entry_is_read_copied_and_renewed(open_notebook: Open, provider: Provider) -> None:
    provider.answer(*(f"the answer to question {number}" for number in (1, 2, 3)))
    notebook = open_notebook(START, SHOW, CALLS).run()
    opener = rows(notebook).filter(has_text="question 2").get_by_role("button")
    opener.click()
    expect(opener).to_have_attribute("aria-expanded", "true")
    expect(opened(notebook).get_by_role("region", name="Prompt")).to_contain_text("question 2")
    expect(opened(notebook).get_by_role("region", name="Answer")).to_contain_text("answer to question 2")
    opened(notebook).get_by_text("Parameters").click()
    expect(opened(notebook).locator(".about pre")).to_contain_text("{")
    press(notebook, "Copy answer")
    expect(opened(notebook).get_by_role("button", name="Copied")).to_be_focused()
    assert "the answer to question 2" in notebook.page.evaluate("navigator.clipboard.readText()")
    press(notebook, "Refresh")
    press(notebook, "Refresh entry")
    notebook.status(re.compile("the next such call"))
    opener.click()
    expect(opened(notebook)).to_have_count(0)
    notebook.value("call('question 2')")
    assert len(provider.requests) == 4


def test_a_miss_says_why_it_was_one(open_notebook: Open) -> None:
    warmer = "tiny.temperature = 0.0\ncall('question 1')\ntiny.temperature = 0.2\ncall('question 1')"
    notebook = open_notebook(START, SHOW, warmer).run()
    listed = misses(notebook)
    expect(listed).to_have_count(2)
    opener = listed.first.get_by_role("button")
    expect(opener).to_have_text(re.compile(r"question 1.*tiny.*new"))
    opener.focus()
    notebook.page.keyboard.press("Enter")
    told = listed.first.get_by_role("group", name="Why it missed")
    expect(told).to_contain_text("the same prompt is recorded")
    expect(told).to_contain_text("temperature: 0.0 → 0.2")
    expect(opener).to_have_attribute("aria-expanded", "true")

    notebook.value("call('question 1, and more')")
    expect(listed).to_have_count(3)
    expect(listed.nth(1).get_by_role("group", name="Why it missed")).to_contain_text("temperature")
    expect(listed.nth(1).get_by_role("button")).to_be_focused()
    listed.first.get_by_role("button").click()
    for kind, line in (("removed", "- user: question 1"), ("added", "+ user: question 1, and more")):
        expect(listed.first.locator(f".{kind}")).to_have_text(line)
    notebook.page.keyboard.press("Space")
    expect(listed.first.get_by_role("group", name="Why it missed")).to_have_count(0)
    expect(listed.first.get_by_role("button")).to_have_attribute("aria-expanded", "false")


def test_a_miss_that_is_being_read_stays_in_the_list(open_notebook: Open) -> None:
    notebook = open_notebook(START, SHOW, "for number in range(20):\n    call(f'question {number}')").run()
    listed = misses(notebook)
    expect(listed).to_have_count(20)
    listed.last.get_by_role("button").click()
    expect(listed.last.get_by_role("group", name="Why it missed")).to_be_visible()
    notebook.value("[call(f'riddle {number}') for number in range(3)] and None")
    expect(listed.first).to_contain_text("riddle 2")
    expect(listed).to_have_count(21)
    expect(listed.last).to_contain_text("question 0")


def test_evict_what_is_shown_and_clear_the_rest(open_notebook: Open) -> None:
    notebook = open_notebook(START, SHOW, CALLS).run()
    search(notebook, "question 3")
    expect(rows(notebook)).to_have_count(1)
    press(notebook, "Evict what is shown (1)")
    expect(notebook.panel.get_by_role("alert")).to_contain_text("Evict 1 entry")
    press(notebook, "Evict 1 entry")
    notebook.status(re.compile("deleted 1 entry"))
    expect(notebook.panel.locator(".empty")).to_have_text("No entry is like that.")
    press(notebook, "Clear filters")
    expect(notebook.panel.get_by_role("searchbox")).to_be_focused()
    expect(rows(notebook)).to_have_count(2)
    press(notebook, "Clear this notebook")
    press(notebook, "Clear")
    notebook.status(re.compile("deleted 2 entries"))
    expect(notebook.panel.locator(".empty")).to_contain_text("No entries yet")
    assert notebook.value("keys()") == "[]"


def test_a_hundred_thousand_entries_are_paged_sorted_and_filtered(open_notebook: Open) -> None:
    notebook = open_notebook(HUNDRED_THOUSAND, SHOW).run()
    where = notebook.panel.locator(".where")
    expect(where).to_have_text(shown(1, 10, 100_000))
    press(notebook, "Next page")
    expect(where).to_have_text(shown(11, 20, 100_000))
    press(notebook, "Last page")
    expect(where).to_have_text(shown(99_991, 100_000, 100_000))
    expect(notebook.panel.get_by_role("button", name="Previous page")).to_be_focused()
    notebook.panel.get_by_label("Rows per page").select_option("50")
    expect(where).to_have_text(shown(1, 50, 100_000))
    expect(rows(notebook)).to_have_count(50)

    by_hits = notebook.panel.get_by_role("columnheader", name="Hits")
    hits = rows(notebook).first.locator("td").nth(2)
    by_hits.get_by_role("button").click()
    expect(by_hits).to_have_attribute("aria-sort", "descending")
    expect(hits).to_have_text("99,999")
    by_hits.get_by_role("button").click()
    expect(by_hits).to_have_attribute("aria-sort", "ascending")
    expect(hits).to_have_text("0")

    notebook.panel.get_by_label("Model", exact=True).select_option("large")
    expect(where).to_have_text(shown(1, 50, 33_334))
    notebook.panel.get_by_label("Status").select_option("cut off")
    expect(where).to_have_text(shown(1, 50, 3_334))
    notebook.panel.get_by_label("Tag", exact=True).select_option("round")
    expect(where).to_have_text(shown(1, 50, 334))
    expect(rows(notebook).first).to_contain_text("question 0")
    expect(hits).to_have_text("0")

    press(notebook, "Clear filters")
    notebook.panel.get_by_label("Client").select_option("openai")
    expect(where).to_have_text(shown(1, 50, 20_000))
    for number, question in enumerate(("question 0", "question 5")):
        expect(rows(notebook).nth(number)).to_contain_text(question)
    expect(rows(notebook).nth(0).locator(".mark")).to_have_count(0)
    expect(rows(notebook).nth(1).locator(".mark")).to_have_text("stream")
    expect(rows(notebook).nth(1).locator("td.model")).to_have_attribute("title", "openai, streamed")


def test_a_busy_kernel_is_said_and_the_request_answered_in_the_end(open_notebook: Open) -> None:
    notebook = open_notebook(START, SHOW, CALLS, "while not pathlib.Path('free').exists(): pass").begin()
    expect(notebook.page.locator(".jp-InputPrompt").nth(2)).to_have_text(DONE)
    notice = notebook.panel.locator(".notice")
    expect(notice).to_contain_text("Queued: the kernel is busy")
    (notebook.path.parent / "free").touch()
    expect(notice).to_be_empty()
    expect(rows(notebook)).to_have_count(3)


@BOTH
def test_after_a_restart_the_panel_says_to_run_the_cell_again(open_notebook: Open, ui: str) -> None:
    notebook = open_notebook(START, SHOW, CALLS, ui=ui).run()
    expect(rows(notebook)).to_have_count(3)
    expect(card(notebook, "misses")).to_have_text("3")
    notebook.restart()
    expect(notebook.panel.locator(".notice")).to_contain_text("run the cell again")
    expect(notebook.panel.get_by_role("searchbox")).to_be_disabled()
    expect(card(notebook, "misses")).to_have_text("3")
    notebook.wait("'panel' in globals()", "False")
    notebook.errors.clear()  # the debugger's


def test_a_hostile_prompt_is_text(open_notebook: Open) -> None:
    attack = "<img src=x onerror='hacked = 1'><script>hacked = 1</script>{{constructor}}"
    call = f"with nbcache.mode('on', tags={attack!r}):\n    call({attack!r})\ncall({attack + '2'!r})"
    notebook = open_notebook(START, SHOW, call).run()
    listed = misses(notebook)
    expect(listed.last).to_contain_text(attack)
    listed.first.get_by_role("button").click()
    expect(listed.first.locator(".added")).to_have_text(f"+ user: {attack}2")
    row = rows(notebook).last
    expect(row).to_contain_text(attack)
    row.get_by_role("button").click()
    expect(opened(notebook).get_by_role("region", name="Prompt")).to_contain_text(attack)
    search(notebook, attack)
    expect(notebook.panel.get_by_role("button", name="Clear filters")).to_be_visible()
    notebook.panel.get_by_label("Tag", exact=True).select_option(attack)
    expect(rows(notebook)).to_have_count(1)
    assert notebook.panel.locator("img:not(svg), script").count() == 0
    assert notebook.page.evaluate("typeof hacked") == "undefined"


@BOTH
def test_no_barrier_in_either_theme(open_notebook: Open, ui: str) -> None:
    notebook = open_notebook(START, SHOW, CALLS, ui=ui).run()
    notebook.panel.get_by_text("By cell").click()
    misses(notebook).first.get_by_role("button").click()
    expect(notebook.panel.locator(".added")).to_be_visible()
    rows(notebook).first.get_by_role("button").click()
    press(notebook, "Evict")
    press(notebook, "Clear this notebook")
    backgrounds = []
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        notebook.dress(theme)
        assert violations(notebook) == []
        backgrounds.append(notebook.panel.evaluate("(panel) => getComputedStyle(panel).backgroundColor"))
    assert len(set(backgrounds)) == 2


@BOTH
def test_no_key_typed_in_the_panel_is_a_shortcut_of_the_notebook(open_notebook: Open, ui: str) -> None:
    notebook = open_notebook(START, SHOW, CALLS, ui=ui).run()
    opener = rows(notebook).first.get_by_role("button")
    opener.focus()
    for key in ("b", "a", "x"):
        notebook.page.keyboard.press(key)
        assert notebook.value("1") == "1"  # by then a shortcut would have done its work
        assert notebook.page.locator(".jp-CodeCell").count() == 3
    expect(opener).to_be_focused()


@BOTH
def test_the_keyboard_is_enough(open_notebook: Open, ui: str) -> None:
    notebook = open_notebook(START, SHOW, CALLS, ui=ui).run()
    keyboard = notebook.page.keyboard
    search(notebook, "")
    box = notebook.panel.get_by_role("searchbox")
    box.focus()
    keyboard.type("question 1")
    expect(rows(notebook)).to_have_count(1)
    opener = rows(notebook).get_by_role("button")
    for _ in range(30):
        if opener.evaluate("(opener) => opener.getRootNode().activeElement === opener"):
            break
        keyboard.press("Tab")
    expect(opener).to_be_focused()
    keyboard.press("Enter")
    expect(opened(notebook)).to_be_visible()
    keyboard.press("Tab")
    keyboard.press("Escape")
    expect(opened(notebook)).to_have_count(0)
    expect(opener).to_be_focused()
    keyboard.press("Enter")
    opened(notebook).get_by_role("button", name="Evict").focus()
    keyboard.press("Enter")
    expect(opened(notebook).get_by_role("button", name="Cancel")).to_be_focused()
    keyboard.press("Shift+Tab")
    keyboard.press("Enter")
    notebook.status(re.compile("evicted 1 entr"))
    expect(box).to_be_focused()


def test_the_focus_stays_while_rows_come_in(open_notebook: Open) -> None:
    notebook = open_notebook(START, SHOW, CALLS).run()
    third = rows(notebook).nth(2)
    opener = notebook.panel.locator(f"[data-key='{third.get_attribute('data-key')}']").get_by_role("button")
    opener.focus()
    notebook.value("call('question 4')")
    expect(rows(notebook)).to_have_count(4)
    expect(opener).to_be_focused()


def test_a_narrow_notebook_hides_nothing_but_columns(open_notebook: Open) -> None:
    notebook = open_notebook(START, SHOW, CALLS).run()
    rows(notebook).first.get_by_role("button").click()
    expect(opened(notebook)).to_be_visible()
    misses(notebook).first.get_by_role("button").click()
    expect(notebook.panel.locator(".added")).to_be_visible()
    notebook.panel.evaluate("(panel) => { panel.style.width = '360px' }")
    expect(notebook.panel.get_by_role("columnheader", name="Last hit")).to_be_hidden()
    wide = """(panel) => [...panel.querySelectorAll(":not(.cells *)")]
        .filter((part) => part.checkVisibility({ visibilityProperty: true }))
        .filter((part) => part.getBoundingClientRect().right > panel.getBoundingClientRect().right + 1)
        .map((part) => part.outerHTML)"""
    assert notebook.panel.evaluate(wide) == []
    assert violations(notebook) == []


def test_amounts_have_room_in_cards_and_columns_at_every_width(open_notebook: Open) -> None:
    small = '%config NBCache.prices = {"tiny": {"input": 1, "output": 5.1}}'
    dear = '%config NBCache.prices = {"tiny": {"input": 1, "output": 1_000_000}}'
    unpriced = "_ = tiny.bind(model='nobody-knows').invoke('When?')"
    notebook = open_notebook(START, small, SHOW, CALLS, dear, "call('When?')", unpriced).run()
    expect(card(notebook, "spent")).to_have_text(re.compile(r"^≥ \$"))
    cut = """(panel) => [...panel.querySelectorAll(".value, td.number")]
        .filter((part) => part.checkVisibility({ visibilityProperty: true }) && part.scrollWidth > part.clientWidth)
        .map((part) => part.outerHTML)"""
    for width in (1200, 1060, 900, 700, 500, 360):
        notebook.panel.evaluate("(panel, width) => { panel.style.width = `${width}px` }", width)
        assert notebook.panel.evaluate(cut) == []


def test_the_cards_leave_no_gap_at_any_width(open_notebook: Open) -> None:
    notebook = open_notebook(START, SHOW, CALLS).run()
    expect(card(notebook, "misses")).to_have_text("3")
    ends = """(panel) => {
        const right = panel.querySelector(".cards").getBoundingClientRect().right
        const rows = Map.groupBy(panel.querySelectorAll(".card:not([hidden])"), (card) => card.getBoundingClientRect().top)
        return [...rows.values()].map((row) => Math.round(right - row.at(-1).getBoundingClientRect().right))
    }"""
    for width in (1200, 1060, 900, 700, 500, 360):
        notebook.panel.evaluate("(panel, width) => { panel.style.width = `${width}px` }", width)
        assert set(notebook.panel.evaluate(ends)) == {0}, width


def test_what_a_provider_saved_has_a_card_where_there_is_such_a_number(open_notebook: Open) -> None:
    claude = """
%config NBCache.prices = {"tiny": {"input": 1000, "output": 5000, "cache_read": 100, "cache_write": 1250}}
from langchain_anthropic import ChatAnthropic
claude = ChatAnthropic(model="tiny", base_url="PROVIDER".removesuffix("/v1"), api_key="none", max_retries=0)
"""
    notebook = open_notebook(START, claude, SHOW, CALLS).run()
    expect(card(notebook, "misses")).to_have_text("3")
    expect(card(notebook, "provider_saved")).to_be_hidden()
    notebook.value("claude.invoke('a long prompt', cache_control={'type': 'ephemeral'})")
    expect(card(notebook, "misses")).to_have_text("4")
    tokens = int(notebook.value("installed().contents().open(keys()[0])[1].header().usage.cache_write_tokens"))
    expect(card(notebook, "provider_saved")).to_be_visible()
    assert repr(card(notebook, "provider_saved").text_content()) == notebook.value("numbers()['provider_saved']")
    saved = literal_eval(notebook.value("float(nbcache.stats().provider_saved_usd)"))
    assert saved == pytest.approx(tokens * -250 / 10**6)
    expect(notebook.panel.get_by_text("its prompt cache cost more to write than it saved")).to_be_visible()
    places = """(panel) => [...panel.querySelectorAll(".card")].map((card) => card.getBoundingClientRect())
        .map((box) => [Math.round(box.top), Math.round(box.left), Math.round(box.width), Math.round(box.height)])"""
    for width in (1112, 1060, 900, 700):
        notebook.panel.evaluate("(panel, width) => { panel.style.width = `${width}px` }", width)
        boxes = notebook.panel.evaluate(places)
        assert sorted(Counter(top for top, _, _, _ in boxes).values()) == [4, 4], width
        assert len({box_width for _, _, box_width, _ in boxes}) <= 2, width  # a pixel apart at most
    assert violations(notebook) == []


def test_no_prompt_and_no_answer_is_saved_with_the_notebook(open_notebook: Open, provider: Provider) -> None:
    provider.answer("Sousaphone")
    notebook = open_notebook(START, SHOW, "_ = call('Xylo' + 'phone')").run()
    rows(notebook).get_by_role("button").click()
    expect(opened(notebook).get_by_role("region", name="Prompt")).to_contain_text("Xylophone")
    expect(opened(notebook).get_by_role("region", name="Answer")).to_contain_text("Sousaphone")
    expect(misses(notebook)).to_contain_text("Xylophone")
    expect(card(notebook, "misses")).to_have_text("1")
    saved = notebook.save()
    assert "application/vnd.jupyter.widget-state+json" in saved
    assert '"misses": 1' in saved
    assert "Xylophone" not in saved
    assert "Sousaphone" not in saved


def test_a_look_that_failed_is_repeated_though_nothing_changes(open_notebook: Open) -> None:
    notebook = open_notebook(FAILING, "Panel(board, lambda: ('', ''))").run()
    expect(notebook.panel.locator(".empty")).to_contain_text("No entries yet")
    notebook.value("setattr(board, 'fails', 1)")
    notebook.value("call('question 1')")
    expect(card(notebook, "misses")).to_have_text("1")
    notebook.wait("board.failures > 1", "True")
    notebook.value("setattr(board, 'fails', 0)")
    expect(rows(notebook)).to_have_count(1)


def test_a_cell_that_runs_again_leaves_no_thread_and_no_widget_behind(open_notebook: Open) -> None:
    notebook = open_notebook(START, SHOW, "panel", "import ipywidgets").run()
    threads = "sum(thread.name == 'nbcache panel' for thread in threading.enumerate())"
    widgets = "len(ipywidgets.Widget.widgets)"
    before = notebook.value(f"{threads}, {widgets}")
    for _ in range(3):
        notebook.run_cell(1)
        notebook.run_cell(2)
    expect(notebook.page.locator("section.panel")).to_have_count(2)
    notebook.wait(f"{threads}, {widgets}", before)
    notebook.value("call('question 1')")
    expect(rows(notebook)).to_have_count(1)


def test_a_closed_panel_opens_again_where_it_is_shown_again(open_notebook: Open) -> None:
    notebook = open_notebook(START, SHOW, "panel.close()", "panel", CALLS).run()
    expect(notebook.page.locator("section.panel")).to_have_count(1)
    expect(rows(notebook)).to_have_count(3)


def test_the_mode_is_switched(open_notebook: Open) -> None:
    notebook = open_notebook(START, SHOW).run()
    notebook.panel.get_by_label("Mode", exact=True).select_option("refresh")
    notebook.status(re.compile("refresh"))
    assert notebook.value("numbers()['mode']") == "'refresh'"


def test_what_stands_behind_the_list_and_can_not_be_listed_is_said(open_notebook: Open) -> None:
    notebook = open_notebook(PARTLY_LISTED, CALLS, "Panel(PartlyListed(), lambda: ('', ''))").run()
    expect(notebook.panel.get_by_text("momento://team can't list entries")).to_be_visible()
    assert violations(notebook) == []


@pytest.mark.parametrize(
    ("cells", "selector", "text"),
    [
        ((START, SHOW), ".empty", "No entries yet"),
        ((START, "%llmcache replay", SHOW), ".empty", "answered from recordings"),
        ((OFF, SHOW), ".notice", "The cache is off. Type"),
        ((START, "%llmcache off", SHOW), ".notice", "The cache is off: every call"),
        ((UNLISTABLE, SHOW_UNLISTABLE), ".empty", "can't list"),
    ],
)
def test_where_there_is_nothing_to_show_it_says_so(
    open_notebook: Open, cells: tuple[str, ...], selector: str, text: str
) -> None:
    notebook = open_notebook(*cells).run()
    expect(notebook.panel.locator(selector)).to_contain_text(text)
    expect(notebook.panel.locator(".scroller:visible")).to_have_count(0)
    expect(notebook.panel.get_by_text("Recent misses")).to_be_hidden()
    assert violations(notebook) == []
