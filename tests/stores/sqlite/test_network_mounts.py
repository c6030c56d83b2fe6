"""A store on a real network file system: one folder, mounted twice by FUSE, as two machines have it."""

import errno
import fcntl
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha1
from pathlib import Path

import pytest

from nbcache.errors import StoreError
from nbcache.stores import DiskStore
from nbcache.stores.sqlite import network_drives, network_locks
from tests.faults.test_faults import heard
from tests.stores.sqlite.test_store import key_of, put

_WRITER = """
import sys
from contextlib import suppress
from hashlib import sha1
from nbcache.errors import StoreBusyError
from nbcache.entry.records import EntryMeta
from nbcache.stores import DiskStore
folder, name, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = DiskStore(folder)
number = 0
while True:
    key = sha1(f"{name} {number}".encode()).hexdigest()
    store.put(key, key.encode() * size, EntryMeta(key, "m", "p", "a", "ok", 1.0))
    kept = None
    while kept is None:
        with suppress(StoreBusyError):  # others write: this would be a miss
            kept = store.get(key)
            assert kept is not None, f"{name} {number} is lost"
    assert kept == key.encode() * size, f"{name} {number} is torn"
    if not store._late.answers:  # they are in this process's memory
        print(number, flush=True)
        number += 1
"""


def _mount(folder: Path, *points: Path) -> str:
    """Mount the folder at these places; why that can't be done, or nothing."""
    if shutil.which("bindfs") is None:
        return "bindfs is not installed: `make mounts` installs it"
    for point in points:
        point.mkdir()
        done = subprocess.run(
            ["bindfs", "--multithreaded", "--enable-lock-forwarding", folder, point],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return f"no FUSE mount on this machine: {done.stderr.strip()}"
    return ""


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """The same folder as two machines have it mounted."""
    points = tmp_path / "one", tmp_path / "two"
    (tmp_path / "shared").mkdir()
    why_not = _mount(tmp_path / "shared", *points)
    if why_not:
        pytest.skip(f"network file systems are NOT TESTED here: {why_not}")
    try:
        yield points
    finally:
        for point in points:
            subprocess.run(["umount", "--lazy", point], check=False)


def test_kind_of_a_real_mount_is_found(machines: tuple[Path, Path]) -> None:
    assert [network_drives.network_of(machine / "not there yet") for machine in machines] == ["fuse", "fuse"]


def _start(machine: Path, name: int, size: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-W", "ignore", "-c", _WRITER, str(machine / "store"), str(name), str(size)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _killed_in_the_middle(writer: "subprocess.Popen[str]") -> int:
    """Kill a process after three answers, while it stores the next; how many it has stored."""
    with writer:
        assert writer.stdout is not None
        first = [writer.stdout.readline() for _ in range(3)]
        writer.kill()
        rest = writer.stdout.read().splitlines()
    assert first == ["0\n", "1\n", "2\n"]
    assert writer.returncode == -signal.SIGKILL
    return 3 + len(rest)


@pytest.mark.slow
@pytest.mark.parametrize("size", [50, 10_000], ids=["small", "large"])
def test_kernels_on_two_machines_that_are_killed_lose_nothing_and_read_nothing_torn(
    machines: tuple[Path, Path], size: int
) -> None:
    running = [_start(machines[name % 2], name, size) for name in range(4)]
    stored = []
    for name in range(4, 12):
        stored.append(_killed_in_the_middle(running.pop(0)))
        if name < 8:
            running.append(_start(machines[name % 2], name, size))
    with heard() as said:
        for machine in machines:
            store = DiskStore(machine / "store")
            for name, count in enumerate(stored):
                for number in range(count):
                    key = sha1(f"{name} {number}".encode()).hexdigest()
                    assert store.get(key) == key.encode() * size
            assert store.check() == []
            store.close()
    assert [line for line in said if "network" not in line] == []
    assert list((machines[0] / "store").glob("damaged-*")) == []


def test_store_with_a_log_that_is_moved_to_a_network_file_system_gets_a_journal(machines: tuple[Path, Path]) -> None:
    one, two = machines
    folder = one.parent / "shared" / "store"
    local = DiskStore(folder)
    put(local, 1)
    local.close()
    with heard():
        store = DiskStore(one / "store")
        assert store.get(key_of(1)) is not None
        put(store, 2)
        other = DiskStore(two / "store")
        assert other.get(key_of(2)) is not None
        for each in (store, other):
            each.close()
    with closing(sqlite3.connect(folder / "cache.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() != ("wal",)


def test_what_one_machine_stores_the_other_reads_at_once(machines: tuple[Path, Path]) -> None:
    with heard():
        stores = [DiskStore(machine / "store") for machine in machines]
        for number in range(40):
            put(stores[number % 2], number)
            assert stores[1 - number % 2].get(key_of(number)) is not None
            assert [store.totals().entries for store in stores] == [number + 1] * 2
        for store in stores:
            store.close()


def test_class_on_another_machine_reads_what_the_teacher_writes(machines: tuple[Path, Path]) -> None:
    with heard():
        teacher, student = DiskStore(machines[0] / "store"), DiskStore(machines[1] / "store", read_only=True)
        for number in range(5):
            put(teacher, number)
            assert student.get(key_of(number)) is not None
            teacher.touch([])  # as at the end of each cell
            assert student.totals().entries == number + 1
        teacher.close()
        student.close()


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_file_system_without_locks_is_not_written_to_and_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def flock(descriptor: int, how: int) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(network_drives, "kind_of_mount", lambda _: "nfs4")
    with monkeypatch.context() as without_locks:
        without_locks.setattr(network_locks, "fcntl", type("fcntl", (), {**vars(fcntl), "flock": staticmethod(flock)}))
        store = DiskStore(tmp_path / "store")
        began = time.monotonic()
        with heard(), pytest.raises(StoreError, match=r"without locks .*NBCACHE_DIR"):
            put(store, 1)
        assert time.monotonic() - began < 1
        store.close()
