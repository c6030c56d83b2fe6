"""A large payload is read as a blob: the same bytes, by the same rules as any other."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nbcache.errors import DamagedError
from nbcache.stores import DiskStore
from nbcache.stores.sqlite.large_payloads import LARGE as _LARGE
from tests.stores.sqlite.test_store import key_of, row

PAYLOAD = os.urandom(3 * _LARGE)
KEY = key_of(1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskStore]:
    made = DiskStore(tmp_path / "store")
    made.put(KEY, PAYLOAD, row(KEY))
    yield made
    made.close()


def change(store: DiskStore, statement: str) -> None:
    with closing(sqlite3.connect(store.folder / "cache.db", isolation_level=None)) as connection:
        connection.execute(statement)


def test_a_large_payload_is_read_as_it_was_stored(store: DiskStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbcache.stores.sqlite.diskcache_file._READ", "SELECT 'not by this statement'")
    assert store.get(KEY) == PAYLOAD
    store.put(key_of(2), PAYLOAD[:_LARGE], row(key_of(2)))
    store.put(key_of(3), PAYLOAD[: _LARGE + 1], row(key_of(3)))
    assert (store.get(key_of(2)), store.get(key_of(3))) == (PAYLOAD[:_LARGE], PAYLOAD[: _LARGE + 1])
    assert store.get(key_of(4)) is None


def test_a_large_payload_that_another_process_replaces_is_the_new_one(store: DiskStore, tmp_path: Path) -> None:
    assert store.get(KEY) == PAYLOAD
    with closing(DiskStore(tmp_path / "store")) as other:
        other.put(KEY, PAYLOAD[::-1], row(KEY))
    assert store.get(KEY) == PAYLOAD[::-1]


def test_a_large_payload_expires(store: DiskStore) -> None:
    change(store, "UPDATE Cache SET expire_time = 1")
    assert store.get(KEY) is None
    assert store.get(KEY, include_expired=True) == PAYLOAD


@pytest.mark.parametrize("value", ["CAST(printf('%.600000c', 'x') AS TEXT)", "NULL", "3"])
def test_what_is_no_payload_is_damage_however_long(store: DiskStore, value: str) -> None:
    change(store, f"UPDATE Cache SET value = {value}")
    with pytest.raises(DamagedError):
        store.get(KEY)


def test_a_large_payload_can_be_read_into_memory_of_the_readers_own(store: DiskStore) -> None:
    long = os.urandom(3_000_001)
    store.put(key_of(2), long, row(key_of(2)))
    one, other = store.get_owned(key_of(2)), store.get_owned(key_of(2))
    assert isinstance(one, memoryview)
    assert isinstance(other, memoryview)
    assert bytes(one) == bytes(other) == long == store.get(key_of(2))
    one[0] = one[0] ^ 1
    assert bytes(other) == long == store.get(key_of(2))
    assert store.get_owned(KEY) == PAYLOAD
    assert store.get_owned(key_of(3)) is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_what_a_forked_process_writes_into_such_memory_stays_its_own(store: DiskStore) -> None:
    store.put(key_of(2), bytes(2_000_000), row(key_of(2)))
    memory = store.get_owned(key_of(2))
    assert isinstance(memory, memoryview)
    child = os.fork()
    if not child:
        memory[0] = 1
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert memory[0] == 0


def test_a_read_leaves_no_transaction(store: DiskStore, tmp_path: Path) -> None:
    assert store.get(KEY) == PAYLOAD
    with closing(sqlite3.connect(tmp_path / "store" / "cache.db", isolation_level=None)) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
