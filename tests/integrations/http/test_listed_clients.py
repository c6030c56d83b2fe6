"""Lists say which client made the call of each entry, and whether its answer came in chunks."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_openai import ChatOpenAI

import nbcache
from nbcache.entry.records import Filter
from nbcache.session import installation
from nbcache.stores import MemoryStore
from nbcache.ui import entry_report
from nbcache.ui.cli.main import main
from nbcache.ui.panel.board import Board
from tests.servers.provider import Provider
from tests.servers.wire import MESSAGE, ask

pytestmark = pytest.mark.usefixtures("store")

EACH = {
    ("langchain", False),
    ("langchain", True),
    ("openai", False),
    ("openai", True),
    ("anthropic", False),
    (None, False),
}


@pytest.fixture
def called(provider: Provider, store: object) -> None:
    """A call of each kind, in a store of its own."""
    model = ChatOpenAI(model="gpt-4o-mini", **provider.openai)
    model.invoke("one")
    list(model.stream("two"))
    ask(sdk := openai.OpenAI(**provider.openai))
    list(ask(sdk, stream=True))
    anthropic.Anthropic(**provider.anthropic).messages.create(**MESSAGE)
    nbcache.wrap(DeterministicFakeEmbedding(size=2)).embed_query("three")
    installation.installed().put("key", "text", model="none")


def listed(**which: str) -> set[tuple[str | None, bool]]:
    frame = nbcache.entries(**which)
    clients = [each if isinstance(each, str) else None for each in frame.client]
    return {*zip(clients, frame.streamed.tolist(), strict=True)}


@pytest.mark.usefixtures("called")
def test_entries_have_their_client() -> None:
    assert listed() == EACH
    assert listed(client="openai") == {("openai", False), ("openai", True)}
    assert listed(client="openai", status="empty") == set()


@pytest.mark.usefixtures("called")
def test_a_cassette_keeps_the_clients(tmp_path: Path) -> None:
    nbcache.export_cassette(tmp_path / "c.jsonl")
    installation.reinstall(store=tmp_path / "empty")
    nbcache.import_cassette(tmp_path / "c.jsonl")
    assert listed() == EACH


@pytest.mark.usefixtures("called")
def test_the_terminal_lists_and_clears_by_client(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    installation.installed().flush()
    assert main(["ls", "--store", str(store), "--client", "openai", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert sorted((row["client"], row["streamed"]) for row in rows) == [("openai", False), ("openai", True)]
    assert main(["ls", "--store", str(store), "--client", "openai"]) == 0
    assert "openai, streamed" in capsys.readouterr().out
    assert main(["clear", "--store", str(store), "--client", "openai", "--yes"]) == 0
    assert listed() == {each for each in EACH if each[0] != "openai"}


@pytest.mark.usefixtures("called")
def test_the_panel_shows_and_chooses_by_client() -> None:
    board = Board()
    page = board.ask({"type": "page", "client": "openai", "facets": True})
    assert page["total"] == 2
    assert sorted((row["client"], row["streamed"]) for row in page["rows"]) == [
        ("openai", False),
        ("openai, streamed", True),
    ]
    assert page["facets"]["client"] == ["anthropic", "langchain", "openai"]
    facts = dict(board.ask({"type": "entry", "key": page["rows"][0]["key"]})["facts"])
    assert facts["Client"] == page["rows"][0]["client"]
    assert f"client:    {facts['Client']}" in entry_report.record(nbcache.show(page["rows"][0]["key"])).splitlines()


class _StoreOf05(MemoryStore):
    """A user's own store, written before there were clients: it passes over the filter."""

    def page(self, which: Filter = Filter(), **options: Any) -> list[nbcache.EntryMeta]:  # noqa: B008 - frozen
        return super().page(replace(which, client=None), **options)


def test_a_store_without_the_filter_loses_nothing_else_by_a_clear(provider: Provider) -> None:
    nbcache.install(_StoreOf05())
    ask(sdk := openai.OpenAI(**provider.openai))
    list(ask(sdk, stream=True))
    ChatOpenAI(model="gpt-4o-mini", **provider.openai).invoke("one")
    assert set(nbcache.entries(client="openai")["client"]) == {"openai"}
    assert nbcache.clear(client="openai").deleted == 2
    assert listed() == {("langchain", False)}
