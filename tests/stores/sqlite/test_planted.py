"""Stores that somebody else made, or changed: nothing in them runs, hangs, fills the memory or touches another file."""

import os
import sqlite3
import subprocess
import sys
import time
import zlib
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zstandard

import nbcache
from nbcache.codec import payload as codec
from nbcache.codec.packing import packed_bytes, unpacked_bytes
from nbcache.errors import DamagedError, StoreRefusedError
from nbcache.stores import DiskStore
from tests.faults.test_faults import Echo, ask, change, contents, heard, within_seconds
from tests.stores.sqlite.test_store import key_of, put, row

if TYPE_CHECKING:
    from collections.abc import Callable

ENDLESS = "(WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT count(*) FROM x)"
COLUMNS = "rowid, key, raw, store_time, expire_time, access_time, access_count, tag, size, mode, filename, value"

PLANTED = {
    "view in a table's place": [
        "ALTER TABLE Cache RENAME TO Cache_",
        f"CREATE VIEW Cache AS SELECT * FROM Cache_ WHERE {ENDLESS}",
    ],
    "view beside": [f"CREATE VIEW other AS SELECT {ENDLESS}"],
    "trigger": [f"CREATE TRIGGER evil AFTER INSERT ON Cache BEGIN INSERT INTO preview SELECT {ENDLESS}, '', ''; END"],
    "trigger in the place of ours": [
        "DROP TRIGGER entry_gone",
        f"CREATE TRIGGER entry_gone AFTER DELETE ON Cache BEGIN DELETE FROM entry WHERE id < {ENDLESS}; END",
    ],
    "column that is worked out": [
        "DROP TABLE tombstone",
        "CREATE TABLE tombstone (id INTEGER PRIMARY KEY, key TEXT UNIQUE, gone REAL, why TEXT AS (hex(zeroblob(200000000))))",
    ],
    "index on an expression": ["CREATE INDEX evil ON entry (length(hex(zeroblob(100000000))))"],
    "virtual table": ["CREATE VIRTUAL TABLE evil USING fts5(text)"],
    "more tables than we have": [f"CREATE TABLE t{n} (x)" for n in range(200)],
}


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """The database of a store with the answers to "one" and "two", that nobody has open."""
    nbcache.install(tmp_path / "store")
    ask(Echo(), "one", "two")
    nbcache.uninstall()
    nbcache.errors.forget_warnings()
    return tmp_path / "store" / "cache.db"


@pytest.mark.parametrize("statements", PLANTED.values(), ids=PLANTED.keys())
def test_database_with_what_nbcache_has_not_made_is_left_alone(recorded: Path, statements: list[str]) -> None:
    change(recorded, *statements)
    before = contents(recorded.parent)
    nbcache.install(recorded.parent)
    model = Echo()
    with heard() as said, within_seconds():
        ask(model, "one", "two", "one", "new")
        nbcache.stats()
    nbcache.uninstall()
    assert model.calls == 4
    assert len(said) == 1
    assert str(recorded) in said[0]
    assert "left alone" in said[0]
    while not is_left_as(before, recorded.parent):  # a thread in the background may still have it open, to look at it
        time.sleep(0.01)


def is_left_as(before: dict[str, bytes], folder: Path) -> bool:
    """Whether the files of a folder are these. One may go while it is read."""
    try:
        return contents(folder) == before
    except FileNotFoundError:
        return False


def test_tables_changed_under_a_running_kernel_are_not_set_aside(recorded: Path) -> None:
    """Another process may be bringing them up."""
    nbcache.install(recorded.parent)
    model = Echo()
    ask(model, "one")
    nbcache.stats()
    with closing(sqlite3.connect(recorded, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT 1 FROM Cache").fetchone()
        change(recorded, "ALTER TABLE entry RENAME TO entry_4", "PRAGMA user_version = 4")
        with heard():
            ask(model, "new")
        nbcache.uninstall()
    assert list(recorded.parent.glob("damaged-*")) == []


@pytest.mark.parametrize("name", ["cache.db", "cache.db-wal", "cache.db-shm", "cache.db-journal"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "link"])
def test_what_is_no_file_is_neither_waited_for_nor_followed(
    recorded: Path, tmp_path: Path, name: str, kind: str
) -> None:
    path = recorded.with_name(name)
    path.unlink(missing_ok=True)
    target = tmp_path / "of the user"
    target.write_bytes(b"precious" * 1000)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(target)
    nbcache.install(recorded.parent)
    model = Echo()
    with heard() as said, within_seconds():
        ask(model, "one", "four")
    nbcache.uninstall()
    assert model.calls == 2 or (name, kind) == ("cache.db", "link")  # a link of one's own is another matter
    assert len(said) == 1
    assert target.read_bytes() == b"precious" * 1000


def test_clearing_deletes_no_file_that_a_row_names(tmp_path: Path) -> None:
    """diskcache keeps large values in files, and deletes those with their rows."""
    precious = tmp_path / "precious"
    precious.write_text("mine")
    store = DiskStore(tmp_path / "store")
    for n in range(3):
        put(store, n)
    store.close()
    for where in (str(precious), str(precious).lstrip("/"), "../precious"):
        change(tmp_path / "store" / "cache.db", f"UPDATE Cache SET filename = '{where}', mode = 2")
        store.delete(key_of(0))
        store.check(fix=True)
        store.clear([key_of(1)])
    assert precious.read_text() == "mine"


def bomb(section: bytes) -> bytes:
    """A few bytes that become half a gigabyte of JSON."""
    return zstandard.ZstdCompressor(level=3).compress(b"[" + section * 60_000_000 + b"0]")


@pytest.mark.parametrize("section", ["answers", "header", "chunks"])
def test_payload_that_would_fill_the_memory_is_damage(section: str) -> None:
    packed = bomb(b"0,")
    assert len(packed) < 100_000
    parts = {"answers": b"[]", "header": b"{}", "chunks": b"[]"} | {section: packed}
    flags = {
        "answers": codec._COMPRESSED_ANSWERS,
        "header": codec._COMPRESSED_HEADER,
        "chunks": codec._COMPRESSED_CHUNKS,
    }
    head = codec._PREAMBLE.pack(b"NBC", 3, 4 | flags[section], bytes.fromhex(key_of(1)), 1.0, len(parts["answers"]))
    body = parts["answers"] + len(parts["chunks"]).to_bytes(4, "big") + parts["chunks"] + parts["header"]
    whole = codec.read(head + zlib.crc32(body, zlib.crc32(head)).to_bytes(4, "big") + body, key_of(1))
    reads: dict[str, Callable[[], object]] = {
        "answers": whole.generations,
        "header": whole.header,
        "chunks": whole.packed_chunks,
    }
    began = time.process_time()
    with pytest.raises(DamagedError):
        reads[section]()
    assert time.process_time() - began < 1


@pytest.mark.parametrize("size", [1000, 20_000_000])
def test_what_is_packed_can_be_unpacked_however_small_it_became(size: int) -> None:
    data = b" " * size
    packed, compressed = packed_bytes(data)
    assert unpacked_bytes(packed, compressed) == data


def test_rowids_at_the_ends_of_the_numbers_are_pages_like_others(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    store.put_all((key_of(n), b"x", row(key_of(n))) for n in range(6000))
    store.close()
    move = "UPDATE {} SET {} = 9223372036854775807 WHERE {} = 6000"
    change(
        tmp_path / "store" / "cache.db",
        *(move.format(table, name, name) for table, name in (("Cache", "rowid"), ("entry", "id"), ("preview", "id"))),
    )
    with within_seconds():
        assert len(store.page(limit=10, offset=5500)) == 10


_SECOND = """
import sys
from nbcache.stores import DiskStore
store = DiskStore(sys.argv[1])
print(store.totals().entries)
store.close()
"""


def test_opening_a_store_a_second_time_in_one_process_takes_no_locks_off(tmp_path: Path) -> None:
    """Else another process takes itself for the last, and deletes the log in which the next answers are kept."""
    one, two = DiskStore(tmp_path / "store"), DiskStore(tmp_path / "store")
    put(one, 1)
    two.get(key_of(1))
    for entries in (1, 2):
        done = subprocess.run(
            [sys.executable, "-c", _SECOND, str(one.folder)], capture_output=True, text=True, timeout=60, check=True
        )
        assert done.stdout == f"{entries}\n"
        put(one, 2)


def test_what_takes_too_long_is_given_up(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    put(store, 1)
    with pytest.raises(nbcache.errors.StoreError, match="took longer than"):
        store._database.run(lambda cache: cache.execute(f"SELECT {ENDLESS}").fetchall(), 1.0, limit=0.1)
    assert store.get(key_of(1)) is not None


def test_refused_store_raises_where_it_is_looked_at(recorded: Path) -> None:
    change(recorded, "CREATE VIEW evil AS SELECT 1")
    with pytest.raises(StoreRefusedError, match="evil"):
        DiskStore(recorded.parent).page()
