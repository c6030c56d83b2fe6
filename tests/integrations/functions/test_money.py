"""What is called inside of a function is the function's own: paid once, and saved by each hit of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_openai import ChatOpenAI

import nbcache
from tests.servers.provider import Provider

MODEL: Any = None


@nbcache.memoize(ignore="MODEL")
def ask(question: str) -> str:
    return str(MODEL.invoke(question).text)


@nbcache.memoize(ignore="MODEL")
def both(question: str) -> list[str]:
    return [ask(question), str(MODEL.invoke(f"and {question}").text)]


@nbcache.memoize(ignore="MODEL")
def items(number: int) -> Iterator[str]:
    for at in range(number):
        yield str(MODEL.invoke(f"item {at}").text)


@nbcache.memoize(ignore="MODEL")
async def awaited(number: int) -> list[str]:
    answers = await asyncio.gather(*(MODEL.ainvoke(f"awaited {at}") for at in range(number)))
    return [str(answer.text) for answer in answers]


@nbcache.memoize(ignore="MODEL")
async def awaited_items(number: int) -> AsyncIterator[str]:
    for at in range(number):
        yield str((await MODEL.ainvoke(f"awaited item {at}")).text)


@nbcache.memoize(ignore="MODEL")
def measured(question: str) -> dict[str, Any]:
    return {"answer": str(MODEL.invoke(question).text), "numbers": np.arange(400_000) * 0.1}


@pytest.fixture(autouse=True)
def price(provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Decimal:
    """What one call of the model costs."""
    model = ChatOpenAI(model="m", max_retries=0, **provider.openai)
    monkeypatch.setattr("tests.integrations.functions.test_money.MODEL", model)
    nbcache.install(tmp_path / "store", prices={"m": {"input": 1_000, "output": 1_000}})
    model.invoke("item 0")
    spent = nbcache.stats().spent_usd
    assert spent
    nbcache.clear()
    return spent


def saved(calls: int) -> Decimal:
    """What the session saved in all, with so many calls without a known price."""
    stats = nbcache.stats()
    assert (stats.unpriced_hits, stats.unpriced_misses) == (calls, calls)
    return stats.saved_usd or Decimal(0)


def test_a_hit_saves_what_was_called_inside(provider: Provider, price: Decimal) -> None:
    ask("item 0")
    assert nbcache.stats().spent_usd == 2 * price
    ask("item 0")
    assert saved(0) == price
    assert len(provider.requests) == 2


def test_a_hit_saves_it_even_if_its_large_array_is_changed_at_once(price: Decimal) -> None:
    first = measured("item 0")
    for number in (1, 2):
        came = measured("item 0")
        assert np.array_equal(came["numbers"], first["numbers"])
        came["numbers"][:] = 0.0
        assert saved(0) == number * price


def test_functions_that_nest_count_each_call_once(provider: Provider, price: Decimal) -> None:
    both("item 0")
    spent = nbcache.stats().spent_usd
    assert spent is not None
    before = saved(0)
    both("item 0")
    assert saved(0) - before == spent - price
    assert len(provider.requests) == 3


def test_what_is_called_for_items_is_the_generators(provider: Provider, price: Decimal) -> None:
    for item in items(3):
        MODEL.invoke(f"of the reader: {item}")
    requests = len(provider.requests)
    of_reader = nbcache.installed().stats().spent_usd
    assert of_reader is not None
    before = saved(0)
    assert len([*items(3)]) == 3
    assert saved(0) - before == 3 * price
    assert len(provider.requests) == requests


async def test_what_is_called_in_tasks_and_for_awaited_items_is_the_functions(provider: Provider) -> None:
    await awaited(3)
    spent = nbcache.stats().spent_usd
    [item async for item in awaited_items(2)]
    both_spent = nbcache.stats().spent_usd
    assert spent is not None
    assert both_spent is not None
    assert both_spent > spent
    requests, before = len(provider.requests), saved(0)
    await awaited(3)
    [item async for item in awaited_items(2)]
    assert saved(0) > before
    assert len(provider.requests) == requests


def test_a_function_that_calls_no_model_costs_a_known_nothing() -> None:
    @nbcache.memoize
    def nothing() -> int:
        return 1

    nothing()
    nothing()
    assert saved(0) == 0


@pytest.mark.parametrize("is_imported", [True, False])
def test_a_recorded_function_saves_what_its_calls_would_cost(is_imported: bool, price: Decimal, tmp_path: Path) -> None:
    both("q")
    spent = nbcache.stats().spent_usd
    assert spent is not None
    cassette = tmp_path / "a.jsonl"
    nbcache.export_cassette(cassette)
    lines = cassette.read_text().splitlines()
    assert sum('"calls"' in line for line in lines) == 2  # of both functions
    prices = {"m": {"input": 1_000, "output": 1_000}}
    if is_imported:
        nbcache.install(tmp_path / "other", prices=prices)
        nbcache.import_cassette(cassette)
    else:
        nbcache.install(tmp_path / "other", cassette=cassette, mode="replay", prices=prices)
    before = nbcache.stats().saved_usd or Decimal(0)
    both("q")
    stats = nbcache.stats()
    assert stats.saved_usd is not None
    assert stats.saved_usd - before == spent - price
    assert (stats.unpriced_hits, stats.partly_priced_hits) == (0, 0)
