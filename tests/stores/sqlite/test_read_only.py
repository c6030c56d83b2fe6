"""Stores that are only read: a teacher's folder, a mount for reading, and `read_only=True`."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import nbcache
from nbcache.entry.records import SessionCall, Spending
from nbcache.errors import StoreError, StoreReadOnlyError, StoreRefusedError
from nbcache.stores import DiskStore
from nbcache.stores.sqlite import opening_modes
from nbcache.stores.sqlite.folder import STORE_VERSION
from nbcache.stores.view import Contents
from nbcache.ui import report
from tests.faults.test_faults import Echo, ask, change, contents, heard
from tests.stores.sqlite.test_store import key_of, put
from tests.support.paths import GOLDEN
from tests.support.processes import in_new_process

needs_two_users = pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="needs two users")

_TEACHER = """
import sys
from nbcache.entry.records import EntryMeta
from nbcache.stores import DiskStore
store = DiskStore(sys.argv[1])
for number, _ in enumerate(sys.stdin):
    key = f"{number:040x}"
    store.put(key, b"payload", EntryMeta(key, "m", "p", "a", "ok", 1.0))
    store.touch([])
    print("stored", flush=True)
store.close()
"""


class Teacher:
    """Another process that stores an answer whenever it is asked to, and keeps the store open."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _TEACHER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def stores(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "stored\n"

    def leaves(self) -> None:
        self.process.communicate()
        assert self.process.returncode == 0


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody can read."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def key(number: int) -> str:
    return f"{number:040x}"


# By one's own wish


def test_store_that_is_opened_for_reading_gives_hits_and_changes_nothing(tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store")
    ask(Echo(), "one", "two")
    nbcache.uninstall()
    before = contents(tmp_path / "store")
    nbcache.install(DiskStore(tmp_path / "store", read_only=True))
    model = Echo()
    with heard() as said:
        ask(model, "one", "two", "new")
        cache = nbcache.installed()
        rows = cache.contents("folder").entries()
        cache.contents().read(rows[0].key)
        assert nbcache.check() == []
        nbcache.export_cassette(tmp_path / "out.llmcache.jsonl")
        nbcache.installed().flush()
    nbcache.uninstall()
    assert (model.calls, len(rows)) == (1, 2)
    assert [line for line in said if "can only be read" not in line] == []
    assert len(said) == 1  # of the new answer
    assert contents(tmp_path / "store") == before


def test_a_folder_that_is_only_read_is_not_made(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store", read_only=True)
    for use in (lambda: store.get(key_of(1)), store.totals, lambda: put(store, 1)):
        with pytest.raises(StoreError, match="there is no store in"):
            use()
    assert not (tmp_path / "store").exists()
    other = DiskStore(tmp_path / "store")
    put(other, 1)
    other.close()
    assert store.get(key_of(1)) is not None  # it is there now


def test_writing_to_a_store_that_is_only_read_raises(tmp_path: Path) -> None:
    owner = DiskStore(tmp_path / "store")
    put(owner, 1)
    owner.close()
    before = contents(tmp_path / "store")
    store = DiskStore(tmp_path / "store", read_only=True)
    for write in (
        lambda: put(store, 2),
        lambda: store.delete(key_of(1)),
        lambda: store.clear([key_of(1)]),
        lambda: store.check(fix=True),
        lambda: store.rename("a", "b"),
    ):
        with pytest.raises(StoreReadOnlyError, match="nothing in it is changed"):
            write()
    store.touch([])
    store.close()
    assert contents(tmp_path / "store") == before


def test_the_ledger_of_a_store_that_is_only_read_is_in_memory(tmp_path: Path) -> None:
    owner = DiskStore(tmp_path / "store")
    owner.record([Spending("theirs", 1, 1.0, "a.ipynb", None, "m", hits=1)])
    owner.close()
    store = DiskStore(tmp_path / "store", read_only=True)
    store.record([Spending("mine", 1, 2.0, "a.ipynb", None, "m", hits=2)])
    store.record_calls("mine", "a.ipynb", [SessionCall(key_of(1), "m", 1, when=1.0)])
    assert [(row.session, row.hits) for row in store.spendings("a.ipynb")] == [("theirs", 1), ("mine", 2)]
    assert [call.key for call in store.last_calls("a.ipynb")] == [key_of(1)]
    assert [row.session for row in DiskStore(tmp_path / "store", read_only=True).spendings()] == ["theirs"]


def test_a_reader_sees_what_a_running_kernel_stores_and_leaves_its_files_alone(tmp_path: Path) -> None:
    teacher = Teacher(tmp_path / "store")
    store = DiskStore(tmp_path / "store", read_only=True)
    for number in range(3):
        teacher.stores()
        assert store.get(key(number)) == b"payload"
        assert store.totals().entries == number + 1
    teacher.leaves()
    assert store.totals().entries == 3
    store.close()
    again = Teacher(tmp_path / "store")
    again.stores()
    assert store.get(key(0)) == b"payload"
    again.leaves()


def test_what_a_killed_kernel_left_in_the_log_is_read_without_a_change(tmp_path: Path) -> None:
    teacher = Teacher(tmp_path / "store")
    teacher.stores()
    teacher.process.send_signal(signal.SIGKILL)
    teacher.process.communicate()
    for left in (True, False):
        if not left:
            (tmp_path / "store" / "cache.db-shm").unlink()
        before = contents(tmp_path / "store")
        store = DiskStore(tmp_path / "store", read_only=True)
        assert store.get(key(0)) == b"payload"
        assert store.check() == []
        store.close()
        assert contents(tmp_path / "store") == before


@pytest.mark.parametrize("version", ["store_v1", "store_v3"])
def test_an_earlier_store_is_not_upgraded_by_a_reader_who_follows_its_owner(
    tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "store"
    shutil.copytree(GOLDEN / version, folder)
    before = contents(folder)
    reader = DiskStore(folder, read_only=True)
    entries = reader.totals().entries
    assert entries >= 2
    assert Contents(reader).check() == []
    assert contents(folder) == before
    owner = DiskStore(folder)
    put(owner, 9)  # and upgrades it
    owner.close()
    monkeypatch.setattr(opening_modes, "_COPIED_ANEW", 0.0)
    assert reader.get(key_of(9)) is not None
    assert reader.totals().entries == entries + 1
    reader.close()


def test_a_store_that_a_newer_nbcache_upgrades_meanwhile_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    owner = DiskStore(folder)
    put(owner, 1)
    owner.close()
    reader = DiskStore(folder, read_only=True)
    assert reader.totals().entries == 1
    change(folder / "cache.db", "ALTER TABLE entry RENAME TO entry_9", f"PRAGMA user_version = {STORE_VERSION + 1}")
    with pytest.raises(StoreRefusedError, match="newer nbcache"):
        reader.totals()


@pytest.mark.parametrize("damage", ["header", "half"])
def test_a_damaged_database_is_not_set_aside_by_a_reader(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "store"
    owner = DiskStore(folder)
    for number in range(50):
        put(owner, number)
    owner.close()
    data = bytearray((folder / "cache.db").read_bytes())
    if damage == "header":
        data[:16] = b"x" * 16
    else:
        data[8192:] = os.urandom(len(data) - 8192)
    (folder / "cache.db").write_bytes(data)
    before = contents(folder)
    reader = DiskStore(folder, read_only=True)
    with pytest.raises(StoreError):
        reader.check()
    with pytest.raises(StoreError, match="nbcache check --fix"):
        reader.get(key_of(1))
    assert contents(folder) == before


def test_a_state_that_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    owner = DiskStore(tmp_path / "store")
    put(owner, 1)
    owner.close()
    reader = DiskStore(tmp_path / "store", read_only=True)
    seen = []

    def read(sql: object) -> int:
        seen.append(reader._database.file)
        if len(seen) == 1:
            put(owner, 2)
            owner.close()
        return len(seen)

    assert reader._query(lambda cache: read(cache.execute)) == 2
    assert seen[0] is not seen[1]
    assert reader.totals().entries == 2


@pytest.mark.parametrize("name", ["cache.db", "cache.db-wal"])
def test_links_in_a_folder_that_is_only_read_are_not_followed(tmp_path: Path, name: str) -> None:
    owner = DiskStore(tmp_path / "store")
    put(owner, 1)
    owner.close()
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious" * 1000)
    path = tmp_path / "store" / name
    path.unlink(missing_ok=True)
    path.symlink_to(precious)
    if os.getuid() == 0:
        os.lchown(path, 65534, 65534)
    elif name == "cache.db":
        pytest.skip("needs two users")
    with pytest.raises(StoreRefusedError, match="left alone"):
        DiskStore(tmp_path / "store", read_only=True).get(key_of(1))
    assert precious.read_bytes() == b"precious" * 1000


# Another user's


def _as_student(folder: Path, *prompts: str) -> tuple[int, list[str], int, list[str]]:
    nbcache.install(DiskStore(folder, read_only=True))  # so that what has to be imported is imported now
    ask(Echo(), *prompts)
    nbcache.check()
    nbcache.export_cassette(Path(tempfile.mkdtemp()) / "out.llmcache.jsonl")
    nbcache.uninstall()
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    os.environ["TMPDIR"] = "/tmp"
    tempfile.tempdir = None
    nbcache.errors.forget_warnings()
    nbcache.install(folder)
    model = Echo()
    with heard() as said:
        ask(model, *prompts)
        nbcache.installed().flush()
        problems = nbcache.check()
        rows = len(nbcache.installed().contents("folder").entries())
        nbcache.export_cassette(Path(tempfile.mkdtemp()) / "out.llmcache.jsonl")
    nbcache.uninstall()
    return model.calls, said, rows, problems


@needs_two_users
@pytest.mark.slow
def test_students_read_the_teachers_folder_while_it_is_open_and_when_it_is_not(public: Path) -> None:
    folder = public / ".nbcache"
    nbcache.install(folder)
    ask(Echo(), "one", "two")
    nbcache.uninstall()
    for path in (*folder.iterdir(), folder):
        path.chmod(0o755 if path.is_dir() else 0o644)
    before = contents(folder)
    for is_open in (False, True):
        if is_open:
            teacher = Teacher(folder)
            teacher.stores()
            before = contents(folder)
        calls, said, rows, problems = in_new_process(_as_student, folder, "one", "two", "one", "new")
        assert (calls, rows, problems) == (
            1,
            2 + is_open,
            [f"entry {key(0)[:8]} is damaged: no payload of nbcache"] * is_open,
        )
        assert len(said) == 1
        assert f"{folder} can only be read here" in said[0]
        if is_open:
            after = contents(folder)
            shared_memory = before.pop("cache.db-shm"), after.pop("cache.db-shm")
            assert len(shared_memory[0]) == len(shared_memory[1])
            assert after == before
            teacher.leaves()
        else:
            assert contents(folder) == before


@contextmanager
def mounted(*command: str, at: Path) -> Iterator[None]:
    done = subprocess.run(["mount", *command, str(at)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounts for reading are NOT TESTED here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", at], check=True)


@pytest.mark.skipif(
    sys.platform != "linux" or os.getuid() != 0, reason="mounts are NOT TESTED here: needs root on Linux"
)
def test_a_mount_for_reading_gives_hits_whether_the_store_is_open_elsewhere_or_not(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "mount").mkdir()
    owner = DiskStore(tmp_path / "disk" / "store")
    put(owner, 1)
    owner.close()
    with mounted("-o", "bind,ro", str(tmp_path / "disk"), at=tmp_path / "mount"):
        with closing(DiskStore(tmp_path / "mount" / "store")) as store, heard() as said:
            assert store.get(key_of(1)) is not None
            teacher = Teacher(tmp_path / "disk" / "store")
            for number in range(3):
                teacher.stores()
                assert store.get(key(number)) == b"payload"
            teacher.leaves()
            assert store.totals().entries == 4
            with pytest.raises(StoreReadOnlyError):
                put(store, 2)
        assert len(said) == 1
        with closing(sqlite3.connect(tmp_path / "disk" / "store" / "cache.db")) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_where_says_how_a_store_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(DiskStore(tmp_path / "store"), 1)
    monkeypatch.setenv("NBCACHE_NETWORK_DRIVE", "yes")
    nbcache.install(DiskStore(tmp_path / "store", read_only=True))
    said = report.where(nbcache.installed())
    assert "is for reading only" in said
    assert "is on a network file system" in said
    monkeypatch.setenv("NBCACHE_NETWORK_DRIVE", "no")
    assert "network" not in report.where(nbcache.installed())
    nbcache.uninstall()
