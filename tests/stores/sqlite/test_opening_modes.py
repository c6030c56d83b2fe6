"""Stores in places where not everything can be done: for reading alone, on network file systems, with memory cut short."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import nbcache
from nbcache.errors import StoreError, forget_warnings
from nbcache.stores import DiskStore
from nbcache.stores.location import store_folder
from nbcache.stores.sqlite import network_drives
from tests.faults.test_faults import Echo, ask, contents, heard
from tests.stores.sqlite.test_store import key_of, put
from tests.support.paths import GOLDEN
from tests.support.processes import in_new_process

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody can reach."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def lock_up(folder: Path) -> dict[str, bytes]:
    """Let nobody write to the folder; what is in it."""
    for path in (*folder.iterdir(), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return contents(folder)


def _as_nobody(folder: Path, mode: str, *prompts: str) -> tuple[int, list[str], int, int]:
    nbcache.install("memory://")
    ask(Echo(), "what has to be imported is imported now")
    if os.getuid() == 0:
        os.setuid(65534)
    os.environ["TMPDIR"] = "/tmp"
    nbcache.install(folder, mode=mode)
    model = Echo()
    with heard() as said:
        ask(model, *prompts)
        nbcache.installed().flush()
        rows = nbcache.installed().contents("folder").entries()
        for row in rows:
            nbcache.installed().contents().read(row.key)
        hits = nbcache.stats("folder").hits
    nbcache.uninstall()
    return model.calls, said, hits, len(rows)


@pytest.mark.parametrize("mode", ["on", "read-only", "replay"])
def test_store_that_can_only_be_read_gives_hits_and_is_told_of_once(public: Path, mode: str) -> None:
    nbcache.install(public)
    ask(Echo(), "one", "two")
    nbcache.uninstall()
    before = lock_up(public)
    calls, said, hits, rows = in_new_process(_as_nobody, public, mode, "one", "two", "one")
    assert (calls, hits, rows) == (0, 3, 2)
    assert len(said) == 1
    assert "nothing new is kept" in said[0]
    assert str(public) in said[0]
    assert contents(public) == before


def test_new_answers_in_a_store_that_can_only_be_read_need_no_second_line(public: Path) -> None:
    nbcache.install(public)
    ask(Echo(), "one")
    nbcache.uninstall()
    before = lock_up(public)
    calls, said, hits, rows = in_new_process(_as_nobody, public, "on", "one", "new", "other")
    assert (calls, hits, rows) == (2, 1, 1)
    assert len(said) == 1
    assert contents(public) == before


@pytest.mark.parametrize("version", ["store_v1", "store_v2", "store_v3"])
def test_earlier_store_that_can_only_be_read_is_brought_up_in_a_copy(public: Path, version: str) -> None:
    shutil.copytree(GOLDEN / version, public, dirs_exist_ok=True)
    before = lock_up(public)
    calls, said, _, rows = in_new_process(_as_nobody, public, "on", "new")
    assert calls == 1
    assert rows >= 2
    assert len([line for line in said if "nothing new is kept" in line]) == 1
    assert contents(public) == before


_KILLED = """
import os, signal, sys
from nbcache.entry.records import EntryMeta
from nbcache.stores import DiskStore
store = DiskStore(sys.argv[1])
for number in range(3):
    key = f"{number:040x}"
    store.put(key, b"payload", EntryMeta(key, "m", "p", "a", "ok", 1.0))
os.kill(os.getpid(), signal.SIGKILL)
"""


def _keys_as_nobody(folder: Path) -> list[str]:
    store = DiskStore(folder)
    store.change_token()
    if os.getuid() == 0:
        os.setuid(65534)
    os.environ["TMPDIR"] = "/tmp"
    with heard():
        return sorted(meta.key for meta in store.page())


def test_what_a_killed_process_left_in_the_log_can_be_read_too(public: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(public)], check=False)
    assert killed.returncode == -signal.SIGKILL
    (public / "cache.db-shm").unlink()
    before = lock_up(public)
    assert in_new_process(_keys_as_nobody, public) == [f"{number:040x}" for number in range(3)]
    assert contents(public) == before


def test_what_the_owner_stores_later_is_seen_by_those_who_can_only_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = DiskStore(tmp_path / "store")
    put(owner, 1)
    owner.close()
    writable, real = {"now": False}, os.access
    monkeypatch.setattr(os, "access", lambda path, mode: writable["now"] if mode & os.W_OK else real(path, mode))
    reader = DiskStore(tmp_path / "store")
    with heard():
        assert reader.get(key_of(1)) is not None
        assert reader.get(key_of(2)) is None
    writable["now"] = True
    put(owner, 2)
    owner.close()
    writable["now"] = False
    assert reader.get(key_of(2)) is not None
    assert reader.totals().entries == 2


# Network file systems


@pytest.fixture
def on_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_drives, "kind_of_mount", lambda _: "nfs4")


@pytest.mark.usefixtures("on_network")
def test_store_on_a_network_file_system_has_no_shared_memory_and_says_so_once(tmp_path: Path) -> None:
    model = Echo()
    with heard() as said:
        for _ in range(2):
            nbcache.install(tmp_path / "store")
            ask(model, "one", "two", "one")
        assert not (tmp_path / "store" / "cache.db-shm").exists()
        assert not (tmp_path / "store" / "cache.db-wal").exists()
        nbcache.clear(scope="folder")
        assert nbcache.check() == []
    nbcache.uninstall()
    assert model.calls == 2
    assert len(said) == 2  # once in each session
    assert "nfs4" in said[0]
    assert "NBCACHE_DIR" in said[0]


def _write_on_network(folder: Path, process: int, barrier: "Barrier") -> None:
    pytest.MonkeyPatch().setattr(network_drives, "kind_of_mount", lambda _: "nfs4")
    store = DiskStore(folder)
    barrier.wait(60)
    with heard():
        for number in range(40):
            key = put(store, f"{process} {number}")
            assert store.get(key) is not None
    store.close()


def test_processes_on_a_network_file_system_lose_nothing(tmp_path: Path) -> None:
    folder, context = tmp_path / "store", multiprocessing.get_context("fork")
    barrier = context.Barrier(2)
    processes = [context.Process(target=_write_on_network, args=(folder, number, barrier)) for number in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    store = DiskStore(folder)
    assert store.totals().entries == 80
    assert store.check() == []
    assert list(folder.glob("damaged-*")) == []


def test_store_that_is_moved_between_disk_and_network_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, (kind, journal) in enumerate([("ext4", "wal"), ("nfs4", "truncate"), ("ext4", "wal")]):
        monkeypatch.setattr(network_drives, "kind_of_mount", lambda _, kind=kind: kind)
        store = DiskStore(tmp_path / "store")
        with heard():
            put(store, number)
            assert store.totals().entries == number + 1
            mode = store._database.run(lambda cache: cache.execute("PRAGMA journal_mode").fetchone(), 1.0)
        assert mode == (journal,)
        store.close()


@pytest.mark.parametrize(
    ("kind", "network"),
    [
        *(("nfs4", True), ("nfs", True), ("cifs", True), ("smb3", True), ("fuse.sshfs", True), ("lustre", True)),
        *(("gpfs", True), ("beegfs", True), ("9p", True), ("afs", True), ("fuse.s3fs", True), ("ceph", True)),
        *(("ext4", False), ("xfs", False), ("btrfs", False), ("tmpfs", False), ("overlay", False), ("apfs", False)),
        *(("zfs", False), ("fuseblk", False), ("", False)),
    ],
)
def test_network_file_systems_are_known_by_name(monkeypatch: pytest.MonkeyPatch, kind: str, network: bool) -> None:
    monkeypatch.setattr(network_drives, "kind_of_mount", lambda _: kind)
    assert network_drives.network_of(Path("/")) == (kind if network else None)


@pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="Linux tells so")
def test_kind_of_a_mount_is_that_of_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    assert network_drives.kind_of_mount(Path("/proc/self")) == "proc"
    mounts = [("/", "ext4"), ("/home", "nfs4"), ("/home/me/my data", "xfs"), ("/homestead", "btrfs")]
    monkeypatch.setattr(network_drives, "_mounts", lambda: iter(mounts))
    monkeypatch.setattr(os.path, "realpath", str)
    kinds = [
        network_drives.kind_of_mount(Path(path)) for path in ("/home/me", "/home/me/my data/x", "/homestead", "/tmp")
    ]
    assert kinds == ["nfs4", "xfs", "btrfs", "ext4"]


def test_blanks_in_the_names_of_mounts_are_read() -> None:
    assert network_drives._unescaped("/home/me/my\\040data") == "/home/me/my data"


# Other users' folders


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="needs two users")
def test_link_of_another_user_is_not_followed(public: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (public / "mine").mkdir()
    (public / "theirs" / "project").mkdir(parents=True)
    link = public / "theirs" / ".nbcache"
    link.symlink_to(public / "mine")
    monkeypatch.chdir(public / "theirs" / "project")
    assert store_folder() == link  # one's own is
    os.lchown(link, 65534, 65534)
    assert store_folder() == public / "theirs" / "project" / ".nbcache"
    monkeypatch.chdir(public / "theirs")
    monkeypatch.setenv("XDG_CACHE_HOME", str(public / "cache"))
    for target in ("mine", "gone"):
        link.unlink()
        link.symlink_to(public / target)
        os.lchown(link, 65534, 65534)
        with heard() as said:
            assert store_folder().is_relative_to(public / "cache")
        assert "isn't yours" in said[0]
        forget_warnings()


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="needs two users")
@pytest.mark.parametrize(
    ("folder_mode", "owner", "file_owner", "warned"),
    [
        *((0o700, 0, 0, False), (0o755, 0, 0, False), (0o775, 0, 0, False)),
        *((0o777, 0, 0, True), (0o1777, 0, 0, True), (0o775, 65534, 0, True), (0o755, 0, 65534, True)),
    ],
)
def test_folder_that_others_can_write_to_is_told_of_once(
    public: Path, folder_mode: int, owner: int, file_owner: int, warned: bool
) -> None:
    nbcache.install(public / "store")
    ask(Echo(), "one")
    nbcache.uninstall()
    os.chown(public / "store" / "cache.db", file_owner, -1)
    os.chown(public / "store", owner, -1)
    (public / "store").chmod(folder_mode)
    forget_warnings()
    nbcache.install(public / "store")
    with heard() as said:
        ask(model := Echo(), "one", "two")
        nbcache.stats()
    assert model.calls == 1
    assert len(said) == warned
    if warned:
        assert "other users" in said[0]


@pytest.mark.parametrize("written", ["", "*"])
def test_store_made_without_room_is_kept_out_of_git_afterwards(tmp_path: Path, written: str) -> None:
    folder = tmp_path / ".nbcache"
    folder.mkdir()
    (folder / ".gitignore").write_text(written)
    (folder / "CACHEDIR.TAG").write_text("Sign")
    put(DiskStore(folder), 1)
    assert (folder / ".gitignore").read_text() == "*\n"
    assert (folder / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")


def test_what_a_user_wrote_into_the_gitignore_stays(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / ".gitignore").write_text("!cache.db\n")
    put(DiskStore(tmp_path / "store"), 1)
    assert (tmp_path / "store" / ".gitignore").read_text() == "!cache.db\n"


def test_folder_that_could_not_be_kept_out_of_git_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as without_room:
        without_room.setattr(Path, "write_text", full)
        with pytest.raises(StoreError, match="No space"):
            put(DiskStore(tmp_path / "store"), 1)
    assert not (tmp_path / "store").exists()
    put(DiskStore(tmp_path / "store"), 1)
    assert (tmp_path / "store" / ".gitignore").read_text() == "*\n"
