"""Calls in worker processes: they hit their parent's cache, and count in its session."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from nbcache.channel import Channel, Sender
from tests.provider import Provider

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


class Accounts:
    """What came in, of one session."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def receive(self, message: Any) -> None:
        self.messages.append(message)


def run(code: str, *arguments: str, **environment: str) -> str:
    """Run `code` in a new process; what it printed."""
    head = "import os, sys, multiprocessing, warnings, nbcache\nfrom langchain_openai import ChatOpenAI\n"
    head += 'warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)\n'
    done = subprocess.run(
        [sys.executable, "-c", head + code, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=110,
        env={**os.environ, **environment},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


_POOL = """
nbcache.install(sys.argv[1], notebook="n.ipynb", prices={"m": {"input": 1000, "output": 1000}})
nbcache.installed().enter_cell("one")
def ask(i): return ChatOpenAI(model="m", base_url=sys.argv[2], api_key="k").invoke(f"q{i}").text
for times in (1, 2):
    with multiprocessing.get_context("fork").Pool(4) as pool:  # which kills its workers at its end
        pool.map(ask, range(20))
stats, (cell,) = nbcache.stats(), nbcache.installed().ledger.cells()
print(stats.hits, stats.misses, stats.unpriced_hits, cell.hits, len(nbcache.last()), nbcache.clear(unused=True, dry_run=True).deleted)
nbcache.installed().flush()
stats = nbcache.stats(lifetime=True)
print(stats.hits, stats.misses, len(nbcache.history()), {meta.notebooks for meta in nbcache.installed().store.page()})
"""


def test_what_a_pools_workers_call_counts_in_the_session_though_the_pool_kills_them(
    provider: Provider, tmp_path: Path
) -> None:
    said = run(_POOL, str(tmp_path / "store"), provider.openai["base_url"])
    assert said.splitlines() == ["20 20 0 20 40 0", "20 20 1 {('n.ipynb',)}"]
    assert len(provider.requests) == 20


def test_messages_come_from_children_of_children_and_outlive_their_senders() -> None:
    channel, accounts = Channel(), Accounts()
    channel.connect("s", accounts)
    sender = channel.open()
    assert sender is not None
    if not (child := os.fork()):
        sender.send("s", "child")
        if not (grandchild := os.fork()):
            sender.send("s", "grandchild")
            os.kill(os.getpid(), 9)
        os.waitpid(grandchild, 0)
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    channel.deliver()
    assert accounts.messages == ["child", "grandchild"]


def test_what_does_not_fit_is_accounted_for_by_the_worker() -> None:
    channel, accounts = Channel(), Accounts()
    channel.connect("s", accounts)
    sender = channel.open()
    assert sender is not None
    assert not sender.send("s", "x" * 10_000)
    sent = 0
    while sender.send("s", "y" * 3_000):  # until it is full: each waits for a moment at most
        sent += 1
    channel.deliver()
    assert accounts.messages == ["y" * 3_000] * sent
    assert sent > 10
    assert sender.send("s", "z")
    channel.deliver()
    assert accounts.messages[-1] == "z"


def test_messages_of_many_writers_are_not_mixed_up() -> None:
    channel, accounts = Channel(), Accounts()
    channel.connect("s", accounts)
    sender = channel.open()
    assert sender is not None
    channel.listen()  # a thread, where there are others
    writers = [
        threading.Thread(target=lambda n=n: [sender.send("s", (n, i, "x" * 900)) for i in range(200)]) for n in range(8)
    ]
    for writer in writers:
        writer.start()
    channel.listen()
    for writer in writers:
        writer.join()
    channel.deliver()
    assert sorted(accounts.messages) == [(n, i, "x" * 900) for n in range(8) for i in range(200)]


def test_where_nobody_reads_any_more_the_worker_knows() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    sender = Sender(writer)
    assert not sender.send("s", "message")
    assert sender.end is None
    assert not sender.send("s", "message")


def test_a_process_without_a_session_makes_no_pipe() -> None:
    assert Channel().open() is None
