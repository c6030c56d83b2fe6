"""What calls cost and saved, each number against a calculation by hand."""

import asyncio
import logging
import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_openai import ChatOpenAI, OpenAI

import nbcache
from nbcache import NbcacheWarning
from nbcache.concurrency.rests import Rests
from nbcache.concurrency.timer import Timer
from nbcache.costs import costs_today
from nbcache.costs import ledger as ledger_module
from nbcache.costs.ledger import Ledger
from nbcache.costs.price_lookup import Prices
from nbcache.entry.records import EntryMeta, Spending, Touch
from nbcache.entry.stats import Stats
from nbcache.errors import StoreError
from nbcache.session import installation
from nbcache.stores import DiskStore, MemoryStore
from nbcache.stores.entry_costs import entry_cost
from tests.servers import canned as c
from tests.servers.canned import Canned, Reply
from tests.servers.provider import Answer, Provider
from tests.support.clock import Clock
from tests.support.paths import GOLDEN
from tests.support.rows import full

GOLDEN_KEY = "0123456789abcdef0123456789abcdef01234567"

# US dollars per million tokens: 1,000 tokens in and 500 out are 1,000 x $2 + 500 x $8 = 6,000 millionths, $0.006.
PRICES = {"m": {"input": 2, "output": 8}}
CALL = Decimal("0.006")
NOTHING = Decimal(0)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """It is set when a ledger has written into its store what was paid."""
    record, paid = DiskStore.record, threading.Event()

    def record_and_tell(store: DiskStore, rows: Iterable[Spending]) -> None:
        rows = list(rows)
        record(store, rows)
        if any(row.spent_usd for row in rows):
            paid.set()

    monkeypatch.setattr(DiskStore, "record", record_and_tell)
    return paid


def used(asked: int, answered: int, text: str = "Hi.", model: str = "m") -> Reply:
    """An answer for which the provider reports so many tokens in and out."""
    return c.chat(
        model, {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}, text=text
    )


def client(url: str, model: str = "m", **settings: Any) -> ChatOpenAI:
    return ChatOpenAI(model=model, base_url=f"{url}/v1", api_key="sk-test", max_retries=0, **settings)


def install(folder: Path, **settings: Any) -> nbcache.NotebookCache:
    return nbcache.install(folder, **{"prices": PRICES, **settings})


def stats(**which: Any) -> Stats:
    found = nbcache.stats(**which)
    assert isinstance(found, Stats)
    return found


def money(found: Stats | None = None) -> tuple[int, int, Decimal | None, Decimal | None]:
    """Hits, misses, spent, saved."""
    found = found or stats()
    return found.hits, found.misses, found.spent_usd, found.saved_usd


def price(said: BaseMessage) -> Decimal:
    """What an answer costs at PRICES, of the tokens that the provider told the caller."""
    assert isinstance(said, AIMessage)
    assert said.usage_metadata is not None
    return Decimal(2 * said.usage_metadata["input_tokens"] + 8 * said.usage_metadata["output_tokens"]) / 10**6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


# Sums


def test_three_calls_and_five_hits_to_the_last_digit(server: Canned, folder: Path) -> None:
    install(folder)
    model = client(server.url)
    # 1,000 x 2 + 500 x 8 = 6,000; 2,000 x 2 + 100 x 8 = 4,800; 7 x 2 + 3 x 8 = 38 millionths of a dollar
    server.reply(used(1000, 500), used(2000, 100), used(7, 3))
    for question in ("a", "b", "c"):
        model.invoke(question)
    assert money() == (0, 3, Decimal("0.010838"), NOTHING)
    for question in ("a", "a", "a", "c", "c"):  # 3 x 6,000 + 2 x 38 = 18,076
        model.invoke(question)
    found = stats()
    assert money(found) == (5, 3, Decimal("0.010838"), Decimal("0.018076"))
    assert (found.unpriced_hits, found.unpriced_misses, found.estimated) == (0, 0, 0)
    assert (found.hit_rate, found.entries) == (5 / 8, 3)
    assert money(stats(lifetime=True)) == money(found)


def test_in_a_new_session_hits_save_and_nothing_is_spent(server: Canned, folder: Path) -> None:
    install(folder)
    server.reply(used(1000, 500))
    client(server.url).invoke("q")
    nbcache.uninstall()
    install(folder)
    assert money() == (0, 0, NOTHING, NOTHING)
    for _ in range(2):
        client(server.url).invoke("q")
    assert money() == (2, 0, NOTHING, 2 * CALL)


async def test_async_calls_count_as_others_do(server: Canned, folder: Path) -> None:
    install(folder)
    server.reply(*[used(1000, 500)] * 3)
    model = client(server.url)
    await asyncio.gather(*(model.ainvoke(question) for question in "abc"))
    await asyncio.gather(*(model.ainvoke(question) for question in "abca"))
    assert money() == (4, 3, 3 * CALL, 4 * CALL)


def test_calls_from_many_threads_are_all_counted(server: Canned, folder: Path) -> None:
    install(folder)
    server.reply(*[used(1000, 500)] * 20)
    model = client(server.url)
    together = threading.Barrier(4)

    def work(number: int) -> None:
        together.wait(30)
        for i in range(5):
            model.invoke(f"{number} {i}")
            model.invoke(f"{number} {i}")
            stats()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert money() == (20, 20, 20 * CALL, 20 * CALL)


def test_by_hand_too_it_counts(server: Canned, folder: Path) -> None:
    cache = nbcache.NotebookCache(folder, prices=Prices(PRICES))
    set_llm_cache(cache)
    server.reply(used(1000, 500))
    for _ in range(3):
        client(server.url).invoke("q")
    assert money(cache.stats()) == (2, 1, CALL, 2 * CALL)
    cache.close()


def test_unknown_price_is_counted_and_the_sum_is_without_it(server: Canned, folder: Path) -> None:
    install(folder)
    server.reply(used(1000, 500), used(9, 9, model="unheard-of"))
    known, unknown = client(server.url), client(server.url, "unheard-of")
    known.invoke("q")
    unknown.invoke("q")
    for _ in range(2):
        unknown.invoke("q")
    known.invoke("q")
    found = stats()
    assert money(found) == (3, 2, CALL, CALL)
    assert (found.unpriced_hits, found.unpriced_misses) == (2, 1)
    assert nbcache.last().usd.isna().tolist() == [False, True, True, True, False]


def test_missing_usage_is_estimated_and_flagged(server: Canned, folder: Path) -> None:
    install(folder)
    model = client(server.url)
    server.reply(c.chat("m", None, text="one two three"), used(1000, 500))
    for question in ("about four words here", "about four words here", "reported"):
        model.invoke(question)
    found = stats()
    assert (found.estimated_hits, found.estimated_misses, found.estimated) == (1, 1, 2)
    guess = found.saved_usd
    assert guess is not None
    assert 4 * 2 + 3 * 8 <= guess * 10**6 <= 20 * 2 + 10 * 8  # at least a token for each word
    assert found.spent_usd == guess + CALL
    assert (found.unpriced_hits, found.unpriced_misses) == (0, 0)
    assert nbcache.last().estimated.tolist() == [True, True, False]
    installation.installed().flush()
    assert nbcache.entries().cost_usd.tolist() == [CALL, None]  # what is kept with an entry is no estimate


def test_missing_usage_without_a_price_is_unpriced_and_no_estimate(server: Canned, folder: Path) -> None:
    install(folder)
    server.reply(c.chat("unheard-of", None))
    client(server.url, "unheard-of").invoke("q")
    assert (stats().unpriced_misses, stats().estimated) == (1, 0)


def test_a_free_model_costs_nothing_and_its_price_is_known(server: Canned, folder: Path) -> None:
    install(folder, prices={"m": {"input": 0, "output": 0}})
    server.reply(used(1000, 500))
    for _ in range(2):
        client(server.url).invoke("q")
    assert money() == (1, 1, NOTHING, NOTHING)
    assert (stats().unpriced_hits, stats().unpriced_misses) == (0, 0)


def test_a_price_per_call(server: Canned, folder: Path) -> None:
    install(folder, prices={"m": {"request": "0.07"}})
    server.reply(c.chat("m", None))
    for _ in range(3):
        client(server.url).invoke("q")
    assert money() == (2, 1, Decimal("0.07"), Decimal("0.14"))


def test_sums_are_exact_whatever_the_notebooks_decimal_context_is(server: Canned, folder: Path) -> None:
    install(folder)
    server.reply(used(1_000_000, 1), used(1, 1))  # 2,000,008 and 10 millionths
    with localcontext() as context:
        context.prec = 2
        for question in "abab":
            client(server.url).invoke(question)
        found = stats()
        installation.installed().flush()
        lifetime = stats(lifetime=True)
    whole = Decimal("2.000018")
    assert money(found) == money(lifetime) == money(stats(lifetime=True)) == (2, 2, whole, whole)


# Calls that fail, and answers that are none


def test_of_a_call_that_fails_nobody_knows_what_it_paid(provider: Provider, folder: Path) -> None:
    install(folder)
    provider.fail(500)
    with pytest.raises(Exception, match="500"):
        client(provider.url).invoke("q")
    assert money() == (0, 1, None, NOTHING)
    assert stats().unpriced_misses == 1
    assert nbcache.last().usd.isna().all()
    said = client(provider.url).invoke("q")
    assert money() == (0, 2, price(said), NOTHING)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer("half", finish_reason="length"), "cut off"),
        (Answer("no", finish_reason="content_filter"), "filtered"),
        (Answer(""), "empty"),
    ],
    ids=["cut off", "filtered", "empty"],
)
def test_an_answer_that_is_no_hit_was_paid_and_so_is_the_next(
    answer: Answer, why: str, provider: Provider, folder: Path
) -> None:
    install(folder)
    provider.answer(answer, "whole")
    said = [client(provider.url).invoke("q") for _ in range(3)]
    assert money() == (1, 2, price(said[0]) + price(said[1]), price(said[1]))
    assert nbcache.last().why.tolist() == ["new", why, ""]
    assert len(provider.requests) == 2


# Modes


@pytest.mark.parametrize(
    ("mode", "hits", "whys"),
    [
        ("off", 0, ["off", "off", "off"]),
        ("refresh", 0, ["refresh", "refresh", "refresh"]),
        ("read-only", 1, ["", "new", "new"]),
        ("on", 2, ["", "new", ""]),
    ],
)
def test_every_mode_counts_what_is_paid_and_says_why(
    mode: str, hits: int, whys: list[str], server: Canned, folder: Path
) -> None:
    install(folder)
    model = client(server.url)
    server.reply(*[used(1000, 500)] * (4 - hits))
    model.invoke("known")
    installation.installed().enter_cell("next")
    with nbcache.mode(mode):
        for question in ("known", "other", "other"):
            model.invoke(question)
    assert money() == (hits, 4 - hits, (4 - hits) * CALL, hits * CALL)
    frame = nbcache.last()
    assert frame.why.tolist() == whys
    assert frame.hit.tolist() == [not why for why in whys]
    assert frame.usd.tolist() == [CALL] * 3
    assert set(frame.model) == {"m"}


def test_one_calls_own_mode_is_its_reason(server: Canned, folder: Path) -> None:
    install(folder)
    server.reply(used(1000, 500))
    client(server.url).invoke("q", config={"metadata": {"nbcache": "off"}})
    assert nbcache.last().why.tolist() == ["off"]
    assert money() == (0, 1, CALL, NOTHING)


# Why a call missed


def whys() -> list[str]:
    return [str(why) for why in nbcache.last().why]


@pytest.mark.parametrize("place", ["disk", "memory"])
def test_expired(place: str, clock: Clock, server: Canned, folder: Path) -> None:
    nbcache.install(folder if place == "disk" else MemoryStore(clock=clock), ttl="1h", prices=PRICES)
    server.reply(used(1000, 500), used(1000, 500))
    client(server.url).invoke("q")
    client(server.url).invoke("q")
    clock.ahead = 3601
    client(server.url).invoke("q")
    assert whys() == ["new", "", "expired"]
    assert money() == (1, 2, 2 * CALL, CALL)


def test_expired_is_told_while_the_model_still_answers(clock: Clock, provider: Provider, folder: Path) -> None:
    install(folder, ttl="1h")
    model = client(provider.url)
    model.invoke("q")
    clock.ahead = 3601
    with provider.hold() as go_on, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(model.invoke, "q")
        provider.wait_for(2)
        assert whys() == ["new", "expired"]
        go_on.set()
        answer.result(30)
    assert whys() == ["new", "expired"]
    nbcache.clear()
    model.invoke("q")
    assert whys() == ["new", "expired", "cleared"]  # that it once expired tells nothing


@pytest.mark.parametrize("place", ["disk", "memory"])
def test_evicted(place: str, server: Canned, folder: Path) -> None:
    nbcache.install(folder if place == "disk" else "memory://", max_entries=1, prices=PRICES)
    server.reply(*[used(1000, 500)] * 3)
    for question in ("a", "b", "a"):
        client(server.url).invoke(question)
    assert whys() == ["new", "new", "evicted"]
    assert stats().evictions == 2


def test_renewed_is_exactly_the_next_call(server: Canned, folder: Path) -> None:
    cache = install(folder)
    model = client(server.url)
    server.reply(used(1000, 500, "old"), used(1000, 500, "other"), used(1000, 500, "anew"))
    model.invoke("q")
    model.invoke("another question")
    cache.refresh_once(nbcache.entries().key[1])
    assert [model.invoke(question).text for question in ("another question", "q", "q")] == ["other", "anew", "anew"]
    assert whys() == ["new", "new", "", "renewed", ""]
    assert money() == (2, 3, 3 * CALL, 2 * CALL)


def test_a_call_that_fails_is_still_to_be_renewed(provider: Provider, folder: Path) -> None:
    cache = install(folder)
    model = client(provider.url)
    provider.answer("old")
    model.invoke("q")
    cache.refresh_once(nbcache.entries().key[0])
    provider.fail(500)
    with pytest.raises(Exception, match="500"):
        model.invoke("q")
    provider.answer("anew")
    assert [model.invoke("q").text for _ in range(2)] == ["anew", "anew"]


def test_what_is_renewed_but_not_kept_pays_once(server: Canned, folder: Path) -> None:
    cache = install(folder)
    model = client(server.url)
    server.reply(used(1000, 500, "old"), used(1000, 500, "anew"))
    model.invoke("q")
    cache.refresh_once(nbcache.entries().key[0])
    with nbcache.mode("read-only"):
        assert [model.invoke("q").text for _ in range(3)] == ["anew", "old", "old"]
    assert money() == (2, 2, 2 * CALL, 2 * CALL)


class Mute(BaseChatModel):
    """Tells nothing about itself but its type."""

    @property
    def _llm_type(self) -> str:
        return "mute"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content="a"))])


def test_not_cacheable(folder: Path) -> None:
    install(folder)
    with pytest.warns(NbcacheWarning, match="_identifying_params"):
        Mute().invoke("q")
    assert whys() == ["not cacheable"]
    assert (stats().misses, stats().unpriced_misses) == (1, 1)


class Broken(MemoryStore):
    def get(self, key: str, *, wait: bool = True, include_expired: bool = False) -> bytes | None:
        raise StoreError("out of order")


def test_failure_of_the_cache(server: Canned) -> None:
    nbcache.install(Broken(), prices=PRICES)
    server.reply(used(1000, 500))
    with pytest.warns(NbcacheWarning, match="out of order"):
        client(server.url).invoke("q")
    assert whys() == ["failure"]
    assert money() == (0, 1, CALL, NOTHING)
    assert stats().errors == 1


def test_what_was_evicted_by_hand_says_so(server: Canned, folder: Path) -> None:
    install(folder)
    server.reply(used(1000, 500), used(1000, 500))
    client(server.url).invoke("q")
    nbcache.evict(nbcache.entries().key[0])
    client(server.url).invoke("q")
    assert whys() == ["new", "evicted by hand"]


# Cells and sessions


def test_a_cell_counts_its_latest_execution_alone(server: Canned, folder: Path) -> None:
    cache = install(folder)
    model = client(server.url)
    server.reply(used(1000, 500), used(7, 3))
    for cell, questions in (("one", "a"), ("two", "b"), ("one", "aa"), ("two", ""), ("three", "")):
        cache.enter_cell(cell)
        for question in questions:
            model.invoke(question)
        cache.leave_cell()
    rows = [(row.cell, row.hits, row.misses, row.spent_usd, row.saved_usd) for row in cache.ledger.cells()]
    assert rows == [
        ("two", 0, 1, Decimal("0.000038"), NOTHING),
        ("one", 2, 0, NOTHING, 2 * CALL),
    ]
    assert nbcache.last().hit.tolist() == [True, True]  # the last cell that made any
    frame = nbcache.history()
    assert frame.cell.tolist() == ["one", "two", "one"]
    assert frame.calls.tolist() == [1, 1, 2]
    assert frame.hits.tolist() == [0, 0, 2]
    assert frame.spent_usd.tolist() == [CALL, Decimal("0.000038"), NOTHING]
    assert frame.saved_usd.tolist() == [NOTHING, NOTHING, 2 * CALL]
    assert list(frame.columns) == [
        *("when", "notebook", "cell", "calls", "hits", "spent_usd", "saved_usd", "saved_seconds", "model_seconds"),
        *("unpriced_hits", "unpriced_misses", "estimated_hits", "estimated_misses", "charged_hits", "charged_misses"),
        "untimed_hits",
        *("provider_saved_usd", "provider_priced_misses", "provider_unpriced_misses"),
    ]
    assert str(frame.when.dt.tz) == "UTC"


def test_a_call_that_ends_late_counts_where_it_began(provider: Provider, folder: Path) -> None:
    cache = install(folder)
    model = client(provider.url)
    cache.enter_cell("one")
    known = price(model.invoke("a question"))
    with provider.hold() as go_on, ThreadPoolExecutor(1) as pool:
        late = pool.submit(model.invoke, "late")
        provider.wait_for(2)
        cache.leave_cell()
        cache.enter_cell("one")
        model.invoke("a question")
        assert money() == (1, 2, known, known)
        go_on.set()
        paid = price(late.result(30))
    (row,) = cache.ledger.cells()
    assert (row.execution, row.hits, row.misses, row.spent_usd, row.saved_usd) == (2, 1, 0, NOTHING, known)
    assert nbcache.history().spent_usd.tolist() == [known + paid, NOTHING]
    assert stats().spent_usd == known + paid


def test_an_execution_with_two_models_is_one_row_of_history_and_two_of_models(server: Canned, folder: Path) -> None:
    cache = install(folder, prices={**PRICES, "n": {"input": 1, "output": 1}})
    cache.enter_cell("one")
    server.reply(used(1000, 500), used(1000, 500, model="n"))
    client(server.url).invoke("q")
    for _ in range(3):
        client(server.url, "n").invoke("q")
    for frame in (nbcache.stats(by="model"), nbcache.stats(by="model", lifetime=True)):
        assert isinstance(frame, pd.DataFrame)
        assert frame.index.tolist() == ["m", "n"]
        assert frame.misses.tolist() == [1, 1]
        assert frame.hits.tolist() == [0, 2]
        assert frame.spent_usd.tolist() == [CALL, Decimal("0.0015")]
        assert frame.saved_usd.tolist() == [NOTHING, Decimal("0.003")]
    assert nbcache.history().spent_usd.tolist() == [Decimal("0.0075")]
    with pytest.raises(ValueError, match="write model"):
        nbcache.stats(by="cell")  # type: ignore[call-overload]  # which says so, too


def test_the_session_goes_on_when_settings_make_another_cache(server: Canned, folder: Path) -> None:
    cache = install(folder)
    model = client(server.url)
    server.reply(used(1000, 500), used(1000, 500))
    cache.enter_cell("one")
    said = model.invoke("q")
    cache = installation.reinstall(prices={"m": {"input": 1, "output": 1}})
    model.invoke("q")  # saves today's price: 1,500 millionths
    assert money() == (1, 1, CALL, Decimal("0.0015"))
    assert nbcache.last().cell.tolist() == ["one", "one"]
    model.invoke("r")
    assert nbcache.entries().cell.tolist() == ["one", "one"]
    assert [row.cell for row in cache.ledger.cells()] == ["one"]
    info = nbcache.info(said)
    assert info is not None
    assert not info.hit
    assert money(stats(lifetime=True)) == money()
    assert len(nbcache.history()) == 1


def test_failures_and_what_is_to_be_renewed_outlive_new_settings(server: Canned, folder: Path) -> None:
    nbcache.install(Broken(), prices=PRICES)
    server.reply(*[used(1000, 500)] * 3)
    with pytest.warns(NbcacheWarning, match="out of order"):
        client(server.url).invoke("q")
    install(folder)
    assert stats().errors == 1
    client(server.url).invoke("q")
    installation.installed().refresh_once(nbcache.entries().key[0])
    installation.reinstall(max_entries=10)
    client(server.url).invoke("q")
    assert whys()[-1] == "renewed"


def test_a_call_that_was_running_when_the_settings_changed_is_paid(
    written: threading.Event, provider: Provider, folder: Path
) -> None:
    install(folder)
    model = client(provider.url)
    with provider.hold() as go_on, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(model.invoke, "q")
        provider.wait_for(1)
        before = installation.installed()
        installation.reinstall(max_entries=10)
        go_on.set()
        said = answer.result(30)
    assert written.wait(30)
    assert money() == (0, 1, price(said), NOTHING)
    assert stats(lifetime=True).spent_usd == price(said)
    before.close()


# For good


def test_lifetime_outlives_clear_eviction_and_the_session(server: Canned, folder: Path) -> None:
    install(folder, max_entries=1)
    model = client(server.url)
    server.reply(*[used(1000, 500)] * 3)
    for question in "aab":  # b evicts a
        model.invoke(question)
    nbcache.clear()
    nbcache.uninstall()
    install(folder)
    assert money() == (0, 0, NOTHING, NOTHING)
    assert money(stats(lifetime=True)) == (1, 2, 2 * CALL, CALL)
    assert stats(lifetime=True).entries == 0
    model.invoke("a")
    assert money(stats(lifetime=True)) == (1, 3, 3 * CALL, CALL)
    assert money() == (0, 1, CALL, NOTHING)


_KILLED = """
import os, signal, sys, nbcache
from langchain_openai import ChatOpenAI

cache = nbcache.install(sys.argv[1], prices={"m": {"input": 2, "output": 8}})
model = ChatOpenAI(model="m", base_url=sys.argv[2], api_key="k")
cache.enter_cell("one")
model.invoke("q")
model.invoke("q")
cache.leave_cell()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_lifetime_outlives_a_killed_kernel(server: Canned, folder: Path) -> None:
    server.reply(used(1000, 500))
    arguments = [sys.executable, "-c", _KILLED, str(folder), f"{server.url}/v1"]
    assert subprocess.run(arguments, check=False, timeout=60).returncode == -signal.SIGKILL
    install(folder)
    assert money(stats(lifetime=True)) == (1, 1, CALL, CALL)
    assert nbcache.history().cell.tolist() == ["one"]
    assert nbcache.entries().hits.tolist() == [1]
    assert nbcache.entries().cost_usd.tolist() == [CALL]


_ENDED = """
import sys, nbcache
from langchain_openai import ChatOpenAI

nbcache.install(sys.argv[1], prices={"m": {"input": 2, "output": 8}})
ChatOpenAI(model="m", base_url=sys.argv[2], api_key="k").invoke("q")
"""


@pytest.mark.slow
def test_a_script_that_ends_has_written_down_what_it_paid(server: Canned, folder: Path) -> None:
    server.reply(used(1000, 500))
    subprocess.run([sys.executable, "-c", _ENDED, str(folder), f"{server.url}/v1"], check=True, timeout=60)
    install(folder)
    assert money(stats(lifetime=True)) == (0, 1, CALL, NOTHING)


def _work(url: str, folder: str, number: int) -> None:
    nbcache.install(folder, prices=PRICES)
    for question in ("shared", f"own {number}", f"own {number}"):
        client(url).invoke(question)
    nbcache.uninstall()


@pytest.mark.slow
def test_two_processes_on_one_folder_add_up(server: Canned, folder: Path) -> None:
    install(folder)
    server.reply(*[used(1000, 500)] * 3)
    client(server.url).invoke("shared")
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.starmap(_work, [(server.url, str(folder), number) for number in (1, 2)])
    assert money() == (0, 1, CALL, NOTHING)  # this kernel's own
    assert money(stats(lifetime=True)) == (4, 3, 3 * CALL, 4 * CALL)
    rows = installation.installed().contents().entries()
    assert {row.prompt: row.hits for row in rows} == {"shared": 2, "own 1": 1, "own 2": 1}
    assert {row.cost_usd for row in rows} == {CALL}


_FORKS = """
import os, sys, warnings, nbcache
from langchain_openai import ChatOpenAI

warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
cache = nbcache.install(sys.argv[1], prices={"m": {"input": 2, "output": 8}})
model = ChatOpenAI(model="m", base_url=sys.argv[2], api_key="k")
cache.enter_cell("one")
model.invoke("parent")  # noted, and not yet written down
if child := os.fork():
    _, status = os.waitpid(child, 0)
    assert status == 0, status
    assert (nbcache.stats().hits, nbcache.stats().misses) == (1, 1)
    assert nbcache.last().hit.tolist() == [False, True]
    nbcache.uninstall()
else:
    assert (nbcache.stats().hits, nbcache.stats().misses) == (0, 0)
    model.invoke("parent")
    cache.flush()
    os._exit(0)
"""


def _run(code: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=False, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_forked_childs_calls_are_its_parents_sessions(server: Canned, folder: Path) -> None:
    server.reply(used(1000, 500))
    _run(_FORKS, str(folder), f"{server.url}/v1")
    install(folder)
    assert money(stats(lifetime=True)) == (1, 1, CALL, CALL)
    (row,) = nbcache.history().to_dict("records")
    assert (row["cell"], row["calls"], row["hits"]) == ("one", 2, 1)


_POOL = """
import multiprocessing, sys, warnings, nbcache
from langchain_openai import ChatOpenAI

def ask(question):
    model.invoke(question)

warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
nbcache.install(sys.argv[1], prices={"m": {"input": 2, "output": 8}})
model = ChatOpenAI(model="m", base_url=sys.argv[2], api_key="k")
model.invoke("shared")
children = [multiprocessing.get_context("fork").Process(target=ask, args=(q,)) for q in ("shared", "own")]
for child in children:
    child.start()
for child in children:
    child.join()
"""


@pytest.mark.slow
def test_what_multiprocessings_children_paid_is_written_down_when_they_end(server: Canned, folder: Path) -> None:
    server.reply(used(1000, 500), used(1000, 500))
    _run(_POOL, str(folder), f"{server.url}/v1")
    install(folder)
    assert money(stats(lifetime=True)) == (1, 2, 2 * CALL, CALL)


def test_sums_are_kept_for_the_next_time_where_the_store_fails(server: Canned) -> None:
    class Full(MemoryStore):
        full = True

        def record(self, rows: Any) -> None:
            if self.full:
                raise StoreError("no room")
            super().record(rows)

    store = Full()
    cache = nbcache.install(store, prices=PRICES)
    server.reply(used(1000, 500))
    for _ in range(2):
        client(server.url).invoke("q")
        cache.flush()
    assert money() == (1, 1, CALL, CALL)
    store.full = False
    for _ in range(2):
        assert money(stats(lifetime=True)) == (1, 1, CALL, CALL)


# Time


def slowly(provider: Provider, clock: Clock, work: Callable[[], object]) -> float:
    """Do `work`, which makes one request, and let a hundred seconds go by before its answer; the seconds that it took."""

    def go_on() -> None:
        provider.wait_for(1)
        clock.ahead += 100
        opened.set()

    with provider.hold() as opened, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(go_on)
        began = time.perf_counter()
        work()
        took = time.perf_counter() - began
        waiting.result(30)
    return took


def test_a_hit_saves_the_seconds_that_the_model_took(clock: Clock, provider: Provider, folder: Path) -> None:
    install(folder)
    model = client(provider.url)
    took = slowly(provider, clock, lambda: model.invoke("q"))
    assert stats().saved_seconds == 0
    began = time.perf_counter()
    model.invoke("q")
    hit = time.perf_counter() - began
    (model_took,) = nbcache.entries().seconds
    assert 100 <= model_took <= took
    assert model_took - hit <= stats().saved_seconds <= model_took
    miss_seconds, hit_seconds = nbcache.last().seconds
    assert miss_seconds == model_took
    assert hit_seconds == pytest.approx(stats().saved_seconds)
    assert stats(lifetime=True).saved_seconds == stats().saved_seconds


def test_a_batch_of_a_completion_model_shares_its_seconds(clock: Clock, provider: Provider, folder: Path) -> None:
    install(folder, prices={"c": {"input": 2, "output": 8}})
    model = OpenAI(model="c", **provider.openai)
    took = slowly(provider, clock, lambda: model.batch(["a", "b", "c", "d"]))
    assert len(provider.requests) == 1
    seconds = nbcache.entries().seconds
    assert 100 <= seconds.sum() <= took * 1.25
    assert (seconds < 0.5 * took).all()
    assert stats().misses == 4
    model.batch(["a", "b", "c", "d"])
    assert (stats().hits, len(provider.requests)) == (4, 1)
    assert (stats().saved_seconds or 0.0) <= seconds.sum()


# Off the path of a hit


def test_a_hit_writes_nothing_to_disk_until_the_flush(
    server: Canned, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_DELAY", 60.0)
    cache = install(folder)
    model = client(server.url)
    server.reply(used(1000, 500))
    model.invoke("q")
    cache.flush()

    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}

    with closing(sqlite3.connect(folder / "cache.db")) as other:

        def version() -> int:
            return int(other.execute("PRAGMA data_version").fetchone()[0])

        was, before = version(), files()
        for _ in range(100):
            model.invoke("q")
        assert (version(), files()) == (was, before)
        cache.flush()
        assert version() != was
    assert nbcache.entries().hits.tolist() == [100]


def test_what_is_noted_is_written_within_a_second_or_so_without_a_cells_end(
    written: threading.Event, server: Canned, folder: Path
) -> None:
    install(folder)
    server.reply(used(1000, 500))
    client(server.url).invoke("q")
    assert written.wait(30)
    with closing(DiskStore(folder)) as other:
        (row,) = other.spendings()
    assert (row.misses, row.spent_usd) == (1, CALL)


# What is told of a call


def test_an_entry_tells_provider_tokens_dollars_and_seconds(server: Canned, folder: Path) -> None:
    install(folder)
    server.reply(used(1000, 500))
    client(server.url).invoke("q")
    (row,) = nbcache.entries().to_dict("records")
    told = [row[name] for name in ("provider", "input_tokens", "output_tokens", "cost_usd")]
    assert told == ["127.0.0.1", 1000, 500, CALL]
    assert 0 < row["seconds"] < 30


def test_what_an_entry_does_not_tell_is_missing(folder: Path) -> None:
    install(folder)
    FakeListChatModel(responses=["a"]).invoke("q")
    (row,) = nbcache.entries().itertuples()
    assert pd.isna([row.input_tokens, row.output_tokens, row.cost_usd]).all()


def test_misses_are_logged(server: Canned, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    install(folder)
    server.reply(used(1000, 500))
    with caplog.at_level(logging.INFO, logger="nbcache"):
        for _ in range(2):
            client(server.url).invoke("a question that nobody should read in a log")
        installation.installed().flush()
    (line,) = [record for record in caplog.records if record.name == "nbcache"]
    assert line.levelno == logging.INFO
    assert line.getMessage() == f"miss {nbcache.entries().key[0][:8]} m: new"


def test_last_has_a_row_for_each_call(server: Canned, folder: Path) -> None:
    cache = install(folder)
    assert nbcache.last().empty
    cache.enter_cell("one")
    server.reply(used(1000, 500))
    for _ in range(2):
        client(server.url).invoke("q")
    frame = nbcache.last()
    assert list(frame.columns) == [
        *("when", "cell", "model", "hit", "why", "usd", "estimated", "seconds", "key", "price", "kind")
    ]
    assert frame.key.tolist() == [nbcache.entries().key[0]] * 2
    assert set(frame.cell) == {"one"}
    assert str(frame.when.dt.tz) == "UTC"
    assert abs(frame.when.max().timestamp() - time.time()) < 60


# Prices of then and now


def test_what_nobody_prices_today_saves_what_it_cost_when_it_was_recorded(server: Canned, folder: Path) -> None:
    install(folder)
    server.reply(used(1000, 500))
    client(server.url).invoke("q")
    nbcache.uninstall()
    install(folder, prices={})
    client(server.url).invoke("q")
    assert money() == (1, 0, NOTHING, CALL)
    assert stats().unpriced_hits == 0


def test_the_store_is_asked_once_for_the_price_of_an_answer_that_nobody_prices_today(
    server: Canned, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its hits cost as little at the end of a cell as others. A price that was not written down yet is asked for again."""
    install(folder, prices={})
    server.reply(used(1000, 500))
    client(server.url).invoke("q")
    asked: list[Any] = []
    page = DiskStore.page

    def noted(store: DiskStore, *args: Any, **kwargs: Any) -> Any:
        asked.append(args)
        return page(store, *args, **kwargs)

    monkeypatch.setattr(DiskStore, "page", noted)
    for _ in range(2):
        client(server.url).invoke("q")
        assert stats().unpriced_hits == stats().hits
    assert len(asked) == 2
    monkeypatch.setattr(costs_today, "_WRITTEN_DOWN", -1.0)
    for _ in range(3):
        client(server.url).invoke("q")
        assert stats().unpriced_hits == stats().hits
    assert len(asked) == 3


def test_what_is_saved_has_todays_price(server: Canned, folder: Path) -> None:
    install(folder)
    server.reply(used(1000, 500))
    client(server.url).invoke("q")
    installation.reinstall(prices={"m": {"input": 4, "output": 16}})
    client(server.url).invoke("q")
    assert money() == (1, 1, CALL, 2 * CALL)
    installation.installed().flush()
    assert nbcache.entries().cost_usd.tolist() == [CALL]


def test_an_answer_that_replaces_another_has_a_price_of_its_own(server: Canned, folder: Path) -> None:
    install(folder)
    server.reply(used(1000, 500), used(7, 3), used(9, 9, model="m"))
    model = client(server.url)
    model.invoke("q")
    with nbcache.mode("refresh"):
        model.invoke("q")
    assert nbcache.entries().cost_usd.tolist() == [Decimal("0.000038")]
    installation.reinstall(prices={})
    with nbcache.mode("refresh"):
        model.invoke("q")
    assert nbcache.entries().cost_usd.tolist() == [None]
    model.invoke("q")
    assert stats().unpriced_hits == 1


def test_an_answer_with_an_estimate_does_not_keep_the_price_of_the_one_before(server: Canned, folder: Path) -> None:
    install(folder)
    server.reply(used(1000, 500), c.chat("m", None))
    for mode in ("on", "refresh"):
        with nbcache.mode(mode):
            client(server.url).invoke("q")
    assert nbcache.entries().cost_usd.tolist() == [None]


# Entries of version 0.1


@pytest.mark.parametrize(("name", "told"), [("chat", (5, 7)), ("chunk", (5, 7)), ("values", None), ("object", None)])
def test_payloads_of_version_1_tell_what_they_used(name: str, told: tuple[int, int] | None) -> None:
    cost = entry_cost((GOLDEN / f"payload_v1_{name}.bin").read_bytes(), GOLDEN_KEY)
    assert (cost.model, cost.usage.provider, cost.seconds) == ("gpt-4o", "openai", None)
    assert cost.usage.complete
    assert cost.usage.estimated == (told is None)
    if told is not None:
        assert (cost.usage.input_tokens, cost.usage.output_tokens) == told


@pytest.mark.parametrize("name", ["chat", "values", "object", "chunk"])
def test_a_hit_of_version_1_is_counted_and_does_not_lose_another(name: str) -> None:
    ledger = Ledger(MemoryStore(), "n.ipynb")
    payload = (GOLDEN / f"payload_v1_{name}.bin").read_bytes()
    other = (GOLDEN / "payload_v1_chat.bin").read_bytes()
    ledger.hit(GOLDEN_KEY, payload, 0.001)
    ledger.hit(GOLDEN_KEY, other, 0.001)
    assert (ledger.session().hits, ledger.session().saved_seconds) == (2, 0)
    ledger.close()
    assert full(ledger.store).spendings()[0].hits == 2


def test_a_store_of_version_1_gives_hits_their_price_and_keeps_the_ledger(folder: Path) -> None:
    shutil.copytree(GOLDEN / "store_v1", folder)
    store = DiskStore(folder)
    ledger = Ledger(store, None)
    told = {}
    for row in store.page():
        payload = store.get(row.key)
        assert payload is not None
        usage = entry_cost(payload, row.key).usage
        told[row.model] = usage.input_tokens, usage.output_tokens, usage.estimated
        ledger.hit(row.key, payload, 0.0)
    assert told == {"model-0": (4, 4, True), "model-1": (3, 4, False), "model-2": (3, 4, False)}
    sums = ledger.session()
    assert (sums.hits, sums.unpriced_hits, sums.saved_usd) == (3, 3, NOTHING)
    ledger.close()
    assert sum(row.hits for row in store.spendings()) == 3
    store.touch([Touch(store.page()[0].key, None, 0, 0.0, CALL)])
    assert store.page()[0].cost_usd == CALL
    store.close()


def test_a_damaged_payload_is_still_a_hit_without_a_price() -> None:
    ledger = Ledger(MemoryStore(), None)
    ledger.hit(GOLDEN_KEY, b"\0" * 99, 0.0)
    assert (ledger.session().hits, ledger.session().unpriced_hits) == (1, 1)
    ledger.close()


# The curve


def test_the_curve_ends_with_the_sums_and_never_falls(server: Canned, folder: Path) -> None:
    cache = install(folder)
    server.reply(used(1000, 500), used(7, 3))
    for question in ("a", "a", "b", "b"):
        client(server.url).invoke(question)
        stats()
    curve = cache.ledger.curve()
    assert curve[-1][1:] == (CALL + Decimal("0.000038"), CALL + Decimal("0.000038"))
    assert (NOTHING, CALL) in [row[1:] for row in curve]
    assert curve == sorted(curve)


def test_the_curve_of_a_long_session_stays_short_and_complete(server: Canned, folder: Path) -> None:
    cache = install(folder)
    server.reply(used(1000, 500))
    model = client(server.url)
    for _ in range(1001):
        model.invoke("q")
        cache.ledger.session()
    curve = cache.ledger.curve()
    assert 50 <= len(curve) <= 200
    assert curve[-1][1:] == (1000 * CALL, CALL)
    assert curve == sorted(curve)


def test_listeners_hear_of_each_call_until_they_stop(server: Canned, folder: Path) -> None:
    install(folder)
    heard: list[int] = []
    stop = installation.listen(lambda: heard.append(1))
    server.reply(used(1000, 500))
    client(server.url).invoke("q")
    client(server.url).invoke("q")
    assert len(heard) >= 3  # the miss, its answer, the hit
    installation.reinstall(max_entries=5)
    so_far = len(heard)
    client(server.url).invoke("q")
    assert len(heard) > so_far
    stop()
    so_far = len(heard)
    client(server.url).invoke("q")
    assert len(heard) == so_far


_ALONE = """
import os, sys, threading, warnings, nbcache
from langchain_openai import ChatOpenAI
from nbcache.stores.sqlite.store import DiskStore

record, written = DiskStore.record, threading.Event()

def record_and_tell(store, rows):
    rows = list(rows)
    record(store, rows)
    if any(row.hits for row in rows):
        written.set()

DiskStore.record = record_and_tell
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
cache = nbcache.install(sys.argv[1], prices={"m": {"input": 2, "output": 8}})
model = ChatOpenAI(model="m", base_url=sys.argv[2], api_key="k")
model.invoke("q")
cache.flush()
reading, writing = os.pipe()
if os.fork():
    os.close(writing)
    os.read(reading, 1)  # until the child has ended
else:
    os.close(reading)
    cache.ledger.reporter._sender.end = None  # as where the parent has ended
    model.invoke("q")
    written.wait(30)
    os._exit(0)
"""


@pytest.mark.slow
def test_the_forked_childs_thread_writes_down_what_nobody_else_can_account_for(server: Canned, folder: Path) -> None:
    """The parent's thread is not there in the child: it begins one of its own."""
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    server.reply(used(1000, 500))
    _run(_ALONE, str(folder), f"{server.url}/v1")
    install(folder)
    assert money(stats(lifetime=True)) == (1, 1, CALL, CALL)


# The end of a process

_ENDS = """
import sys, nbcache
from langchain_openai import ChatOpenAI

nbcache.install(sys.argv[1], prices={"m": {"input": 2, "output": 8}})
model = ChatOpenAI(model="m", base_url=sys.argv[2], api_key="k")
model.invoke("q")
nbcache.stats()
model.invoke("r")
"""


def test_what_was_called_just_before_the_process_ends_is_written_down(server: Canned, folder: Path) -> None:
    server.reply(used(1000, 500))
    server.reply(used(1000, 500))
    _run(_ENDS, str(folder), f"{server.url}/v1")
    install(folder)
    assert money(stats(lifetime=True)) == (0, 2, 2 * CALL, NOTHING)


# Calls that are not to be cached


def uncached(url: str, **settings: Any) -> ChatOpenAI:
    return client(url, cache=False, **settings)


async def _awaited(model: ChatOpenAI) -> None:
    await model.ainvoke("q")


async def _read(model: ChatOpenAI) -> None:
    async for _ in model.astream("q"):
        pass


@pytest.mark.parametrize(
    ("call", "is_stream"),
    [
        (lambda model: model.invoke("q"), False),
        (lambda model: asyncio.run(_awaited(model)), False),
        (lambda model: model.batch(["q"]), False),
        (lambda model: list(model.stream("q")), True),
        (lambda model: asyncio.run(_read(model)), True),
        (lambda model: model.with_config(tags=["t"]).invoke("q"), False),
    ],
    ids=["invoke", "ainvoke", "batch", "stream", "astream", "bound"],
)
def test_a_call_that_is_not_to_be_cached_is_paid_all_the_same(
    call: Callable[[ChatOpenAI], Any], is_stream: bool, server: Canned, folder: Path
) -> None:
    install(folder)
    usage = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}
    for _ in range(2):
        server.reply(c.chat_stream("m", usage) if is_stream else used(1000, 500))
        call(uncached(server.url, stream_usage=True))
    assert money() == (0, 2, 2 * CALL, NOTHING)
    assert (stats().unpriced_misses, stats().entries) == (0, 0)
    frame = nbcache.last()
    assert frame.why.tolist() == ["uncached"] * 2
    assert frame.model.tolist() == ["m"] * 2


def test_what_becomes_of_an_uncached_answer_does_not_change_what_it_cost(server: Canned, folder: Path) -> None:
    install(folder)
    server.reply(used(1000, 500))
    answer = uncached(server.url).invoke("q")
    answer.response_metadata["token_usage"].clear()
    answer.response_metadata.clear()
    answer.usage_metadata["input_tokens"] = 9  # type: ignore[index]
    assert money() == (0, 1, CALL, NOTHING)


def test_an_uncached_stream_that_is_broken_off_has_no_known_price(server: Canned, folder: Path) -> None:
    install(folder)
    usage = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}
    for cached in (None, False):
        server.reply(c.chat_stream("m", usage))
        stream = client(server.url, cache=cached, stream_usage=True).stream("q")
        next(stream)
        stream.close()  # type: ignore[attr-defined]
    assert money() == (0, 2, None, NOTHING)
    assert stats().unpriced_misses == 2
    assert nbcache.history().spent_usd.tolist() == [None]


def test_without_a_cache_uncached_calls_are_nobodys(server: Canned) -> None:
    server.reply(used(1000, 500))
    assert uncached(server.url).invoke("q").content == "Hi."


def test_what_an_uncached_call_cost_stays_if_its_answer_is_changed(server: Canned, folder: Path) -> None:
    install(folder)
    server.reply(used(1000, 500))
    answer: Any = uncached(server.url).invoke("q")
    answer.usage_metadata |= {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    answer.response_metadata["token_usage"].clear()
    answer.content = answer.response_metadata = None
    assert money() == (0, 1, CALL, NOTHING)


# In the background


def test_new_entries_are_indexed_in_small_steps_with_rests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DiskStore(tmp_path / "store")
    steps: list[Any] = []
    for number in range(30):
        key = f"{number:040x}"
        store.put(key, f"text{number}".encode(), EntryMeta(key, "m", "p", "a", "ok", 1.0))
    indexed = store.index

    def index(words_of: Any, at_most: int = 100) -> bool:
        is_left = indexed(words_of, at_most)
        steps.append((at_most, is_left))
        return is_left

    monkeypatch.setattr(store, "index", index)
    monkeypatch.setattr(Rests, "rest", lambda _: steps.append("rest"))
    Ledger(store, None)._tidy(Timer(lambda _: False, 1.0))
    sizes = {step[0] for step in steps if step != "rest"}
    assert max(sizes) <= 10
    assert steps[1::2] == ["rest"] * (len(steps) // 2)
    assert len(steps) > 2 * 30 // max(sizes)
    store.close()


def test_what_was_counted_is_written_down_while_entries_are_still_indexed(
    server: Canned, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rested, is_written = threading.Event(), threading.Event()
    flushed = Ledger.flush

    def flush(ledger: Ledger) -> None:
        flushed(ledger)
        if rested.is_set():
            is_written.set()

    monkeypatch.setattr(DiskStore, "index", lambda *_: not is_written.is_set())  # never done before
    monkeypatch.setattr(Rests, "rest", lambda _: rested.set())
    monkeypatch.setattr(ledger_module, "_DELAY", 0.01)
    monkeypatch.setattr(Ledger, "flush", flush)
    install(folder).lookup("prompt", "{'model': 'm'}")
    assert is_written.wait(30)
