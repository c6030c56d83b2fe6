"""Stores of any size: what works on all entries takes bounded memory, and an interrupt leaves nothing in half."""

import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from nbcache.replay.cassette_format import read
from nbcache.replay.cassette_import import import_entries
from nbcache.stores import DiskStore
from nbcache.stores.view import Contents
from tests.support.large_stores import fill
from tests.support.paths import ROOT

FILE = "answers.llmcache.jsonl"
SMALL, LARGE = 600, 2_400  # entries of 20 kB: each more than SQLite's caches hold
GROWTH = 10_000  # kilobytes; one copy of what the larger file has more is 36,000
ENTRIES = 40


def started(operation: str, folder: Path, count: int | None = None) -> "subprocess.Popen[str]":
    """The operation on the store in `folder`, in a process of its own; with a count it waits there."""
    words = [operation, folder / "store", folder / FILE, *([] if count is None else [count])]
    command = [sys.executable, "-m", "tests.support.large_stores", *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def memory_of(operation: str, folder: Path) -> int:
    """The most memory that the operation took, in kilobytes."""
    with started(operation, folder) as process:
        out, errors = process.communicate()
    assert not process.returncode, errors
    return int(out)


def interrupted_at(count: int, operation: str, folder: Path) -> None:
    """Interrupt the operation when so many entries are done."""
    with started(operation, folder, count) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n", process.communicate()[1]
        process.send_signal(signal.SIGINT)
        errors = process.communicate()[1]
    assert errors.rstrip().endswith("KeyboardInterrupt"), errors


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A folder with a store of a few entries in it."""
    fill(tmp_path / "store", ENTRIES, 100)
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_memory_does_not_grow_with_the_entries(tmp_path: Path) -> None:
    took: dict[str, list[int]] = {name: [] for name in ("match", "check", "export", "export again", "import")}
    for folder in (tmp_path / "small", tmp_path / "large"):
        fill(folder / "store", SMALL if folder.name == "small" else LARGE)
        for name, kilobytes in took.items():
            if name == "import":
                (folder / "store").rename(folder / "exported")
            kilobytes.append(memory_of(name.split()[0], folder))
    assert all(large < small + GROWTH for small, large in took.values()), took


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, ENTRIES])
def test_an_interrupt_of_an_export_leaves_the_earlier_file(store: Path, count: int) -> None:
    file = store / FILE
    interrupted_at(count, "export", store)
    assert [path.name for path in store.iterdir()] == ["store"]
    file.write_text('{"nbcache": 2, "key": "0123", "prompt": "of another export"}\n')
    before = file.read_bytes()
    interrupted_at(count, "export", store)
    assert {path.name for path in store.iterdir()} == {"store", FILE}
    assert file.read_bytes() == before
    memory_of("export", store)
    assert {path.name for path in store.iterdir()} == {"store", FILE, f"{FILE}.bak"}
    assert len(read(file)) == ENTRIES


@pytest.mark.slow
def test_an_import_that_was_interrupted_as_it_read_has_stored_nothing(store: Path) -> None:
    memory_of("export", store)
    (store / "store").rename(store / "exported")
    interrupted_at(ENTRIES, "import", store)
    assert not (store / "store").exists() or not DiskStore(store / "store").page()


@pytest.mark.slow
def test_an_import_that_was_interrupted_as_it_stored_is_finished_by_another(tmp_path: Path) -> None:
    fill(tmp_path / "store", 600, 100)
    memory_of("export", tmp_path)
    (tmp_path / "store").rename(tmp_path / "exported")
    interrupted_at(500, "store", tmp_path)  # of which the first part consists
    with closing(DiskStore(tmp_path / "store")) as imported:
        assert imported.totals().entries == 500
        assert Contents(imported).check() == []
        done = import_entries(Contents(imported), tmp_path / FILE)
        assert (done.new, done.same, imported.totals().entries) == (100, 500, 600)


@pytest.mark.slow
@pytest.mark.parametrize("operation", ["clear", "check"])
def test_what_was_interrupted_can_be_done_again(store: Path, operation: str) -> None:
    interrupted_at(ENTRIES, operation, store)
    with closing(DiskStore(store / "store")) as there:
        assert there.totals().entries == ENTRIES
        assert Contents(there).check() == []
    memory_of(operation, store)
    with closing(DiskStore(store / "store")) as there:
        assert there.totals().entries == (0 if operation == "clear" else ENTRIES)


@pytest.mark.slow
def test_a_clear_that_was_interrupted_as_it_deleted_is_finished_by_another(tmp_path: Path) -> None:
    fill(tmp_path / "store", 3_000, 100)
    interrupted_at(1, "delete", tmp_path)
    with closing(DiskStore(tmp_path / "store")) as there:
        assert 0 < there.totals().entries < 3_000
        assert Contents(there).check() == []
        Contents(there).clear()
        assert there.totals().entries == 0


def test_an_import_shows_how_far_it_has_read_and_stored(store: Path) -> None:
    memory_of("export", store)
    lines: list[tuple[int, int]] = []
    stored: list[tuple[int, int]] = []
    with closing(DiskStore(store / "other")) as other:
        import_entries(
            Contents(other),
            store / FILE,
            progress=lambda done, of: lines.append((done, of)),
            stored=lambda done, of: stored.append((done, of)),
        )
    assert lines == [(number, ENTRIES) for number in range(1, ENTRIES + 1)]
    assert stored[-1] == (ENTRIES, ENTRIES)
