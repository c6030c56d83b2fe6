"""Stores of other releases: what an earlier one wrote is read and gets its new keys; what is unknown is left alone."""

import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Sized
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from langchain_core.outputs import Generation

from nbcache.codec import payload as codec
from nbcache.codec.header import EntryHeader
from nbcache.entry.records import EntryMeta, Filter, SessionCall
from nbcache.keys.key import CallKey
from nbcache.stores import DiskStore, Store
from nbcache.stores.sqlite import listing_index, rekeying
from nbcache.stores.sqlite.sql import joined
from nbcache.stores.view import Contents
from tests.stores.sqlite.test_store import key_of
from tests.support.paths import GOLDEN

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

MANY = 400


def payload(key: str, text: str, created: float = 1.0, notebooks: tuple[str, ...] = ()) -> tuple[bytes, EntryMeta]:
    meta = EntryMeta(key, "m", "prompt", text[:20], "ok", created, notebooks=notebooks)
    return codec.encode([Generation(text=text)], EntryHeader(meta, "prompt", "{}", ""), reusable=True), meta


def put(store: Store, key: str, text: str, created: float = 1.0, *notebooks: str) -> None:
    store.put(key, *payload(key, text, created, notebooks))


def text_at(store: Store, key: str) -> str | None:
    """The text of the answer under this key, which has to be that of its payload."""
    found = store.get(key)
    return None if found is None else codec.read(found, key).generations()[0].text


def age(folder: Path) -> None:
    """Make the store one of version 2, which 0.4 wrote."""
    with closing(sqlite3.connect(folder / "cache.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 2")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def of_version_2(folder: Path) -> Path:
    """A store of many entries under their old keys."""
    store = DiskStore(folder)
    store.put_all((key_of(n), *payload(key_of(n), f"answer {n}")) for n in range(MANY))
    store.index(lambda _, key: [f"word{key}"], MANY)
    store.close()
    age(folder)
    return folder


def new_key(key: str) -> str:
    """The key of this release, in these tests: another, and the same when it is asked again."""
    return key if key.startswith("5") else "5" + key[1:]


def call(key: str) -> CallKey:
    return CallKey(key, "prompt", b"prompt", b"{}", "", "m", limits_tokens=False, base_key=key)


def call_of_now(entry: codec.Payload) -> CallKey:
    return call(new_key(entry.key))


@pytest.fixture
def new_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rekeying, "call_of_now", call_of_now)


def all_there(folder: Path) -> None:
    store = DiskStore(folder)
    for n in range(MANY):
        assert text_at(store, new_key(key_of(n))) == f"answer {n}"
    assert store.totals().entries == MANY
    assert Contents(store).check() == []
    store.close()


# An earlier release's


@pytest.mark.parametrize("version", ["store_v1", "store_v2", "store_v3", "store_v4", "store_v5", "store_v6"])
def test_golden_stores_are_read_and_brought_up(tmp_path: Path, version: str) -> None:
    shutil.copytree(GOLDEN / version, tmp_path / "store")
    store = DiskStore(tmp_path / "store")
    contents = Contents(store)
    rows = contents.entries()
    assert rows
    for row in rows:
        assert contents.read(row.key).answer
    assert contents.check() == []
    store.close()
    assert (tmp_path / "store" / "cache.db").read_bytes()[60:64] == b"\0\0\0\7"
    assert [row.key for row in contents.entries()] == [row.key for row in rows]


CLIENTS: dict[str | None, tuple[list[str], dict[str, object] | None]] = {
    "langchain": (["openai-chat", "ChatOpenAI"], None),
    "openai": (["openai", "/chat/completions"], {"http": {}}),
    None: (["values"], None),
}


@pytest.fixture
def of_version_5(folder: Path) -> Path:
    """A store with an entry of each client, of a release that knew no clients; and one whose payload can't be read."""
    with closing(DiskStore(folder)) as store:
        for number, (kind, info) in enumerate(CLIENTS.values()):
            meta = EntryMeta(key_of(number), f"m{number}", "prompt", "answer", "ok", float(number))
            header = EntryHeader(meta, "prompt", json.dumps({"class": kind, "stream": True}), "")
            answer = Generation(text="answer", generation_info=info)
            store.put(meta.key, codec.encode([answer], header, reusable=True), meta)
        store.put(key_of("damaged"), b"damaged", EntryMeta(key_of("damaged"), "m", "p", "a", "ok", -1.0))
        while store.index(lambda *_: ["word"]):  # it is listed without the clients, too
            pass
    without_columns(folder, 5)
    return folder


def test_entries_of_an_earlier_release_get_their_clients(of_version_5: Path) -> None:
    with closing(DiskStore(of_version_5)) as store:
        assert {row.client for row in store.page()} == {None}  # to open the store takes no longer
        while store.index(lambda *_: ["word"]):
            pass
        *rows, damaged = store.page()
        assert [(row.client, row.streamed) for row in reversed(rows)] == [(each, each == "openai") for each in CLIENTS]
        assert damaged.client is None
        assert store.totals(Filter(client="openai")).entries == 1
        assert store.facets().client == ("langchain", "openai")
        assert store.check() == []


KINDS: dict[str, tuple[list[str], str, dict[str, object] | None]] = {
    "a chat": (["openai-chat", "ChatOpenAI"], "2 vectors", None),
    "a vector": (["embeddings", "OpenAIEmbeddings"], "vector of 3 numbers", {"vector": [1.0, 2.0, 3.0]}),
    "an SDK's chat": (["openai", "/chat/completions"], "2 vectors of 3 numbers", {"http": {}}),
    "an SDK's vectors": (["openai", "/embeddings"], "2 vectors of 3 numbers", {"http": {}, "no_text": True}),
    "a pipeline's vectors": (["huggingface", "/pipeline"], "2 x 384 numbers", {"http": {}, "no_text": True}),
    "an SDK's ranking": (["openai", "/rerank"], "0: 0.5", {"http": {}, "no_text": True}),
}
EMBEDDINGS = {"a vector", "an SDK's vectors", "a pipeline's vectors"}


@pytest.fixture
def of_version_6(folder: Path) -> Path:
    """A store with entries of each kind, of a release that knew no kinds."""
    with closing(DiskStore(folder)) as store:
        for name, (cls, text, info) in KINDS.items():
            client = "langchain" if info is None or "http" not in info else cls[0]
            meta = EntryMeta(key_of(name), name, "prompt", text, "ok", 1.0, client=client)
            header = EntryHeader(meta, "prompt", json.dumps({"class": cls}), "")
            answer = Generation(text=text, generation_info=info)
            store.put(meta.key, codec.encode([answer], header, reusable=True), meta)
        while store.index(lambda *_: ["word"]):  # it is listed without the kinds, too
            pass
    without_columns(folder, 6)
    return folder


def test_entries_of_an_earlier_release_get_their_kinds(of_version_6: Path) -> None:
    with closing(DiskStore(of_version_6)) as store:
        assert {row.kind for row in store.page()} == {"call"}  # to open the store takes no longer
        while store.index(lambda *_: ["word"]):
            pass
        assert {row.model for row in store.page() if row.kind == "embedding"} == EMBEDDINGS
        assert store.totals(Filter(kind="embedding")).entries == len(EMBEDDINGS)
        assert store.totals(Filter(kind="call")).entries == len(KINDS) - len(EMBEDDINGS)
        assert store.facets().kind == ("call", "embedding")
        assert store.check() == []


def test_an_upgrade_writes_only_the_rows_whose_kind_is_another(of_version_6: Path) -> None:
    with closing(DiskStore(of_version_6)) as store:
        store.page()
        with closing(sqlite3.connect(of_version_6 / "cache.db", isolation_level=None)) as other:
            other.execute("CREATE TABLE changed (id)")
            other.execute(
                "CREATE TRIGGER seen AFTER UPDATE OF kind ON entry BEGIN INSERT INTO changed VALUES (NEW.id); END"
            )
            while store.index(lambda *_: ["word"]):
                pass
            assert other.execute("SELECT count(*) FROM changed").fetchone() == (len(EMBEDDINGS),)


CHOOSE = pytest.mark.parametrize(
    "choose",
    [
        lambda store, which: store.page(which),
        lambda store, which: store.select(which),
        lambda store, which: store.stream(which),
        lambda store, which: store.columns(which)["key"],
        lambda store, which: range(store.totals(which).entries),
        lambda store, which: range(store.number(which)),
    ],
    ids=["page", "select", "stream", "columns", "totals", "number"],
)


@CHOOSE
def test_who_chooses_by_client_misses_no_entry_of_an_earlier_release(
    of_version_5: Path, choose: Callable[[DiskStore, Filter], Sized]
) -> None:
    with closing(DiskStore(of_version_5)) as store:
        assert len(choose(store, Filter(client="openai"))) == 1


@CHOOSE
def test_who_chooses_by_kind_misses_no_entry_of_an_earlier_release(
    of_version_6: Path, choose: Callable[[DiskStore, Filter], Sized]
) -> None:
    with closing(DiskStore(of_version_6)) as store:
        assert len(choose(store, Filter(kind="embedding"))) == len(EMBEDDINGS)


@pytest.mark.parametrize("version", [5, 6])
@pytest.mark.parametrize(
    "which", [Filter(), Filter(client="openai"), Filter(kind="embedding")], ids=["all", "client", "kind"]
)
def test_entries_that_an_earlier_release_has_just_stored_are_listed_and_deleted(
    folder: Path, which: Filter, version: int
) -> None:
    number, (kind, info) = 7, CLIENTS["openai"]
    key = key_of(number)
    with closing(DiskStore(folder)) as store:
        put(store, key_of(0), "listed")
    without_columns(folder, version)
    with closing(DiskStore(folder)) as store:
        assert store.totals().entries == 1
        while store.index(lambda *_: ["word"]):  # all have their clients
            pass
        meta = EntryMeta(key, "m", "prompt", "answer", "ok", 7.0, notebooks=("a.ipynb",))
        header = EntryHeader(meta, "prompt", json.dumps({"class": kind, "stream": True}), "")
        text, info = "2 vectors of 3 numbers", {"http": {}, "no_text": True}
        content = codec.encode([Generation(text=text, generation_info=info)], header, reusable=True)
        left = [7.0, None, None, None, None, "m", None, "ok", None, "", joined(["a.ipynb"]), None, "prompt", "answer"]
        left[-2:-2] = ["openai", 1] if version == 6 else []
        with closing(
            sqlite3.connect(folder / "cache.db", isolation_level=None)
        ) as other:  # it still has the store open
            other.execute(
                "INSERT INTO Cache (key, raw, store_time, access_time, tag, mode, value) VALUES (?, 1, 0, 0, ?, 1, ?)",
                (key, json.dumps(left).encode(), content),
            )
        row = store.page(which)[0]
        assert (row.key, row.notebooks, row.prompt, row.answer) == (key, ("a.ipynb",), "prompt", "answer")
        while store.index(lambda *_: ["word"]):
            pass
        assert (store.page(which)[0].client, store.page(which)[0].kind) == ("openai", "embedding")
        assert store.clear([key]).deleted == 1
        assert store.get(key) is None


def without_columns(folder: Path, version: int) -> None:
    """Make the store one of version 5, which knew no clients, or 6, which knew no kinds."""
    earlier = {5: listing_index.OF_VERSION_5, 6: listing_index.OF_VERSION_6}[version]
    columns = {"client", "streamed", "kind", "function"} if version == 5 else {"kind", "function"}
    with closing(sqlite3.connect(folder / "cache.db", isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER facet_changed")
        connection.execute("DROP INDEX facet_values")
        for column in columns - {"streamed"}:
            connection.execute(f"ALTER TABLE facet DROP COLUMN {column}")
        for column in columns:
            connection.execute(f"ALTER TABLE entry DROP COLUMN {column}")
        for name in ("facet_values", "facet_changed"):
            connection.execute(earlier[name])
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


@pytest.mark.usefixtures("new_keys")
def test_entries_of_an_earlier_release_get_their_new_keys(of_version_2: Path) -> None:
    all_there(of_version_2)
    store = DiskStore(of_version_2)
    assert store.get(key_of(1)) is None
    assert store.similar([f"word{key_of(1)}"], 5) == [new_key(key_of(1))]  # it is still indexed


@pytest.mark.usefixtures("new_keys")
def test_what_a_session_called_is_known_by_the_new_keys(folder: Path) -> None:
    store = DiskStore(folder)
    put(store, key_of(1), "answer")
    store.record_calls("session", "a.ipynb", [SessionCall(key_of(1), "m", 2)])
    store.close()
    age(folder)
    assert [call.key for call in store.last_calls("a.ipynb")] == [new_key(key_of(1))]


@pytest.mark.parametrize("later", [0, 1])
def test_of_two_entries_that_are_one_call_now_the_later_stays_for_both_owners(
    folder: Path, monkeypatch: pytest.MonkeyPatch, later: int
) -> None:
    store = DiskStore(folder)
    for n in range(2):
        put(store, key_of(n), f"answer {n}", 2.0 if n == later else 1.0, f"{n}.ipynb")
    store.close()
    age(folder)
    monkeypatch.setattr(rekeying, "call_of_now", lambda *_: call("5" * 40))
    (row,) = store.page()
    assert row.notebooks == ("0.ipynb", "1.ipynb")
    assert text_at(store, "5" * 40) == f"answer {later}"
    assert Contents(store).check() == []


def test_entry_that_does_not_tell_its_call_stays_as_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DiskStore(folder)
    put(store, key_of(1), "answer")
    store.close()
    age(folder)
    monkeypatch.setattr(rekeying, "call_of_now", lambda *_: None)
    assert text_at(store, key_of(1)) == "answer"


def _killed_amid(folder: Path, count: int) -> None:
    done = iter(range(count))

    def until_killed(entry: codec.Payload) -> CallKey:
        if next(done, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return call_of_now(entry)

    pytest.MonkeyPatch().setattr(rekeying, "call_of_now", until_killed)
    DiskStore(folder).get("0" * 40)


@pytest.mark.parametrize("count", [0, 1, 100, MANY - 1])
@pytest.mark.usefixtures("new_keys")
def test_process_killed_amid_the_upgrade_leaves_the_rest_to_the_next(of_version_2: Path, count: int) -> None:
    process = multiprocessing.get_context("fork").Process(target=_killed_amid, args=(of_version_2, count))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    all_there(of_version_2)


def _open_with_others(folder: Path, barrier: "Barrier") -> None:
    pytest.MonkeyPatch().setattr(rekeying, "call_of_now", call_of_now)
    barrier.wait(60)
    all_there(folder)


def test_processes_that_open_an_earlier_store_at_once_all_find_all_of_it(of_version_2: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(3)
    processes = [context.Process(target=_open_with_others, args=(of_version_2, barrier)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]


@pytest.mark.parametrize("version", [-1, 0, 1, 2**31 - 1, -(2**31)])
def test_version_that_no_release_has_is_mended(folder: Path, version: int) -> None:
    store = DiskStore(folder)
    put(store, key_of(1), "answer")
    store.close()
    with closing(sqlite3.connect(folder / "cache.db", isolation_level=None)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    assert text_at(store, key_of(1)) == "answer"
    store.close()
    assert (folder / "cache.db").read_bytes()[60:64] == b"\0\0\0\7"
