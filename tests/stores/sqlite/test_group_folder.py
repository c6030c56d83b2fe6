"""A folder that a group shares: `chmod 2770`, and members who let nobody into their own files (umask 077)."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbcache.stores import DiskStore
from nbcache.stores.sqlite import network_drives, network_locks
from tests.faults.test_faults import heard
from tests.stores.sqlite.test_store import key_of, put
from tests.support.paths import GOLDEN
from tests.support.processes import in_new_process

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="needs several users"),
]

ANN, BEN, TEAM = 54_001, 54_002, 54_100


@pytest.fixture
def team() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = Path(name, "team")
        folder.mkdir()
        os.chown(folder, ANN, TEAM)
        folder.chmod(0o2770)
        with heard():  # what has to be imported is imported now
            _uses(Path(name, "mine"), [], 0)
        yield folder


def _uses(folder: Path, there: list[int], new: int) -> None:
    """Read what is there, store an answer, check and repair, and delete the first of several."""
    store = DiskStore(folder)
    for number in there:
        assert store.get(key_of(number)) is not None, f"{number} is not there"
    put(store, new)
    assert [line for line in store.check(fix=True) if "set aside" not in line] == []
    if len(there) > 1:
        assert store.delete(key_of(there[0]))
    store.close()


def _as(user: int, folder: Path, there: list[int], new: int, kind: str = "") -> str:
    network_locks._statx()  # imported before this process loses the rights to
    os.setgroups([])
    os.setgid(TEAM)
    os.setuid(user)
    os.umask(0o077)
    os.environ["TMPDIR"] = tempfile.tempdir = "/tmp"
    if kind:
        pytest.MonkeyPatch().setattr(network_drives, "kind_of_mount", lambda _: kind)
    with heard() as said:
        _uses(folder, there, new)
    return "\n".join(said)


def _is_the_teams(folder: Path) -> bool:
    statuses = [path.stat() for path in folder.iterdir()]
    return all(each.st_gid == TEAM and stat.S_IMODE(each.st_mode) == 0o660 for each in statuses)


@pytest.mark.parametrize("kind", ["ext4", "nfs4"])
def test_members_read_and_write_each_others_answers(team: Path, kind: str) -> None:
    in_new_process(_as, ANN, team, [], 1, kind)
    in_new_process(_as, BEN, team, [1], 2, kind)
    in_new_process(_as, ANN, team, [1, 2], 3, kind)
    in_new_process(_as, BEN, team, [2, 3], 4, kind)
    in_new_process(_as, ANN, team, [3, 4], 5, kind)
    assert _is_the_teams(team)


def test_a_member_upgrades_and_replaces_the_store_for_all(team: Path) -> None:
    shutil.copyfile(GOLDEN / "store_v3" / "cache.db", team / "cache.db")
    os.chown(team / "cache.db", ANN, TEAM)
    (team / "cache.db").chmod(0o660)
    in_new_process(_as, BEN, team, [], 11)
    in_new_process(_as, ANN, team, [11], 12)
    (team / "cache.db").write_bytes(b"damage" * 1000)
    said = in_new_process(_as, BEN, team, [], 13)
    assert "set aside" in said
    in_new_process(_as, ANN, team, [13], 14)
    assert _is_the_teams(team)


def test_members_use_the_store_at_the_same_time(team: Path) -> None:
    in_new_process(_as, ANN, team, [], 1)
    store = DiskStore(team)  # of a third member, while the files of SQLite's log are there
    with heard():
        put(store, 2)
        in_new_process(_as, BEN, team, [1, 2], 3)
        in_new_process(_as, ANN, team, [2, 3], 4)
        assert store.get(key_of(4)) is not None
        store.close()
