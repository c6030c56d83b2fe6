"""A warm-up in a notebook's kernel: its line, async functions, the cell that it belongs to, and an interrupt."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel
from nbclient import NotebookClient

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),  # of the kernel's client
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
PATIENCE = 60.0  # seconds
BEGINS = """
%load_ext nbcache
import threading, nbcache
from nbcache.session import progress_line
progress_line._DELAY = -1.0

held = threading.Event()

@nbcache.memoize(ignore=("held",))
def ask(number):
    if number >= 4:
        print("runs", flush=True)
        held.wait(30)
    return number

@nbcache.memoize
async def later(number):
    return number
"""


class Kernel:
    """A kernel, as a front end with a person uses it."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self._manager, self._client = manager, client

    def run(self, code: str, *, interrupt_at: str | None = None, has_person: bool = True) -> list[dict[str, Any]]:
        """The messages of what a cell shows; `interrupt_at` is what it prints when it is to be interrupted."""
        sent = self._client.execute(code, allow_stdin=has_person)
        shown: list[dict[str, Any]] = []
        while True:
            message = self._client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") != sent:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                return shown
            if interrupt_at is not None and interrupt_at in content.get("text", ""):
                interrupt_at = None
                self._manager.interrupt_kernel()
            shown.append(message)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    manager, client = start_new_kernel(cwd=str(tmp_path))
    try:
        kernel = Kernel(manager, client)
        kernel.run(BEGINS)
        yield kernel
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def texts(messages: list[dict[str, Any]], kind: str) -> list[str]:
    """What the messages of a kind show as plain text."""
    contents = [message["content"] for message in messages if message["msg_type"] == kind]
    return [content["text"] if "text" in content else content["data"]["text/plain"] for content in contents]


def test_a_notebook_shows_one_line_that_is_written_anew(kernel: Kernel) -> None:
    messages = kernel.run("nbcache.warm(ask, range(3))")
    assert len(texts(messages, "display_data")) == 1
    assert texts(messages, "update_display_data")[-1] == "[####################] 3 of 3, 3 made, 0 hits"
    assert not texts(messages, "stream")
    [result] = texts(messages, "execute_result")
    assert result.startswith("Warmed: 3 made, 0 hits, in ")
    assert not texts(kernel.run("nbcache.warm(ask, range(3), progress=False)"), "display_data")
    assert not texts(kernel.run("nbcache.warm(ask, range(3))", has_person=False), "display_data")


def test_an_interrupt_ends_the_cell_and_what_is_done_is_kept(kernel: Kernel) -> None:
    messages = kernel.run("nbcache.warm(ask, range(100), max_concurrency=2)", interrupt_at="runs")
    [error] = [message["content"]["ename"] for message in messages if message["msg_type"] == "error"]
    assert error == "KeyboardInterrupt"
    kernel.run("held.set()\nfor thread in threading.enumerate():\n    thread.name == 'nbcache-warm' and thread.join()")
    assert texts(kernel.run("sum(t.name == 'nbcache-warm' for t in threading.enumerate())"), "execute_result") == ["0"]
    [result] = texts(kernel.run("nbcache.warm(ask, range(8))"), "execute_result")
    assert result.startswith(("Warmed: 2 made, 6 hits", "Warmed: 3 made, 5 hits"))


def test_calls_belong_to_the_cell_that_warms_and_async_functions_need_no_await(kernel: Kernel) -> None:
    [result] = texts(kernel.run("nbcache.warm(later, range(3))"), "execute_result")
    assert result.startswith("Warmed: 3 made, 0 hits")
    [result] = texts(kernel.run("await nbcache.awarm(later, range(4))"), "execute_result")
    assert result.startswith("Warmed: 1 made, 3 hits")
    assert texts(kernel.run("nbcache.history().calls.tolist()"), "execute_result") == ["[3, 4]"]


def test_nothing_is_shown_where_a_notebook_is_run_without_a_person(tmp_path: Path) -> None:
    cells = [BEGINS, "nbcache.warm(ask, range(3));"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])  # type: ignore[no-untyped-call]
    NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}, timeout=100).execute()
    assert [cell.outputs for cell in notebook.cells] == [[], []]
