"""The store in a folder: what it leaves on disk, and what it survives."""

import hashlib
import os
import pickle
import secrets
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import diskcache
import pytest
from langchain_core.outputs import Generation

from nbcache import NotebookCache
from nbcache.codec import payload as codec
from nbcache.codec.header import VERSIONS, EntryHeader
from nbcache.entry.records import EntryMeta, Filter, SessionCall, Spending, Totals, Touch
from nbcache.errors import DamagedError, StoreError
from nbcache.stores import DiskStore, MemoryStore, open_store
from nbcache.stores.index_words import words_of
from nbcache.stores.view import Contents
from tests.support.paths import GOLDEN
from tests.support.processes import PROCESS
from tests.support.rows import full, row_of

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue
    from multiprocessing.synchronize import Barrier


PROCESSES, ENTRIES = 8, 300


def key_of(number: int | str) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:40]


def row(key: str, *notebooks: str, created: float | None = None) -> EntryMeta:
    return EntryMeta(key, "m", "p", "a", "ok", time.time() if created is None else created, notebooks=notebooks)


def put(store: DiskStore, number: int | str, payload: bytes | None = None, *notebooks: str) -> str:
    key = key_of(number)
    store.put(key, payload_of(number) if payload is None else payload, row(key, *notebooks))
    return key


def payload_of(number: int | str) -> bytes:
    return f"payload {number} ".encode() * 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> Iterator[DiskStore]:
    made = DiskStore(folder)
    yield made
    made.close()


# Nothing is executed


class Planted:
    """Unpickled, it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.file),)


@pytest.mark.parametrize("mode", [diskcache.core.MODE_PICKLE, diskcache.core.MODE_TEXT, diskcache.core.MODE_BINARY])
def test_planted_pickle_never_runs(store: DiskStore, folder: Path, tmp_path: Path, mode: int) -> None:
    trap = tmp_path / "trap"
    key = put(store, 1)
    store.close()
    planted = pickle.dumps(Planted(trap))
    (folder / "planted.val").write_bytes(planted)
    with closing(sqlite3.connect(folder / "cache.db")) as connection, connection:
        connection.execute("UPDATE Cache SET mode = ?, value = ?", (mode, planted))
        connection.execute(
            "INSERT INTO Cache (key, raw, mode, filename, value) VALUES (?, 0, ?, 'planted.val', NULL)", (planted, mode)
        )
    with pytest.raises(DamagedError):
        store.get(key)
    store.page()
    store.totals()
    assert store.check() != []
    store.check(fix=True)
    assert store.check() == []
    assert store.get(key) is None
    assert not trap.exists()
    pickle.loads(planted)  # the trap works
    assert trap.exists()


def test_file_outside_of_the_database_is_never_read_as_a_payload(store: DiskStore, folder: Path) -> None:
    key = put(store, 1)
    (folder / "secret.txt").write_text("secret")
    with closing(sqlite3.connect(folder / "cache.db")) as connection, connection:
        connection.execute("UPDATE Cache SET mode = 2, filename = 'secret.txt', value = NULL")
    with pytest.raises(DamagedError):
        store.get(key)


@pytest.mark.parametrize("payload", ["text", 7, None, bytearray(b"bytes"), {"a": 1}])
def test_nothing_but_bytes_is_stored(store: DiskStore, payload: object) -> None:
    with pytest.raises((TypeError, StoreError)):
        store.put(key_of(1), payload, row(key_of(1)))  # type: ignore[arg-type]
    assert store.page() == []
    assert store.check() == []


# The folder


def test_new_folder_is_for_its_owner_alone_and_stays_out_of_git_and_backups(store: DiskStore, folder: Path) -> None:
    old = os.umask(0)
    try:
        put(store, 1)
    finally:
        os.umask(old)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    database_files = sorted(folder.glob("cache.db*"))
    assert [path.name for path in database_files] == ["cache.db", "cache.db-shm", "cache.db-wal"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in database_files} == {0o600}
    assert (folder / ".gitignore").read_text() == "*\n"
    assert (folder / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")


@pytest.mark.parametrize(("of_folder", "of_files"), [(0o770, 0o660), (0o755, 0o644), (0o700, 0o600), (0o2775, 0o664)])
def test_existing_folder_keeps_its_permissions_and_files_follow_them(
    store: DiskStore, folder: Path, of_folder: int, of_files: int
) -> None:
    folder.mkdir()
    folder.chmod(of_folder)
    old = os.umask(0o077)
    try:
        put(store, 1)
    finally:
        os.umask(old)
    assert stat.S_IMODE(folder.stat().st_mode) == of_folder
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.glob("cache.db*")} == {of_files}
    assert not (folder / ".gitignore").exists()


def test_git_ignores_a_new_store(tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("no git")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    store = DiskStore(tmp_path / ".nbcache")
    put(store, 1)
    seen = subprocess.run(
        ["git", "-C", str(tmp_path), "status", "--porcelain"], check=True, capture_output=True, text=True
    )
    store.close()
    assert seen.stdout == ""


def test_store_makes_nothing_before_it_is_used(store: DiskStore, folder: Path) -> None:
    assert store.url == f"disk://{folder}"
    assert not folder.exists()


def test_store_used_again_after_close_opens_again(store: DiskStore) -> None:
    key = put(store, 1)
    store.close()
    store.close()
    assert store.get(key) == payload_of(1)
    put(store, 2)
    assert store.totals().entries == 2
    assert store.check() == []


def test_closed_store_is_one_database_file(store: DiskStore, folder: Path) -> None:
    put(store, 1)
    store.close()
    assert sorted(path.name for path in folder.iterdir()) == [".gitignore", "CACHEDIR.TAG", "cache.db"]


def test_folder_deleted_under_a_running_process_is_made_anew(store: DiskStore, folder: Path) -> None:
    key = put(store, 1)
    shutil.rmtree(folder)
    other = put(store, 2)
    assert (folder / "cache.db").exists()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert store.get(key) is None
    assert store.get(other) == payload_of(2)
    assert [meta.key for meta in store.page()] == [other]
    assert store.check() == []


def test_database_replaced_under_a_running_process_is_noticed(store: DiskStore, folder: Path, tmp_path: Path) -> None:
    put(store, 1)
    with closing(DiskStore(tmp_path / "other")) as other:
        key = put(other, 2)
    for path in folder.glob("cache.db*"):
        path.unlink()
    shutil.copy(tmp_path / "other" / "cache.db", folder)
    assert [meta.key for meta in store.page()] == [key]
    assert store.get(key) == payload_of(2)


# Under a cache that keeps answers in memory


ASKED = ("What is a monad?", "some model")


@pytest.fixture
def two_caches(folder: Path) -> Iterator[tuple[NotebookCache, NotebookCache]]:
    caches = NotebookCache(folder), NotebookCache(folder)
    caches[0].update(*ASKED, [Generation(text="old")])
    for _ in range(2):
        assert said(caches[0]) == "old"
    yield caches
    for cache in caches:
        cache.close()


def said(cache: NotebookCache) -> str | None:
    found = cache.lookup(*ASKED)
    return None if found is None else found[0].text


@pytest.mark.parametrize("reopened", ["before", "after"])
@pytest.mark.parametrize("now", [None, "new"], ids=["evicted", "replaced"])
def test_what_another_changed_while_a_cache_was_closed_is_not_served_from_memory(
    now: str | None, reopened: str, two_caches: tuple[NotebookCache, NotebookCache]
) -> None:
    mine, theirs = two_caches
    mine.close()
    if reopened == "before":
        mine.lookup("another prompt", "some model")
    if now is None:
        theirs.contents().evict(theirs.contents().entries()[0].key)
    else:
        theirs.update(*ASKED, [Generation(text=now)])
    if reopened == "after":
        mine.lookup("another prompt", "some model")
    assert [said(mine), said(mine)] == [now, now]


@pytest.mark.parametrize("memory", [0, 1024])
def test_hits_stop_a_fifth_of_a_second_after_the_folder_was_deleted(
    memory: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, ahead = time.monotonic, [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: real() + ahead[0])
    with closing(NotebookCache(folder, memory=memory)) as cache:
        cache.update(*ASKED, [Generation(text="old")])
        for _ in range(2):
            assert said(cache) == "old"
        shutil.rmtree(folder)
        ahead[0] += 0.2
        assert said(cache) is None
        assert not any(folder.glob("*.damaged*"))
        cache.update(*ASKED, [Generation(text="new")])
        assert said(cache) == "new"
        ahead[0] += 0.2
        assert said(cache) == "new"
        assert full(cache.store).check() == []


async def test_in_an_event_loop_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, ahead = time.monotonic, [0.0]
    with closing(NotebookCache(folder)) as cache:
        cache.update(*ASKED, [Generation(text="old")])
        assert await cache.alookup(*ASKED) is not None
        shutil.rmtree(folder)
        monkeypatch.setattr(time, "monotonic", lambda: real() + ahead[0])
        ahead[0] += 0.2
        assert await cache.alookup(*ASKED) is None


# Real deletion


def traces(folder: Path, text: bytes) -> list[str]:
    return [path.name for path in folder.iterdir() if text in path.read_bytes()]


SECRET = b"correct horse battery staple "


@pytest.mark.parametrize("size", [1, 3_000])  # in a page of its own with others, and over many pages
@pytest.mark.parametrize("how", ["delete", "clear", "clear as owner", "replace"])
def test_deleted_text_is_in_no_file_of_the_folder(store: DiskStore, folder: Path, how: str, size: int) -> None:
    for number in range(20):
        put(store, number)
    key = key_of("secret")
    meta = replace(row(key, "a.ipynb"), prompt=f"{SECRET!r} prompt", answer=f"{SECRET!r} answer", tags=(str(SECRET),))
    store.put(key, SECRET * size, meta)
    assert traces(folder, SECRET)
    for number in range(20, 40):
        put(store, number)
    match how:
        case "delete":
            assert store.delete(key)
        case "clear":
            assert store.clear([key]).deleted == 1
        case "clear as owner":
            assert store.clear([key], owner="a.ipynb").deleted == 1
        case _:
            store.put(key, b"harmless", row(key))
    if how != "replace":
        assert traces(folder, SECRET) == []  # nobody else has it open
    store.close()
    assert traces(folder, SECRET) == []
    assert store.check() == []


def test_evicted_text_is_in_no_file_of_the_folder_after_close(folder: Path) -> None:
    store = DiskStore(folder, max_entries=3)
    store.put(key_of("secret"), SECRET * 100, replace(row(key_of("secret")), prompt=str(SECRET)))
    for number in range(5):
        put(store, number)
    assert store.get(key_of("secret")) is None
    store.close()
    assert traces(folder, SECRET) == []


def test_text_is_gone_when_the_last_process_that_had_it_open_is(store: DiskStore, folder: Path) -> None:
    key = put(store, "secret", SECRET * 100)
    reader = DiskStore(folder)
    assert reader.get(key) is not None
    store.delete(key)
    store.close()
    reader.close()
    assert traces(folder, SECRET) == []


def test_clearing_everything_leaves_nothing_of_expired_entries(
    store: DiskStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = key_of("secret")
    store.put(key, SECRET * 100, row(key), ttl=60)
    put(store, 1)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    store.clear([meta.key for meta in store.page()])
    store.close()
    assert traces(folder, SECRET) == []


def test_many_expired_entries_are_deleted_with_several_writes(
    store: DiskStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, left = time.time(), []
    monkeypatch.setattr(time, "time", lambda: began)
    for number in range(450):
        store.put(key_of(number), b"payload", row(key_of(number)), ttl=60)
    for number, hours in enumerate((2, 4, 4, 4)):
        monkeypatch.setattr(time, "time", lambda hours=hours: began + hours * 3600)
        store.put(key_of(f"new {number}"), b"payload", row(key_of(f"new {number}")))
        with closing(sqlite3.connect(folder / "cache.db")) as connection:
            left += connection.execute("SELECT count(*) FROM Cache WHERE expire_time IS NOT NULL").fetchone()
    assert left == [450, 250, 50, 0]
    assert store.tombstone(key_of(0), time.time()) == ("expired", began + 60)


# Killed


_WRITER = """
import sys, time
from nbcache.entry.records import EntryMeta
from nbcache.stores import DiskStore
store = DiskStore(sys.argv[1])
number = 0
while True:
    key = f"{number:040x}"
    store.put(key, b"%d " % number * 500, EntryMeta(key, "m", "p", "a", "ok", time.time()))
    print(number, flush=True)
    number += 1
"""


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_what_was_put_survives_kill_9(store: DiskStore, folder: Path, count: int) -> None:
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(folder)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(count)]
        writer.send_signal(signal.SIGKILL)
        told += [int(line) for line in writer.stdout if line.endswith("\n")]
    assert writer.returncode == -signal.SIGKILL
    for number in told:
        assert store.get(f"{number:040x}") == b"%d " % number * 500
    assert len(told) <= store.totals().entries <= len(told) + 1  # it may have been killed before it told of the last
    assert store.check() == []


# Several processes


def _put_and_get(folder: Path, process: int, barrier: "Barrier", wrong: "SimpleQueue[str | None]") -> None:
    store = DiskStore(folder)
    barrier.wait(60)
    try:
        for number in range(ENTRIES):
            put(store, f"{process} {number}", None, f"{process}.ipynb")
            seen = f"{(process + 1) % PROCESSES} {number // 2}"  # a neighbour's, which may be there already
            for name in (f"{process} {number}", f"{process} {number // 2}", seen):
                found = store.get(key_of(name))
                if found != payload_of(name) and not (found is None and name == seen):
                    wrong.put(f"{name}: {found!r}")
    except Exception as error:  # noqa: BLE001 - told to the parent
        wrong.put(f"process {process}: {error!r}")
    store.close()
    wrong.put(None)


@pytest.mark.slow
def test_eight_processes_on_one_folder_lose_nothing_and_get_nothing_wrong(store: DiskStore, folder: Path) -> None:
    barrier, wrong = PROCESS.Barrier(PROCESSES), PROCESS.SimpleQueue()
    processes = [
        PROCESS.Process(target=_put_and_get, args=(folder, number, barrier, wrong), daemon=True)
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    told: list[str | None] = []
    while told.count(None) < PROCESSES:
        told.append(wrong.get())
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert [what for what in told if what is not None] == []
    for process_number in range(PROCESSES):
        for number in range(ENTRIES):
            name = f"{process_number} {number}"
            assert store.get(key_of(name)) == payload_of(name)
        assert store.totals(Filter(notebook=f"{process_number}.ipynb")).entries == ENTRIES
    assert store.totals().entries == PROCESSES * ENTRIES
    assert stat.S_IMODE((folder / "cache.db").stat().st_mode) == 0o600
    assert store.check() == []


def _begin_anew(folder: Path, number: int, barrier: "Barrier", wrong: "SimpleQueue[str | None]") -> None:
    warnings.simplefilter("ignore")
    barrier.wait(60)
    try:
        store = DiskStore(folder)
        put(store, number)
        store.close()
    except Exception as error:  # noqa: BLE001 - told to the parent
        wrong.put(repr(error))
    wrong.put(None)


@pytest.mark.slow
def test_processes_that_find_the_same_garbage_set_it_aside_once(store: DiskStore, folder: Path) -> None:
    folder.mkdir()
    (folder / "cache.db").write_bytes(b"garbage" * 1000)
    barrier, wrong = PROCESS.Barrier(4), PROCESS.SimpleQueue()
    processes = [
        PROCESS.Process(target=_begin_anew, args=(folder, number, barrier, wrong), daemon=True) for number in range(4)
    ]
    for process in processes:
        process.start()
    told: list[str | None] = []
    while told.count(None) < 4:
        told.append(wrong.get())
    for process in processes:
        process.join(60)
    assert [what for what in told if what is not None] == []
    assert [store.get(key_of(number)) for number in range(4)] == [payload_of(number) for number in range(4)]
    assert [path.read_bytes() for path in folder.glob("damaged-*.db")] == [b"garbage" * 1000]


def test_two_stores_on_one_folder_see_what_the_other_does(store: DiskStore, folder: Path) -> None:
    other = DiskStore(folder, max_entries=3)
    key = put(store, 1)
    assert other.get(key) == payload_of(1)
    put(other, 1, b"replaced")
    assert store.get(key) == b"replaced"
    other.touch([Touch(key, "b.ipynb", 2, time.time())])
    found = row_of(store, key)
    assert found is not None
    assert (found.hits, found.notebooks) == (2, ("b.ipynb",))
    other.delete(key)
    assert store.get(key) is None
    assert store.page() == []
    keys = [put(store, number) for number in range(2, 6)]
    put(other, 6)  # evicts what is over its bound
    assert [store.get(key) for key in keys[:2]] == [None, None]
    assert store.totals().entries == 3
    assert store.totals().evictions == 2
    other.close()
    assert store.check() == []


# Threads and forks


def _open_files(folder: Path) -> list[str]:
    handles = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = descriptor.readlink()
        except FileNotFoundError:
            continue
        if target.is_relative_to(folder):
            handles.append(target.name)
    return handles


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts file handles in /proc")
def test_many_threads_share_few_connections_and_close_lets_go_of_all(store: DiskStore, folder: Path) -> None:
    together = threading.Barrier(32)

    def work(number: int) -> None:
        together.wait(30)
        for n in range(10):
            key = put(store, f"{number} {n}")
            assert store.get(key) == payload_of(f"{number} {n}")

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(work, range(32)))
        # While the threads are alive. The log is open once for each connection; of the database itself SQLite
        # keeps handles of closed connections for the next ones, since closing one would drop the locks of all.
        assert 1 <= _open_files(folder).count("cache.db-wal") <= 8
        assert _open_files(folder).count("cache.db") < 32
    assert store.totals().entries == 320
    assert store.check() == []
    store.close()
    assert _open_files(folder) == []


def test_threads_that_open_a_new_store_at_once_open_one(store: DiskStore) -> None:
    together = threading.Barrier(16)

    def work(number: int) -> str:
        together.wait(30)
        return put(store, number)

    with ThreadPoolExecutor(16) as pool:
        keys = list(pool.map(work, range(16)))
    assert {meta.key for meta in store.page()} == set(keys)
    assert store.check() == []


_FORKER = """
import os, sys, time, warnings
from nbcache.entry.records import EntryMeta
from nbcache.stores import DiskStore

def put(number):
    key = f"{number:040x}"
    store.put(key, b"%d" % number, EntryMeta(key, "m", "p", "a", "ok", time.time()))

def get(number):
    return store.get(f"{number:040x}") == b"%d" % number

warnings.simplefilter("error")
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
store = DiskStore(sys.argv[1])
put(0)
written, write = os.pipe()
closed, close = os.pipe()
if child := os.fork():
    assert os.read(written, 1) == b"w"
    for number in range(1, 50):
        assert get(number), number
    put(100)
    store.close()
    os.write(close, b"c")
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))
code = 1
try:
    assert get(0)
    for number in range(1, 50):
        put(number)
    os.write(write, b"w")
    assert os.read(closed, 1) == b"c"
    for number in range(50, 100):
        put(number)
    assert all(get(number) for number in range(101))
    store.close()
    code = 0
finally:
    os._exit(code)
"""


def test_parent_and_forked_child_both_use_the_store_and_lose_nothing(store: DiskStore, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FORKER, str(folder)], check=False, timeout=60, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    lost = [number for number in range(101) if store.get(f"{number:040x}") != b"%d" % number]
    assert lost == []
    assert store.check() == []


_FORKER_UNDER_LOAD = """
import os, sys, threading, time, warnings
from nbcache.entry.records import EntryMeta
from nbcache.stores import DiskStore
from tests.support.rows import row_of

def put(key):
    store.put(key, key.encode(), EntryMeta(key, "m", "p", "a", "ok", time.time()))

def work(number):
    n = 0
    while not stop.is_set():
        put(f"{number:020x}{n:020x}")
        done[number] = n = n + 1
        if n == 5:
            busy.release()

warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
store = DiskStore(sys.argv[1])
put("f" * 40)
stop, busy, done = threading.Event(), threading.Semaphore(0), {}
threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    busy.acquire()
children = []
for number in range(5):
    if child := os.fork():
        children.append(child)
        continue
    code = 1
    try:
        for n in range(20):
            put(f"{number + 10:020x}{n:020x}")
        assert store.get("f" * 40) == b"f" * 40
        store.close()
        code = 0
    finally:
        os._exit(code)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
stop.set()
for thread in threads:
    thread.join()
assert codes == [0] * 5, codes
for number, count in [*done.items(), *((n + 10, 20) for n in range(5))]:
    for n in range(count):
        key = f"{number:020x}{n:020x}"
        assert store.get(key) == key.encode(), key
assert store.check() == []
"""


def test_forks_while_other_threads_write_lose_nothing(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FORKER_UNDER_LOAD, str(folder)],
        check=False,
        timeout=100,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


# Places


@pytest.mark.parametrize("name", ["plain", "with space", "naïve ☃", "50%25 off", "a#b", "what?", "semi;colon", "a:b"])
def test_url_of_a_store_opens_that_store(tmp_path: Path, name: str) -> None:
    made = DiskStore(tmp_path / name)
    opened = open_store(made.url)
    assert isinstance(opened, DiskStore)
    assert opened.folder == tmp_path / name


def test_store_opens_from_path_text_and_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for place in (tmp_path / "s", str(tmp_path / "s"), f"disk://{tmp_path}/s", "s", "~/s"):
        opened = open_store(place)
        assert isinstance(opened, DiskStore)
        assert opened.folder == tmp_path / "s"
    for url in ("memory://", "memory:///"):
        assert isinstance(open_store(url), MemoryStore)
    given = MemoryStore()
    assert open_store(given) is given
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "place",
    ["", "  ", "disk://", "disk:///", "disk://relative/path", "disk://host", "memory://name",
     "http://example.org/x", "sqlite:///x.db", "://x"],
)  # fmt: skip
def test_place_that_is_none_raises_and_says_what_to_write(place: str) -> None:
    with pytest.raises(ValueError) as raised:
        open_store(place)
    assert repr(place) in str(raised.value)
    assert "write a folder, disk:///" in str(raised.value)
    assert "memory://" in str(raised.value)


@pytest.mark.parametrize("place", [7, None, b"bytes", object()])
def test_place_of_another_type_raises_and_says_what_to_write(place: object) -> None:
    with pytest.raises(ValueError, match="write a folder, disk:///path or memory://"):
        open_store(place)  # type: ignore[arg-type]


def test_file_as_a_place_raises_and_says_what_to_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match="is a file: write a folder"):
        open_store(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_folder_below_a_file_fails_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    store = DiskStore(tmp_path / "file" / "store")
    with pytest.raises(StoreError, match="file/store"):
        store.get(key_of(1))


def test_bounds_given_to_open_store_hold(folder: Path) -> None:
    store = open_store(folder, max_entries=2)
    assert isinstance(store, DiskStore)
    for number in range(4):
        put(store, number)
    assert store.totals().entries == 2
    store.close()


# The file's form


def test_database_says_whose_it_is(store: DiskStore, folder: Path) -> None:
    put(store, 1)
    header = (folder / "cache.db").read_bytes()[:100]  # in the file itself, before the log is folded in
    assert header[68:72] == b"nbca"
    assert int.from_bytes(header[60:64], "big") == 7


def test_what_is_evicted_or_expired_leaves_a_tombstone_without_text(folder: Path) -> None:
    store = DiskStore(folder, max_entries=1)
    key = put(store, 1)
    put(store, 2)
    store.close()
    with closing(sqlite3.connect(folder / "cache.db")) as connection:
        assert connection.execute("SELECT key, why FROM tombstone").fetchall() == [(key, "evicted")]


def make_golden_store(folder: Path) -> None:
    """Write the golden store of this version: once, when the version is new."""
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, Generation

    store = DiskStore(folder)
    for number, notebooks in enumerate([("a.ipynb",), ("a.ipynb", "b.ipynb"), ()]):
        key, text = key_of(number), f"golden answer {number} " * (1 + 50 * number)
        meta = EntryMeta(
            *(key, f"model-{number}", f"golden prompt {number}", text[:20], "ok", 1_800_000_000.5 + number),
            tags=("golden", "naïve ☃"),
            notebooks=notebooks,
            cell=None if number else "cell-1",
        )
        message = AIMessage(text, usage_metadata={"input_tokens": 3, "output_tokens": 4, "total_tokens": 7})
        generation = ChatGeneration(message=message) if number else Generation(text=text)
        header = EntryHeader(
            *(meta, f"golden prompt {number}", '{"model": "golden"}', "https://example.org"), versions=VERSIONS
        )
        store.put(key, codec.encode([generation], header, reusable=True), meta, ttl=3e9 if number == 2 else None)
    store.touch([Touch(key_of(1), "c.ipynb", 5, 1_800_000_100.25)])
    paid = Spending(
        "s", 1, 1_800_000_000.5, "a.ipynb", "cell-1", "model-0", hits=2, misses=1, spent_usd=Decimal("0.25")
    )
    paid = replace(paid, provider_saved_usd=Decimal("-0.125"), provider_priced_misses=1)
    store.record([replace(paid, saved_usd=Decimal("0.5"), model_seconds=3.0, saved_seconds=1.5, untimed_hits=2)])
    store.record_calls("s", "a.ipynb", [SessionCall(key_of(2), "model-2", 3, Decimal("0.125"), when=1_800_000_000.5)])
    while store.index(words_of):
        pass
    store.close()


def test_store_of_version_1_is_read(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "store_v1", tmp_path / "store")
    store = DiskStore(tmp_path / "store")
    contents = Contents(store)
    rows = contents.entries()
    assert [meta.key for meta in rows] == [key_of(2), key_of(1), key_of(0)]
    assert [meta.model for meta in rows] == ["model-2", "model-1", "model-0"]
    assert [meta.notebooks for meta in rows] == [(), ("a.ipynb", "b.ipynb", "c.ipynb"), ("a.ipynb",)]
    assert [(meta.hits, meta.last_hit) for meta in rows] == [(0, None), (5, 1_800_000_100.25), (0, None)]
    assert [meta.created for meta in rows] == [1_800_000_002.5, 1_800_000_001.5, 1_800_000_000.5]
    assert [meta.cell for meta in rows] == [None, None, "cell-1"]
    assert [meta.expires is None for meta in rows] == [False, True, True]
    assert {meta.tags for meta in rows} == {("golden", "naïve ☃")}
    for number in range(3):
        payload = store.get(key_of(number))
        assert payload is not None
        (generation,) = codec.read(payload, key_of(number)).generations()
        assert generation.text == f"golden answer {number} " * (1 + 50 * number)
        record = contents.read(key_of(number)[:8])
        assert record.prompt == f"golden prompt {number}"
        assert record.identity == {"model": "golden", "endpoint": "https://example.org"}
    assert contents.check() == []
    assert store.totals(Filter(notebook="a.ipynb")).entries == 2
    assert store.totals() == Totals(3, sum(meta.size_bytes for meta in rows), 0)
    put(store, "new")
    assert store.clear([key_of(0), key_of(1)], owner="a.ipynb").kept == 1
    assert store.page(Filter(key=key_of(0))) == []
    assert store.check() == []
    store.close()


def test_concurrent_writers_of_one_key_leave_one_of_their_payloads(store: DiskStore) -> None:
    payloads = [secrets.token_bytes(50_000) for _ in range(8)]
    together = threading.Barrier(8)

    def work(number: int) -> None:
        together.wait(30)
        put(store, "same", payloads[number], f"{number}.ipynb")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert store.get(key_of("same")) in payloads
    (meta,) = store.page()
    assert meta.notebooks == tuple(sorted(f"{number}.ipynb" for number in range(8)))
    assert store.totals() == Totals(1, 50_000, 0)
    assert store.check() == []
