"""Another kernel that is busy with the store, or stopped in the midst of it, costs no answer."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import nbcache
from nbcache import NbcacheWarning
from nbcache.entry.records import EntryMeta, Spending
from nbcache.errors import StoreBusyError
from nbcache.stores import DiskStore
from nbcache.stores.sqlite import deleted_text, pages
from tests.support.interrupting import Echo
from tests.support.rows import full

_WRITER = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE total SET value = value")
print("stopped", flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
connection.execute("ROLLBACK")
"""


@contextmanager
def stopped_writer(folder: Path) -> Iterator[None]:
    """Another process has begun to write, and is stopped, while the block runs."""
    command = [sys.executable, "-c", _WRITER, str(folder / "cache.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "stopped\n"
        try:
            yield
        finally:
            writer.send_signal(signal.SIGCONT)
            writer.wait(30)


def on_disk(folder: Path) -> list[str]:
    """The prompts whose answers another process would find."""
    with closing(sqlite3.connect(folder / "cache.db")) as connection:
        return sorted(prompt for (prompt,) in connection.execute("SELECT prompt FROM preview"))


def put(store: DiskStore, key: str, text: str = "a", ttl: float | None = None) -> None:
    store.put(key, text.encode(), EntryMeta(key, "m", f"prompt {key}", text, "ok", time.time()), ttl)


@pytest.fixture
def model(store: Path) -> Echo:
    del store
    model = Echo()
    model.invoke("before")
    nbcache.stats()  # what it counted is written
    return model


def test_answers_that_come_while_a_writer_is_stopped_are_hits_at_once_and_kept(model: Echo, store: Path) -> None:
    prompts = [f"late {number}" for number in range(20)]
    with warnings.catch_warnings(record=True) as said, stopped_writer(store):
        warnings.simplefilter("always")
        began = time.monotonic()
        for prompt in prompts:
            model.invoke(prompt)
        paid = nbcache.stats().misses
        for prompt in prompts:
            assert model.invoke(prompt).text == f"answer to {prompt}"
        assert nbcache.stats().misses == paid
        took = time.monotonic() - began
        assert on_disk(store) == ["before"]
    ours = [str(each.message) for each in said if issubclass(each.category, NbcacheWarning)]
    assert len(ours) == 1
    assert "kept in memory" in ours[0]
    assert took < 15  # it waited once, not for each
    nbcache.installed().leave_cell()
    assert on_disk(store) == sorted(["before", *prompts])
    assert nbcache.check() == []


def test_late_answers_are_written_by_themselves_once_the_store_is_free(model: Echo, store: Path) -> None:
    with warnings.catch_warnings(), stopped_writer(store):
        warnings.simplefilter("ignore")
        model.invoke("late")
    ends = time.monotonic() + 20
    while "late" not in on_disk(store) and time.monotonic() < ends:
        threading.Event().wait(0.05)
    assert "late" in on_disk(store)


def test_late_answers_are_written_when_the_cache_is_turned_off(model: Echo, store: Path) -> None:
    with warnings.catch_warnings(), stopped_writer(store):
        warnings.simplefilter("ignore")
        model.invoke("late")
    nbcache.uninstall()
    assert on_disk(store) == ["before", "late"]


def test_what_could_not_be_written_until_the_end_is_said(model: Echo, store: Path) -> None:
    with warnings.catch_warnings(record=True) as said, stopped_writer(store):
        warnings.simplefilter("always")
        model.invoke("late")
        nbcache.uninstall()
    assert any("1 will be paid again" in str(each.message) for each in said)


def test_a_new_answer_replaces_an_old_one_before_it_is_written(model: Echo, store: Path) -> None:
    cache = nbcache.installed()
    cache.put("q", 1, model="m")
    assert cache.get("q", model="m") == 1
    with warnings.catch_warnings(), stopped_writer(store):
        warnings.simplefilter("ignore")
        cache.put("q", 2, model="m")
        assert cache.get("q", model="m") == 2
        cache.put("q", 3, model="m")
        assert cache.get("q", model="m") == 3
    nbcache.uninstall()
    nbcache.install(store)
    assert nbcache.installed().get("q", model="m") == 3
    assert model.invoke("before").text == "answer to before"


@pytest.mark.parametrize("name", ["touch", "record", "record_calls"])
def test_what_was_counted_is_counted_once_where_a_part_of_it_could_not_be_written(
    model: Echo, store: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    del store
    cache = nbcache.installed()
    before = nbcache.stats(lifetime=True)

    def busy(*_: object) -> None:
        raise StoreBusyError("another process is stopped as it writes")

    model.invoke("before")
    model.invoke("new")
    with monkeypatch.context() as patch:
        patch.setattr(cache.store, name, busy)
        cache.leave_cell()
    cache.leave_cell()
    after = nbcache.stats(lifetime=True)
    assert (after.hits - before.hits, after.misses - before.misses) == (1, 1)
    assert sum(meta.hits for meta in full(cache.store).page()) == 1
    assert sorted(call.calls for call in full(cache.store).last_calls(cache.notebook)) == [1, 2]


def test_what_is_counted_while_the_log_is_being_folded_in_beside_another_writer_is_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempt to leave no traces comes after each write. It may find somebody in the way, and the write is done."""
    monkeypatch.setattr("nbcache.stores.sqlite.diskcache_file._TRIED_AFTER", 0.0)
    store = DiskStore(tmp_path / "s")
    put(store, "a" * 40)
    with closing(sqlite3.connect(tmp_path / "s" / "cache.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM Cache").fetchone()
        store.delete("a" * 40)  # which can't fold it in now
    fold, others = deleted_text._fold, [sqlite3.connect(tmp_path / "s" / "cache.db", isolation_level=None)]

    def folded(sql: Any) -> bool:
        done = fold(sql)
        others[0].execute("BEGIN IMMEDIATE")  # in the moment after
        return done

    monkeypatch.setattr(deleted_text, "_fold", folded)
    store.record([Spending("s", 1, time.time(), None, None, "m", hits=1)])
    monkeypatch.undo()
    others[0].close()
    assert sum(row.hits for row in store.spendings()) == 1
    put(store, "b" * 40)
    assert store.check() == []


def test_late_answers_that_a_forked_child_inherits_are_written_there_too(tmp_path: Path) -> None:
    """Its parent may be killed. The child has no thread of the parent's that was going to."""
    store = DiskStore(tmp_path / "s")
    put(store, "a" * 40)
    with warnings.catch_warnings(), stopped_writer(tmp_path / "s"):
        warnings.simplefilter("ignore")
        put(store, "b" * 40)
        store._timer._bell.put(None)  # it is woken, and has not begun
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            signal.alarm(30)
            put(store, "c" * 40)
            os.write(writer, b"%d" % len(store._late.answers))
            while store._late.answers:
                time.sleep(0.01)
            os._exit(0)
        assert os.read(reader, 1) == b"2"
    assert os.waitpid(pid, 0)[1] == 0
    os.close(reader)
    os.close(writer)
    store.close()
    assert on_disk(tmp_path / "s") == sorted(f"prompt {each * 40}" for each in "abc")


def test_a_late_answer_expires(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "s")
    put(store, "a" * 40)
    with warnings.catch_warnings(), stopped_writer(tmp_path / "s"):
        warnings.simplefilter("ignore")
        put(store, "b" * 40, ttl=0.0)
        put(store, "c" * 40, ttl=1000)
        assert store.get("b" * 40) is None
        assert store.get("c" * 40) == b"a"
    store.close()


def test_after_one_wait_in_vain_answers_are_on_disk_when_a_call_returns(model: Echo, store: Path) -> None:
    with warnings.catch_warnings(), stopped_writer(store):
        warnings.simplefilter("ignore")
        model.invoke("late")
    model.invoke("next")
    assert {"late", "next"} <= set(on_disk(store))


def _fill(folder: Path, number: int) -> list[str]:
    store = DiskStore(folder)
    keys = [f"{each:040x}" for each in range(number)]
    rows = [EntryMeta(key, "m", f"prompt {key}", "words " * 30, "ok", time.time()) for key in keys]
    store.put_all((row.key, row.answer.encode(), row) for row in rows)
    while store.index(lambda _, key: [key, "word", *(f"w{int(key, 16) % 97 + at}" for at in range(40))], 1000):
        pass
    store.close()
    return keys


_BUSY = """
import sys
from nbcache.stores import DiskStore
store = DiskStore(sys.argv[1])
print("begins", flush=True)
keys = [f"{each:040x}" for each in range(int(sys.argv[3]))]
store.check() if sys.argv[2] == "check" else store.check(fix=True) if sys.argv[2] == "fix" else store.clear(keys)
store.close()
"""


@pytest.mark.parametrize("work", ["check", "fix", "clear"])
def test_what_is_paid_while_another_kernel_is_at_work_on_the_whole_store_is_kept(tmp_path: Path, work: str) -> None:
    _fill(folder := tmp_path / "s", 4_000)
    store, waited = DiskStore(folder), []
    put(store, "f" * 40)
    command = [sys.executable, "-c", _BUSY, str(folder), work, "4000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "begins\n"
        keys: list[str] = []
        while other.poll() is None:
            keys.append(f"e{len(keys):039x}")
            began = time.monotonic()
            put(store, keys[-1])
            waited.append(time.monotonic() - began)
            assert not store._late.answers, f"an answer had to wait for more than {waited[-1]:.1f} s"
    assert other.returncode == 0
    assert keys
    assert all(store.get(key) == b"a" for key in keys)
    assert store.totals().entries == len(keys) + 1 + (0 if work == "clear" else 4_000)
    store.close()


def test_what_is_cleared_in_slices_is_gone_from_every_file(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "s")
    for number in range(300):
        put(store, f"{number:040x}", f"confidential{number:04d} and common words")
    while store.index(lambda payload, _: payload.decode().split(), 50):
        pass
    store.clear([f"{number:040x}" for number in range(0, 300, 2)])
    store.close()
    held = b"".join(path.read_bytes() for path in (tmp_path / "s").iterdir())
    assert not [number for number in range(0, 300, 2) if b"confidential%04d" % number in held]
    assert b"confidential0001" in held


@pytest.mark.parametrize("seed", [3, 17])  # with which copies stay in the pages if they are not written anew
def test_what_is_cleared_leaves_no_copy_where_sqlite_moved_rows(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    numbers = list(range(300))
    chance.shuffle(numbers)
    with closing(DiskStore(tmp_path / "s")) as store:
        for number in numbers:
            key = f"{chance.getrandbits(160):040x}"[:36] + f"{number:04x}"
            put(store, key, f"confidential{number:04d} {'x' * chance.randrange(3000)}")
        while store.index(lambda payload, _: payload.decode().split(), 50):
            pass
        keys = [row.key for row in store.page()]
        chance.shuffle(keys)
        gone = keys[:150]
        left = [*gone]
        while left:
            some = chance.randrange(1, 40)
            store.clear(left[:some])
            left = left[some:]
    held = b"".join(path.read_bytes() for path in (tmp_path / "s").iterdir())
    assert not [key for key in gone if b"confidential%04d" % int(key[36:], 16) in held]


def test_damage_is_found_and_mended_in_slices(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "s")
    for number in range(450):
        put(store, f"{number:040x}")
    store.close()
    with closing(sqlite3.connect(tmp_path / "s" / "cache.db", isolation_level=None)) as connection:
        connection.execute("UPDATE Cache SET value = 'text' WHERE rowid IN (7, 333)")
        connection.execute("DELETE FROM entry WHERE id = 400")
    seen: list[tuple[int, int]] = []

    def read(payload: bytes, key: str) -> EntryMeta:
        return EntryMeta(key, "m", "p", payload.decode(), "ok", time.time())

    found = store.check(read=read, progress=lambda done, of: seen.append((done, of)))
    assert len(found) == 3
    assert seen[-1] == (450, 450)
    assert store.check(read=read) == found
    assert store.check(read=read, fix=True) == found
    assert store.check(read=read) == []
    assert store.totals().entries == 448


def test_a_page_that_a_busy_store_gave_without_a_new_entry_is_right_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_STEP", 2)
    with closing(DiskStore(tmp_path)) as store:
        for number in range(10):
            put(store, f"{number}")
        while store.index(lambda *_: ()):
            pass
        put(store, "new")
        with stopped_writer(tmp_path):
            assert [row.key for row in store.page(offset=4, limit=2)] == ["5", "4"]
        assert [row.key for row in store.page(offset=4, limit=2)] == ["6", "5"]
