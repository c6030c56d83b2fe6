"""Cassettes: what is exported, what it gives back, and what is refused."""

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

import nbcache
from nbcache import ReplayMiss
from nbcache.codec.chunks import packed
from nbcache.errors import CassetteError
from nbcache.replay.cassette_format import read
from nbcache.session import installation
from nbcache.ui import report
from tests.servers.embedder import Embedder, bits
from tests.servers.provider import Answer, Provider
from tests.support.paths import GOLDEN
from tests.support.sdk_calls import outcomes

KEY = "sk-" + "Ab1" * 12


def chat(provider: Provider, **given: Any) -> ChatOpenAI:
    return ChatOpenAI(**{"model": "gpt-4o-mini", "max_retries": 0, **provider.openai, **given})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "answers.llmcache.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def elsewhere(tmp_path: Path, **given: Any) -> None:
    """Go on with an empty store, as on another machine."""
    nbcache.uninstall()
    nbcache.install(tmp_path / "elsewhere", **given)


# What is written


def test_an_entry_is_one_readable_line(provider: Provider, store: Path, file: Path) -> None:
    provider.answer("It comes at noon, café ✓")
    chat(provider, temperature=0.5).invoke([SystemMessage("Be brief."), HumanMessage("When does the boat come?")])
    done = nbcache.export_cassette(file)
    (line,) = file.read_text(encoding="utf-8").splitlines()
    told = json.loads(line)
    assert (done.entries, done.size_bytes, done.changed) == (1, file.stat().st_size, True)
    assert told["nbcache"] == 2
    assert told["model"] == "gpt-4o-mini"
    assert told["sent"]["messages"][1:] == [{"content": "When does the boat come?", "role": "user"}]
    assert told["answer"][0]["message"]["fields"]["content"] == "It comes at noon, café ✓"
    assert "café ✓" in line
    assert told["parameters"]["request"]["temperature"] == 0.5
    assert (told["status"], told["endpoint"]) == ("ok", f"{provider.url}/v1")
    assert told["tokens"]["input_tokens"] > 0
    assert told["key"] == nbcache.entries()["key"][0]


def test_exporting_twice_gives_the_same_bytes(provider: Provider, store: Path, file: Path) -> None:
    chat(provider).batch(["a", "b", "c"])
    nbcache.export_cassette(file)
    first = file.read_bytes()
    chat(provider).invoke("a")  # a hit changes nothing
    assert not nbcache.export_cassette(file).changed
    assert file.read_bytes() == first
    assert first.splitlines() == sorted(first.splitlines())


def test_what_was_imported_is_exported_as_the_same_bytes(
    provider: Provider, store: Path, file: Path, tmp_path: Path
) -> None:
    chat(provider).batch(["a", "b"])
    list(chat(provider).stream("c"))
    nbcache.export_cassette(file)
    elsewhere(tmp_path)
    nbcache.import_cassette(file)
    again = tmp_path / "again.jsonl"
    nbcache.export_cassette(again)
    assert again.read_bytes() == file.read_bytes()


def test_one_changed_answer_is_one_changed_line(provider: Provider, store: Path, file: Path) -> None:
    chat(provider).batch(["a", "b", "c"])
    nbcache.export_cassette(file)
    before = file.read_text().splitlines()
    provider.answer("another")
    with nbcache.mode("refresh"):
        chat(provider).invoke("b")
    nbcache.export_cassette(file)
    after = file.read_text().splitlines()
    assert len(after) == 3
    assert len({*before} - {*after}) == 1


def test_only_what_this_session_used_is_exported(provider: Provider, store: Path, file: Path) -> None:
    chat(provider).batch(["a", "b"])
    nbcache.uninstall()
    nbcache.install(store)
    chat(provider).batch(["b", "c"])
    assert nbcache.export_cassette(file, used=True).entries == 2
    assert nbcache.export_cassette(file).entries == 3


def test_a_check_writes_nothing(provider: Provider, store: Path, file: Path) -> None:
    chat(provider).invoke("a")
    assert nbcache.export_cassette(file, check=True).changed
    assert not file.exists()
    nbcache.export_cassette(file)
    assert not nbcache.export_cassette(file, check=True).changed


def test_without_entries_there_is_nothing_to_export(store: Path, file: Path) -> None:
    with pytest.raises(ValueError, match="nothing to export"):
        nbcache.export_cassette(file)
    assert not file.exists()


def test_the_file_is_beside_the_notebook(provider: Provider, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store", notebook=tmp_path / "demo.ipynb")
    chat(provider).invoke("a")
    assert nbcache.export_cassette().path == tmp_path / "demo.llmcache.jsonl"


def test_another_file_can_be_named(provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBCACHE_CASSETTE", str(tmp_path / "named.jsonl"))
    nbcache.install(tmp_path / "store", notebook=tmp_path / "demo.ipynb")
    chat(provider).invoke("a")
    assert nbcache.export_cassette().path == tmp_path / "named.jsonl"


def test_without_a_known_notebook_a_file_must_be_named(provider: Provider, store: Path) -> None:
    chat(provider).invoke("a")
    with pytest.raises(ValueError, match="name the file"):
        nbcache.export_cassette()


# What it gives back


def test_on_another_machine_everything_is_a_hit(provider: Provider, store: Path, file: Path, tmp_path: Path) -> None:
    def run() -> list[str]:
        model = chat(provider)
        with nbcache.mode(samples=True):
            said = [str(model.invoke("draw").text) for _ in range(3)]
        said += [message.text for message in model.batch(["a", "b"])]
        said += [chunk.text for chunk in model.stream("c")]
        said.append(model.bind(stop=["x"]).invoke([AIMessage("hi"), HumanMessage("ünï ☃")]).text)
        cache = installation.installed()
        if cache.get([{"role": "user", "content": "é"}], model="m", key_fn=lambda m: m[-1]["content"]) is None:
            cache.put([{"role": "user", "content": "é"}], {"x": 1}, model="m", key_fn=lambda m: m[-1]["content"])
        return said

    provider.answer("one", "two", "three")
    first = run()
    paid = len(provider.requests)
    assert nbcache.export_cassette(file).left_out == {}
    elsewhere(tmp_path)
    done = nbcache.import_cassette(file)
    assert (done.new, done.same, done.conflicting) == (nbcache.stats().entries, 0, ())
    assert run() == first
    assert len(provider.requests) == paid
    assert nbcache.stats().misses == 0


@pytest.mark.parametrize("notebook", [None, "demo.ipynb"])
def test_replay_plays_the_cassette_beside_the_notebook(
    provider: Provider, tmp_path: Path, notebook: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = None if notebook is None else tmp_path / notebook
    if notebook is None:
        monkeypatch.setenv("NBCACHE_CASSETTE", str(tmp_path / "named.jsonl"))
    nbcache.install(tmp_path / "store", notebook=path)
    live = [chunk.text for chunk in chat(provider).stream("a")]
    said = chat(provider).invoke("b").text
    nbcache.export_cassette()
    nbcache.uninstall()
    nbcache.install(tmp_path / "empty", notebook=path, mode="replay")
    with Provider() as other:
        model = chat(provider, **other.openai)
        assert [chunk.text for chunk in model.stream("a")] == live
        assert model.invoke("b").text == said
        with pytest.raises(ReplayMiss):
            model.invoke("c")
        assert other.requests == []
    assert nbcache.stats().saved_usd is None  # a loopback server has no list price
    assert nbcache.stats().hits == 2


def test_a_cassette_is_used_in_replay_only(provider: Provider, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store", notebook=tmp_path / "demo.ipynb")
    chat(provider).invoke("a")
    nbcache.export_cassette()
    nbcache.uninstall()
    nbcache.install(tmp_path / "empty", notebook=tmp_path / "demo.ipynb")
    chat(provider).invoke("a")
    assert len(provider.requests) == 2


def test_a_line_taken_out_is_one_miss(provider: Provider, tmp_path: Path) -> None:
    notebook = tmp_path / "demo.ipynb"
    nbcache.install(tmp_path / "store", notebook=notebook)
    chat(provider).batch(["a", "b", "c"])
    file = nbcache.export_cassette().path
    nbcache.uninstall()
    nbcache.install(tmp_path / "empty", notebook=notebook, mode="replay")
    assert len(chat(provider).batch(["a", "b", "c"])) == 3
    (gone, *rest) = sorted(file.read_text().splitlines(keepends=True), key=lambda line: '"b"' not in line)
    assert '"content": "b"' in gone
    file.write_text("".join(sorted(rest)))  # it is read again where it has changed
    chat(provider).batch(["a", "c"])
    with pytest.raises(ReplayMiss):
        chat(provider).invoke("b")


def test_every_call_of_the_sdks_comes_back(store: Path, file: Path, tmp_path: Path) -> None:
    with Provider() as provider:
        first = outcomes(provider.url)
        assert nbcache.export_cassette(file).left_out == {}
        paid = len(provider.requests)
        elsewhere(tmp_path, mode="replay", cassette=file)
        assert outcomes(provider.url) == first
        assert len(provider.requests) == paid


def test_embeddings_come_back_bit_by_bit(store: Path, file: Path, tmp_path: Path) -> None:
    with Embedder() as embedder:
        fixed: Any = {"api_key": "sk-test", "base_url": f"{embedder.url}/v1", "check_embedding_ctx_length": False}
        first = nbcache.wrap(OpenAIEmbeddings(**fixed)).embed_documents(["a", "b"])
        nbcache.export_cassette(file)
        elsewhere(tmp_path, mode="replay", cassette=file)
        again = nbcache.wrap(OpenAIEmbeddings(**fixed)).embed_documents(["a", "b"])
        assert bits(again) == bits(first)
        assert len(embedder.requests) == 1


def test_what_a_rule_has_normalized_comes_back(provider: Provider, tmp_path: Path, file: Path) -> None:
    nbcache.install(tmp_path / "store", normalize=r"\d\d:\d\d")
    said = chat(provider).invoke("It is 10:15. When does the boat come?").text
    nbcache.export_cassette(file)
    elsewhere(tmp_path, normalize=r"\d\d:\d\d", mode="replay", cassette=file)
    assert chat(provider).invoke("It is 23:59. When does the boat come?").text == said


def test_prices_and_tokens_come_back(provider: Provider, tmp_path: Path, file: Path) -> None:
    prices = {"gpt-4o-mini": {"input": 2, "output": 8}}
    nbcache.install(tmp_path / "store", prices=prices)
    chat(provider).invoke("a")
    (before,) = installation.installed().contents().entries()
    assert before.cost_usd
    nbcache.export_cassette(file)
    elsewhere(tmp_path, prices=prices)
    nbcache.import_cassette(file)
    (after,) = installation.installed().contents().entries()
    assert (after.cost_usd, after.input_tokens, after.output_tokens) == (
        before.cost_usd,
        before.input_tokens,
        before.output_tokens,
    )
    elsewhere(tmp_path, mode="replay", cassette=file, prices=prices)
    chat(provider).invoke("a")
    assert nbcache.stats().saved_usd == before.cost_usd


def test_what_was_recorded_at_two_endpoints_is_played_for_each_and_for_no_third(
    provider: Provider, store: Path, file: Path, tmp_path: Path
) -> None:
    with Provider() as other, Provider() as third:
        provider.answer("here")
        other.answer("there")
        for server in (provider, other):
            chat(provider, **server.openai).invoke("a")
        assert nbcache.export_cassette(file).entries == 2
        for cassette in (file, None):
            nbcache.install(store, mode="replay", cassette=cassette)
            assert chat(provider).invoke("a").text == "here"
            assert chat(provider, **other.openai).invoke("a").text == "there"
            with pytest.raises(ReplayMiss, match="several endpoints"):
                chat(provider, **third.openai).invoke("a")


def test_no_other_file_is_written_over(provider: Provider, store: Path, tmp_path: Path) -> None:
    chat(provider).invoke("a")
    notebook = tmp_path / "any.ipynb"
    notebook.write_text("{}")
    with pytest.raises(ValueError, match="no cassette, so it stays"):
        nbcache.export_cassette(notebook)
    assert notebook.read_text() == "{}"
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ValueError, match="is no file"):
        nbcache.export_cassette(tmp_path / "fifo")
    with pytest.raises(CassetteError, match="is no file"):
        nbcache.import_cassette(tmp_path / "fifo")
    (tmp_path / "marked.jsonl").write_bytes(b'\xef\xbb\xbf\n{"nbcache": 1}')
    assert nbcache.export_cassette(tmp_path / "marked.jsonl").changed
    (tmp_path / "empty.jsonl").touch()
    assert nbcache.export_cassette(tmp_path / "empty.jsonl").entries == 1


def test_a_link_stays_one(provider: Provider, store: Path, file: Path, tmp_path: Path) -> None:
    chat(provider).invoke("a")
    nbcache.export_cassette(file)
    link = tmp_path / "link.jsonl"
    link.symlink_to(file)
    chat(provider).invoke("b")
    assert nbcache.export_cassette(link).entries == 2
    assert link.is_symlink()
    assert len(lines(file)) == 2


def test_what_an_export_takes_out_of_the_file_is_told(
    provider: Provider, store: Path, file: Path, tmp_path: Path
) -> None:
    for text in ("a", "b"):
        chat(provider).invoke(text)
    nbcache.export_cassette(file)
    keys = {line["key"] for line in lines(file)}
    elsewhere(tmp_path)
    chat(provider).invoke("c")
    done = nbcache.export_cassette(file)
    assert set(done.gone) == keys
    assert "no longer in it: 2 recordings" in report.exported(done)
    assert nbcache.export_cassette(file).gone == ()


# Secrets


def test_a_secret_in_a_tag_is_not_written(provider: Provider, tmp_path: Path, file: Path) -> None:
    nbcache.install(tmp_path / "store", tags=[f"with {KEY}"])
    provider.answer("fine")
    chat(provider).invoke("a")
    assert nbcache.export_cassette(file).scrubbed
    assert KEY not in file.read_text()


def test_a_secret_in_a_call_is_not_written_and_the_call_still_replays(
    provider: Provider, store: Path, file: Path, tmp_path: Path
) -> None:
    asked = [SystemMessage(f"The key is {KEY}"), HumanMessage("q")]
    provider.answer("fine")
    said = chat(provider).invoke(asked, extra_body={"password": "hunter2-4711"}).text
    key = nbcache.entries()["key"][0]
    done = nbcache.export_cassette(file)
    assert list(done.scrubbed) == [key]
    assert KEY not in file.read_text()
    assert "hunter2" not in file.read_text()
    elsewhere(tmp_path, mode="replay", cassette=file)
    assert chat(provider).invoke(asked, extra_body={"password": "hunter2-4711"}).text == said
    rotated = [SystemMessage(f"The key is {KEY[::-1].replace('-ks', '')}sk-{'Zz9' * 12}"), HumanMessage("q")]
    with pytest.raises(ReplayMiss):
        chat(provider).invoke(rotated)


def test_the_users_own_secrets_are_taken_out(provider: Provider, tmp_path: Path, file: Path) -> None:
    nbcache.install(tmp_path / "store", secrets=[r"ACME-\d+"])
    provider.answer("fine")
    said = chat(provider).invoke("Who is ACME-4711?").text
    nbcache.export_cassette(file)
    assert "4711" not in file.read_text()
    elsewhere(tmp_path, secrets=[r"ACME-\d+"], mode="replay", cassette=file)
    assert chat(provider).invoke("Who is ACME-4711?").text == said


def test_a_secret_that_looks_like_a_name_in_the_file_takes_no_name_out(
    provider: Provider, store: Path, file: Path
) -> None:
    """`x` is in a name of the usage's fields."""
    provider.answer("fine")
    chat(provider).invoke("Where?", extra_body={"service_tier": "flex"})
    nbcache.install(store, secrets=["x"])
    nbcache.export_cassette(file)
    tokens = json.loads(file.read_text().splitlines()[-1])["tokens"]
    assert tokens["service_tier"] == "fle[secret]"
    assert tokens["input_tokens"] == 10


def test_an_answer_with_a_secret_is_left_out_and_named(provider: Provider, store: Path, file: Path) -> None:
    provider.answer(f"Take {KEY}")
    chat(provider).invoke("a")
    key = nbcache.entries()["key"][0]
    chat(provider).invoke("b")
    done = nbcache.export_cassette(file)
    assert done.entries == 1
    assert list(done.left_out) == [key]
    assert KEY not in file.read_text()


def test_of_two_calls_that_only_a_secret_tells_apart_one_is_left_out_and_named(
    provider: Provider, store: Path, file: Path
) -> None:
    provider.answer("first", "second")
    chat(provider).invoke(f"key {KEY}")
    chat(provider).invoke(f"key sk-{'Zz9' * 12}")
    done = nbcache.export_cassette(file)
    assert done.entries == 1
    assert len(done.left_out) == 1
    assert "second" in file.read_text()


def test_what_a_reader_does_not_see_is_written_as_an_escape(provider: Provider, store: Path, file: Path) -> None:
    provider.answer("harmless\u202e\u2066 reversed\u200b\u2028")
    said = chat(provider).invoke("a").text
    nbcache.export_cassette(file)
    assert not set("\u202e\u2066\u200b\u2028") & set(file.read_text(encoding="utf-8"))
    (recording,) = read(file)
    assert recording.answer[0]["message"]["fields"]["content"] == said


# Importing


def conflict(provider: Provider, file: Path, tmp_path: Path) -> None:
    """A file of `a`, `b` and `c`; a store with the same answer to `a` and another to `b`."""
    provider.answer("a", "b in the file", "c")
    for text in "abc":
        chat(provider).invoke(text)
    nbcache.export_cassette(file)
    elsewhere(tmp_path)
    only_a = tmp_path / "a.jsonl"
    only_a.write_text(
        next(line for line in file.read_text().splitlines() if '"sent": {"messages": [{"content": "a"' in line)
    )
    nbcache.import_cassette(only_a)
    provider.answer("b in the store")
    chat(provider).invoke("b")


@pytest.mark.parametrize("prefer", ["store", "file"])
def test_a_conflict_is_settled_as_asked(
    provider: Provider, store: Path, file: Path, tmp_path: Path, prefer: str
) -> None:
    conflict(provider, file, tmp_path)
    (recorded,) = [row for row in nbcache.entries()["key"] if nbcache.show(row).prompt.endswith("b")]
    for dry_run in (True, False):
        done = nbcache.import_cassette(file, prefer, dry_run)
        assert done.conflicting == (recorded,)
        assert done.new == 1
        assert nbcache.stats().entries == (2 if dry_run else 3)
    assert chat(provider).invoke("b").text == f"b in the {prefer}"
    done = nbcache.import_cassette(file, prefer)
    assert (done.new, done.same, len(done.conflicting)) == (0, 2 + (prefer == "file"), prefer == "store")


def test_what_is_imported_is_this_notebooks(provider: Provider, store: Path, file: Path, tmp_path: Path) -> None:
    chat(provider).invoke("a")
    nbcache.export_cassette(file)
    nbcache.uninstall()
    nbcache.install(store, notebook=tmp_path / "other.ipynb")
    assert nbcache.import_cassette(file).same == 1
    assert nbcache.stats("notebook").entries == 1


# What is refused


def line_of(provider: Provider, file: Path) -> dict[str, Any]:
    list(chat(provider).stream("a"))
    nbcache.export_cassette(file)
    (line,) = lines(file)
    return line


def changed(name: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda line: {**line, name: value}


def without(*names: str) -> Callable[[dict[str, Any]], Any]:
    return lambda line: {key: value for key, value in line.items() if key not in names}


def said(**fields: Any) -> Callable[[dict[str, Any]], Any]:
    """The answer's message with other fields."""
    message = {"type": "AIMessage", "fields": {"content": "at noon", **fields}}
    return answered({"type": "ChatGeneration", "message": message})


def wired(**told: Any) -> Callable[[dict[str, Any]], Any]:
    """The answer of an SDK, which came otherwise over the wire."""
    http = {"status": 200, "headers": {}, "body": "{}", **told}
    return answered({"type": "Generation", "text": "at noon", "info": {"http": http}})


def answered(*generations: dict[str, Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda line: {**without("chunks")(line), "answer": list(generations)}


DAMAGE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no object": lambda _: [1],
    "another program's": without("nbcache"),
    "a newer format": changed("nbcache", 3),
    "a format that never was": changed("nbcache", 0),
    "a format that is no number": changed("nbcache", True),
    "a key that is not its own": changed("key", "ab" * 20),
    "an edited prompt": lambda line: {**line, "sent": {"messages": [{"content": "b", "role": "user"}]}},
    "what is sent in no JSON": lambda line: {**without("key")(line), "sent": "no JSON"},
    "messages beside what is sent": lambda line: {**line, "messages": [{"role": "user", "content": "a"}]},
    "an edited parameter": lambda line: {**line, "parameters": {**line["parameters"], "temperature": 1}},
    "another endpoint": changed("endpoint", "https://example.org"),
    "no answer": without("answer"),
    "an answer of no generations": changed("answer", ["text"]),
    "a class that is none": changed("answer", [{"type": "Exploit", "text": "x"}]),
    "a message of no class": changed("answer", [{"type": "ChatGeneration", "message": {"type": "os.system"}}]),
    "chunks that are none": changed("chunks", [1]),
    "chunks that begin with text": changed("chunks", ["text"]),
    "tokens that are none": changed("tokens", {"input_tokens": -1}),
    "tokens of another kind": changed("tokens", {"input_tokens": True}),
    "an absurd price": changed("price", "1e99"),
    "a price that is none": changed("price", "free"),
    "a price of a million places": changed("price", "1e-999999"),
    "a price that is no text": changed("price", True),
    "no time": changed("recorded", "yesterday"),
    "a time to come": changed("recorded", "9999-01-01T00:00:00Z"),
    "a date that is none": changed("answer", [{"type": "Generation", "text": "a", "info": {"x": {"!date": "no"}}}]),
    "half of an emoji among the parameters": changed("parameters", '{"class":"\ud83d"}'),
    "no seconds": changed("seconds", -1),
    "calls that are none": changed("calls", ["a"]),
    "a call of no model": changed("calls", [{"model": 1}]),
    "a call of no tokens": changed("calls", [{"model": "m", "tokens": {"input_tokens": -1}}]),
    "a call of no seconds": changed("calls", [{"model": "m", "seconds": 10**9}]),
    "a tag that hides another": changed("tags", ["a\x1fb"]),
    "parameters that are no object": changed("parameters", [1]),
    "a prompt that is no text": lambda line: {**without("sent")(line), "prompt": 1},
    "counts that are no text": changed("counts", 1),
    "a draw that is none": changed("draw", "one"),
    "a draw before the first": lambda line: {**without("key")(line), "draw": -3},
    "half a draw": lambda line: {**without("key")(line), "draw": 1.5},
    "a prompt beside the messages": changed("prompt", "another"),
    "an answer of nothing": answered(),
    "content that is none": said(content=5),
    "usage that is none": said(usage_metadata="much"),
    "tool calls that are none": said(tool_calls=[5]),
    "chunks that say something else": changed("chunks", packed([{"type": "GenerationChunk", "text": "else"}])),
    "an hour of a century": changed("seconds", 10**9),
    "a tower in a text": lambda line: {
        **without("key", "sent")(line),
        "prompt": "[" * 300 + "]" * 300,
        "verbatim": False,
    },
    "a draw of nothing": lambda line: {**without("key")(line), "parameters": {}, "draw": 1},
    "a tower": answered({"type": "Generation", "text": "a", "info": json.loads('{"a":' * 300 + "1" + "}" * 300)}),
    "an answer from elsewhere": wired(status=307, headers={"location": "http://127.0.0.1:9"}),
    "a failure": wired(status=429),
    "a cookie": wired(headers={"set-cookie": "a=b"}),
    "two headers in one": wired(headers={"x-request-id": "a\r\nlocation: b"}),
    "a body that is none": wired(body=5),
    "half of an emoji in a body": wired(body="\ud83d"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_wrong_line_is_named_and_the_file_refused_whole(
    provider: Provider, store: Path, file: Path, tmp_path: Path, damage: Callable[[dict[str, Any]], Any]
) -> None:
    good = line_of(provider, file)
    file.write_text("\n".join([json.dumps(good), "", json.dumps(damage(good))]))
    elsewhere(tmp_path)
    with pytest.raises(CassetteError, match=r"answers\.llmcache\.jsonl, line 3"):
        nbcache.import_cassette(file)
    assert nbcache.stats().entries == 0


def test_a_line_that_says_something_twice_is_refused(
    provider: Provider, store: Path, file: Path, tmp_path: Path
) -> None:
    text = json.dumps(line_of(provider, file))
    elsewhere(tmp_path)
    for written in ('"content": "a"', '"answer": []'):  # in front of the true one: a reader would take it for the one
        name = written.partition(":")[0]
        file.write_text(text.replace(f"{name}: ", f"{written}, {name}: ", 1))
        with pytest.raises(
            CassetteError, match=f"line 1 is no recording: it has {name.replace(chr(34), chr(39))} twice"
        ):
            nbcache.import_cassette(file)


@pytest.mark.parametrize("edit", [said(), wired(), answered({"type": "Generation", "text": "at one"})])
def test_an_answer_that_was_edited_well_is_taken(
    provider: Provider, store: Path, file: Path, tmp_path: Path, edit: Callable[[dict[str, Any]], Any]
) -> None:
    file.write_text(json.dumps(edit(line_of(provider, file))))
    elsewhere(tmp_path)
    assert nbcache.import_cassette(file).new == 1


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"\xff\xfe", b"{", b'{"nbcache": 1}', b"[" * 100_000, b"null\n", b"1e999", b'"\\ud800"']
)
def test_what_is_no_cassette_is_refused(store: Path, file: Path, data: bytes) -> None:
    file.write_bytes(data)
    with pytest.raises(CassetteError):
        nbcache.import_cassette(file)


def test_a_conflict_of_git_is_named(provider: Provider, store: Path, file: Path) -> None:
    line = json.dumps(line_of(provider, file))
    file.write_text(f"{line}\n<<<<<<< HEAD\n{line}\n=======\n{line}\n>>>>>>> other\n")
    with pytest.raises(CassetteError, match="line 2 is of a conflict that git left"):
        nbcache.import_cassette(file)


def test_a_key_may_be_taken_out_where_a_line_is_edited(
    provider: Provider, store: Path, file: Path, tmp_path: Path
) -> None:
    line = line_of(provider, file)
    del line["key"]
    line["sent"]["messages"][0]["content"] = "b"
    file.write_text(json.dumps(line))
    elsewhere(tmp_path)
    nbcache.import_cassette(file)
    chat(provider).invoke("b")
    assert len(provider.requests) == 1


def test_the_status_is_worked_out_and_not_believed(provider: Provider, store: Path, file: Path, tmp_path: Path) -> None:
    provider.answer(Answer("half an ans", finish_reason="length"))
    chat(provider).invoke("a")
    nbcache.export_cassette(file)
    (line,) = lines(file)
    assert line["status"] == "cut off"
    file.write_text(json.dumps({**line, "status": "ok"}))
    elsewhere(tmp_path)
    nbcache.import_cassette(file)
    chat(provider).invoke("a")
    assert len(provider.requests) == 2


def test_a_broken_cassette_stops_replay_and_says_where(provider: Provider, store: Path, file: Path) -> None:
    line = line_of(provider, file)
    file.write_text(f"{json.dumps(line)}\n{{")
    nbcache.install(store, mode="replay", cassette=file)
    with pytest.raises(ReplayMiss, match="line 2"):
        chat(provider).invoke("a")


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.slow
def test_damaged_bytes_are_refused_or_read_but_never_crash(
    provider: Provider, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    sound = (GOLDEN / "cassette_v1.jsonl").read_bytes()
    damaged = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        how = data.draw(st.sampled_from(["flip", "cut", "insert", "repeat"]))
        if how == "flip":
            damaged[at] ^= data.draw(st.integers(1, 255))
        elif how == "cut":
            del damaged[at : at + data.draw(st.integers(1, 200))]
        elif how == "insert":
            damaged[at:at] = data.draw(st.binary(min_size=1, max_size=8))
        else:
            damaged[at:at] = damaged[at : at + data.draw(st.integers(1, 200))]
        damaged = damaged or bytearray(b"x")
    path = tmp_path_factory.mktemp("fuzz") / "file.jsonl"
    path.write_bytes(damaged)
    known = {recording.call.key: recording for recording in read(GOLDEN / "cassette_v1.jsonl")}
    try:
        found = read(path)
    except CassetteError:
        return
    for recording in found:  # what a flipped bit may change without a trace is no part of the call
        before = known.get(recording.call.key)
        assert before is None or before.call.canonical_prompt == recording.call.canonical_prompt


@pytest.mark.parametrize("other", [None, [], {}, "", 0, [""], {"a": 1}], ids=str)
def test_whatever_stands_in_the_place_of_a_value_is_refused_or_read(tmp_path: Path, other: Any) -> None:
    path = tmp_path / "file.jsonl"
    for line in lines(GOLDEN / "cassette_v1.jsonl"):
        for changed_line in replaced(line, other):
            path.write_text(json.dumps(changed_line))
            with contextlib.suppress(CassetteError):
                for recording in read(path):
                    recording.entry()


def replaced(value: Any, other: Any) -> Iterator[Any]:
    """`value` with `other` in the place of each of its parts."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for at, part in parts:
        for changed_part in (other, *replaced(part, other)):
            copied = value.copy()
            copied[at] = changed_part
            yield copied


# The format is a promise


@pytest.mark.parametrize("version", [1, 2])
def test_golden_cassettes_are_read(store: Path, version: int) -> None:
    done = nbcache.import_cassette(GOLDEN / f"cassette_v{version}.jsonl")
    assert done.new == len(lines(GOLDEN / f"cassette_v{version}.jsonl")) == 7


@pytest.mark.parametrize("version", [1, 2])
def test_a_golden_cassette_is_written_as_it_is_now(store: Path, file: Path, version: int) -> None:
    nbcache.import_cassette(GOLDEN / f"cassette_v{version}.jsonl")
    nbcache.export_cassette(file)
    assert file.read_bytes() == (GOLDEN / "cassette_v2.jsonl").read_bytes()


def test_a_store_that_fails_has_nothing_of_a_file_that_is_imported(
    provider: Provider, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere(tmp_path)
    cache = installation.installed()
    cache.put("warm", 1, model="m")
    with sqlite3.connect(tmp_path / "elsewhere" / "cache.db") as database:
        database.execute(
            "CREATE TRIGGER full BEFORE INSERT ON Cache WHEN (SELECT count(*) FROM Cache) > 4"
            " BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )
    with pytest.raises(nbcache.StoreError):
        nbcache.import_cassette(GOLDEN / "cassette_v1.jsonl")
    assert nbcache.stats().entries == 1
