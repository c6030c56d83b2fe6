"""`os.fork` beside threads that call: the child's calls go on, and the fork waits for nobody who isn't there."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from nbcache.entry.records import EntryMeta
from nbcache.stores import DiskStore
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

_FORKS_BESIDE_CALLS = """
import os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore")
import nbcache
from tests.support.interrupting import Echo

nbcache.install(sys.argv[1])
model = Echo()
model.invoke("old")
stop = threading.Event()

def busy():
    n = 0
    while not stop.is_set():
        n += 1
        model.invoke(f"{threading.get_ident()} {n % 200}")

threads = [threading.Thread(target=busy, daemon=True) for _ in range(4)]
for thread in threads:
    thread.start()
longest = 0.0
for number in range(int(sys.argv[2])):
    began = time.monotonic()
    pid = os.fork()
    if not pid:
        signal.alarm(60)
        assert model.invoke("old").text == "answer to old"
        assert model.invoke(f"new {number}").text == f"answer to new {number}"
        os._exit(0)
    longest = max(longest, time.monotonic() - began)
    status = os.waitpid(pid, 0)[1]
    if status:
        print(f"child {number} ended with {status}", flush=True)
        os._exit(1)
stop.set()
for thread in threads:
    thread.join()
lost = nbcache.stats().misses
for number in range(int(sys.argv[2])):
    model.invoke(f"new {number}")
lost = nbcache.stats().misses - lost
print(f"{lost} lost, {nbcache.check()}", flush=True)
os._exit(0)
"""


def _run(code: str, *args: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_child_forked_beside_threads_that_call_makes_its_calls(tmp_path: Path) -> None:
    done = _run(_FORKS_BESIDE_CALLS, tmp_path / "s", 40)
    assert (done.returncode, done.stdout) == (0, "0 lost, []\n"), done.stderr


_FORK_WITHIN = """
import os, sys, warnings
warnings.simplefilter("ignore")
import nbcache
from tests.support.interrupting import Echo

store = nbcache.install(sys.argv[1]).store
model = Echo()
model.invoke("old")

def fork(_, __):  # in the midst of the store's work, whose connection the child inherits
    pid = os.fork()
    if not pid:
        os._exit(0 if model.invoke("old").text == "answer to old" else 1)
    codes.append(os.waitpid(pid, 0)[1])

codes = []
nbcache.check(progress=fork)
print(codes)
"""


def test_a_fork_in_the_midst_of_the_stores_work_hangs_nobody(tmp_path: Path) -> None:
    done = _run(_FORK_WITHIN, tmp_path / "s")
    assert (done.returncode, done.stdout) == (0, "[0]\n"), done.stderr


_FORK_BESIDE_A_LONG_READ = """
import os, sys, threading, time, warnings
warnings.simplefilter("ignore")
import nbcache
from tests.support.interrupting import Echo

store = nbcache.install(sys.argv[1]).store
model = Echo()
begun, go_on = threading.Event(), threading.Event()

def hold(cache):
    begun.set()
    go_on.wait()

thread = threading.Thread(target=lambda: store._database.run(hold, 0.0))
thread.start()
begun.wait()
pid = os.fork()
if not pid:
    os._exit(0 if model.invoke("new").text == "answer to new" else 1)
print(os.waitpid(pid, 0)[1], flush=True)
go_on.set()
thread.join()
print(model.invoke("later").text)
"""


def test_a_child_forked_while_a_thread_was_in_the_database_for_long_goes_on_without_the_cache(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "s")
    store.put("a" * 40, b"a", EntryMeta("a" * 40, "m", "p", "a", "ok", time.time()))
    store.close()
    done = _run(_FORK_BESIDE_A_LONG_READ, tmp_path / "s")
    assert (done.returncode, done.stdout) == (0, "0\nanswer to later\n"), done.stderr
