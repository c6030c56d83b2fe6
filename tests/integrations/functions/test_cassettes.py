"""Entries of functions go through a cassette, and are played without what is called inside."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_openai import ChatOpenAI

import nbcache
from nbcache import ReplayMiss
from tests.servers.provider import Provider

MODEL: Any = None


@nbcache.memoize(ignore="MODEL")
def ask(question: str) -> dict[str, Any]:
    return {"answer": MODEL.invoke(question).text, "bytes": b"\x00\xff", "pair": (1, 2.0)}


@nbcache.memoize
def items(number: int) -> Iterator[bytes]:
    for at in range(number):
        yield bytes([at])


@pytest.fixture(autouse=True)
def model(provider: Provider, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ChatOpenAI(model="gpt-4o-mini", max_retries=0, **provider.openai)
    monkeypatch.setattr("tests.integrations.functions.test_cassettes.MODEL", model)


def test_a_cassette_plays_functions_without_what_they_called(tmp_path: Path, provider: Provider) -> None:
    first, read = ask("q"), [*items(3)]
    cassette = tmp_path / "a.jsonl"
    nbcache.export_cassette(cassette)
    text = cassette.read_text()
    assert nbcache.export_cassette(cassette).changed is False
    assert '"function":"ask"' in text.replace(" ", "")
    nbcache.install(tmp_path / "other", cassette=cassette, mode="replay")
    assert (ask("q"), [*items(3)]) == (first, read)
    with pytest.raises(ReplayMiss, match="no function is run, and this call of ask"):
        ask("other")
    assert len(provider.requests) == 1


def test_an_import_brings_them_into_a_store(tmp_path: Path, provider: Provider) -> None:
    first = ask("q")
    key = ask.cache_key("q")
    cassette = tmp_path / "a.jsonl"
    nbcache.export_cassette(cassette)
    nbcache.install(tmp_path / "other")
    assert nbcache.import_cassette(cassette).new == 2
    assert ask("q") == first
    assert len(provider.requests) == 1
    assert ask.cache_info().currsize == 1
    assert dict(zip(nbcache.entries().key, nbcache.entries().kind, strict=True))[key] == "function"


def test_a_miss_inside_is_what_replay_names_if_the_function_is_not_memoized(provider: Provider) -> None:
    ask("q")
    with nbcache.mode("replay"):
        assert ask.__wrapped__("q")["answer"] == ask("q")["answer"]
        with pytest.raises(ReplayMiss, match="gpt-4o-mini"):
            ask.__wrapped__("other")
