"""Unknown means newer: what a later release wrote is left alone, and is never called damage."""

import asyncio
import json
import shutil
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from langchain_core.embeddings import Embeddings
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI, OpenAI

import nbcache
from nbcache.codec import payload as codec
from nbcache.codec.header import VERSIONS
from nbcache.codec.packing import unpacked_bytes
from nbcache.errors import CassetteError, DamagedError, StoreError
from nbcache.session.installation import installed
from nbcache.stores import DiskStore, MemoryStore
from nbcache.stores.view import Contents
from nbcache.ui.panel.board import Board
from tests.faults.test_faults import Echo, answer_to, ask, change, heard, of_a_newer_version
from tests.servers.provider import Provider
from tests.support.paths import GOLDEN

Edit = Callable[[dict[str, Any], list[dict[str, Any]]], None]


def rewritten(payload: bytes, edit: Edit, flags: int = 0) -> bytes:
    """The payload with another header and other generations, under a right checksum."""
    whole = codec.read(payload, codec.key_of(payload))
    header = orjson.loads(unpacked_bytes(whole.header_bytes, whole.flags & codec._COMPRESSED_HEADER))
    answers = whole.plain()
    edit(header, answers)
    packed = codec._COMPRESSED_HEADER | codec._COMPRESSED_ANSWERS
    written = orjson.dumps(answers)
    head = codec._PREAMBLE.pack(
        *(b"NBC", payload[3], whole.flags & ~packed | flags, bytes.fromhex(whole.key), whole.created, len(written))
    )
    body = written + bytes(4) + orjson.dumps(header)
    return head + zlib.crc32(body, zlib.crc32(head)).to_bytes(4, "big") + body


def of_tomorrow(database: Path, rewrite: Callable[[bytes], bytes]) -> bytes:
    """Let a later release have written the entry of a store that nobody has open; its payload."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        ((rowid, payload),) = connection.execute("SELECT rowid, value FROM Cache").fetchall()
        later = rewrite(payload)
        connection.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (later, rowid))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return later


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The database of a store with one entry, which nobody has open."""
    nbcache.install(tmp_path / "store")
    ask(Echo(), "boat?")
    nbcache.uninstall()
    return tmp_path / "store" / "cache.db"


def stored(database: Path) -> list[bytes]:
    with closing(sqlite3.connect(database)) as connection:
        return [value for (value,) in connection.execute("SELECT value FROM Cache")]


# An entry


def with_fields(header: dict[str, Any], answers: list[dict[str, Any]]) -> None:
    header["of_tomorrow"] = {"a": [1]}
    header["meta"]["of_tomorrow"] = 1
    header["usage"]["of_tomorrow"] = "x"
    answers[0]["message"]["fields"]["of_tomorrow"] = True


def test_fields_that_a_later_release_added_to_an_entry_change_nothing(database: Path, tmp_path: Path) -> None:
    later = of_tomorrow(database, lambda payload: rewritten(payload, with_fields))
    nbcache.install(database.parent)
    model = Echo()
    ask(model, "boat?", "boat?")
    assert model.calls == 0
    assert [nbcache.check(fix=fix) for fix in (False, True, False)] == [[], [], []]
    (key,) = nbcache.entries()["key"]
    assert nbcache.show(key).answer == answer_to("boat?")
    assert Board().ask({"type": "entry", "key": key})["type"] == "entry"
    assert nbcache.export_cassette(tmp_path / "a.llmcache.jsonl").entries == 1
    assert nbcache.import_cassette(tmp_path / "a.llmcache.jsonl").conflicting == ()
    nbcache.uninstall()
    assert stored(database) == [later]


def test_check_rebuilds_the_row_of_an_entry_with_fields_of_a_later_release(database: Path) -> None:
    later = of_tomorrow(database, lambda payload: rewritten(payload, with_fields))
    change(database, "DELETE FROM entry")
    nbcache.install(database.parent)
    nbcache.check(fix=True)
    assert nbcache.check() == []
    nbcache.uninstall()
    assert stored(database) == [later]


def nothing(header: dict[str, Any], answers: list[dict[str, Any]]) -> None:
    """An edit that changes nothing."""


NEWER: dict[str, Callable[[bytes], bytes]] = {
    "a version": of_a_newer_version,
    "a flag": lambda payload: rewritten(payload, nothing, 128),
    "a class of messages": lambda payload: rewritten(
        payload, lambda _, answers: answers[0]["message"].update(type="MessageOfTomorrow")
    ),
    "a class of answers": lambda payload: rewritten(
        payload, lambda _, answers: answers[0].update(type="GenerationOfTomorrow")
    ),
    "a tag": lambda payload: rewritten(
        payload, lambda _, answers: answers[0]["message"]["fields"].update(x={"!of_tomorrow": 1})
    ),
}


@pytest.mark.parametrize("rewrite", NEWER.values(), ids=NEWER.keys())
def test_an_entry_that_this_release_cannot_read_is_a_miss_and_stays(
    database: Path, tmp_path: Path, rewrite: Callable[[bytes], bytes]
) -> None:
    later = of_tomorrow(database, rewrite)
    nbcache.install(database.parent)
    model = Echo()
    with heard() as said, nbcache.mode("read-only"):
        ask(model, "boat?")
    assert model.calls == 1
    assert "newer" in said[0]
    assert "newer" in nbcache.why().text
    assert [miss.why for miss in nbcache.plan().misses] in ([], ["newer"])
    for fix in (False, True):
        assert not [line for line in nbcache.check(fix=fix) if "newer" not in line]
    assert len(Board().ask({"type": "page", "limit": 9})["rows"]) == 1
    nbcache.uninstall()
    assert stored(database) == [later]


class Squares(Embeddings):
    """Embeddings without a server."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[float(len(text)) ** 2] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return [float(len(text))]


def chat(provider: Provider) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o-mini", **provider.openai)


def sdk(provider: Provider) -> Any:
    return nbcache.wrap(OpenAI(**provider.openai)).chat.completions


def sdk_async(provider: Provider) -> Any:
    return nbcache.wrap(AsyncOpenAI(**provider.openai)).chat.completions


async def all_of(stream: Any) -> None:
    async for _ in stream:
        pass


async def sdk_stream(provider: Provider) -> None:
    await all_of(await sdk_async(provider).create(**BOAT, stream=True))


BOAT: Any = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "boat?"}]}
CALLS: dict[str, Callable[[Provider], Any]] = {
    "invoke": lambda provider: chat(provider).invoke("boat?"),
    "ainvoke": lambda provider: asyncio.run(chat(provider).ainvoke("boat?")),
    "stream": lambda provider: list(chat(provider).stream("boat?")),
    "astream": lambda provider: asyncio.run(all_of(chat(provider).astream("boat?"))),
    "batch of the same": lambda provider: chat(provider).batch(["boat?", "boat?"]),
    "embed_query": lambda _: nbcache.wrap(Squares()).embed_query("boat?"),
    "embed_documents": lambda _: nbcache.wrap(Squares()).embed_documents(["boat?"]),
    "aembed_documents": lambda _: asyncio.run(nbcache.wrap(Squares()).aembed_documents(["boat?"])),
    "SDK": lambda provider: sdk(provider).create(**BOAT),
    "SDK, stream": lambda provider: list(sdk(provider).create(**BOAT, stream=True)),
    "SDK, async": lambda provider: asyncio.run(sdk_async(provider).create(**BOAT)),
    "SDK, async stream": lambda provider: asyncio.run(sdk_stream(provider)),
    "put": lambda _: installed().put("boat?", "a boat", model="gpt-4o-mini"),
}


@pytest.mark.parametrize("mode", ["on", "refresh"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_no_answer_replaces_an_entry_of_a_later_release(
    provider: Provider, tmp_path: Path, mode: str, call: Callable[[Provider], Any]
) -> None:
    nbcache.install(tmp_path / "store")
    call(provider)
    nbcache.uninstall()
    later = of_tomorrow(tmp_path / "store" / "cache.db", of_a_newer_version)
    nbcache.install(tmp_path / "store", mode=mode)
    with heard():
        call(provider)
    nbcache.uninstall()
    assert stored(tmp_path / "store" / "cache.db") == [later]


@pytest.mark.parametrize("rewrite", NEWER.values(), ids=NEWER.keys())
def test_an_answer_is_handed_on_and_counted_though_its_entry_is_of_a_later_release(
    database: Path, rewrite: Callable[[bytes], bytes]
) -> None:
    later = of_tomorrow(database, rewrite)
    nbcache.install(database.parent)
    model = Echo()
    with heard():
        ask(model, "boat?", "boat?")
    assert model.calls == 2
    assert (nbcache.stats().misses, nbcache.stats().entries) == (2, 1)
    (key,) = nbcache.entries()["key"]
    nbcache.evict(key)
    ask(model, "boat?", "boat?")
    assert model.calls == 3
    nbcache.uninstall()
    assert stored(database) != [later]


def test_the_next_call_of_a_refreshed_entry_leaves_that_of_a_later_release(database: Path) -> None:
    later = of_tomorrow(database, of_a_newer_version)
    nbcache.install(database.parent)
    (key,) = nbcache.entries()["key"]
    installed().refresh_once(key)
    ask(Echo(), "boat?")
    assert not installed().refreshes(key)
    nbcache.uninstall()
    assert stored(database) == [later]


def test_an_entry_that_this_release_cannot_read_says_so_when_it_is_shown(database: Path) -> None:
    key = codec.key_of(of_tomorrow(database, of_a_newer_version))
    nbcache.install(database.parent)
    for show in (nbcache.show, lambda key: Board().ask({"type": "entry", "key": key})):
        with pytest.raises(StoreError, match="newer nbcache"):
            show(key)


@pytest.mark.parametrize("rewrite", [of_a_newer_version, NEWER["a flag"]])
def test_a_file_takes_no_entry_of_a_later_release_and_an_import_replaces_none(
    database: Path, tmp_path: Path, rewrite: Callable[[bytes], bytes]
) -> None:
    file = tmp_path / "a.llmcache.jsonl"
    nbcache.install(database.parent)
    nbcache.export_cassette(file)
    nbcache.uninstall()
    later = of_tomorrow(database, rewrite)
    nbcache.install(database.parent)
    done = nbcache.export_cassette(tmp_path / "b.llmcache.jsonl")
    assert ["newer" in why for why in done.left_out.values()] == [True]
    assert len(nbcache.import_cassette(file).conflicting) == 1
    nbcache.uninstall()
    assert stored(database) == [later]


def test_a_check_of_a_store_in_memory_leaves_it_too(database: Path) -> None:
    payload = of_a_newer_version(stored(database)[0])
    (meta,) = DiskStore(database.parent).page()
    store = MemoryStore()
    store.put(meta.key, payload, meta)
    assert ["newer" in line for line in Contents(store).check(fix=True)] == [True]
    assert store.get(meta.key) == payload


@pytest.mark.parametrize("rewrite", [of_a_newer_version, lambda payload: rewritten(payload, with_fields)])
def test_an_upgrade_leaves_the_entries_of_a_later_release(database: Path, rewrite: Callable[[bytes], bytes]) -> None:
    later = of_tomorrow(database, rewrite)
    change(database, "PRAGMA user_version = 2")
    store = DiskStore(database.parent)
    with heard():
        assert store.get(codec.key_of(later)) == later
    store.close()
    assert stored(database) == [later]


def test_an_entry_names_the_versions_that_stored_it(database: Path) -> None:
    nbcache.install(database.parent)
    (key,) = nbcache.entries()["key"]
    assert nbcache.show(key).versions == VERSIONS
    assert VERSIONS["nbcache"] == nbcache.__version__
    facts = dict(Board().ask({"type": "entry", "key": key})["facts"])
    assert facts["Stored by"] == f"nbcache {nbcache.__version__}, langchain-core {VERSIONS['langchain-core']}"


# A store


def test_columns_that_a_later_release_added_to_a_store_change_nothing(database: Path) -> None:
    nbcache.install(database.parent)
    ask(Echo(), "boat?")
    nbcache.uninstall()  # which writes down what the session called
    tables = ("entry", "preview", "spending", "called", "tombstone", "total")
    change(
        database,
        *(f"ALTER TABLE {table} ADD COLUMN of_tomorrow TEXT" for table in tables),
        *(f"UPDATE {table} SET of_tomorrow = 'kept'" for table in ("entry", "spending")),
        "UPDATE entry SET seconds = 'no number'",
    )
    nbcache.install(database.parent)
    model = Echo()
    with heard() as said:
        ask(model, "boat?", "train?", "train?")
        assert nbcache.history()["hits"].sum() >= 2
        assert len(nbcache.check(fix=True)) == 1  # the row with the wrong type
        assert nbcache.check() == []
    assert said == []
    assert model.calls == 1
    nbcache.uninstall()
    with closing(sqlite3.connect(database)) as connection:
        kept = connection.execute("SELECT of_tomorrow FROM entry ORDER BY id").fetchall()
        sums = connection.execute("SELECT of_tomorrow FROM spending WHERE of_tomorrow NOT NULL").fetchall()
    assert kept == [("kept",), (None,)]
    assert sums


@pytest.mark.parametrize("column", ["x INTEGER CHECK (x > 1)", "x AS (cost * 2)"])
def test_a_column_that_works_something_out_is_none_of_a_later_release(database: Path, column: str) -> None:
    change(database, f"ALTER TABLE entry ADD COLUMN {column}")
    with pytest.raises(StoreError, match="could do harm"):
        DiskStore(database.parent).get("0" * 40)


def test_a_reason_that_a_later_release_gave_for_an_entry_to_be_gone_is_said_as_it_is(database: Path) -> None:
    key = codec.key_of(stored(database)[0])
    change(database, "DELETE FROM Cache", f"INSERT INTO tombstone (key, gone, why) VALUES ('{key}', 1, 'recalled')")
    nbcache.install(database.parent)
    ask(Echo(), "boat?")
    assert "recalled" in nbcache.why().text


# A cassette


@pytest.fixture
def cassette(database: Path, tmp_path: Path) -> Path:
    """A cassette with one recording, of the store that is on."""
    nbcache.install(database.parent)
    nbcache.export_cassette(tmp_path / "a.llmcache.jsonl")
    return tmp_path / "a.llmcache.jsonl"


def with_line(cassette: Path, **changes: Any) -> str:
    """Let a later release have written the recording, with these fields; its line."""
    line = json.dumps(json.loads(cassette.read_text()) | changes, ensure_ascii=False)
    cassette.write_text(line + "\n")
    return line


def test_a_field_that_a_later_release_added_to_a_recording_changes_nothing(cassette: Path, tmp_path: Path) -> None:
    line = with_line(cassette, of_tomorrow=[1], tokens={"input_tokens": 3, "of_tomorrow": 1})
    nbcache.install(tmp_path / "elsewhere")
    assert nbcache.import_cassette(cassette).new == 1
    model = Echo()
    ask(model, "boat?")
    assert model.calls == 0
    assert json.loads(line)["of_tomorrow"] == [1]


def test_an_export_keeps_the_fields_of_a_later_release(cassette: Path) -> None:
    line = with_line(cassette, of_tomorrow=[1])
    assert not nbcache.export_cassette(cassette).changed
    assert cassette.read_text() == line + "\n"


def test_a_line_of_another_kind_is_passed_over_and_stays_when_the_file_is_written_anew(cassette: Path) -> None:
    other = '{"nbcache": 2, "kind": "of tomorrow", "key": 1}'
    cassette.write_text(other + "\n" + cassette.read_text())
    assert nbcache.import_cassette(cassette).same == 1
    ask(Echo(), "train?")
    done = nbcache.export_cassette(cassette)
    assert (done.entries, done.unknown, done.gone) == (2, 0, ())
    assert other in cassette.read_text().splitlines()
    assert nbcache.import_cassette(cassette).same == 2


def test_a_recording_of_a_later_format_is_refused_as_newer_and_its_file_never_written(cassette: Path) -> None:
    with_line(cassette, nbcache=99, answer="of tomorrow")
    before = cassette.read_bytes()
    with pytest.raises(CassetteError, match="newer nbcache"):
        nbcache.import_cassette(cassette)
    with pytest.raises(CassetteError, match="newer nbcache"):
        nbcache.export_cassette(cassette)
    assert cassette.read_bytes() == before


def test_a_recording_with_a_class_of_a_later_langchain_is_refused_as_newer(cassette: Path) -> None:
    (answer,) = json.loads(cassette.read_text())["answer"]
    answer["message"]["type"] = "MessageOfTomorrow"
    with_line(cassette, answer=[answer])
    with pytest.raises(CassetteError, match="newer"):
        nbcache.import_cassette(cassette)


# What this release writes


def test_the_release_before_takes_what_this_one_writes_for_newer(database: Path) -> None:
    """0.4 leaves a store above version 2 alone; one that has it open takes a payload above version 2 for newer."""
    assert stored(database)[0][3] == 3
    assert database.read_bytes()[60:64] == b"\0\0\0\7"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("payload_v3_*.bin")), ids=lambda path: path.stem)
def test_golden_payloads_of_version_3_are_read(path: Path) -> None:
    payload = path.read_bytes()
    whole = codec.read(payload, codec.key_of(payload))
    known = json.loads(path.with_suffix(".json").read_text())
    assert whole.plain() == known["answers"]
    header = whole.header()
    assert (header.prompt, header.endpoint, header.meta.model) == ("What is a monad? 🌧", known["endpoint"], "gpt-4o")
    assert header.versions == known["versions"]
    assert len(whole.packed_chunks()) == known["chunks"]


@pytest.mark.parametrize("version", ["store_v3", "store_v4", "store_v5", "store_v6", "store_v7"])
def test_golden_store_is_read(tmp_path: Path, version: str) -> None:
    shutil.copytree(GOLDEN / version, tmp_path / "store")
    store = DiskStore(tmp_path / "store")
    contents = Contents(store)
    rows = contents.entries()
    assert [(row.model, row.hits, row.notebooks) for row in rows] == [
        ("model-2", 0, ()),
        ("model-1", 5, ("a.ipynb", "b.ipynb", "c.ipynb")),
        ("model-0", 0, ("a.ipynb",)),
    ]
    assert [contents.read(row.key).versions for row in rows] == [{"nbcache": "0.5.0", "langchain-core": "1.8.3"}] * 3
    (spending,) = store.spendings()
    assert (spending.misses, str(spending.spent_usd), spending.untimed_hits) == (1, "0.25", 2)
    by_provider = (spending.provider_saved_usd, spending.provider_priced_misses, spending.provider_unpriced_misses)
    assert by_provider == ((Decimal("-0.125"), 1, 0) if version == "store_v7" else (0, 0, 1))
    (called,) = store.last_calls("a.ipynb")
    assert (called.key, called.calls) == (rows[0].key, 3)
    assert contents.check() == []
    store.close()


def test_garbage_in_place_of_versions_is_damage(database: Path) -> None:
    payload = rewritten(stored(database)[0], lambda header, _: header.update(versions=[1]))
    with pytest.raises(DamagedError):
        codec.read(payload, codec.key_of(payload)).header()
