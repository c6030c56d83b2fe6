"""Cassettes that somebody planted: none takes long, or much memory, and none makes a call wait."""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessageChunk

import nbcache
from nbcache import ReplayMiss
from nbcache.codec import chunk_limits
from nbcache.errors import CassetteError
from nbcache.keys import llm_string
from nbcache.replay import untrusted_files
from nbcache.replay.cassette_format import read
from nbcache.replay.importers import langchain_sqlite as langchain_file
from nbcache.session import installation
from tests.replay.test_langchain_sqlite import LLM, PROMPT, TABLE, schema, write
from tests.support.paths import GOLDEN

CASSETTE = GOLDEN / "cassette_v1.jsonl"
LINE = {name: value for name, value in json.loads(CASSETTE.read_text().splitlines()[0]).items() if name != "key"}
LINE.pop("chunks", None)
TOO_MUCH = "its chunks would take gigabytes or minutes to replay"


def answer(**fields: Any) -> dict[str, Any]:
    message = {"type": "AIMessage", "fields": {"content": "x", **fields}}
    return {**LINE, "answer": [{"type": "ChatGeneration", "message": message}]}


def info(value: Any) -> dict[str, Any]:
    return {**LINE, "answer": [{"type": "Generation", "text": "a", "info": {"a": value}}]}


def streamed(number: int, **fields: Any) -> dict[str, Any]:
    """An answer whose chunks are one, and texts that go on with it."""
    first = {"type": "ChatGenerationChunk", "message": {"type": "AIMessageChunk", "fields": {"content": "", **fields}}}
    return {**answer(content="x" * number), "chunks": [first, *["x"] * number]}


def prompt(text: str, **more: Any) -> dict[str, Any]:
    return {**{name: value for name, value in LINE.items() if name != "messages"}, "prompt": text, **more}


def call(arguments: str) -> dict[str, Any]:
    return {"name": "a", "args": arguments, "id": "1", "index": 0, "type": "tool_call_chunk"}


# Lines that grow with a number: about so many characters.
HOSTILE: dict[str, Callable[[int], dict[str, Any]]] = {
    "empty lists": lambda n: info([[]] * (n // 3)),
    "a wrong type in each item": lambda n: answer(content=[1] * (n // 2)),
    "wrong tool calls": lambda n: answer(tool_calls=[{}] * (n // 3)),
    "arguments without end": lambda n: answer(
        invalid_tool_calls=[{**call('{"a":' * (n // 5)), "error": None, "type": "invalid_tool_call"}]
    ),
    "calls that LangChain would parse": lambda n: answer(
        additional_kwargs={"tool_calls": [{"function": {"name": "a", "arguments": "{" * n}}]}
    ),
    "numbers that collide in a set": lambda n: info({"!set": [{"!int": str((2**61 - 1) * k)} for k in range(n // 30)]}),
    "numbers that collide as names": lambda n: info(
        {"!pairs": [[{"!int": str((2**61 - 1) * k)}, 0] for k in range(n // 34)]}
    ),
    "a number of many digits": lambda n: info({"!decimal": "9" * n}),
    "copies of a large chunk": lambda n: streamed(n // 9, additional_kwargs={"a": [[]] * (n // 9)}),
    "chunks whose texts are joined": lambda n: streamed(n // 8, additional_kwargs={"a": "x" * (n // 2)}),
    "many chunks": lambda n: {**info(0), "chunks": [{"type": "GenerationChunk", "text": "a"}] + [""] * (n // 3)},
    "items of a list to be joined": lambda n: {
        **answer(content=""),
        "chunks": [
            {
                "type": "ChatGenerationChunk",
                "message": {"type": "AIMessageChunk", "fields": {"content": [{"index": at}]}},
            }
            for at in range(n // 100)
        ],
    },
    "a prompt of empty lists": lambda n: prompt("[" + "[]," * (n // 3) + "[]]", verbatim=False),
    "a deep prompt": lambda n: prompt("[" * n),
    "messages of nothing": lambda n: {**LINE, "messages": [{"HumanMessage": {}}] * (n // 20)},
    "a prompt that may hold secrets": lambda n: prompt("password=" * (n // 9)),
    "draws among the parameters": lambda n: {**LINE, "parameters": '{"class":"' + ',\\"draw\\":1' * (n // 10) + '"}'},
    "tags": lambda n: {**LINE, "tags": ["a"] * (n // 4)},
    "classes that aren't here": lambda n: info(
        [{"!model": {"module": "os", "name": "a." * 50, "schema": "", "data": 0}}] * (n // 160)
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_line_takes_no_more_than_its_size_allows(tmp_path: Path, name: str) -> None:
    path = tmp_path / "file.jsonl"
    path.write_text(json.dumps(HOSTILE[name](60_000), separators=(",", ":")))
    tracemalloc.start()
    try:
        with contextlib.suppress(CassetteError):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 200 * path.stat().st_size
    finally:
        tracemalloc.stop()


BOMBS = {
    "copies of a large chunk": streamed(3_000, additional_kwargs={"a": [[]] * 3_000}),
    "chunks whose texts are joined": streamed(10_000, additional_kwargs={"a": "x" * 2_000}),
    "chunks that each say much": streamed(200_000, response_metadata={"finish": "x" * 10}),
    "many chunks": HOSTILE["many chunks"](1_000_000),
    "items of a list to be joined": HOSTILE["items of a list to be joined"](300_000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_stream_that_would_never_end_is_refused_whole(tmp_path: Path, name: str) -> None:
    path = tmp_path / "file.jsonl"
    path.write_text(CASSETTE.read_text() + json.dumps(BOMBS[name], separators=(",", ":")))
    nbcache.install(tmp_path / "store")
    with pytest.raises(CassetteError, match=TOO_MUCH):
        nbcache.import_cassette(path)
    assert nbcache.stats().entries == 0
    nbcache.install(tmp_path / "store", mode="replay", cassette=path)
    with pytest.raises(ReplayMiss, match=TOO_MUCH):
        FakeListChatModel(responses=["a"]).invoke("q")


def test_a_stream_that_a_cassette_may_not_hold_is_exported_in_one_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbcache.install(tmp_path / "store")
    model = FakeListChatModel(responses=["a long answer"])
    assert len(list(model.stream("q"))) > 10
    monkeypatch.setattr(chunk_limits, "_MOST_CHUNKS", 10)
    nbcache.export_cassette(tmp_path / "file.jsonl")
    nbcache.install(tmp_path / "empty", mode="replay", cassette=tmp_path / "file.jsonl")
    assert "".join(str(chunk.content) for chunk in model.stream("q")) == "a long answer"


def test_an_answer_of_many_chunks_comes_back(tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store")
    text = "a word " * 1_500
    model = FakeListChatModel(responses=[text])
    whole = len([chunk for chunk in model.stream("q") if isinstance(chunk, AIMessageChunk)])
    nbcache.export_cassette(tmp_path / "file.jsonl")
    nbcache.install(tmp_path / "other")
    assert nbcache.import_cassette(tmp_path / "file.jsonl").new == 1
    replayed = list(FakeListChatModel(responses=[text]).stream("q"))
    assert (len(replayed), "".join(str(chunk.content) for chunk in replayed)) == (whole, text)


# Values

NUMBERS = {
    "an integer of more than 64 bits": ("18446744073709551616", "more than 64 bits"),
    "an integer below them": ("-9223372036854775809", "more than 64 bits"),
    "a number beyond all": ("1e999", "a number that JSON has no word for"),
    "a number that is none": ("NaN", "a number that JSON has no word for"),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_would_come_back_as_another_is_refused(tmp_path: Path, name: str) -> None:
    number, message = NUMBERS[name]
    path = tmp_path / "file.jsonl"
    path.write_text(json.dumps(info("number")).replace('"number"', number))
    with pytest.raises(CassetteError, match=message):
        read(path)


def test_a_large_integer_as_an_export_writes_it_is_the_same_when_it_is_imported_again(tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    path.write_text(json.dumps(info({"!int": str(2**80)})))
    nbcache.install(tmp_path / "store")
    nbcache.import_cassette(path)
    assert nbcache.import_cassette(path).same == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
TAGS = st.sampled_from(["!set", "!pairs", "!int", "!decimal", "!datetime", "!bytes", "!model", "!uuid", "!!x", "lc"])


@settings(max_examples=400)
@given(st.data())
@pytest.mark.slow
def test_a_line_that_was_changed_anywhere_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    recordings = [json.loads(line) for line in CASSETTE.read_text().splitlines()]
    line = data.draw(st.sampled_from(recordings))
    line.pop("key")
    for _ in range(data.draw(st.integers(1, 3))):
        at: Any = line
        while isinstance(inner := at[name := data.draw(st.sampled_from(places(at)))], dict | list) and inner:
            if data.draw(st.integers(0, 3)) == 0:
                break
            at = inner
        how = data.draw(st.sampled_from(["value", "tag", "repeat", "nest"]))
        if how == "value":
            at[name] = data.draw(JSON)
        elif how == "tag":
            at[name] = {data.draw(TAGS): data.draw(JSON | st.just(at[name]))}
        elif how == "nest":
            at[name] = [at[name]]
        elif isinstance(at, list):
            at += [at[name]] * data.draw(st.integers(1, 300))
    path = tmp_path_factory.mktemp("fuzz") / "file.jsonl"
    path.write_text(json.dumps(line))
    found = []
    with contextlib.suppress(CassetteError):
        found = read(path)
    for recording in found:
        assert json.loads(recording.line())["answer"] == line["answer"]
        recording.entry()


def places(value: Any) -> list[Any]:
    return [*value] if isinstance(value, dict) else [*range(len(value))]


# Files that are none


def test_no_more_than_a_bound_is_read_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.jsonl"
    with path.open("wb") as file:
        file.truncate(2**40)  # of which nothing is on the disk
    with pytest.raises(CassetteError, match="larger than 1,024 MB"):
        read(path)
    with path.open("wb") as file:
        file.truncate(2**29)
    with pytest.raises(CassetteError, match="line 1 is longer than 64 MB"):
        read(path)
    monkeypatch.setattr(untrusted_files, "MOST_VALUES", 10_000)
    path.write_text(json.dumps(info([[]] * 20_000)))
    with pytest.raises(CassetteError, match="line 1 has too many values"):
        read(path)
    path.write_text(json.dumps(prompt("[]," * 9_000)))  # text, and no values
    assert len(read(path)) == 1


ASK = """
import sys, nbcache
from langchain_core.language_models import FakeListChatModel
nbcache.install(sys.argv[1], mode="replay")
try:
    FakeListChatModel(responses=["a"]).invoke("q")
except nbcache.ReplayMiss as miss:
    print(miss)
try:
    nbcache.import_cassette(sys.argv[2])
except nbcache.CassetteError as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["/dev/zero", "a pipe", "a folder"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, name: str) -> None:
    path = Path(name)
    if name == "a pipe":
        path = tmp_path / "pipe"
        os.mkfifo(path)  # to open it would take until somebody writes
    elif name == "a folder":
        path = tmp_path
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(tmp_path / "store"), str(path)],
        env={**os.environ, "NBCACHE_CASSETTE": str(path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.count(f"{path} is no file") == 2, done.stderr


# LangChain's file

SELF = 12  # quotes: enough, once, for hours


@pytest.mark.parametrize(
    "text",
    [
        "[('_type', 'x'), ('stop', <" + "''" * SELF,
        "[('_type', 'x'), ('stop', <" + "'<" * 2_000,
        "[(<" + "<>'" * 20_000,
        "[('" + "\\'" * 50_000,
        "[('_type', " + "<a" * 20_000 + ">" * 20_000,
    ],
    ids=range(5),
)
def test_an_llm_string_of_signs_that_open_something_is_read(text: str) -> None:
    assert llm_string.parse(text).name in {"", "x"}


def test_an_object_within_an_objects_name_is_one_text() -> None:
    told = llm_string.parse("[('_type', 'x'), ('a', <Foo x=<Bar 'b>'>>), ('b', '<c>'), ('stop', None)]")
    assert told.params == {"a": "!object:<Foo x=<Bar 'b>'>>", "b": "<c>"}


HOSTILE_TABLES = {
    "rows that are worked out": TABLE.replace("response VARCHAR", "response VARCHAR, x AS (hex(zeroblob(1000000000)))"),
    "a check that takes long": TABLE.replace(
        "response VARCHAR", "response VARCHAR CHECK (length(zeroblob(900000000)))"
    ),
    "an index that takes long": f"{TABLE}; CREATE INDEX i ON full_llm_cache (length(zeroblob(900000000)))",
    "an index of some rows": f"{TABLE}; CREATE INDEX i ON full_llm_cache (idx) WHERE length(zeroblob(900000000))",
    "a default that is worked out": TABLE.replace("response VARCHAR", "response VARCHAR DEFAULT (hex('a'))"),
}


@pytest.mark.parametrize("name", HOSTILE_TABLES)
def test_a_table_that_has_something_worked_out_is_not_langchains(tmp_path: Path, name: str) -> None:
    path = tmp_path / "file.db"
    path.touch()
    schema(HOSTILE_TABLES[name])(path)
    with pytest.raises(CassetteError, match="no file of LangChain's SQLiteCache"):
        langchain_file.read(path)


def test_an_index_of_the_users_own_is_no_matter(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    path.touch()
    schema(f'{TABLE}; CREATE INDEX "my index" ON full_llm_cache (llm, "prompt")')(path)
    write(path, [(PROMPT, LLM, 0, "text")])
    assert len(langchain_file.read(path).recordings) == 1


def test_a_page_that_stands_in_the_table_many_times_is_damage(tmp_path: Path) -> None:
    """Else a few of them, each of which leads to the next a hundred times, are rows without end."""
    path = tmp_path / "file.db"
    path.touch()
    schema(TABLE)(path)
    write(path, [(f"{number}", LLM, 0, "x" * 3_000) for number in range(100)])
    with contextlib.closing(sqlite3.connect(path)) as database:
        ((root, size),) = database.execute(
            "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_master WHERE type = 'table'"
        )
    data = bytearray(path.read_bytes())
    start = (root - 1) * size
    assert data[start] == 5  # an inner page
    (first, second, *_) = (int.from_bytes(data[start + 12 + 2 * at :][:2], "big") for at in range(2))
    data[start + first : start + first + 4] = data[start + second : start + second + 4]
    path.write_bytes(data)
    with pytest.raises(CassetteError, match="damaged"):
        langchain_file.read(path)


@pytest.mark.parametrize("suffix", ["-journal", "-wal"])
def test_a_pipe_in_the_place_of_a_journal_is_refused_at_once(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "file.db"
    path.touch()
    schema(TABLE)(path)
    os.mkfifo(f"{path}{suffix}")
    with pytest.raises(CassetteError, match="is no file"):
        langchain_file.read(path)


def test_what_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.db"
    path.touch()
    schema(TABLE)(path)
    write(path, [(f"{number}", LLM, 0, "x" * 3_000) for number in range(100)])
    monkeypatch.setattr(langchain_file, "_SECONDS", -1_000)
    monkeypatch.setattr(langchain_file, "_STEPS", 10)
    with pytest.raises(CassetteError, match="can't be read, and nothing of it was imported: interrupted"):
        langchain_file.read(path)


@pytest.mark.parametrize(
    "response",
    [
        '{"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "AIMessage"], "kwargs": {}}',
        "[" * 100_000,
        "[" + "[]," * 30_000 + "[]]",
    ],
)
def test_a_response_of_any_form_takes_no_more_than_its_size_allows(tmp_path: Path, response: str) -> None:
    path = tmp_path / "file.db"
    path.touch()
    schema(TABLE)(path)
    write(path, [(PROMPT, LLM, 0, response)])
    tracemalloc.start()
    try:
        found = langchain_file.read(path)
        assert tracemalloc.get_traced_memory()[1] < 200 * path.stat().st_size + 5_000_000
    finally:
        tracemalloc.stop()
    assert len(found.recordings) + sum(found.left_out.values()) == 1


def test_wrong_content_is_not_looked_at_item_by_item(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    path.touch()
    schema(TABLE)(path)
    message = {
        "lc": 1,
        "type": "constructor",
        "id": ["langchain", "schema", "messages", "AIMessage"],
        "kwargs": {"content": [1] * 30_000},
    }
    generation = {
        "lc": 1,
        "type": "constructor",
        "id": ["langchain", "schema", "output", "ChatGeneration"],
        "kwargs": {"message": message},
    }
    write(path, [(PROMPT, LLM, 0, json.dumps(generation))])
    tracemalloc.start()
    try:
        assert sum(langchain_file.read(path).left_out.values()) == 1
        assert tracemalloc.get_traced_memory()[1] < 200 * path.stat().st_size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("bound", "most", "why"),
    [
        ("LONGEST", 20_000, "its line is longer than"),
        ("_LARGEST", 20_000, "its line makes the file larger than"),
        ("MOST_VALUES", 5_000, "its line has too many values"),
    ],
)
def test_what_no_import_would_read_is_left_out_of_an_export(
    store: Path, monkeypatch: pytest.MonkeyPatch, bound: str, most: int, why: str
) -> None:
    cache, cassette = installation.installed(), store.with_name("cassette.jsonl")
    cache.put("large", [[]] * 10_000, model="m")
    cache.put("small", "x", model="m")
    monkeypatch.setattr(untrusted_files, bound, most)
    done = nbcache.export_cassette(cassette)
    assert (done.entries, len(done.left_out)) == (1, 1)
    assert next(iter(done.left_out.values())).startswith(why)
    nbcache.clear()
    assert nbcache.import_cassette(cassette).new == 1
    assert cache.get("small", model="m") == "x"
