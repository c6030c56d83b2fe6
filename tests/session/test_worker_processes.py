"""Calls in worker processes: they hit their parent's cache, and count in its session."""

import multiprocessing
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import nbcache
from nbcache.cache.modes import Settings
from nbcache.concurrency.worker_pipe import Channel, Sender
from nbcache.errors import NbcacheWarning, forget_warnings
from nbcache.session.worker_processes import warn_of_others, warn_of_running
from tests.servers.provider import Provider

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")]


class Accounts:
    """What came in, of one session."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def receive(self, message: Any) -> None:
        self.messages.append(message)


HEAD = """
import os, sys, multiprocessing, warnings, nbcache
from langchain_openai import ChatOpenAI
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
"""


def run_file(file: Path, *arguments: str) -> str:
    """Run `file` in a new process; what it printed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(file), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=110, env=environment)
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
    (tmp_path / "main.py").write_text(HEAD + _POOL)
    said = run_file(tmp_path / "main.py", str(tmp_path / "store"), provider.openai["base_url"])
    assert said.splitlines() == ["20 20 0 20 40 0", "20 20 1 {('n.ipynb',)}"]
    assert len(provider.requests) == 20


_FRESH = """
import time
from concurrent.futures import ProcessPoolExecutor
from tests.support import worker_functions as work

if __name__ == "__main__":
    nbcache.install(sys.argv[1], notebook="n.ipynb", prices={"m": {"input": 1000, "output": 1000}}, tags="t")
    nbcache.installed().enter_cell("one")
    kind = multiprocessing.get_context(sys.argv[3])
    for times in (1, 2):
        with kind.Pool(2) as pool:
            pool.starmap(work.ask, [(sys.argv[2], i) for i in range(4)])
    with ProcessPoolExecutor(1, mp_context=kind) as pool:
        pool.submit(work.ask, sys.argv[2], 0).result()
    with nbcache.mode("replay"), ProcessPoolExecutor(1, mp_context=kind) as pool:
        print(pool.submit(work.refused, sys.argv[2]).result())
    process = kind.Process(target=work.ask, args=(sys.argv[2], 1))
    process.start()
    process.join()
    assert not vars(process).get("_nbcache")
    stats, (cell,) = nbcache.stats(), nbcache.installed().ledger.cells()
    print(stats.hits, stats.misses, stats.unpriced_hits, cell.hits)
    nbcache.installed().flush()
    stats = nbcache.stats(lifetime=True)
    print(stats.hits, stats.misses, {(meta.notebooks, meta.tags) for meta in nbcache.installed().store.page()})
    nbcache.uninstall()
    from multiprocessing.process import BaseProcess
    print(BaseProcess.start.__qualname__)
"""


@pytest.mark.parametrize("kind", ["spawn", "forkserver"])
def test_workers_that_start_afresh_join_the_cache_and_the_session(
    kind: str, provider: Provider, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(HEAD + _FRESH)
    said = run_file(tmp_path / "main.py", str(tmp_path / "store"), provider.openai["base_url"], kind)
    assert said.splitlines() == [
        "ReplayMiss",
        "6 5 0 6",
        "6 5 {(('n.ipynb',), ('t',))}",
        "BaseProcess.start",
    ]
    assert len(provider.requests) == 4


_LIGHT = """
from tests.support import worker_functions as work

if __name__ == "__main__":
    nbcache.install(sys.argv[1])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.apply(work.modules))
"""


def test_a_worker_that_calls_no_model_imports_nothing_for_it(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(_LIGHT.join(["import sys, multiprocessing\nimport nbcache\n", ""]))
    assert run_file(tmp_path / "main.py", str(tmp_path / "store")) == "[]"


_OWN = """
from tests.support import worker_functions as work

if __name__ == "__main__":
    nbcache.install(sys.argv[1])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.apply(work.with_a_store_of_its_own, (sys.argv[2], sys.argv[1] + "2")))
    print(nbcache.stats().misses, nbcache.stats().entries)
"""


def test_a_worker_that_turns_the_cache_on_itself_has_a_session_of_its_own(provider: Provider, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(HEAD + _OWN)
    said = run_file(tmp_path / "main.py", str(tmp_path / "store"), provider.openai["base_url"])
    assert said.splitlines() == ["1 1", "0 0"]


_FOR_GOOD = """
def ttl(results):
    results.put(nbcache.installed().settings.ttl)

if __name__ == "__main__":
    os.environ["NBCACHE_TTL"] = "2h"
    cache = nbcache.install(sys.argv[1])
    cache.switch(dataclasses.replace(cache.settings, ttl=None))
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    process = context.Process(target=ttl, args=(results,))
    process.start()
    print(results.get())
    process.join()
"""


def test_a_ttl_that_was_turned_off_is_off_in_workers_whatever_the_environment_says(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import dataclasses\n" + HEAD + _FOR_GOOD)
    assert run_file(tmp_path / "main.py", str(tmp_path / "store")) == "None"


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"store": "memory://"}, "memory:// is of one process"),
        ({"normalize": lambda text: text}, "`normalize` can't be pickled"),
    ],
)
def test_what_a_worker_cannot_be_given_is_said_once_and_it_starts_all_the_same(
    settings: dict[str, Any], why: str, tmp_path: Path
) -> None:
    nbcache.install(**{"store": tmp_path / "store", **settings})
    process = multiprocessing.get_context("spawn").Process(target=os.getpid)
    with pytest.warns(NbcacheWarning, match=why):
        process.start()
    process.join(60)
    assert process.exitcode == 0


def test_workers_that_run_on_in_another_mode_are_told_of(store: Path) -> None:
    held, letting_go = os.pipe()
    process = multiprocessing.get_context("fork").Process(target=os.read, args=(held, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads
        process.start()
    cache = nbcache.installed()
    warn_of_running(cache)
    cache.switch(Settings("replay"))
    with pytest.warns(NbcacheWarning, match="stay in mode `on`"):
        warn_of_running(cache)
    os.write(letting_go, b"x")
    process.join(60)
    forget_warnings()
    warn_of_running(cache)


def test_workers_of_others_are_told_of(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warn_of_others(nbcache.installed())
    monkeypatch.setitem(sys.modules, "pyspark", None)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: True))
    with pytest.warns(NbcacheWarning, match=f"workers of ray don't know .* `nbcache.install\\('{store}'\\)`"):
        warn_of_others(nbcache.installed())


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
