"""What a run would cost now."""

import warnings
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.outputs import ChatResult
from langchain_openai import ChatOpenAI

import nbcache
from nbcache.session import installation
from nbcache.session.plans import PlannedMiss
from nbcache.stores import DiskStore, MemoryStore
from nbcache.ui import report
from tests.servers.provider import Answer, Provider
from tests.support.clock import Clock

PRICES = {"gpt-4o-mini": {"input": 1_000_000, "output": 0}}  # a dollar a token
MAKES: dict[str, Callable[[Path], Any]] = {"disk": DiskStore, "memory": lambda _: MemoryStore()}


def chat(provider: Provider) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o-mini", max_retries=0, **provider.openai)


def install(store: Any, tmp_path: Path, **given: Any) -> None:
    nbcache.install(store, notebook=tmp_path / "demo.ipynb", prices=PRICES, **given)


def test_what_is_there_costs_nothing(provider: Provider, tmp_path: Path) -> None:
    install(tmp_path / "store", tmp_path)
    for text in "abb":
        chat(provider).invoke(text)
    plan = nbcache.plan()
    assert (plan.session, plan.hits, len(plan.misses), plan.usd) == ("this", 3, 0, Decimal(0))
    assert report.plan(plan) == "this session's calls, made again in mode `on`: 3 hits, nothing to pay"


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES.keys())
def test_the_last_sessions_calls_are_planned(provider: Provider, tmp_path: Path, make: Callable[[Path], Any]) -> None:
    store = make(tmp_path / "store")
    install(store, tmp_path)
    costs = {text: chat(provider).invoke(text).usage_metadata["input_tokens"] for text in ("a", "bb", "ccc")}  # type: ignore[index]
    chat(provider).invoke("bb")
    nbcache.uninstall()
    install(store, tmp_path)
    keys = {row.prompt: row.key for row in installation.installed().contents().entries()}
    nbcache.evict(keys["bb"])
    nbcache.evict(keys["ccc"])
    plan = nbcache.plan()
    assert (plan.session, plan.hits, plan.calls) == ("last", 2, 2)
    assert plan.usd == Decimal(costs["bb"] + costs["ccc"])
    assert {miss.why for miss in plan.misses} == {"evicted by hand"}
    assert "last session, made again in mode `on`: 2 hits, 2 misses" in report.plan(plan)


def test_it_tells_what_has_expired_what_was_evicted_and_what_is_no_hit(
    clock: Clock, provider: Provider, tmp_path: Path
) -> None:
    install(tmp_path / "store", tmp_path, max_entries=2)
    provider.answer("a", "b", Answer("half", finish_reason="length"))
    for text in ("evicted", "kept", "cut"):
        chat(provider).invoke(text)
    assert [miss.why for miss in nbcache.plan().misses] == ["evicted", "cut off"]
    assert [miss.why for miss in nbcache.plan().misses] == ["evicted", "cut off"]  # to look changes nothing
    nbcache.uninstall()
    install(tmp_path / "other", tmp_path, ttl="1h")
    chat(provider).invoke("expires")
    clock.ahead = 3601
    assert [miss.why for miss in nbcache.plan().misses] == ["expired"]


def test_a_price_that_is_not_known_is_not_made_up(provider: Provider, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store", notebook=tmp_path / "demo.ipynb")  # a loopback server has no list price
    chat(provider).invoke("a")
    nbcache.clear()
    plan = nbcache.plan()
    assert plan.usd is None
    assert plan.unpriced == 1
    assert "to pay: unknown" in report.plan(plan)


def test_a_notebook_plans_its_own_calls(provider: Provider, tmp_path: Path) -> None:
    install(tmp_path / "store", tmp_path)
    chat(provider).invoke("a")
    nbcache.uninstall()
    nbcache.install(tmp_path / "store", notebook=tmp_path / "other.ipynb")
    with pytest.raises(ValueError, match="run it once"):
        nbcache.plan()


def test_only_the_last_two_sessions_are_kept(provider: Provider, tmp_path: Path) -> None:
    for text in "abcd":
        install(tmp_path / "store", tmp_path)
        chat(provider).invoke(text)
        name = installation.installed().notebook
        nbcache.uninstall()
    store = DiskStore(tmp_path / "store")
    assert [call.calls for call in store.last_calls(name)] == [1]
    rows = store._database.run(lambda cache: cache.execute("SELECT DISTINCT session FROM called").fetchall(), 1)
    assert len(rows) == 2
    store.close()


def test_calls_without_a_key_cost_what_all_of_them_did(provider: Provider, tmp_path: Path) -> None:
    install(tmp_path / "store", tmp_path)
    with nbcache.mode("off"):
        costs = [chat(provider).invoke(text).usage_metadata["input_tokens"] for text in ("a", "b " * 50, "c")]  # type: ignore[index]
    plan = nbcache.plan()
    assert [miss.why for miss in plan.misses] == ["not cached"]
    assert plan.calls == 3
    assert plan.usd == Decimal(sum(costs))


def test_in_replay_there_is_nothing_to_pay(provider: Provider, tmp_path: Path) -> None:
    install(tmp_path / "store", tmp_path)
    chat(provider).invoke("a")
    nbcache.export_cassette(tmp_path / "a.jsonl")
    install(tmp_path / "empty", tmp_path, mode="replay", cassette=tmp_path / "a.jsonl")
    chat(provider).invoke("a")
    plan = nbcache.plan()
    assert (plan.mode, plan.calls, plan.usd) == ("replay", 0, Decimal(0))
    assert report.plan(plan) == "this session's calls: nothing to pay, as `replay` makes none"


class Unkept(FakeListChatModel):
    """Its answers hold an object that no cache can give back."""

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        result = super()._generate(*args, **kwargs)
        message = result.generations[0].message
        message.additional_kwargs["raw"] = object()
        message.usage_metadata = {"input_tokens": 7, "output_tokens": 1, "total_tokens": 8}  # type: ignore[attr-defined]
        message.response_metadata["model_name"] = "gpt-4o-mini"
        return result


@pytest.mark.parametrize("why", ["can't be kept", "isn't wanted"])
def test_what_is_not_kept_is_paid_each_time(why: str, tmp_path: Path) -> None:
    can_be = why == "isn't wanted"
    given = {"should_store": lambda _: False} if can_be else {}
    install(tmp_path / "store", tmp_path, **given)
    model = (FakeListChatModel if can_be else Unkept)(responses=["a"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is said once
        for _ in range(3):
            model.invoke("q")
    plan = nbcache.plan()
    assert (plan.hits, plan.calls, [miss.why for miss in plan.misses]) == (0, 3, ["not cached"])
    if not can_be:
        assert plan.usd == 3 * 7
    assert nbcache.stats().misses == 3
    assert list(nbcache.last()["why"]) == ["new", "not kept", "not kept"]
    assert "could not be kept" in str(nbcache.why())
    nbcache.uninstall()
    install(tmp_path / "store", tmp_path)
    last = nbcache.plan()
    assert (last.session, last.hits, last.calls, last.usd) == ("last", 0, 3, plan.usd)


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES.keys())
@pytest.mark.parametrize("how", ["an SDK's stream", "LangChain's stream", "a call that failed"])
def test_a_call_that_got_no_whole_answer_is_counted_each_time(
    how: str, make: Callable[[Path], Any], provider: Provider, tmp_path: Path
) -> None:
    store = make(tmp_path / "store")
    install(store, tmp_path)
    client = openai.OpenAI(max_retries=0, **provider.openai)

    def call() -> None:
        if how == "a call that failed":
            provider.fail(500)
            with pytest.raises(openai.InternalServerError):
                chat(provider).invoke("q")
        elif how == "LangChain's stream":
            chunks = chat(provider).stream("q")
            next(chunks)
            chunks.close()  # type: ignore[attr-defined]
        else:
            messages: Any = [{"role": "user", "content": "q"}]
            with client.chat.completions.create(model="gpt-4o-mini", messages=messages, stream=True) as stream:
                next(stream)

    for _ in range(3):
        call()
    plan = nbcache.plan()
    assert (plan.hits, plan.calls, plan.unpriced, {miss.why for miss in plan.misses}) == (0, 3, 3, {"not cached"})
    assert list(nbcache.last()["why"]) == ["new", "not kept", "not kept"]
    assert "left or interrupted before its end" in str(nbcache.why())
    nbcache.uninstall()
    install(store, tmp_path)
    last = nbcache.plan()
    assert (last.session, last.hits, last.calls) == ("last", 0, 3)


def test_a_call_that_is_answered_after_it_failed_is_a_hit_then(provider: Provider, tmp_path: Path) -> None:
    install(tmp_path / "store", tmp_path)
    provider.fail(500)
    with pytest.raises(openai.InternalServerError):
        chat(provider).invoke("q")
    assert nbcache.plan().calls == 1
    chat(provider).invoke("q")
    plan = nbcache.plan()
    assert (plan.hits, plan.calls) == (2, 0)
    nbcache.uninstall()
    install(tmp_path / "store", tmp_path)
    last = nbcache.plan()
    assert (last.session, last.hits, last.calls) == ("last", 2, 0)


def test_a_plan_names_no_model_where_none_is_known() -> None:
    plan = nbcache.Plan("this", 0, (PlannedMiss("", "", "not cached", 1, None, estimated=False),))
    assert report.plan(plan).endswith("1 not cached: unknown model")
