"""The panel's half in the kernel, without a browser: replies, updates, and what it leaves behind."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from comm.base_comm import BaseComm

from nbcache.errors import StoreError
from nbcache.ui.panel import widget as panel_module
from nbcache.ui.panel.board import Board
from nbcache.ui.panel.widget import Panel

PATIENCE = 10  # seconds


class FakeBoard:
    """A board whose answers are set by the test."""

    def __init__(self) -> None:
        self.numbers: dict[str, Any] = {"on": True, "hits": 0}
        self.failure: Exception | None = None
        self.reply: dict[str, Any] = {"type": "done", "text": "done"}
        self.listeners: list[Callable[[], None]] = []

    def state(self) -> dict[str, Any]:
        if self.failure:
            raise self.failure
        return dict(self.numbers)

    def chart(self) -> dict[str, Any]:
        return {"when": []}

    def cells(self) -> list[dict[str, Any]]:
        return []

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        if self.failure:
            raise self.failure
        return self.reply

    def listen(self, changed: Callable[[], None]) -> Callable[[], None]:
        self.listeners.append(changed)
        return lambda: self.listeners.remove(changed)


class Browser:
    """What would have come to the browser."""

    def __init__(self) -> None:
        self.came = threading.Condition()
        self.messages: list[dict[str, Any]] = []

    def receive(self, data: Any) -> None:
        with self.came:
            self.messages.append(data or {})
            self.came.notify_all()

    def replies(self) -> list[dict[str, Any]]:
        return [message["content"] for message in self.messages if message.get("method") == "custom"]

    def wait(self, seen: Callable[[], bool]) -> None:
        with self.came:
            assert self.came.wait_for(seen, PATIENCE)


@pytest.fixture
def board() -> FakeBoard:
    return FakeBoard()


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Browser:
    received = Browser()

    class Comm(BaseComm):
        def publish_msg(self, msg_type: str, data: Any = None, *_: Any, **__: Any) -> None:
            received.receive(data)

    monkeypatch.setattr("comm.create_comm", Comm)
    return received


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The running cell and its execution, for the test to change."""
    here = ["cell 1", "execution 1"]
    monkeypatch.setattr(panel_module, "_here", lambda: tuple(here))
    return here


@pytest.fixture
def make(board: FakeBoard, browser: Browser, cell: list[str]) -> Iterator[Callable[[], Panel]]:
    made = []

    def panel() -> Panel:
        made.append(Panel(cast("Board", board), lambda: ("plain", "<p>html</p>")))
        return made[-1]

    yield panel
    for one in made:
        one.close()
    for thread in threads():
        thread.join(PATIENCE)
    assert board.listeners == []


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "nbcache panel"]


def ask(panel: Panel, message: Any) -> None:
    panel._handle_custom_msg(message, [])


def test_a_reply_has_the_number_of_its_request(make: Callable[[], Panel], browser: Browser) -> None:
    ask(make(), {"type": "evict", "id": 7})
    assert browser.replies() == [{"type": "done", "text": "done", "id": 7}]


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (ValueError("no entry has this key"), "no entry has this key"),
        (StoreError("the store is locked"), "the store is locked"),
        (KeyError("row"), "KeyError: 'row'"),
    ],
)
def test_what_goes_wrong_is_a_reply(
    make: Callable[[], Panel], board: FakeBoard, browser: Browser, failure: Exception, text: str
) -> None:
    panel = make()
    board.failure = failure
    ask(panel, {"type": "evict", "id": 1})
    assert browser.replies() == [{"type": "error", "text": text, "id": 1}]


def test_even_a_message_that_makes_no_sense_is_answered(make: Callable[[], Panel], browser: Browser) -> None:
    ask(make(), ["what"])
    assert [reply["id"] for reply in browser.replies()] == [None]


def test_changes_are_sent_and_the_last_is_never_lost(
    make: Callable[[], Panel], board: FakeBoard, browser: Browser
) -> None:
    make()
    for hits in range(1, 1001):
        board.numbers["hits"] = hits
        board.listeners[0]()
    browser.wait(lambda: browser.messages[-1].get("state", {}).get("state", {}).get("hits") == 1000)
    assert len(browser.messages) < 10


def test_what_was_done_is_shown_at_once(make: Callable[[], Panel], board: FakeBoard, browser: Browser) -> None:
    panel = make()
    board.numbers["entries"] = 5
    ask(panel, {"type": "clear", "id": 1})
    browser.wait(lambda: panel.state.get("entries") == 5)


def test_a_store_that_fails_is_said_and_the_last_numbers_stay(make: Callable[[], Panel], board: FakeBoard) -> None:
    panel = make()
    board.failure = StoreError("the store is locked")
    panel.refresh()
    assert panel.state == {"on": True, "hits": 0, "problem": "the store is locked"}
    board.failure = None
    panel.refresh()
    assert "problem" not in panel.state


def test_a_panel_without_a_cache_says_that_it_is_off(browser: Browser) -> None:
    panel = Panel(Board(), lambda: ("off", "off"))
    assert panel.state["on"] is False
    panel.close()


def test_a_cell_that_runs_again_closes_the_panel_it_replaces(make: Callable[[], Panel], cell: list[str]) -> None:
    first = make()
    cell[1] = "execution 2"
    second = make()
    assert first.comm is None
    assert second.comm is not None


def test_panels_of_one_execution_and_those_shown_elsewhere_stay(make: Callable[[], Panel], cell: list[str]) -> None:
    first, second = make(), make()
    cell[:] = ["cell 2", "execution 2"]
    assert first._repr_mimebundle_()
    cell[:] = ["cell 1", "execution 3"]
    make()
    assert first.comm is not None
    assert second.comm is None


def test_a_closed_panel_opens_again_when_it_is_shown(make: Callable[[], Panel], board: FakeBoard) -> None:
    panel = make()
    panel.close()
    assert board.listeners == []
    bundle = panel._repr_mimebundle_()
    assert bundle
    assert panel.comm is not None
    assert len(board.listeners) == 1


def test_without_widgets_there_is_the_summary(make: Callable[[], Panel]) -> None:
    bundle = make()._repr_mimebundle_()
    assert bundle
    data, _ = bundle
    assert (data["text/plain"], data["text/html"]) == ("plain", "<p>html</p>")
    assert "application/vnd.jupyter.widget-view+json" in data


def test_the_page_gets_one_module_with_its_styles() -> None:
    module = str(Panel._esm)
    assert not re.search(r"^import ", module, re.MULTILINE)
    assert re.findall(r"^export .*", module, re.MULTILINE) == ["export default { render };"]
    assert json.dumps("container-type: inline-size").strip('"') in module
    assert "PANEL.CSS" not in module
    assert not re.search(
        r"innerHTML|insertAdjacentHTML|document\.write|\beval\(|https?://(?!www\.w3\.org/2000/svg)", module
    )
