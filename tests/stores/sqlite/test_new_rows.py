"""An update is one statement. The row that describes the entry is beside the payload, and is moved to its table later."""

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from nbcache.entry.records import EntryMeta, Filter, Touch
from nbcache.stores import DiskStore
from nbcache.stores.sqlite.connection import Connection
from tests.support.rows import row_of

_WRITER = """
import os, signal, sys, time
from nbcache.entry.records import EntryMeta
from nbcache.stores import DiskStore
store = DiskStore(sys.argv[1])
for number in range(4):
    key = f"{number:040x}"
    store.put(key, b"payload", EntryMeta(key, f"m{number % 2}", f"prompt {number}", "answer", "ok", time.time()))
print("written", flush=True)
sys.stdin.readline()
os.kill(os.getpid(), signal.SIGKILL)
"""


def key_of(number: int) -> str:
    return f"{number:040x}"


def meta(number: int, text: str = "answer") -> EntryMeta:
    return EntryMeta(
        key_of(number),
        *("m", f"prompt {number}", text, "ok", time.time()),
        tags=("t",),
        notebooks=("a.ipynb",),
        cell="c",
        provider="openai",
        input_tokens=3,
        output_tokens=4,
        cost_usd=Decimal("0.25"),
        seconds=1.1,
        charged=True,
    )


def put(store: DiskStore, number: int, text: str = "answer") -> EntryMeta:
    row = meta(number, text)
    store.put(row.key, text.encode(errors="replace"), row)
    return row


@pytest.fixture
def store(tmp_path: Path) -> DiskStore:
    store = DiskStore(tmp_path / "s")
    put(store, 0)  # opened, and looked through for expired entries
    return store


def change(store: DiskStore, statement: str) -> None:
    with closing(sqlite3.connect(store.folder / "cache.db", isolation_level=None)) as connection:
        connection.execute(statement)


def test_a_new_entry_is_committed_by_one_statement(store: DiskStore, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    execute = Connection.execute

    def spy(self: Connection, statement: str, *values: object) -> sqlite3.Cursor:
        seen.append(statement.split(maxsplit=1)[0])
        return execute(self, statement, *values)  # type: ignore[arg-type]

    monkeypatch.setattr(Connection, "execute", spy)
    put(store, 1)
    assert seen == ["INSERT"]


def test_a_new_entry_has_all_of_its_row(store: DiskStore) -> None:
    row = put(store, 1)
    found = row_of(store, row.key)
    assert found is not None
    assert found == EntryMeta(**{name: getattr(row, name) for name in row.__slots__} | {"size_bytes": len(b"answer")})


def test_another_process_lists_and_counts_what_was_just_stored(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _WRITER, str(tmp_path / "s")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "written\n"
        store = DiskStore(tmp_path / "s")
        assert store.totals().entries == 4
        assert store.totals(Filter(model="m1")).entries == 2
        assert store.facets().model == ("m0", "m1")
        writer.communicate("\n")


@pytest.mark.parametrize(
    "look",
    [
        lambda store: store.totals().entries,
        lambda store: len(store.page()),
        lambda store: len(store.columns()["key"]),
        lambda store: len(store.stream(Filter())),
        lambda store: store.clear([key_of(number) for number in range(4)]).deleted,
    ],
    ids=["totals", "page", "columns", "stream", "clear"],
)
def test_a_killed_process_loses_no_row(tmp_path: Path, look: Callable[[DiskStore], int]) -> None:
    command = [sys.executable, "-c", _WRITER, str(tmp_path / "s")]
    killed = subprocess.run(command, input="\n", stdout=subprocess.PIPE, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    store = DiskStore(tmp_path / "s")
    assert look(store) == 4
    assert store.check(read=lambda _, key: meta(int(key, 16))) == []


def test_a_hit_right_after_the_update_counts(store: DiskStore) -> None:
    row = put(store, 1)
    other = DiskStore(store.folder)
    other.touch([Touch(row.key, "b.ipynb", 2, time.time())])
    found = row_of(store, row.key)
    assert found is not None
    assert (found.hits, found.notebooks) == (2, ("a.ipynb", "b.ipynb"))


def test_an_entry_that_is_replaced_at_once_keeps_its_owner(store: DiskStore) -> None:
    put(store, 1)
    again = EntryMeta(key_of(1), "m", "prompt", "another", "ok", time.time(), notebooks=("b.ipynb",))
    store.put(again.key, b"another", again)
    found = row_of(store, again.key)
    assert found is not None
    assert (found.answer, found.notebooks) == ("another", ("a.ipynb", "b.ipynb"))
    assert store.get(again.key) == b"another"


def test_half_an_emoji_in_a_preview_costs_no_row(store: DiskStore) -> None:
    row = put(store, 1, "half \ud83d")
    found = row_of(store, row.key)
    assert found is not None
    assert found.answer == "half ?"


def test_text_that_is_deleted_at_once_is_in_no_file(store: DiskStore) -> None:
    row = put(store, 1, "a secret that nobody keeps")
    store.delete(row.key)
    store.close()
    assert not any(b"a secret" in file.read_bytes() for file in store.folder.iterdir())


def test_rows_are_moved_when_the_store_is_closed(store: DiskStore) -> None:
    put(store, 1)
    store.close()
    with closing(sqlite3.connect(store.folder / "cache.db")) as connection:
        assert connection.execute("SELECT count(*) FROM entry").fetchone() == (2,)
        assert connection.execute("SELECT count(*) FROM Cache WHERE tag IS NOT NULL").fetchone() == (0,)


@pytest.mark.parametrize(
    "planted", ["x'00'", "'no JSON'", "'[]'", "'[[1], 2]'", "'{}'", "7", "'[1,1,1,1,1,{},1,1,1,1,1,1,1,1]'"]
)
def test_what_somebody_planted_beside_a_payload_does_no_harm(store: DiskStore, planted: str) -> None:
    put(store, 1)
    change(store, f"UPDATE Cache SET tag = {planted} WHERE rowid = 2")
    last = put(store, 2)
    assert store.get(key_of(1)) == b"answer"
    assert row_of(store, last.key) is not None
    assert row_of(store, key_of(1)) is None
    assert store.check(fix=True, read=lambda _, key: meta(int(key, 16)))
    assert row_of(store, key_of(1)) is not None
    assert store.check(read=lambda _, key: meta(int(key, 16))) == []
