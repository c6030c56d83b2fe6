"""What made each answer: a call of a model, an embedding, a function or a tool. Lists, cassettes and repairs keep it."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.outputs import Generation
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

import nbcache
from nbcache import codec
from nbcache.cache.call import Call, running
from nbcache.codec.entry_description import header_of
from nbcache.entry.records import EntryMeta, Filter
from nbcache.errors import CassetteError
from nbcache.keys.key import rebuilt_call_key
from nbcache.keys.prompt import VERBATIM
from nbcache.keys.request import Identity
from nbcache.session import installation
from nbcache.stores import DiskStore, Store
from nbcache.stores.view import Contents
from nbcache.ui import entry_report
from nbcache.ui.cli.main import main
from tests.servers.provider import Provider


def kinds() -> list[str]:
    return sorted(nbcache.entries()["kind"])


def test_whatever_makes_vectors_is_an_embedding(provider: Provider, store: Path) -> None:
    ChatOpenAI(model="gpt-4o-mini", **provider.openai).invoke("2 vectors of 3 numbers")
    assert kinds() == ["call"]
    openai.OpenAI(**provider.openai).embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    httpx.post(f"{provider.url}/v2/embed", json={"model": "embed-v4.0", "texts": ["a"], "input_type": "search_query"})
    httpx.post(f"{provider.url}/api/embed", json={"model": "nomic", "input": "a"})
    nbcache.wrap(DeterministicFakeEmbedding(size=2)).embed_documents(["a", "b"])
    assert kinds() == ["call", *["embedding"] * 5]
    installation.installed().put("key", "2 vectors of 3 numbers", model="none")
    assert kinds() == ["call", "call", *["embedding"] * 5]
    assert Contents(installation.installed().store).facets().kind == ("call", "embedding")


def test_langchains_embeddings_are_embeddings_wrapped_or_not(provider: Provider, store: Path) -> None:
    model = OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False, **provider.openai)
    model.embed_query("not wrapped")
    nbcache.wrap(model).embed_query("wrapped")
    assert kinds() == ["embedding", "embedding"]


def put(store: Store, **facts: Any) -> str:
    prompt, identity = "judge(question='a')", '{"class":["functions","judge"]}'
    counted = VERBATIM + prompt.encode()
    call = rebuilt_call_key(counted, prompt, identity=identity, endpoint="", model="judge", rewritten=False)
    meta = replace(EntryMeta(call.key, call.model, prompt, "yes", "ok", 1_750_000_000.0), **facts)
    payload = codec.encode([Generation(text="yes")], header_of(call, meta, None), reusable=True)
    store.put(meta.key, payload, meta)
    return meta.key


@pytest.fixture
def contents(tmp_path: Path) -> Any:
    with closing(DiskStore(tmp_path / "store")) as store:
        yield Contents(store)


def test_a_lost_row_of_a_function_comes_back_from_its_payload(contents: Contents, tmp_path: Path) -> None:
    key = put(contents.store, kind="function", function="Judge.ask", client=None)
    before = contents.find(key)
    assert (before.kind, before.function) == ("function", "Judge.ask")
    with closing(sqlite3.connect(tmp_path / "store" / "cache.db", isolation_level=None)) as other:
        other.execute("DELETE FROM entry")
    assert contents.check(fix=True) == [f"entry {key[:8]} had no row"]
    assert replace(contents.find(key), notebooks=()) == before
    assert contents.totals_of(Filter(kind="function")).entries == 1


def test_lists_and_show_name_the_function(
    contents: Contents, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = put(contents.store, kind="tool", function="search")
    assert "function:  search" in entry_report.record(contents.read(key)).splitlines()
    contents.store.close()
    assert main(["ls", "--store", str(tmp_path / "store")]) == 0
    assert " tool " in capsys.readouterr().out
    assert main(["ls", "--store", str(tmp_path / "store"), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["kind"], row["function"], row["client"]) == ("tool", "search", None)


@pytest.mark.parametrize(("kind", "name"), [("function", "Judge.ask"), ("tool", "search")])
def test_a_cassette_names_the_function_or_the_tool(store: Path, tmp_path: Path, kind: str, name: str) -> None:
    put(installation.installed().store, kind=kind, function=name, notebooks=())
    file = tmp_path / "c.jsonl"
    assert nbcache.export_cassette(file).entries == 1
    (line,) = map(json.loads, file.read_text().splitlines())
    assert line[kind] == name
    installation.reinstall(store=tmp_path / "empty")
    nbcache.import_cassette(file)
    frame = nbcache.entries()
    assert (frame["kind"][0], frame["function"][0]) == (kind, name)
    assert not nbcache.export_cassette(file).changed
    file.write_text(json.dumps({**line, kind: [name]}))
    with pytest.raises(CassetteError, match=f"its {kind} is"):
        nbcache.import_cassette(file)


def test_a_call_says_of_which_function_it_is(store: Path) -> None:
    cache = installation.installed()
    identity = Identity(b'{"class":["function","m.Judge.ask"]}', "", "Judge.ask", limits_tokens=False)
    with running(Call(identity=identity, is_chat=False, kind="function", function="Judge.ask")) as call:
        assert cache.find("Judge.ask('a')", "", call) is None
        cache.save("Judge.ask('a')", "", [Generation(text="yes")], call)
    frame = nbcache.entries()
    assert (frame["kind"][0], frame["function"][0], frame["client"][0]) == ("function", "Judge.ask", None)
