"""A dry run says what a warm-up would make, and about what that would cost; it does nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings

import nbcache
from nbcache.session import installation
from nbcache.stores import DiskStore, MemoryStore
from tests.servers.provider import Provider
from tests.session.warming.test_warm import A_TOKEN, Grader, counts

OUTPUT_ALONE = {"gpt-4o-mini": {"input": 0, "output": 1_000_000}}  # a dollar for each token of an answer


@pytest.fixture
def model(provider: Provider, tmp_path: Path) -> ChatOpenAI:
    nbcache.install(tmp_path / "store", prices=OUTPUT_ALONE)
    return ChatOpenAI(model="gpt-4o-mini", max_retries=0, **provider.openai)


@tool
def search(query: str) -> str:
    """Search."""
    return query


IMAGE = [
    HumanMessage(
        [{"type": "text", "text": "q"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
    )
]
INPUTS: list[Any] = [
    "a",
    [("system", "Be short."), ("human", "b")],
    [SystemMessage("s", id="1"), HumanMessage("c"), AIMessage("d", id="2"), HumanMessage("e")],
    ChatPromptTemplate.from_template("What is {x}?").invoke({"x": "f"}),
    IMAGE,
    nbcache.args("g", stop=["x"]),
    nbcache.args("h", temperature=0.5),
    nbcache.args("i", {"tags": ["t"]}),
]


def models(provider: Provider) -> dict[str, Runnable[Any, Any]]:
    gpt = ChatOpenAI(model="gpt-4o-mini", max_retries=0, **provider.openai)
    return {
        "openai": gpt,
        "bound": gpt.bind(stop=["y"]).with_config(tags=["u"]),
        "tools": gpt.bind_tools([search]),
        "retried": gpt.with_retry(),
        "responses": ChatOpenAI(model="gpt-4o-mini", use_responses_api=True, **provider.openai),
        "anthropic": ChatAnthropic(model_name="claude-3-5-haiku-latest", **provider.anthropic),
        "texts": OpenAI(model="gpt-3.5-turbo-instruct", max_retries=0, **provider.openai),
        "fake": FakeListChatModel(responses=["x"]),
    }


@pytest.mark.parametrize("name", ["openai", "bound", "tools", "retried", "responses", "anthropic", "texts", "fake"])
def test_what_a_dry_run_calls_hits_are_hits(provider: Provider, store: Path, name: str) -> None:
    del store
    model, inputs = models(provider)[name], [each for each in INPUTS if name != "texts" or each is not IMAGE]
    assert counts(nbcache.warm(model, inputs, dry_run=True)) == (len(inputs), 0, 0)
    nbcache.warm(model, inputs[::2])
    sent = len(provider.requests)
    planned = nbcache.warm(model, inputs, dry_run=True)
    assert len(provider.requests) == sent
    assert counts(planned) == counts(nbcache.warm(model, inputs)) == (len(inputs[1::2]), len(inputs[::2]), 0)
    assert planned.dry_run
    assert (
        asyncio.run(nbcache.awarm(model, inputs, dry_run=True)).hits == asyncio.run(nbcache.awarm(model, inputs)).hits
    )


@pytest.mark.parametrize("make", [DiskStore, lambda _: MemoryStore()], ids=["disk", "memory"])
def test_nothing_is_sent_kept_or_counted(provider: Provider, tmp_path: Path, make: Any) -> None:
    nbcache.install(make(tmp_path / "store"))
    model = ChatOpenAI(model="gpt-4o-mini", max_retries=0, **provider.openai)
    for text in "ab":
        model.invoke(text)
    cache = installation.installed()
    cache.flush()

    def state() -> Any:
        rows = [(row.key, row.hits, row.last_hit, row.tags) for row in cache.contents("folder").entries()]
        order = list(cache.store._entries) if isinstance(cache.store, MemoryStore) else []
        return rows, order, cache.ledger.session(), cache.ledger.calls(), len(provider.requests)

    before = state()
    assert counts(nbcache.warm(model, ["a", "c"], dry_run=True)) == (1, 1, 0)
    assert state() == before


def test_a_missing_answer_costs_what_those_of_its_model_did_at_the_median(
    model: ChatOpenAI, provider: Provider
) -> None:
    unknown = nbcache.warm(model, ["a", "b"], dry_run=True)
    assert (unknown.usd, unknown.calls, unknown.unpriced) == (None, 2, 2)
    assert repr(unknown) == "Warmed, dry run: 2 to make (cost unknown), 0 hits (no recorded answer of gpt-4o-mini)"
    provider.answer("one", "one two three", "one two three four five six")
    tokens = sorted(model.invoke(text).usage_metadata["output_tokens"] for text in ("x", "y", "z"))  # type: ignore[index]
    planned = nbcache.warm(model, ["a", "b", "x"], dry_run=True)
    assert (planned.usd, planned.calls, planned.unpriced, planned.estimated) == (2 * Decimal(tokens[1]), 2, 0, 2)
    assert repr(planned) == (
        f"Warmed, dry run: 2 to make for ~${planned.usd:.2f}, 1 hit "
        "(answers as long as the median of 3 recorded answers of gpt-4o-mini)"
    )


def test_a_longer_prompt_costs_more(provider: Provider, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store", prices=A_TOKEN)
    model = ChatOpenAI(model="gpt-4o-mini", max_retries=0, **provider.openai)
    model.invoke("a")
    short, long = (nbcache.warm(model, [text], dry_run=True).usd for text in ("word", "word " * 100))
    assert short is not None
    assert long is not None
    assert 80 < long - short < 120


def test_a_model_on_this_machine_costs_nothing(store: Path) -> None:
    del store
    planned = nbcache.warm(ChatOllama(model="qwen3"), ["a"], dry_run=True)
    assert (planned.usd, planned.unpriced) == (Decimal(0), 0)


def test_the_same_input_twice_is_made_once(model: ChatOpenAI) -> None:
    assert counts(nbcache.warm(model, ["a", "a", "b"], dry_run=True)) == (2, 1, 0)


@dataclass
class Verdict:
    text: str


def test_functions_cost_what_their_recorded_calls_did_at_the_median(model: ChatOpenAI) -> None:
    @nbcache.memoize
    def judge(question: str, strict: bool = False) -> Verdict:
        return Verdict(model.invoke(question).text if strict else question)

    first = nbcache.warm(judge, [nbcache.args("a", strict=True)], dry_run=True)
    assert (counts(first), first.usd, first.basis) == ((1, 0, 0), None, "no recorded call has a known cost")
    paid = nbcache.warm(judge, [nbcache.args("a", strict=True)])
    planned = nbcache.warm(judge, [nbcache.args("a", strict=True), "b", nbcache.args(question="c")], dry_run=True)
    assert counts(planned) == (2, 1, 0)
    assert paid.usd
    assert planned.usd == 2 * paid.usd
    assert planned.basis == "the median of 1 recorded call"


def test_all_kinds_of_functions_are_planned(store: Path) -> None:
    del store

    @nbcache.memoize
    def counting(to: int) -> Iterator[int]:
        yield from range(to)

    @nbcache.memoize
    async def later(to: int) -> int:
        return to

    @nbcache.memoize
    async def counting_later(to: int) -> AsyncIterator[int]:
        for number in range(to):
            yield number

    for function in (counting, later, counting_later):
        nbcache.warm(function, [1])
        assert counts(nbcache.warm(function, [1, 2], dry_run=True)) == (1, 1, 0)
    nbcache.warm(Grader(5).grade, ["a"])
    assert counts(nbcache.warm(Grader(5).grade, ["a", "b"], dry_run=True)) == (1, 1, 0)
    assert counts(nbcache.warm(Grader.grade, [nbcache.args(Grader(5), "a")], dry_run=True)) == (0, 1, 0)


def test_an_entry_of_a_function_whose_class_is_gone_is_no_hit(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del store

    @nbcache.memoize(version="1")
    def judge(text: str) -> Any:
        return globals()["Verdict"](text)

    nbcache.warm(judge, ["a"])
    assert counts(nbcache.warm(judge, ["a"], dry_run=True)) == (0, 1, 0)
    monkeypatch.delitem(globals(), "Verdict")
    assert counts(nbcache.warm(judge, ["a"], dry_run=True)) == (1, 0, 0)


def test_embeddings_cost_what_their_texts_are_long(provider: Provider, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store", prices={"text-embedding-3-small": {"input": 1_000_000, "output": 0}})
    embeddings = nbcache.wrap(
        OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False, **provider.openai)
    )
    nbcache.warm(embeddings, ["a"])
    sent = len(provider.requests)
    planned = nbcache.warm(embeddings, ["a", "word word word"], dry_run=True)
    assert (counts(planned), planned.usd, planned.estimated) == ((1, 1, 0), Decimal(3), 1)
    assert counts(nbcache.warm(embeddings.embed_query, ["a"], dry_run=True)) == (1, 0, 0)
    assert counts(asyncio.run(nbcache.awarm(embeddings, ["a", "b"], dry_run=True))) == (1, 1, 0)
    assert len(provider.requests) == sent


def test_what_cannot_be_told_without_a_call_is_refused(model: ChatOpenAI, provider: Provider) -> None:
    chain = ChatPromptTemplate.from_template("What is {x}?") | model
    client = nbcache.wrap(openai.OpenAI(**provider.openai))
    for thing in (chain, len, client.chat.completions.create, search, DeterministicFakeEmbedding(size=3)):
        with pytest.raises(ValueError, match=r"It knows a model, a function with @nbcache\."):
            nbcache.warm(thing, [], dry_run=True)


def test_an_input_that_the_call_would_refuse_is_a_failure(model: ChatOpenAI) -> None:
    planned = nbcache.warm(model, ["a", 5], dry_run=True)
    assert counts(planned) == (1, 0, 1)
    assert planned.failures[0][0] == 5


def test_modes_hold(model: ChatOpenAI) -> None:
    model.invoke("a")
    with nbcache.mode("refresh"):
        assert counts(nbcache.warm(model, ["a"], dry_run=True)) == (1, 0, 0)
    with nbcache.mode("replay"), pytest.raises(ValueError, match="nothing is made"):
        nbcache.warm(model, ["a"], dry_run=True)
    with nbcache.mode("off"), pytest.raises(ValueError, match="nothing would be kept"):
        nbcache.warm(model, ["a"], dry_run=True)
    off = nbcache.args("a", {"metadata": {"nbcache": "off"}})
    assert counts(nbcache.warm(model, [off], dry_run=True)) == (1, 0, 0)


def test_samples_are_not_used_up(model: ChatOpenAI, provider: Provider) -> None:
    model.invoke("a")
    with nbcache.mode(samples=True):
        assert counts(nbcache.warm(model, ["a", "a"], dry_run=True)) == (1, 1, 0)
        assert counts(nbcache.warm(model, ["a", "a"])) == (1, 1, 0)
    assert len(provider.requests) == 2


def test_rules_for_prompts_hold(provider: Provider, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store", normalize=r"\d+", exclude=["left out"])
    model = ChatOpenAI(model="gpt-4o-mini", max_retries=0, **provider.openai)
    nbcache.warm(model, ["page 1"])
    assert counts(nbcache.warm(model, ["page 2"], dry_run=True)) == (0, 1, 0)
    assert counts(nbcache.warm(model.with_config(tags=["left out"]), ["page 2"], dry_run=True)) == (1, 0, 0)
