"""While the payload token is equal, no payload has changed: whoever writes, in this process, in another one, at any moment."""

import gc
import os
import random
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from nbcache.entry.records import EntryMeta, SessionCall, Spending, Touch
from nbcache.stores import DiskStore
from nbcache.stores.sqlite import connection_pool
from nbcache.stores.sqlite.connection import Connection
from tests.stores.sqlite.test_store import key_of


def put(store: DiskStore, number: int, payload: bytes = b"payload", ttl: float | None = None) -> str:
    key = key_of(number)
    store.put(key, payload, EntryMeta(key, "m", "p", "a", "ok", 1.0), ttl)
    return key


def put_bounded(store: DiskStore, number: int) -> None:
    """Put the only entry that the store may have."""
    store.bound(None, 1)
    put(store, number)


def index(store: DiskStore) -> None:
    while store.index(lambda payload, _: payload.decode().split(), 20):
        pass


BESIDE: dict[str, Callable[[DiskStore], object]] = {
    "a new entry": lambda store: put(store, 7),
    "hits": lambda store: store.touch([Touch(key_of(1), "a.ipynb", 2, 5.0)]),
    "sums": lambda store: store.record([Spending("s", 1, 1.0, None, None, "m", hits=1)]),
    "calls": lambda store: store.record_calls("s", "a.ipynb", [SessionCall(key_of(1), "m", 1, when=1.0)]),
    "words": index,
    "reading": lambda store: (store.page(), store.totals(), store.facets()),
}
CHANGES: dict[str, Callable[[DiskStore], object]] = {
    "the same entry anew": lambda store: put(store, 1, b"newer"),
    "deleted": lambda store: store.delete(key_of(1)),
    "cleared": lambda store: store.clear([key_of(1)]),
    "imported": lambda store: store.put_all([(key_of(1), b"newer", EntryMeta(key_of(1), "m", "p", "a", "ok", 1.0))]),
    "evicted": lambda store: put_bounded(store, 8),
}


@pytest.fixture
def store(tmp_path: Path) -> DiskStore:
    made = DiskStore(tmp_path / "store")
    put(made, 1)
    return made


@pytest.mark.parametrize("write", BESIDE)
def test_what_this_process_writes_beside_payloads_keeps_the_token(store: DiskStore, write: str) -> None:
    before = store.payload_token()
    BESIDE[write](store)
    assert store.payload_token() == before is not None
    store.close()


@pytest.mark.parametrize("write", [name for name in BESIDE if name != "a new entry"])
def test_the_first_write_of_a_session_keeps_it_as_later_ones_do(store: DiskStore, write: str) -> None:
    another = DiskStore(store.folder)
    assert another.get(key_of(1)) == b"payload"
    before = another.payload_token()
    BESIDE[write](another)
    assert another.payload_token() == before is not None
    another.close()
    store.close()


@pytest.mark.parametrize("write", CHANGES)
def test_a_changed_or_deleted_payload_is_noticed_at_once(store: DiskStore, write: str) -> None:
    before = store.payload_token()
    CHANGES[write](store)
    assert store.payload_token() != before
    store.close()


@pytest.mark.parametrize("write", [*(name for name in BESIDE if name not in {"words", "reading"}), *CHANGES])
def test_another_store_on_the_file_is_noticed_at_once(store: DiskStore, write: str) -> None:
    other = DiskStore(store.folder)
    before = store.payload_token()
    (BESIDE | CHANGES)[write](other)
    assert store.payload_token() != before
    other.close()
    store.close()


def test_while_a_payload_is_being_changed_the_token_is_not_known(store: DiskStore) -> None:
    during = []
    with store._changes:
        during.append(store.payload_token())
    assert during == [None]
    assert store.payload_token() is not None
    store.close()


_OTHER = """
import sys
from nbcache.entry.records import EntryMeta
from nbcache.stores import DiskStore
store = DiskStore(sys.argv[1])
for line in sys.stdin:
    what, key = line.split()
    if what == "delete":
        store.delete(key)
    else:
        store.put(key, what.encode(), EntryMeta(key, "m", "p", "a", "ok", 1.0))
    print("done", flush=True)
"""


class _OtherProcess:
    """A second process that writes when it is told to."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-c", _OTHER, str(folder)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, what: str, key: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what} {key}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def close(self) -> None:
        self._process.communicate()


def changes(store: DiskStore, draw: random.Random) -> None:
    """Change or delete an entry."""
    number = draw.randrange(8)
    if draw.random() < 0.5:
        store.delete(key_of(number))
    else:
        put(store, number, f"{draw.random()}".encode())


def writes_beside(store: DiskStore, draw: random.Random) -> None:
    """Write something beside the entries."""
    number = draw.randrange(3)
    if number == 0:
        store.touch([Touch(key_of(draw.randrange(8)), None, 1, 5.0)])
    elif number == 1:
        store.index(lambda payload, _: [payload.decode()], 5)
    else:
        put(store, draw.randrange(100, 10_000))


def read_all(store: DiskStore, memory: dict[str, tuple[object, bytes | None]]) -> int:
    """Read entries as a lookup does, with the token first. Returns how many were still in memory."""
    kept = 0
    for key in map(key_of, range(8)):
        token = store.payload_token()
        payload = store.get(key)
        token_then, payload_then = memory.get(key, (None, None))
        if token is not None and token == token_then and payload_then is not None:  # nobody remembers what wasn't there
            kept += 1
            # What was written after this look at the token is noticed by the next one.
            assert payload == payload_then or store.payload_token() != token
        memory[key] = (token, payload)
    return kept


def test_memory_never_has_what_the_file_has_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two stores of this process and a second process write in turns, and the process between any two steps of the stores."""
    monkeypatch.setattr(connection_pool, "_FRESH", -1.0)  # others' writes are noticed after a millisecond
    monkeypatch.setattr(connection_pool, "_FRESH_ENOUGH", -1.0)
    stores = DiskStore(tmp_path / "store"), DiskStore(tmp_path / "store")
    put(stores[0], 0)
    other, draw = _OtherProcess(stores[0].folder), random.Random(1)
    version_of = connection_pool.version_of

    def version_and_a_write(connection: Connection) -> int:
        number = version_of(connection)
        if draw.random() < 0.1:
            other.do(draw.choice(["delete", f"text{draw.random()}"]), key_of(draw.randrange(8)))
        return number

    monkeypatch.setattr(connection_pool, "version_of", version_and_a_write)
    memory: dict[DiskStore, dict[str, tuple[object, bytes | None]]] = {store: {} for store in stores}
    kept = 0
    for _ in range(1_000):
        if draw.random() < 0.5:
            (writes_beside if draw.random() < 0.8 else changes)(draw.choice(stores), draw)
        reader = draw.choice(stores)
        kept += read_all(reader, memory[reader])
    assert kept > 500
    other.close()
    for store in stores:
        store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_childs_write_is_noticed(store: DiskStore) -> None:
    before = store.payload_token()
    child = os.fork()
    if child == 0:
        try:
            store.delete(key_of(1))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert store.payload_token() != before
    assert store.get(key_of(1)) is None
    store.close()


@pytest.mark.parametrize("name", ["payload_token", "change_token", "close"])
def test_what_the_caller_has_is_freed_when_it_returns(store: DiskStore, name: str) -> None:
    class Large:
        """Something that takes memory."""

    def call() -> weakref.ref[Large]:
        large = Large()
        put(store, 2)  # so that the token is read anew
        getattr(store, name)()
        return weakref.ref(large)

    gc.collect()
    gc.disable()
    try:
        assert call()() is None
    finally:
        gc.enable()
