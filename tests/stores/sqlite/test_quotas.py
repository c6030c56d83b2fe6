"""A store in a folder with a quota, and on a disk that is full: on real file systems, which the test mounts."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbcache.stores.sqlite import network_drives

pytestmark = pytest.mark.slow

_ASK = """
import json, sys
import nbcache
from tests.faults.test_faults import Echo, heard
nbcache.install(sys.argv[1])
model = Echo(padding=400_000)
prompts = [f"question {number}" for number in range(40)]
with heard() as said:
    for prompt in prompts:
        model.invoke(prompt)
    first = model.calls
    for prompt in prompts:
        model.invoke(prompt)
    store = nbcache.installed().store
    late = len(store._late.answers)
    try:
        cleared = nbcache.clear(scope="folder").deleted
    except nbcache.StoreError as error:
        cleared = str(error)
print(json.dumps([first, model.calls, late, cleared, said]))
"""


def _run(*command: "str | Path") -> str:
    """Run a command; what it says if it fails."""
    if shutil.which(str(command[0])) is None:
        return f"there is no {command[0]}"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr.strip() or "it failed" if done.returncode else ""


@pytest.fixture(params=["quota", "disk"])
def small(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder that takes ten of the answers: by its quota, or by its disk."""
    place, image = tmp_path / "mount", tmp_path / "image"
    place.mkdir()
    if request.param == "disk":
        steps: list[tuple[str | Path, ...]] = [("mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", place)]
        folder = place
    else:
        image.touch()
        os.truncate(image, 200_000_000)
        folder = place / "home"
        steps = [
            ("mkfs.btrfs", "-q", image),
            ("mount", "-o", "loop", image, place),
            ("btrfs", "quota", "enable", place),
            ("btrfs", "subvolume", "create", folder),
            ("btrfs", "qgroup", "limit", "6M", folder),
        ]
    try:
        if why_not := next(filter(None, (_run(*step) for step in steps)), ""):
            pytest.skip(f"a {request.param} that is full is NOT TESTED here: {why_not}")
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", place], check=False, capture_output=True)


def test_a_used_up_quota_and_a_full_disk_cost_no_answer_and_are_told_of_once(small: Path) -> None:
    command = [sys.executable, "-c", _ASK, str(small / "store")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr  # nor has it ended by a signal
    first, calls, late, cleared, said = json.loads(done.stdout)
    assert first == 40
    assert late > 0
    # btrfs writes no page in place: without room, it may be that not even what is half written can be undone, nor read.
    assert calls == 40 or small.name == "home"
    assert "your quota is used up" in str(cleared) or cleared > 0
    assert len([line for line in said if "disk is full" in line]) in ({1, 2} if small.name == "home" else {1})


def test_btrfs_is_used_without_the_log_while_it_has_quotas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_drives, "kind_of_mount", lambda _: "btrfs")
    monkeypatch.setattr(network_drives, "_BTRFS", tmp_path)
    (tmp_path / "a file system").mkdir()
    assert network_drives.network_of(tmp_path) is None
    (tmp_path / "a file system" / "qgroups").mkdir()
    assert network_drives.network_of(tmp_path) == "btrfs with quotas"
