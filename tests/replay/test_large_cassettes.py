"""Stores of any size: what works on all entries takes bounded memory, and an interrupt leaves nothing in half."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nbcache.replay.cassette_format import read
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
def test_memory_does_not_grow_with_the_entries_that_are_exported(tmp_path: Path) -> None:
    took = []
    for count in (SMALL, LARGE):
        fill(tmp_path / f"{count}/store", count)
        took.append(memory_of("export", tmp_path / f"{count}"))
        took.append(memory_of("export", tmp_path / f"{count}"))  # over a file that is the same
    assert max(took[2:]) < min(took[:2]) + GROWTH


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
