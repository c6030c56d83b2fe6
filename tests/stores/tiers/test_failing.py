"""A tier that fails: calls go on with the others, and what it missed reaches it when it works again, in whatever process."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel

import nbcache
from nbcache.entry.edit import Edit
from nbcache.errors import NbcacheWarning, StoreError
from nbcache.stores import DiskStore, MemoryStore, RedisStore, TieredStore
from nbcache.stores.tiers import transfers, unsent
from tests.servers.redis_server import RedisServer
from tests.stores.contract.entries import found, key_of, put, row
from tests.stores.contract.test_editable import answer

ENOUGH = 30.0  # seconds for what takes milliseconds
pytestmark = pytest.mark.filterwarnings("ignore::nbcache.NbcacheWarning")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon."""
    monkeypatch.setattr(transfers, "_LATER", 0.02)
    monkeypatch.setattr("nbcache.stores.circuit_breaker._LONGEST", 0.05)
    monkeypatch.setattr("nbcache.stores.circuit_breaker._FIRST", 0.05)


@pytest.fixture
def store(near: DiskStore, own: RedisStore) -> Iterator[Any]:
    made = TieredStore([near, own])
    yield made
    made.close()


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + ENOUGH
    while True:
        try:
            if is_so():
                return
        except StoreError:
            pass
        assert time.monotonic() < until
        time.sleep(0.01)


def test_answers_that_could_not_be_sent_are_sent_when_the_server_is_back(
    store: Any, near: DiskStore, own: RedisStore, own_server: RedisServer
) -> None:
    own_server.stop()
    keys = [put(store, number, b"payload", "a.ipynb") for number in range(20)]
    store.flush(ENOUGH)
    assert [store.get(key) for key in keys] == [b"payload"] * 20
    own_server.start()
    wait_until(lambda: len(own.page()) == 20)
    assert found(own, keys[0]).notebooks == (f"ann:{near.folder.parent}/a.ipynb",)


def test_they_are_sent_by_another_process_too(near: DiskStore, own: RedisStore, own_server: RedisServer) -> None:
    url = own_server.url()
    own_server.stop()
    script = f"""
import warnings
from nbcache.stores import open_store
from tests.stores.contract.entries import put
warnings.simplefilter("ignore")
store = open_store([{str(near.folder)!r}, {url!r}])
for number in range(5):
    put(store, number)
store.close()
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    own_server.start()
    store = TieredStore([near, own])
    store.flush(0)  # what a cell does at its end
    wait_until(lambda: len(own.page()) == 5)
    store.close()
    assert unsent.Unsent(near.folder).of(own.url) == []


def test_a_server_that_is_killed_in_the_middle_gets_all_of_it(
    store: Any, own: RedisStore, own_server: RedisServer
) -> None:
    def put_some() -> None:
        for number in range(300):
            put(store, number, b"%d" % number)

    thread = threading.Thread(target=put_some)
    thread.start()
    for _ in range(2):
        own_server.stop()  # with all that it had
        own_server.start()
    thread.join()
    assert [store.get(key_of(number)) for number in range(300)] == [b"%d" % number for number in range(300)]
    put(store, "last")
    wait_until(lambda: own.get(key_of("last")) is not None)


def test_what_was_deleted_meanwhile_does_not_come_back(
    store: Any, near: DiskStore, own: RedisStore, own_server: RedisServer
) -> None:
    kept, gone = put(store, "kept"), put(store, "gone")
    store.flush(ENOUGH)
    own_server.freeze()  # it keeps what it has
    assert store.delete(gone) is True
    own_server.go_on()
    assert store.get(gone) is None
    wait_until(lambda: own.get(gone) is None)
    assert own.get(kept) == near.get(kept) == b"payload"
    wait_until(lambda: not unsent.Unsent(near.folder).of(own.url))


def test_it_does_not_come_back_in_another_process(near: DiskStore, own: RedisStore, own_server: RedisServer) -> None:
    store: Any = TieredStore([near, own])
    gone = put(store, "gone")
    store.flush(ENOUGH)
    own_server.freeze()
    store.delete(gone)
    store.close()
    own_server.go_on()
    again = TieredStore([near, own])
    assert again.get(gone) is None
    again.flush(0)
    wait_until(lambda: own.get(gone) is None)
    again.close()


def test_an_answer_stored_after_its_delete_is_the_one_that_is_sent(
    store: Any, own: RedisStore, own_server: RedisServer
) -> None:
    key = put(store, 1, b"old")
    store.flush(ENOUGH)
    own_server.freeze()
    store.delete(key)
    put(store, 1, b"new")
    store.flush(ENOUGH)
    own_server.go_on()
    wait_until(lambda: own.get(key) == b"new")
    wait_until(lambda: not store._transfers._unsent.of(own.url))  # nothing deletes it afterwards
    assert own.get(key) == b"new"


def test_a_clear_reaches_the_server_later_and_spares_what_others_own(
    store: Any, near: DiskStore, own: RedisStore, own_server: RedisServer
) -> None:
    mine, shared = put(store, 1, b"payload", "a.ipynb"), put(store, 2, b"payload", "a.ipynb")
    store.flush(ENOUGH)
    own.put(shared, b"payload", row(shared, "bob:b.ipynb"))
    own_server.freeze()
    store.clear([mine, shared], owner="a.ipynb")
    own_server.go_on()
    assert store.get(mine) is None
    wait_until(lambda: own.get(mine) is None)
    wait_until(lambda: found(own, shared).notebooks == ("bob:b.ipynb",))
    assert near.page() == []


def test_a_clear_of_each_of_two_notebooks_reaches_the_server_later(
    store: Any, near: DiskStore, own: RedisStore, own_server: RedisServer
) -> None:
    key = put(store, 1, b"payload", "a.ipynb", "b.ipynb")
    store.flush(ENOUGH)
    own_server.freeze()
    for notebook in ("a.ipynb", "b.ipynb"):
        store.clear([key], owner=notebook)
    own_server.go_on()
    wait_until(lambda: not unsent.Unsent(near.folder).of(own.url))
    assert own.page() == []
    assert store.get(key) is None


def test_an_entry_that_is_cleared_after_its_delete_is_deleted_for_all(
    store: Any, near: DiskStore, own: RedisStore, own_server: RedisServer
) -> None:
    key = put(store, 1, b"payload", "a.ipynb")
    store.flush(ENOUGH)
    own.put(key, b"payload", row(key, "bob:b.ipynb"))
    own_server.freeze()
    store.delete(key)
    store.clear([key], owner="a.ipynb")
    own_server.go_on()
    wait_until(lambda: not unsent.Unsent(near.folder).of(own.url))
    assert store.get(key) is None


def test_an_answer_stored_after_a_clear_keeps_its_owner(
    store: Any, near: DiskStore, own: RedisStore, own_server: RedisServer
) -> None:
    key = put(store, 1, b"old", "a.ipynb", "b.ipynb")
    store.flush(ENOUGH)
    own_server.freeze()
    store.clear([key], owner="a.ipynb")
    own_server.go_on()
    store.clear([key], owner="b.ipynb")
    put(store, 1, b"new", "a.ipynb")
    wait_until(lambda: own.get(key) == b"new" and not unsent.Unsent(near.folder).of(own.url))
    assert found(own, key).notebooks == (f"ann:{near.folder.parent}/a.ipynb",)


def test_what_is_to_be_copied_stays_so_though_it_is_edited(
    near: DiskStore, own: RedisStore, own_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "_LATER", 10_000.0)
    store: Any = TieredStore([near, own])
    own_server.stop()
    key = answer(store, "1")
    store.flush(ENOUGH)
    own_server.start()
    wait_until(lambda: own.page() == [])
    store.edit([key], Edit(add=("new",)))
    assert [job.key for job in unsent.Unsent(near.folder).of(own.url)] == [key]
    store.close()


def test_an_edit_reaches_the_server_later(store: Any, own: RedisStore, own_server: RedisServer) -> None:
    key = answer(store, "1")
    store.flush(ENOUGH)
    own_server.freeze()
    store.edit([key], Edit(add=("new",)))
    own_server.go_on()
    wait_until(lambda: found(own, key).tags == ("new",))
    assert own.get(key) == store.get(key)


def test_an_edited_entry_that_has_expired_by_then_is_gone_there_too(
    store: Any, own: RedisStore, own_server: RedisServer
) -> None:
    key = answer(store, "1")
    store.flush(ENOUGH)
    own_server.freeze()
    store.edit([key], Edit(sets_expiry=True, expires=time.time() + 0.1))
    wait_until(lambda: store.get(key) is None)
    own_server.go_on()
    wait_until(lambda: own.get(key) is None)
    assert store.get(key) is None


def test_what_expires_meanwhile_is_not_sent(store: Any, own: RedisStore, own_server: RedisServer) -> None:
    own_server.stop()
    short = put(store, 1, ttl=0.1)
    kept = put(store, 2)
    store.flush(ENOUGH)
    wait_until(lambda: store.get(short) is None)
    own_server.start()
    wait_until(lambda: bool(own.page()))
    assert [meta.key for meta in own.page()] == [kept]


def test_with_the_first_tier_in_memory_what_was_left_is_too(own: RedisStore, own_server: RedisServer) -> None:
    store = TieredStore([MemoryStore(), own])
    own_server.stop()
    put(store, 1)
    store.flush(ENOUGH)
    own_server.start()
    wait_until(lambda: own.get(key_of(1)) is not None)
    store.close()


class Failing(MemoryStore):
    """A tier that can't be written to, or not be read."""

    url = "failing://"

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = names

    def get(self, key: str, *, wait: bool = True, include_expired: bool = False) -> bytes | None:
        self._fail("get")
        return super().get(key, wait=wait, include_expired=include_expired)

    def put(self, *args: Any) -> None:
        self._fail("put")
        super().put(*args)

    def _fail(self, name: str) -> None:
        if name in self.names:
            raise StoreError(f"no {name} here")


def test_a_first_tier_that_takes_nothing_leaves_it_to_the_next(near: DiskStore) -> None:
    store = TieredStore([Failing("put"), near])
    key = put(store, 1)
    assert near.get(key) == store.get(key) == b"payload"
    store.close()


def test_a_first_tier_that_can_not_be_read_leaves_it_to_the_next(near: DiskStore) -> None:
    store = TieredStore([Failing("get"), near])
    key = put(store, 1)
    store.flush(ENOUGH)
    assert store.get(key) == b"payload"
    with pytest.raises(StoreError, match="no get"):  # which one had it is not known
        store.get(key_of(2))
    store.close()


def test_an_entry_that_a_tier_refuses_does_not_hold_up_the_others(near: DiskStore) -> None:
    class Choosy(Failing):
        def put(self, key: str, *rest: Any) -> None:
            if key == key_of(1) or self.names:
                raise StoreError("refused")
            super().put(key, *rest)

    choosy = Choosy("put")
    store = TieredStore([near, choosy])
    for number in range(5):
        put(store, number)
    store.flush(ENOUGH)
    choosy.names = ()
    wait_until(lambda: len(choosy.page()) == 4)
    store.close()


def test_what_is_left_is_bounded_and_deletes_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(unsent, "_MOST", 10)
    left = unsent.Unsent(tmp_path)
    left.add("t", ["deleted"], unsent.DELETE)
    left.add("t", map(str, range(20)), unsent.COPY)
    for each in (left, unsent.Unsent(tmp_path)):
        jobs = each.of("t")
        assert len(jobs) == 10
        assert each.hides("t", "deleted")
        assert jobs[-1].key == "19"


def test_several_processes_note_what_is_left_in_one_file(tmp_path: Path) -> None:
    script = f"""
import sys
from pathlib import Path
from nbcache.stores.tiers import unsent
from nbcache.stores.tiers.unsent import COPY, Unsent
unsent._TIMEOUT = 30
left = Unsent(Path({str(tmp_path)!r}))
for number in range(50):
    left.add("t", [f"{{sys.argv[1]}} {{number}}"], COPY)
"""
    processes = [subprocess.Popen([sys.executable, "-c", script, str(number)]) for number in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    left = unsent.Unsent(tmp_path)
    assert len(left.of("t")) == 150
    other = unsent.Unsent(tmp_path)
    left.done("t", [job.key for job in left.of("t")])
    assert other.of("t") == []


def test_a_damaged_note_of_what_is_left_is_written_anew(tmp_path: Path) -> None:
    left = unsent.Unsent(tmp_path)
    left.add("t", ["earlier"], unsent.DELETE)
    (tmp_path / "unsent.db").write_bytes(b"no database" * 1000)
    left.add("t", ["key"], unsent.DELETE)
    for each in (left, unsent.Unsent(tmp_path)):
        assert each.hides("t", "key")
        assert [job.key for job in each.of("t")] == ["earlier", "key"]


def test_a_lookup_does_not_wait_for_another_process_that_notes_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unsent, "_TIMEOUT", ENOUGH)
    left = unsent.Unsent(tmp_path)
    left.add("t", ["first"], unsent.DELETE)
    with contextlib.closing(sqlite3.connect(tmp_path / "unsent.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        other.execute("UPDATE job SET key = 'second'")
        os.utime(tmp_path / "unsent.db", (1, 1))
        threading.Thread(target=left.add, args=("t", ["third"], unsent.DELETE), daemon=True).start()
        began = time.monotonic()
        assert left.hides("t", "first")
        assert time.monotonic() - began < ENOUGH / 2
        other.execute("COMMIT")
    wait_until(lambda: left.hides("t", "second") and not left.hides("t", "first"))
    assert left.hides("t", "third")


# A session


def model() -> FakeListChatModel:
    return FakeListChatModel(responses=["one"])


def begin(server: RedisServer, folder: Path) -> nbcache.NotebookCache:
    return nbcache.install(store=[folder / ".nbcache", server.url()])


@pytest.mark.filterwarnings("error")
def test_an_outage_is_warned_of_once(own_server: RedisServer, tmp_path: Path) -> None:
    cache = begin(own_server, tmp_path)
    model().invoke("kept")
    nbcache.flush()
    own_server.stop()

    def cells() -> None:
        for number in range(5):
            model().invoke(f"q{number}")
            cache.leave_cell()

    with pytest.warns(NbcacheWarning, match="does not answer") as warned:
        cells()
    assert model().invoke("kept").content == "one"
    assert len([each for each in warned if issubclass(each.category, NbcacheWarning)]) == 1
    assert (nbcache.stats().hits, nbcache.stats().misses) == (1, 6)
    own_server.start()


@pytest.mark.filterwarnings("error")
def test_a_server_that_is_down_at_install_is_warned_of_once(own_server: RedisServer, tmp_path: Path) -> None:
    own_server.stop()
    with pytest.warns(NbcacheWarning, match="does not answer") as warned:
        begin(own_server, tmp_path)
    for number in range(3):
        model().invoke(f"q{number}")
    nbcache.flush()
    assert len(warned) == 1
    own_server.start()


def test_a_refused_password_raises_at_install_and_changes_nothing(tmp_path: Path) -> None:
    from tests.servers.redis_server import program

    with RedisServer(program(), "--requirepass", "hunter2") as guarded:
        with pytest.raises(ValueError, match="NBCACHE_REDIS_PASSWORD"):
            begin(guarded, tmp_path)
        with pytest.raises(nbcache.NotInstalledError):
            nbcache.installed()


def test_a_frozen_server_holds_up_no_call_and_no_cell_for_long(
    own_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbcache.stores.circuit_breaker._FIRST", 60.0)
    monkeypatch.setattr("nbcache.stores.circuit_breaker._LONGEST", 60.0)
    cache = begin(own_server, tmp_path)
    model().invoke("kept")
    nbcache.flush()
    own_server.freeze()
    began = time.perf_counter()
    for number in range(40):
        model().invoke(f"q{number}")
        cache.leave_cell()
    assert time.perf_counter() - began < 9  # each would take 0.25 s at least for itself
    own_server.go_on()


def test_a_lookup_is_shared_while_the_server_is_down(own_server: RedisServer, tmp_path: Path) -> None:
    begin(own_server, tmp_path)
    own_server.stop()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model().batch(["q"] * 5)
    assert (nbcache.stats().hits, nbcache.stats().misses) == (4, 1)
    own_server.start()


# What one owner clears, and others keep


def test_what_one_notebook_clears_is_still_sent_for_the_other(
    store: Any, near: DiskStore, own: RedisStore, own_server: RedisServer
) -> None:
    own_server.stop()
    key = put(store, 1, b"payload", "a.ipynb", "b.ipynb")
    store.flush(ENOUGH)
    store.clear([key], owner="a.ipynb")
    own_server.start()
    wait_until(lambda: own.get(key) == b"payload")
    wait_until(lambda: found(own, key).notebooks == (f"ann:{near.folder.parent}/b.ipynb",))


def test_a_deleted_entry_does_not_come_back_when_the_one_in_its_place_has_expired(
    store: Any, own: RedisStore, own_server: RedisServer
) -> None:
    key = put(store, 1, b"old")
    store.flush(ENOUGH)
    own_server.freeze()
    store.delete(key)
    put(store, 1, b"new", ttl=0.1)
    store.flush(ENOUGH)
    wait_until(lambda: store.home.get(key) is None)  # it has expired
    own_server.go_on()
    wait_until(lambda: own.get(key) is None)
    assert store.get(key) is None
