"""Every rule holds for calls of plain SDK clients as for LangChain's, and each call is one, whatever is on top of it."""

from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

import nbcache
from nbcache.session import installation
from nbcache.ui import report
from tests.servers.provider import Provider
from tests.servers.wire import CHAT, MESSAGE, said, streamed
from tests.support.clock import Clock


@pytest.fixture
def plain(provider: Provider, store: Path) -> Any:
    return openai.OpenAI(**provider.openai, max_retries=0)


def counts() -> tuple[int, int, int | None]:
    stats = nbcache.stats()
    return stats.misses, stats.hits, stats.entries


# Settings


def test_a_ttl_ends_an_answer(plain: Any, provider: Provider, clock: Clock) -> None:
    with nbcache.mode(ttl=60):
        said(plain)
        said(plain)
    assert len(provider.requests) == 1
    assert nbcache.entries()["expires"].notna().all()
    clock.ahead = 61
    said(plain)
    assert len(provider.requests) == 2
    assert nbcache.why().reason == "expired"


def test_tags_are_put_on_entries_and_cleared_by(plain: Any) -> None:
    with nbcache.mode(tags="draft"):
        said(plain)
        streamed(plain)
    said(plain, seed=1)
    assert sorted(nbcache.entries()["tags"]) == ["", "draft", "draft"]
    assert nbcache.clear(tag="draft").deleted == 2


def test_samples_are_draws_that_are_replayed(plain: Any, provider: Provider) -> None:
    def draws() -> list[str]:
        with nbcache.mode(samples=True):
            return [said(plain) for _ in range(3)]

    provider.answer("one", "two", "three")
    first = draws()
    assert len(set(first)) == 3
    assert draws() == first
    assert len(provider.requests) == 3


@pytest.mark.parametrize("name", ["gpt-4o-mini", "gpt-4*", "openai"])
def test_a_model_or_an_api_is_excluded(name: str, provider: Provider, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store", exclude=name)
    client, other = openai.OpenAI(**provider.openai), anthropic.Anthropic(**provider.anthropic)
    for _ in range(2):
        said(client)
        other.messages.create(**MESSAGE)
    assert len(provider.requests) == 3
    assert nbcache.last()["why"].tolist() == ["excluded", "new", "excluded", ""]


def test_why_names_what_differs_from_the_nearest_call(plain: Any) -> None:
    said(plain)
    said(plain, temperature=0.5)
    why = nbcache.why()
    assert why.nearest is not None
    assert any("temperature" in change for change in why.changes)


def test_plan_knows_what_is_a_hit_and_what_would_be_paid(plain: Any) -> None:
    said(plain)
    said(plain)
    plain.responses.create(model="gpt-4o-mini", input="x", extra_body={"conversation": "c"})
    plan = nbcache.plan()
    assert (plan.hits, plan.calls, [miss.why for miss in plan.misses]) == (2, 1, ["not cached"])


def test_a_cassette_has_no_secrets_and_replays_a_plain_client(provider: Provider, tmp_path: Path, store: Path) -> None:
    key, token = "sk-proj-" + "a1B2" * 12, "ghp_" + "Zz09" * 9
    client = openai.OpenAI(base_url=f"{provider.url}/v1", api_key=key, default_headers={"x-team": token})
    tool: Any = {"type": "mcp", "server_label": "s", "server_url": "https://t.example", "authorization": token}
    provider.answer("fine", "fine", "fine")
    answers = [said(client), streamed(client), client.responses.create(model="m", input="x", tools=[tool]).output_text]
    done = nbcache.export_cassette(tmp_path / "c.jsonl")
    assert done.entries == 3
    text = (tmp_path / "c.jsonl").read_text()
    assert key not in text
    assert token not in text
    installation.reinstall(store=tmp_path / "empty", cassette=tmp_path / "c.jsonl", mode="replay")
    again = [said(client), streamed(client), client.responses.create(model="m", input="x", tools=[tool]).output_text]
    assert again == answers
    assert len(provider.requests) == 3


# What the setting `clients` leaves out


def test_what_the_setting_leaves_out_is_told_with_what_to_type(provider: Provider, tmp_path: Path) -> None:
    cache = nbcache.install(tmp_path / "store", clients=["anthropic"])
    client = openai.OpenAI(**provider.openai)
    assert "left out" not in report.status(cache)
    provider.fail(500)
    said(client)
    said(client)
    with nbcache.mode("off"):
        said(client)
    httpx.post(f"{provider.url}/v1/orders", json=CHAT)
    text = report.status(cache)
    assert (
        "left out:  openai (2), by the setting `clients`: `%config NBCache.clients = 'all'` caches such calls" in text
    )
    assert counts() == (0, 0, 0)
    with nbcache.mode("replay"), pytest.raises(nbcache.ReplayMiss, match=r"NBCache\.clients = 'all'"):
        said(client)
    said(nbcache.wrap(client))
    installation.reinstall(clients="all")
    assert "openai (2)" in report.status(installation.installed())


# Once, not twice


@pytest.mark.usefixtures("store")
def test_wrapped_embeddings_are_counted_by_text_and_plain_ones_by_request(provider: Provider) -> None:
    embeddings = OpenAIEmbeddings(**provider.openai, check_embedding_ctx_length=False, model="text-embedding-3-small")
    wrapped = nbcache.wrap(embeddings)
    assert wrapped.embed_documents(["a", "b"]) == wrapped.embed_documents(["a", "b"])
    assert counts() == (2, 2, 2)
    assert embeddings.embed_documents(["a", "b"]) == embeddings.embed_documents(["a", "b"])
    assert counts() == (3, 3, 3)
    assert len(provider.requests) == 2


@pytest.mark.usefixtures("store")
def test_a_model_that_goes_past_langchains_methods_is_counted_once(provider: Provider) -> None:
    client = openai.OpenAI(**provider.openai)

    class Past(GenericFakeChatModel):
        def invoke(self, input: Any, *_: Any, **__: Any) -> AIMessage:  # noqa: A002 - LangChain's name
            return AIMessage(said(client, messages=[{"role": "user", "content": str(input)}]))

    model = Past(messages=iter(()))
    with pytest.warns(nbcache.NbcacheWarning, match="Past"):
        model.invoke("q")
    model.invoke("q")
    assert nbcache.last()["why"].tolist() == ["not cacheable"] * 2
    assert counts() == (2, 0, 0)


@pytest.mark.usefixtures("store")
def test_what_langchains_call_can_not_cache_is_counted_once(provider: Provider) -> None:
    for _ in range(2):
        list(ChatOpenAI(model="gpt-4o-mini", **provider.openai).stream("q", n=2))
    assert nbcache.last()["why"].tolist() == ["not cacheable"] * 2
    assert counts() == (2, 0, 0)


@pytest.mark.usefixtures("store")
def test_a_model_with_a_cache_of_its_own_is_left_to_that(provider: Provider) -> None:
    model = ChatOpenAI(model="gpt-4o-mini", cache=InMemoryCache(), **provider.openai)
    assert model.invoke("q").content == model.invoke("q").content
    assert counts() == (0, 0, 0)
    assert len(provider.requests) == 1
