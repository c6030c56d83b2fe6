"""What LangChain's SQLiteCache has kept: imported it answers live calls, and a hostile file does nothing."""

import importlib
import json
import os
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.caches import BaseCache
from langchain_core.globals import set_llm_cache
from langchain_core.load import dumps, loads
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.prompts import PromptTemplate
from langchain_ollama import ChatOllama
from langchain_openai import AzureChatOpenAI, ChatOpenAI, OpenAI
from pydantic import BaseModel

import nbcache
from nbcache.cache.call import Call
from nbcache.codec import payload as codec
from nbcache.errors import CassetteError
from nbcache.keys.key import cache_key
from nbcache.replay.export_import_results import Imported
from nbcache.replay.importers import langchain_models as known_models
from nbcache.replay.importers import langchain_sqlite as langchain_file
from nbcache.session import installation
from nbcache.stores import MemoryStore
from nbcache.ui import report
from tests.integrations.providers.providers import CLIENTS
from tests.servers.provider import Answer, Provider

TABLE = """CREATE TABLE full_llm_cache (
	prompt VARCHAR NOT NULL,
	llm VARCHAR NOT NULL,
	idx INTEGER NOT NULL,
	response VARCHAR,
	PRIMARY KEY (prompt, llm, idx)
)"""
PROMPT, LLM = "When does the boat come?", "[('_type', 'openai'), ('model_name', 'm'), ('stop', None)]"
CHATS = [name for name in CLIENTS if name.startswith(("Chat", "ChatOpenAI")) and name != "ChatOllama"]


class LikeSQLiteCache(BaseCache):
    """What `SQLiteCache` of langchain-community does, without SQLAlchemy."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with closing(sqlite3.connect(path)) as database:
            database.execute(TABLE)

    def lookup(self, prompt: str, llm_string: str) -> list[Generation] | None:
        with closing(sqlite3.connect(self.path)) as database:
            asked = "SELECT response FROM full_llm_cache WHERE prompt = ? AND llm = ? ORDER BY idx"
            rows = database.execute(asked, (prompt, llm_string)).fetchall()
        return [loads(row[0], allowed_objects="core") for row in rows] or None

    def update(self, prompt: str, llm_string: str, return_val: Sequence[Generation]) -> None:
        write(self.path, [(prompt, llm_string, i, dumps(one)) for i, one in enumerate(return_val)])

    def clear(self, **_: Any) -> None:
        raise NotImplementedError


def write(path: Path, rows: Iterable[tuple[Any, ...]]) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.executemany("INSERT OR REPLACE INTO full_llm_cache VALUES (?, ?, ?, ?)", rows)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of LangChain's, which is its cache until nbcache is turned on."""
    path = tmp_path / "langchain's 100% #1?.db"
    set_llm_cache(LikeSQLiteCache(path))
    return path


def taken_over(file: Path, tmp_path: Path) -> Imported:
    set_llm_cache(None)
    nbcache.install(tmp_path / "store")
    return nbcache.import_cassette(file)


def chat(provider: Provider, **given: Any) -> ChatOpenAI:
    return ChatOpenAI(**{"model": "gpt-4o-mini", "max_retries": 0, **provider.openai, **given})


def weather(city: str) -> str:
    """The weather in a city."""
    return city


class City(BaseModel):
    name: str


# What it gives back


def everything(name: str, provider: Provider) -> list[Any]:
    """Calls of a client with each kind of setting."""
    make = CLIENTS[name].connect(provider.url)
    said = [make(temperature=0.5, max_tokens=64).invoke("a"), make().bind_tools([weather]).invoke("b")]
    said.append(make().invoke([HumanMessage("c"), AIMessage("d"), HumanMessage("ünï ☃")]))
    if "stop" not in CLIENTS[name].cannot:
        said.append(make().bind(stop=["x", "'---"]).invoke("e"))
    return [(each.content, each.tool_calls) for each in said]


@pytest.mark.parametrize("name", CHATS)
def test_every_well_known_chat_model_is_answered_from_the_file(
    provider: Provider, file: Path, tmp_path: Path, name: str
) -> None:
    first = everything(name, provider)
    paid = len(provider.requests)
    done = taken_over(file, tmp_path)
    assert (done.new, done.left_out, done.by_hand) == (paid, {}, 0)
    assert everything(name, provider) == first
    assert len(provider.requests) == paid
    assert nbcache.stats().misses == 0


def test_another_setting_is_another_call(provider: Provider, file: Path, tmp_path: Path) -> None:
    model = chat(provider, temperature=0.5)
    model.invoke("a")
    taken_over(file, tmp_path)
    for other in (
        chat(provider, temperature=0.6),
        model.bind(stop=["x"]),
        model.bind(temperature=None),
        model.bind_tools([weather]),
        chat(provider, temperature=0.5, base_url=f"{provider.url}/mistral/v1"),
    ):
        other.invoke("a")
    assert len(provider.requests) == 6


def test_an_option_that_is_none_is_the_same_call_as_before(provider: Provider, file: Path, tmp_path: Path) -> None:
    model = chat(provider, temperature=0.5)
    model.bind(temperature=None, stop=("x",)).invoke("a")
    taken_over(file, tmp_path)
    model.bind(temperature=None, stop=("x",)).invoke("a")
    assert len(provider.requests) == 1


def test_a_structured_answer_comes_back(provider: Provider, file: Path, tmp_path: Path) -> None:
    provider.answer(Answer(tool_calls=(("City", {"name": "Bern"}),)))
    model = chat(provider).with_structured_output(City, method="function_calling")
    assert model.invoke("a") == City(name="Bern")
    taken_over(file, tmp_path)
    assert model.invoke("a") == City(name="Bern")
    assert len(provider.requests) == 1


def test_an_option_of_which_only_the_name_was_written_is_left_out(
    provider: Provider, file: Path, tmp_path: Path
) -> None:
    provider.answer('{"name": "Bern"}')
    chat(provider).with_structured_output(City, method="json_schema").invoke("a")
    assert taken_over(file, tmp_path).left_out == {"the file doesn't tell enough of its model": 1}


def test_several_generations_are_one_answer_in_their_order(provider: Provider, file: Path, tmp_path: Path) -> None:
    provider.answer("said")
    model = chat(provider, n=12)
    (first,) = model.generate([[HumanMessage("a")]]).generations
    taken_over(file, tmp_path)
    (again,) = model.generate([[HumanMessage("a")]]).generations
    assert [each.text for each in again] == [each.text for each in first]
    assert len(again) == 12
    assert len(provider.requests) == 1


def test_an_imported_answer_is_what_would_have_been_stored(provider: Provider, file: Path, tmp_path: Path) -> None:
    provider.answer(*[Answer(tool_calls=(("weather", {"city": "Bern"}),))] * 2)
    chat(provider).invoke("a")
    chat_of_its_own = chat(provider)
    nbcache.install(tmp_path / "live")
    chat_of_its_own.invoke("a")
    (live,) = nbcache.entries().to_dict("records")
    nbcache.uninstall()
    os.utime(file, (1_700_000_000, 1_700_000_000))
    taken_over(file, tmp_path)
    (row,) = nbcache.entries().to_dict("records")
    same = ("key", "model", "prompt", "answer", "status", "input_tokens", "output_tokens")
    assert {name: row[name] for name in same} == {name: live[name] for name in same}
    assert nbcache.show(row["key"]).meta.created == 1_700_000_000


def test_the_key_is_that_of_the_model_itself(provider: Provider, tmp_path: Path, file: Path) -> None:
    azure = AzureChatOpenAI(
        azure_endpoint=provider.url, azure_deployment="mine", api_version="2024-10-21", api_key="k", temperature=0.5
    )
    thinking = ChatAnthropic(
        model="claude-sonnet-4-5", max_tokens=4096, thinking={"type": "enabled", "budget_tokens": 2048}, api_key="k"
    )
    for model in (azure, thinking, ChatOpenAI(model="gpt-5", model_kwargs={"user": "me"}, api_key="k", seed=1)):
        llm = model._get_llm_string(stop=["x"], tool_choice="any")
        call = known_models.KnownModels().call(llm)
        assert call is not None
        assert cache_key(PROMPT, llm, call) == cache_key(PROMPT, llm, Call(model, ["x"], {"tool_choice": "any"}))


def test_where_a_call_went_is_not_told_by_the_environment_of_today(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asking() -> ChatOpenAI:
        return ChatOpenAI(model="gpt-4o-mini", api_key="key", max_retries=0)

    generation = ChatGeneration(message=AIMessage("at noon"))
    write(file, [(dumps([HumanMessage("boat?")]), asking()._get_llm_string(), 0, dumps(generation))])
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    done = taken_over(file, tmp_path)
    assert (done.new, [*done.left_out.values()]) == (0, [1])
    assert "OPENAI_BASE_URL" in next(iter(done.left_out))
    monkeypatch.delenv("OPENAI_BASE_URL")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9/v1")  # another provider's
    assert nbcache.import_cassette(file).new == 1
    assert asking().invoke("boat?").text == "at noon"


def test_the_first_releases_plain_text_is_the_answers_text(tmp_path: Path, file: Path) -> None:
    write(file, [(PROMPT, LLM, 0, "at noon"), (PROMPT, LLM, 1, '{"a": 1}')])
    done = taken_over(file, tmp_path)
    assert (done.new, done.by_hand) == (1, 1)
    assert [each["text"] for each in answer_of(PROMPT, LLM)] == ["at noon", '{"a": 1}']


def answer_of(prompt: str, llm: str) -> list[dict[str, Any]]:
    """The generations of the entry that a cache set by hand would find, in the codec's plain form."""
    key = cache_key(prompt, llm)
    payload = installation.installed().store.get(key)
    assert payload is not None
    return codec.read(payload, key).plain()


def test_what_tells_no_server_answers_a_cache_set_by_hand_and_is_named_so(
    provider: Provider, file: Path, tmp_path: Path
) -> None:
    model = OpenAI(**provider.openai, max_retries=0)
    said = model.invoke("a")
    done = taken_over(file, tmp_path)
    assert (done.new, done.by_hand) == (1, 1)
    assert "1 only for a cache set by hand" in report.imported(done, MemoryStore(), dry_run=False)
    nbcache.uninstall()
    set_llm_cache(nbcache.NotebookCache(tmp_path / "store"))
    assert model.invoke("a") == said
    assert len(provider.requests) == 1


def test_a_model_that_tells_nothing_is_left_out_and_named(provider: Provider, file: Path, tmp_path: Path) -> None:
    ChatOllama(model="llama3", **provider.ollama).invoke("a")
    done = taken_over(file, tmp_path)
    assert (done.new, done.left_out) == (0, {"the file doesn't tell enough of its model": 1})
    assert "left out: 1, the file doesn't tell enough of its model" in report.imported(
        done, MemoryStore(), dry_run=False
    )


def test_a_package_that_is_not_here_is_done_without(
    provider: Provider, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat(provider).invoke("a")
    monkeypatch.setitem(sys.modules, "langchain_openai", None)
    done = taken_over(file, tmp_path)
    assert (done.new, done.by_hand) == (1, 1)


def test_of_two_answers_to_the_same_call_the_second_is_left_out(provider: Provider, file: Path, tmp_path: Path) -> None:
    chat(provider, timeout=1).invoke("a")
    chat(provider, timeout=2).invoke("a")
    done = taken_over(file, tmp_path)
    assert (done.new, done.left_out) == (1, {"the file has another answer to the same call": 1})


@pytest.mark.parametrize("prefer", ["store", "file"])
def test_a_conflict_is_settled_as_asked(provider: Provider, file: Path, tmp_path: Path, prefer: str) -> None:
    provider.answer("in the file", "in the store")
    chat(provider).invoke("a")
    set_llm_cache(None)
    nbcache.install(tmp_path / "store")
    chat(provider).invoke("a")
    for dry_run in (True, False):
        done = nbcache.import_cassette(file, prefer, dry_run)
        assert (done.new, len(done.conflicting)) == (0, 1)
        assert chat(provider).invoke("a").text == f"in the {'store' if dry_run else prefer}"


# The file itself


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_file_is_as_it_was_and_nothing_is_left_beside_it(
    provider: Provider, file: Path, tmp_path: Path, journal: str
) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute(f"PRAGMA journal_mode = {journal}")
    chat(provider).invoke("a")
    folder, before, stat = sorted(tmp_path.iterdir()), file.read_bytes(), file.stat()
    file.chmod(0o400)
    assert taken_over(file, tmp_path).new == 1
    assert file.read_bytes() == before
    assert file.stat().st_mtime_ns == stat.st_mtime_ns
    assert sorted({*tmp_path.iterdir()} - {tmp_path / "store"}) == folder


def test_a_file_of_which_a_part_is_elsewhere_is_refused(tmp_path: Path, file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA journal_mode = wal")
        database.execute("INSERT INTO full_llm_cache VALUES ('a', 'b', 0, 'c')")
        database.commit()
        link = tmp_path / "link.db"
        link.symlink_to(file)
        for path in (file, link):
            with pytest.raises(CassetteError, match="is in use"):
                taken_over(path, tmp_path)


def test_a_file_that_a_crash_left_half_written_is_refused_and_left_so(tmp_path: Path, file: Path) -> None:
    crashed = tmp_path / "crashed.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA cache_size = 1")
        write(file, [(f"{i}", LLM, 0, "x" * 2000) for i in range(50)])
        database.execute("UPDATE full_llm_cache SET response = 'half'")
        for suffix in ("", "-journal"):
            Path(f"{crashed}{suffix}").write_bytes(Path(f"{file}{suffix}").read_bytes())
    before = crashed.read_bytes()
    with pytest.raises(CassetteError, match="nothing of it was imported"):
        taken_over(crashed, tmp_path)
    assert crashed.read_bytes() == before


def schema(sql: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.unlink()
        with closing(sqlite3.connect(path)) as database:
            database.executescript(sql)

    return make


def cut(path: Path) -> None:
    write(path, [(f"{i}", LLM, 0, "x" * 5000) for i in range(20)])
    path.write_bytes(path.read_bytes()[:-9000])


def scribbled(path: Path) -> None:
    write(path, [(f"{i}", LLM, 0, "x" * 5000) for i in range(20)])
    data = bytearray(path.read_bytes())
    data[3 * 4096 : 5 * 4096] = b"\xff" * 8192
    path.write_bytes(data)


def flipped(path: Path) -> None:
    """One letter of a prompt is another in the table's index, from which it would be read."""
    write(path, [("unmistakable", LLM, 0, "x")])
    data = bytearray(path.read_bytes())
    assert data.count(b"unmistakable") == 2
    data[data.index(b"unmistakable")] ^= 1
    path.write_bytes(data)


NOT_THEIRS = "it is an SQLite database without a table full_llm_cache of prompt, llm, idx, response"
COLUMNS = "prompt TEXT, llm TEXT, idx INTEGER"
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a text": (lambda path: path.write_text("SQLite format 4"), "line 1 is no recording"),
    "nothing but the magic": (lambda path: path.write_bytes(b"SQLite format 3\0"), "can't be read"),
    "another program's database": (schema("CREATE TABLE notes (text)"), NOT_THEIRS),
    "another table of that name": (schema(f"CREATE TABLE full_llm_cache ({COLUMNS})"), NOT_THEIRS),
    "a view": (
        schema(f"CREATE TABLE t ({COLUMNS}, response); CREATE VIEW full_llm_cache AS SELECT * FROM t"),
        NOT_THEIRS,
    ),
    "a trigger": (
        schema("CREATE TABLE t (a); CREATE TRIGGER full_llm_cache AFTER INSERT ON t BEGIN SELECT 1; END"),
        NOT_THEIRS,
    ),
    "a virtual table": (
        schema("CREATE VIRTUAL TABLE full_llm_cache USING fts5(prompt, llm, idx, response)"),
        NOT_THEIRS,
    ),
    "a column that is worked out": (
        schema(f"CREATE TABLE full_llm_cache ({COLUMNS}, response AS (hex(zeroblob(9))))"),
        NOT_THEIRS,
    ),
    "a cut file": (cut, "nothing of it was imported"),
    "a scribbled file": (scribbled, "nothing of it was imported"),
    "a flipped bit": (flipped, "nothing of it was imported"),
    "bytes that are no text": (
        schema(f"{TABLE}; INSERT INTO full_llm_cache VALUES (CAST(x'ff' AS TEXT), 'b', 0, 'c')"),
        "nothing of it was imported",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_sound_file_of_langchains_is_refused_whole(tmp_path: Path, file: Path, name: str) -> None:
    spoil, message = REFUSED[name]
    write(file, [(PROMPT, LLM, 0, "text")])
    spoil(file)
    before = file.read_bytes()
    with pytest.raises(CassetteError, match=message):
        taken_over(file, tmp_path)
    assert nbcache.stats().entries == 0
    assert file.read_bytes() == before


def test_no_more_is_read_than_fits(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(langchain_file, "LONGEST", 10_000)
    write(file, [(PROMPT, LLM, 0, "x" * 20_000)])
    with pytest.raises(CassetteError, match="too big"):
        taken_over(file, tmp_path)


def test_a_trigger_of_the_table_does_not_run(tmp_path: Path, file: Path) -> None:
    write(file, [(PROMPT, LLM, 0, "text")])
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TRIGGER t AFTER INSERT ON full_llm_cache BEGIN DELETE FROM full_llm_cache; END")
    before = file.read_bytes()
    assert taken_over(file, tmp_path).new == 1
    assert file.read_bytes() == before


# Hostile answers


def lc(name: str, *space: str, **kwargs: Any) -> dict[str, Any]:
    return {
        "lc": 1,
        "type": "constructor",
        "id": [*(space or ("langchain", "schema", "output")), name],
        "kwargs": kwargs,
    }


def message(**kwargs: Any) -> dict[str, Any]:
    return lc("AIMessage", "langchain", "schema", "messages", **kwargs)


def nested(levels: int) -> Any:
    value: Any = "deep"
    for _ in range(levels):
        value = [value]
    return value


def spoken(**kwargs: Any) -> str:
    return json.dumps(lc("ChatGeneration", message=message(**{"content": "x", **kwargs})))


OBJECT, DEEP = "it holds an object that is no part of an answer", "it is nested too deeply"
WRONG = "it isn't as LangChain writes answers"
SECRET = {"lc": 1, "type": "secret", "id": ["OPENAI_API_KEY"]}
HOSTILE: dict[str, tuple[Any, str]] = {
    "another class": (dumps(PromptTemplate.from_template("{x}")), OBJECT),
    "another module": (json.dumps(lc("Popen", "subprocess", args="touch owned")), OBJECT),
    "a class of that name elsewhere": (json.dumps(lc("Generation", "evil", "module", text="x")), OBJECT),
    "a message for a generation": (json.dumps(message(content="x")), OBJECT),
    "a prompt for a message": (
        json.dumps(lc("ChatGeneration", message=lc("PromptTemplate", "langchain", "prompts", template=""))),
        OBJECT,
    ),
    "a secret": (json.dumps(SECRET), OBJECT),
    "a secret in a text": (json.dumps(lc("Generation", text=SECRET)), OBJECT),
    "a secret in a message": (spoken(additional_kwargs={"key": [SECRET]}), OBJECT),
    "an object among its metadata": (spoken(response_metadata={"x": message(content="y")}), OBJECT),
    "what was escaped": (spoken(additional_kwargs={"x": {"__lc_escaped__": {"lc": 1}}}), OBJECT),
    "an object that was printed": (
        dumps(ChatGeneration(message=AIMessage("x"), generation_info={"when": datetime.now(UTC)})),
        OBJECT,
    ),
    "too many levels": (spoken(additional_kwargs={"x": nested(200)}), DEEP),
    "far too many levels": ('{"lc":' + "[" * 100_000, DEEP),
    "an id that is none": (json.dumps({**lc("Generation"), "id": [{}]}), WRONG),
    "no fields": (
        json.dumps({"lc": 1, "type": "constructor", "id": ["langchain", "schema", "output", "Generation"]}),
        WRONG,
    ),
    "fields that are none": (json.dumps({**lc("Generation"), "kwargs": ["text"]}), WRONG),
    "a text that is none": (json.dumps(lc("Generation", text=[1])), WRONG),
    "content that is none": (spoken(content=1), WRONG),
    "tool calls that are none": (spoken(tool_calls=[1]), WRONG),
    "a chat without a message": (json.dumps(lc("ChatGeneration", text="x")), WRONG),
    "a message that is a text": (json.dumps(lc("ChatGeneration", message="x")), WRONG),
    "bytes": (b"x", WRONG),
    "nothing": (None, WRONG),
}


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was imported by name, and where somebody connected to: nothing, in what follows."""
    seen: list[object] = []

    def connect(_: socket.socket, address: object) -> None:
        seen.append(address)
        raise OSError("no network here")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *asked, **_: connect(None, asked))  # type: ignore[arg-type]
    for name in ("load", "loads"):
        monkeypatch.setattr(sys.modules["langchain_core.load.load"], name, lambda *_, **__: seen.append("loaded"))
    return seen


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_answer_is_left_out_and_nothing_runs(
    tmp_path: Path, file: Path, guarded: list[object], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-the-users-own")
    response, why = HOSTILE[name]
    modules = {*sys.modules}
    write(file, [("good", LLM, 0, "text"), (PROMPT, LLM, 0, spoken()), (PROMPT, LLM, 1, response)])
    done = taken_over(file, tmp_path)
    assert (done.new, done.left_out) == (1, {why: 1})
    assert guarded == []
    assert {each for each in sys.modules if each.startswith(("subprocess", "evil"))} <= modules
    assert "sk-the-users-own" not in str(answer_of("good", LLM))


@pytest.mark.parametrize("rows", [[1, 2], [0, 2], [-1], ["a"], [0.5]])
def test_an_answer_of_which_a_generation_is_missing_is_left_out(tmp_path: Path, file: Path, rows: list[Any]) -> None:
    write(file, [(PROMPT, LLM, idx, "text") for idx in rows])
    assert taken_over(file, tmp_path).left_out == {WRONG: 1}


@pytest.mark.parametrize("text", ["half an emoji \ud83d", "\x00\x1b[31m", "!"])
def test_strange_text_comes_back_as_it_is(tmp_path: Path, file: Path, text: str) -> None:
    write(file, [(PROMPT, LLM, 0, spoken(content=text, additional_kwargs={"!model": {"!": text}}))])
    assert taken_over(file, tmp_path).new == 1
    (answer,) = answer_of(PROMPT, LLM)
    assert answer["message"]["fields"]["content"] == text


# Hostile models


def told(kwargs: Any, *space: str, options: str = "[('stop', None)]") -> str:
    return json.dumps(lc(*(space or ("ChatOpenAI", "langchain", "chat_models", "openai")), **kwargs)) + "---" + options


GOOGLE = ("ChatGoogleGenerativeAI", "langchain_google_genai", "chat_models")
OPENAI = {"model_name": "m", "openai_api_key": SECRET}
MODELS = {
    "another class": told({"command": "touch owned"}, "ShellTool", "langchain_community", "tools"),
    "a class of that package": told(OPENAI, "AzureOpenAI", "langchain_openai", "llms"),
    "a module of that package": told(OPENAI, "os", "langchain_openai", "chat_models", "base"),
    "a class elsewhere": told(OPENAI, "ChatOpenAI", "evil", "module"),
    "a client": told({**OPENAI, "http_client": {"lc": 1, "type": "not_implemented", "id": ["httpx", "Client"]}}),
    "an object": told({**OPENAI, "model_kwargs": {"x": {"lc": 1, "type": "not_implemented", "id": ["x"]}}}),
    "what the class refuses": told({**OPENAI, "temperature": "hot"}),
    "what the class makes something else of": told(
        {"model_name": "m", "temperature": 0, "groq_api_key": SECRET}, "ChatGroq", "langchain_groq", "chat_models"
    ),
    "arguments that collide": told({**OPENAI, "self": 1}),
    "credentials": told({"model": "m", "vertexai": True, "project": "p", "location": "l"}, *GOOGLE),
    "files": told({"model": "m", "google_api_key": SECRET, "client_args": {"verify": "/etc/passwd"}}, *GOOGLE),
    "options that run": told(OPENAI, options="[('stop', __import__('os').system('touch owned'))]"),
    "options that are no pairs": told(OPENAI, options="[1]"),
    "options that are none": told(OPENAI, options="("),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_hostile_model_is_never_made(
    tmp_path: Path, file: Path, guarded: list[object], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:

    def imported(package: str) -> object:
        guarded.append(package)
        return importlib.import_module(package)

    monkeypatch.setattr("nbcache.keys.provider_requests.rebuilt_models.import_module", imported)
    assert known_models.KnownModels().call(MODELS[name]) is None
    write(file, [(PROMPT, MODELS[name], 0, spoken())])
    done = taken_over(file, tmp_path)
    assert (done.by_hand, sum(done.left_out.values())) in {(1, 0), (0, 1)}
    assert {*guarded} <= {"langchain_openai", "langchain_groq"}
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("llm", [told(OPENAI), told({"model": "m", "google_api_key": SECRET}, *GOOGLE)])
def test_a_model_is_made_without_network_or_the_users_key(
    guarded: list[object], monkeypatch: pytest.MonkeyPatch, llm: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-the-users-own")
    call = known_models.KnownModels().call(llm)
    assert call is not None
    key = getattr(call.model, "openai_api_key", None) or getattr(call.model, "google_api_key", None)
    assert key is not None
    assert key.get_secret_value() == "not-a-secret"
    assert guarded == []


@pytest.mark.parametrize(
    "llm",
    [
        '!document:{"class":["answers","x"],"model":"m"}\npart',
        "!document:{",
        '{"kwargs": {}, "id": null}---[]',
        '{"lc":' + "[" * 100_000,
        b"x",
        1,
        None,
    ],
)
def test_a_model_that_is_none_is_left_out(tmp_path: Path, file: Path, llm: Any) -> None:
    schema(TABLE.replace(" VARCHAR NOT NULL", ""))(file)  # else SQLite makes a text of a number
    write(file, [("good", LLM, 0, "text"), (PROMPT, llm, 0, "text")])
    done = taken_over(file, tmp_path)
    assert (done.new, sum(done.left_out.values())) == (1, 1)
