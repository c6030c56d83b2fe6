"""What is deleted is gone from the disk, and its room is given back: also beside readers, after kills, and without room."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import nbcache
from nbcache.stores import DiskStore
from tests.faults.test_faults import Echo, ask, change, heard
from tests.stores.sqlite.test_store import key_of, put, row

SECRET = b"my-private-text"


def traces(folder: Path) -> list[str]:
    """The files in which the text is."""
    return [path.name for path in folder.iterdir() if SECRET in path.read_bytes()]


def keep_secret(folder: Path) -> DiskStore:
    store = DiskStore(folder)
    for n in range(3):
        store.put(key_of(n), SECRET * 300, row(key_of(n)))
    return store


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """The folder of a store that is new, beside a damaged one with the text."""
    folder = tmp_path / "store"
    keep_secret(folder).close()
    with (folder / "cache.db").open("r+b") as file:
        file.seek(100)
        file.write(os.urandom(40))
    store = DiskStore(folder)
    with heard():
        put(store, "new")
        put(store, "other")
    store.close()
    assert traces(folder) != []
    return folder


def test_clearing_everything_deletes_damaged_files_and_says_so(damaged: Path) -> None:
    store = DiskStore(damaged)
    with heard() as said:
        store.clear([meta.key for meta in store.page()])
    assert traces(damaged) == []
    assert len(said) == 1
    assert "damaged-" in said[0]
    assert "deleted" in said[0]


def test_deleting_one_says_that_damaged_files_may_hold_it(damaged: Path) -> None:
    with heard() as said:
        DiskStore(damaged).delete(key_of("new"))
    assert traces(damaged) != []
    assert len(said) == 1
    assert "check --fix" in said[0]


def test_check_with_fix_deletes_damaged_files(damaged: Path) -> None:
    store = DiskStore(damaged)
    store.check()
    assert traces(damaged) != []
    (line,) = store.check(fix=True)
    assert "set aside as damaged" in line
    assert traces(damaged) == []


def _reader(folder: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(folder / "cache.db", isolation_level=None)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM Cache").fetchone()
    return connection


def test_log_that_somebody_reads_during_a_clear_is_folded_in_by_the_next_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbcache.stores.sqlite.diskcache_file._TRIED_AFTER", 0.0)
    store = keep_secret(tmp_path / "store")
    with closing(_reader(store.folder)):
        store.clear([key_of(n) for n in range(3)])
        assert traces(store.folder) != []
    put(store, "next")
    assert traces(store.folder) == []


_KILLED = """
import os, signal, sqlite3, sys
from nbcache.stores import DiskStore
folder = sys.argv[1]
store = DiskStore(folder)
keys = [meta.key for meta in store.page()]
reader = sqlite3.connect(folder + "/cache.db", isolation_level=None)
reader.execute("BEGIN")
reader.execute("SELECT count(*) FROM Cache").fetchone()
store.clear(keys)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_when_both_are_killed_the_next_to_open_folds_the_log_in(tmp_path: Path) -> None:
    store = keep_secret(tmp_path / "store")
    folder = store.folder
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(folder)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert traces(folder) != []
    store.close()
    DiskStore(folder).get("0" * 40)
    assert traces(folder) == []


@pytest.mark.parametrize("auto_vacuum", ["INCREMENTAL", "NONE"])
def test_cleared_store_gives_its_room_back(tmp_path: Path, auto_vacuum: str) -> None:
    store = DiskStore(tmp_path / "store")
    for n in range(200):
        store.put(key_of(n), os.urandom(20_000), row(key_of(n)))
    store.close()
    change(tmp_path / "store" / "cache.db", f"PRAGMA auto_vacuum = {auto_vacuum}", "VACUUM")
    full = (tmp_path / "store" / "cache.db").stat().st_size
    store.clear([key_of(n) for n in range(190)])
    assert (tmp_path / "store" / "cache.db").stat().st_size < full / 8
    assert all(store.get(key_of(n)) is not None for n in range(190, 200))
    assert store.check() == []


def test_room_is_given_back_in_no_more_transactions_than_others_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DiskStore(tmp_path / "store")
    pauses: list[float] = []
    for n in range(100):
        store.put(key_of(n), os.urandom(100_000), row(key_of(n)))
    monkeypatch.setattr("nbcache.stores.sqlite.clearing.time.sleep", pauses.append)
    store.clear([key_of(n) for n in range(100)])
    assert len(pauses) < 200  # of 2,500 pages


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 30 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=30m", "tmpfs", str(disk)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize("is_open", [False, True], ids=["closed", "open"])
@pytest.mark.parametrize("kept", [0, 10])
def test_entries_can_be_deleted_where_there_is_no_room_at_all(small_disk: Path, is_open: bool, kept: int) -> None:
    store = DiskStore(small_disk / "store")
    for n in range(100):
        store.put(key_of(n), os.urandom(100_000), row(key_of(n)))
    if not is_open:
        store.close()
    with (small_disk / "ballast").open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                break
    with heard() as said:
        assert store.clear([key_of(n) for n in range(kept, 100)]).deleted == 100 - kept
    assert said == []
    assert store.totals().entries == kept
    assert all(store.get(key_of(n)) is not None for n in range(kept))
    size = sum(path.stat().st_size for path in (small_disk / "store").iterdir())
    assert size < 3_000_000
    put(store, "new")
    assert store.check() == []


def test_log_that_was_folded_in_by_half_is_no_damage(tmp_path: Path) -> None:
    """The header may tell of pages that are only in the log as yet: a process was killed amid, or had no room."""
    store = keep_secret(tmp_path / "store")
    for n in range(50):
        put(store, n, os.urandom(10_000))
    raw = {path.name: path.read_bytes() for path in store.folder.iterdir() if path.suffix != ".db-shm"}
    store.close()
    whole = (store.folder / "cache.db").read_bytes()
    for name, data in raw.items():
        (store.folder / name).write_bytes(data)
    (store.folder / "cache.db").write_bytes(whole[:4096] + raw["cache.db"][4096:])
    (store.folder / "cache.db-shm").unlink(missing_ok=True)
    with heard() as said:
        assert store.totals().entries == 50
    assert said == []
    assert store.check() == []


def test_panel_and_clear_tell_what_goes(tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store")
    ask(Echo(padding=40_000), "one", "two")
    size = (tmp_path / "store" / "cache.db").stat().st_size + (tmp_path / "store" / "cache.db-wal").stat().st_size
    done = nbcache.clear(scope="folder")
    left = (tmp_path / "store" / "cache.db").stat().st_size
    assert done.deleted == 2
    assert size - left > done.size_bytes
