"""What functions cost and save: the calls that were made inside, each number against a calculation by hand."""

import asyncio
import shutil
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import openai
import pandas as pd
import pytest
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult, Generation
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

import nbcache
from nbcache.cache.call import Call, call_around, running
from nbcache.costs.events import watchers
from nbcache.costs.money import amount_text, saved
from nbcache.entry.records import Filter
from nbcache.entry.stats import Stats
from nbcache.keys.request import Identity
from nbcache.session import installation
from nbcache.stores import DiskStore
from nbcache.ui import entry_report
from nbcache.ui.jupyter import html
from tests.servers import canned as c
from tests.servers.canned import Canned, Reply
from tests.servers.provider import Provider
from tests.support.clock import Clock
from tests.support.paths import GOLDEN

# US dollars per million tokens: 1,000 tokens in and 500 out are 1,000 x $2 + 500 x $8 = 6,000 millionths, $0.006.
PRICES = {"m": {"input": 2, "output": 8}}
CALL = Decimal("0.006")
NOTHING = Decimal(0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    nbcache.install(folder, prices=PRICES)
    return folder


def call(tokens: int = 1000, model: str = "m") -> Reply:
    """An answer to a call that costs $0.006, or in proportion to its tokens."""
    usage = {"prompt_tokens": tokens, "completion_tokens": tokens // 2, "total_tokens": tokens + tokens // 2}
    return c.chat(model, usage)


def client(server: Canned | Provider, model: str = "m", **settings: Any) -> ChatOpenAI:
    return ChatOpenAI(model=model, base_url=f"{server.url}/v1", api_key="sk-test", max_retries=0, **settings)


def _call_of(name: str) -> Call:
    identity = Identity(f'{{"class":["function","tests.{name}"]}}'.encode(), "", name, limits_tokens=False)
    return Call(identity=identity, is_chat=False, kind="function", function=name, outer=call_around(), shares=True)


def memoized(body: Callable[..., Any], name: str = "judge") -> Callable[..., str]:
    """A function of the user's own that is cached: its value is a text."""

    def function(*args: Any) -> str:
        cache, made = installation.installed(), _call_of(name)
        with running(made):
            answer = cache.find(f"{name}{args}", "", made)
            if answer is not None:
                return answer.generations()[0].text
            value = str(body(*args))
            cache.save(f"{name}{args}", "", [Generation(text=value)], made)
            return value

    return function


def amemoized(body: Callable[..., Awaitable[Any]], name: str = "judge") -> Callable[..., Awaitable[str]]:
    async def function(*args: Any) -> str:
        cache, made = installation.installed(), _call_of(name)
        with running(made):
            answer = await cache.afind(f"{name}{args}", "", made)
            if answer is not None:
                return answer.generations()[0].text
            value = str(await body(*args))
            cache.save(f"{name}{args}", "", [Generation(text=value)], made)
            return value

    return function


def stats() -> Stats:
    found = nbcache.stats()
    assert isinstance(found, Stats)
    return found


def saved_by(hit: Callable[[], object]) -> Decimal | None:
    """What one hit of a function saves. Nothing else is counted."""
    before = stats()
    hit()
    after = stats()
    assert (after.hits, after.misses, after.spent_usd) == (before.hits + 1, before.misses, before.spent_usd)
    return (after.saved_usd or NOTHING) - (before.saved_usd or NOTHING)


# What a hit saves


def test_a_miss_costs_nothing_itself_and_a_hit_saves_all_calls_inside(server: Canned, folder: Path) -> None:
    model = client(server)
    server.reply(call(), call(2000))
    judge = memoized(lambda question: [model.invoke(question).text, model.invoke(f"{question}?").text])
    judge("q")
    assert (stats().misses, stats().spent_usd, stats().unpriced_misses) == (3, 3 * CALL, 0)
    assert saved_by(lambda: judge("q")) == 3 * CALL
    assert saved_by(lambda: judge("q")) == 3 * CALL
    assert (stats().unpriced_hits, stats().estimated, stats().charged_hits) == (0, 0, 0)


def test_without_a_call_inside_it_costs_a_known_nothing(folder: Path) -> None:
    count = memoized(len, "count")
    count("abc")
    assert (stats().spent_usd, stats().unpriced_misses) == (NOTHING, 0)
    assert saved_by(lambda: count("abc")) == NOTHING
    assert stats().saved_usd == NOTHING
    assert amount_text(saved(stats())) == "$0"


def test_a_function_that_fails_has_cost_what_its_calls_did(server: Canned, folder: Path) -> None:
    model = client(server)
    server.reply(call())

    def fail(question: str) -> str:
        raise ValueError(model.invoke(question).text)

    with pytest.raises(ValueError, match="Hi"):
        memoized(fail)("q")
    assert nbcache.last().usd.tolist() == [NOTHING, CALL]
    assert (stats().spent_usd, stats().unpriced_misses) == (CALL, 0)
    nbcache.clear()
    assert (nbcache.plan().usd, nbcache.plan().unpriced) == (CALL, 0)


def test_the_same_call_twice_inside_counts_twice(server: Canned, folder: Path) -> None:
    model = client(server)
    server.reply(call())
    judge = memoized(lambda question: [model.invoke(question).text for _ in range(2)])
    judge("q")
    assert (stats().hits, stats().misses, stats().spent_usd, stats().saved_usd) == (1, 2, CALL, CALL)
    assert saved_by(lambda: judge("q")) == 2 * CALL


def test_calls_inside_that_are_hits_count_as_what_they_would_cost(server: Canned, folder: Path) -> None:
    model = client(server)
    server.reply(call())
    model.invoke("q")
    judge = memoized(lambda question: model.invoke(question).text)
    judge("q")
    assert (stats().hits, stats().misses, stats().spent_usd, stats().saved_usd) == (1, 2, CALL, CALL)
    assert saved_by(lambda: judge("q")) == CALL


@pytest.mark.parametrize("inner_is_hit", [False, True], ids=["the inner one runs", "the inner one is a hit"])
def test_in_functions_in_functions_each_call_counts_once(inner_is_hit: bool, server: Canned, folder: Path) -> None:
    model = client(server)
    server.reply(call(), call(2000))
    inner = memoized(lambda question: model.invoke(question).text, "inner")
    outer = memoized(lambda question: inner(question) + model.invoke(f"{question}?").text, "outer")
    if inner_is_hit:
        inner("q")
    outer("q")
    assert stats().spent_usd == 3 * CALL
    assert stats().saved_usd == (CALL if inner_is_hit else NOTHING)
    assert saved_by(lambda: outer("q")) == 3 * CALL
    assert saved_by(lambda: inner("q")) == CALL


def test_calls_of_a_function_inside_that_fails_or_is_not_kept_count_in_the_one_around(
    server: Canned, folder: Path
) -> None:
    model = client(server)
    server.reply(call(), call(), call())

    def fail(question: str) -> str:
        raise ValueError(model.invoke(question).text)

    inner = memoized(fail, "inner")

    def body(question: str) -> str:
        for _ in range(2):
            with pytest.raises(ValueError, match="Hi"):
                inner(question)
        with nbcache.mode("off"):
            return memoized(lambda text: model.invoke(text).text, "inner too")(f"{question}?")

    outer = memoized(body, "outer")
    outer("q")
    assert stats().spent_usd == 2 * CALL
    assert saved_by(lambda: outer("q")) == 3 * CALL  # the second attempt of `inner` was given a hit


@pytest.mark.parametrize("way", ["mode", "excluded", "cache=False", "refresh"])
def test_calls_inside_that_are_not_cached_count_as_made(
    way: str, server: Canned, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.reply(call(), call())
    installation.installed().rules.exclude = ("skip",)
    settings: dict[str, Any] = {"cache": False} if way == "cache=False" else {}
    model = client(server, tags=["skip"] if way == "excluded" else None, **settings)
    config: Any = {"metadata": {"nbcache": {"mode": "off"}.get(way, "refresh" if way == "refresh" else "on")}}
    judge = memoized(lambda question: [model.invoke(question, config).text for _ in range(2)])
    judge("q")
    assert stats().spent_usd == 2 * CALL
    assert saved_by(lambda: judge("q")) == 2 * CALL
    assert stats().unpriced_hits == 0


def test_embeddings_and_streams_inside_count(provider: Provider, folder: Path) -> None:
    nbcache.install(folder, prices={**PRICES, "text-embedding-3-small": {"input": 1, "output": 0}})
    embeddings = nbcache.wrap(
        OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False, **provider.openai)
    )
    model = client(provider)
    retrieve = memoized(
        lambda question: [len(embeddings.embed_query(question)), *[each.text for each in model.stream(question)]]
    )
    retrieve("q")
    paid = stats().spent_usd
    assert stats().misses == 3
    assert paid
    assert saved_by(lambda: retrieve("q")) == paid


def test_calls_of_tasks_and_of_langchains_threads_are_inside(server: Canned, folder: Path) -> None:
    model = client(server)
    server.reply(*[call()] * 4)

    async def body(question: str) -> list[str]:
        both = await asyncio.gather(model.ainvoke(question), asyncio.create_task(model.ainvoke(f"{question}?")))
        return [each.text for each in both]

    ajudge = amemoized(body)
    judge = memoized(lambda question: [each.text for each in model.batch([question, f"{question}?"])], "batch")

    async def twice() -> None:
        await ajudge("a")
        assert saved_by_none()
        await ajudge("a")

    def saved_by_none() -> bool:
        return stats().saved_usd == NOTHING

    asyncio.run(twice())
    assert stats().saved_usd == 2 * CALL
    judge("b")
    assert saved_by(lambda: judge("b")) == 2 * CALL
    assert stats().unpriced_hits == 0


def test_calls_of_sdks_are_inside(provider: Provider, folder: Path) -> None:
    sdk = openai.OpenAI(**provider.openai)
    asked: Any = {"model": "m", "messages": [{"role": "user", "content": "q"}]}
    judge = memoized(lambda _: sdk.chat.completions.create(**asked).choices[0].message.content)
    judge("q")
    assert stats().misses == 2
    paid = stats().spent_usd
    assert paid
    assert saved_by(lambda: judge("q")) == paid
    assert stats().unpriced_hits == 0
    assert sdk.chat.completions.create(**asked)
    assert stats().hits == 2


@pytest.mark.parametrize("way", ["_stream", "_astream"])
def test_a_stream_past_langchain_is_one_call_inside(way: str, provider: Provider, folder: Path) -> None:
    model = client(provider)
    assert [*model.stream("from now on, its class is watched")]
    before = stats().misses

    async def awaited() -> list[str]:
        return [each.text async for each in model._astream([HumanMessage("q")])]

    def called(_: str) -> list[str]:
        return (
            [each.text for each in model._stream([HumanMessage("q")])] if way == "_stream" else asyncio.run(awaited())
        )

    judge = memoized(called)
    judge("q")
    assert stats().misses == before + 2
    judge("q")
    assert (stats().hits, stats().unpriced_hits) == (1, 1)


def test_a_function_without_a_key_is_none_around_its_calls(server: Canned, folder: Path) -> None:
    model = client(server)
    server.reply(call(), call())
    unnamed = _call_of("unnamed")
    installation.installed().count_uncached(unnamed, "not cacheable")
    judge = memoized(lambda question: model.invoke(question).text)
    judge("q")
    assert saved_by(lambda: judge("q")) == CALL
    assert not watchers


# What failed inside


def test_a_call_that_failed_and_was_made_again_counts_once(provider: Provider, folder: Path) -> None:
    model = client(provider).with_retry(wait_exponential_jitter=False)
    provider.fail(500, times=2)
    judge = memoized(lambda question: model.invoke(question).text)
    judge("q")
    paid = stats().spent_usd
    assert len(provider.requests) == 3
    assert saved_by(lambda: judge("q")) == paid
    assert stats().unpriced_hits == 0


def test_retries_of_the_client_count_once(provider: Provider, folder: Path) -> None:
    model = ChatOpenAI(model="m", max_retries=2, **provider.openai)
    provider.fail(500)
    judge = memoized(lambda question: model.invoke(question).text)
    judge("q")
    assert saved_by(lambda: judge("q")) == stats().spent_usd
    assert stats().unpriced_hits == 0


def test_a_call_whose_cost_nobody_says_makes_it_at_least_the_others(server: Canned, folder: Path) -> None:
    model, free = client(server), FakeListChatModel(responses=["?"])
    server.reply(call())
    judge = memoized(lambda question: model.invoke(question).text + free.invoke(question).text)
    judge("q")
    assert saved_by(lambda: judge("q")) == CALL
    assert (stats().unpriced_hits, stats().partly_priced_hits, stats().saved_usd) == (1, 1, CALL)
    assert amount_text(saved(stats())) == "≥ $0.0060".rstrip("0")


def test_if_no_call_inside_has_a_price_it_is_unknown(folder: Path) -> None:
    free = FakeListChatModel(responses=["?"])
    judge = memoized(lambda question: free.invoke(question).text)
    judge("q")
    judge("q")
    assert (stats().unpriced_hits, stats().saved_usd) == (1, None)
    assert amount_text(saved(stats())) == "unknown"


def test_a_stream_that_is_left_inside_is_not_left_out(server: Canned, folder: Path) -> None:
    model = client(server)
    usage = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}
    server.reply(c.chat_stream("m", usage), call())
    judge = memoized(lambda question: next(model.stream(question)).text + model.invoke(f"{question}?").text)
    judge("q")
    assert saved_by(lambda: judge("q")) == CALL
    assert stats().unpriced_hits == 1
    assert amount_text(saved(stats())).startswith("≥")


# Prices


def test_calls_inside_are_priced_at_todays_prices(server: Canned, folder: Path) -> None:
    model = client(server)
    server.reply(call())
    judge = memoized(lambda question: model.invoke(question).text)
    judge("q")
    nbcache.uninstall()
    nbcache.install(folder, prices={"m": {"input": 4, "output": 16}})
    judge("q")
    assert stats().saved_usd == 2 * CALL


def test_without_a_price_today_they_cost_what_they_did_then(server: Canned, folder: Path) -> None:
    model = client(server)
    server.reply(call())
    judge = memoized(lambda question: [model.invoke(question).text for _ in range(2)])
    judge("q")
    inner = next(row.key for row in installation.installed().contents().page(Filter()) if row.model == "m")
    nbcache.uninstall()
    nbcache.install(folder, prices={})
    assert saved_by(lambda: judge("q")) == 2 * CALL
    assert nbcache.last().price.tolist() == ["as recorded"]
    nbcache.uninstall()
    nbcache.install(folder, prices={})
    nbcache.evict(inner)
    assert saved_by(lambda: judge("q")) == 2 * CALL


def test_estimated_and_charged_calls_inside_make_it_estimated_and_charged(server: Canned, folder: Path) -> None:
    model = client(server)
    server.reply(c.chat("m", None), c.chat("x", {"prompt_tokens": 9, "completion_tokens": 9, "cost": 0.25}))
    guess = memoized(lambda question: model.invoke(question).text, "guess")
    guess("q")
    guess("q")
    assert (stats().estimated_hits, stats().charged_hits, stats().unpriced_hits) == (1, 0, 0)
    other = client(server, "x")
    ask = memoized(lambda question: other.invoke(question).text, "ask")
    ask("q")
    assert saved_by(lambda: ask("q")) == Decimal("0.25")
    assert (stats().estimated_hits, stats().charged_hits, stats().unpriced_hits) == (1, 1, 0)


def test_an_entry_of_a_function_costs_what_its_calls_cost(server: Canned, folder: Path) -> None:
    model = client(server)
    server.reply(call())
    judge = memoized(lambda question: [model.invoke(question).text for _ in range(2)])
    judge("q")
    installation.installed().flush()
    (row,) = [row for row in installation.installed().contents().page(Filter()) if row.model == "judge"]
    assert (row.cost_usd, row.input_tokens, row.output_tokens) == (2 * CALL, 2000, 1000)


def test_the_entry_of_a_function_names_the_calls_inside(server: Canned, folder: Path) -> None:
    model = client(server)
    server.reply(call(), call())
    judge = memoized(lambda question: [model.invoke(each).text for each in (question, f"{question}?", question)])
    judge("q")
    keys = {row.prompt: row.key for row in installation.installed().contents().page(Filter())}
    inside = [keys["q"], keys["q?"], keys["q"]]
    entry = nbcache.show(keys["judge('q',)"])
    assert list(entry.calls) == inside
    line = next(line for line in entry_report.record(entry).splitlines() if line.startswith("calls inside:"))
    assert line.split(maxsplit=2)[2] == ", ".join(key[:8] for key in inside)
    assert nbcache.show(keys["q"]).calls == ()


def test_a_call_names_the_functions_that_it_was_made_inside_of(server: Canned, folder: Path) -> None:
    model = client(server)
    server.reply(*(call() for _ in range(3)))
    judge = memoized(lambda question: [model.invoke(question).text, model.invoke("alone").text])
    rank = memoized(lambda question: model.invoke(question).text, "rank")
    whole = memoized(judge, "whole")
    whole("q")
    rank("q")
    model.invoke("outside")
    keys = {row.prompt: row.key for row in installation.installed().contents().page(Filter())}
    around = {row.function: row.key for row in nbcache.show(keys["q"]).functions}
    assert around == {name: keys[f"{name}('q',)"] for name in ("judge", "rank", "whole")}
    assert {row.function for row in nbcache.show(keys["alone"]).functions} == {"judge", "whole"}
    assert nbcache.show(keys["outside"]).functions == ()
    line = next(
        line for line in entry_report.record(nbcache.show(keys["alone"])).splitlines() if line.startswith("inside of:")
    )
    assert sorted(line.split(maxsplit=2)[2].split(", ")) == [
        f"{name} ({around[name][:8]})" for name in ("judge", "whole")
    ]
    nbcache.evict(around["judge"])
    assert {row.function for row in nbcache.show(keys["alone"]).functions} == {"whole"}


def test_a_call_inside_that_was_evicted_is_shown_as_gone(server: Canned, folder: Path) -> None:
    model = client(server)
    server.reply(call(), call())
    judge = memoized(lambda question: [model.invoke(each).text for each in (question, f"{question}?")])
    judge("q")
    keys = {row.prompt: row.key for row in installation.installed().contents().page(Filter())}
    assert nbcache.show(keys["judge('q',)"]).gone == ()
    nbcache.evict(keys["q?"])
    entry = nbcache.show(keys["judge('q',)"])
    assert entry.calls == (keys["q"], keys["q?"])
    assert entry.gone == (keys["q?"],)
    assert f"{keys['q'][:8]}, {keys['q?'][:8]} (gone)" in entry_report.record(entry)


def test_the_key_of_a_call_inside_is_no_text_of_the_function(server: Canned, folder: Path) -> None:
    """A part of it is not found as a text: what is cleared by a text has that text."""
    model = client(server)
    server.reply(call())
    memoized(lambda question: model.invoke(question).text)("zz")
    cache = installation.installed()
    cache.ledger.index()
    contents = cache.contents()
    (inner,) = [row.key for row in contents.page(Filter()) if row.model == "m"]
    for text in (inner[:16], inner[:4], inner[3:8], inner[8:16], f">{inner[:6]}"):
        assert len(contents.matching(match=text)) == 0, text
    assert contents.number_of(Filter(words=(inner[:8],))) == 0


# Calls that nobody sees


def test_calls_in_a_pool_of_the_users_own_make_it_at_least(server: Canned, folder: Path) -> None:
    model = client(server)
    server.reply(*[call()] * 3)

    def body(question: str) -> list[str]:
        with ThreadPoolExecutor() as pool:
            answers = list(pool.map(model.invoke, [question, f"{question}?"]))
        return [each.text for each in [*answers, model.invoke(f"{question}!")]]

    judge = memoized(body)
    judge("q")
    assert stats().spent_usd == 3 * CALL
    assert saved_by(lambda: judge("q")) == CALL
    assert (stats().unpriced_hits, stats().partly_priced_hits) == (1, 1)
    assert amount_text(saved(stats())).startswith("≥")
    (row,) = [row for row in installation.installed().contents().page(Filter()) if row.model == "judge"]
    assert row.cost_usd is None


def test_if_none_of_them_is_seen_it_is_at_least_nothing(server: Canned, folder: Path) -> None:
    model = client(server)
    server.reply(call())
    answers: list[BaseMessage] = []

    def body(question: str) -> str:
        thread = threading.Thread(target=lambda: answers.append(model.invoke(question)))
        thread.start()
        thread.join()
        return answers[0].text

    judge = memoized(body)
    judge("q")
    judge("q")
    assert amount_text(saved(stats())) == "≥ $0"


def test_functions_in_the_threads_of_one_pool_are_not_inside_of_each_other(server: Canned, folder: Path) -> None:
    model = client(server)
    server.reply(*[call()] * 2)
    both = threading.Barrier(2)

    def body(question: str) -> str:
        both.wait(10)
        text = model.invoke(question).text
        both.wait(10)
        return text

    judge = memoized(body)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(judge, "ab"))
    assert saved_by(lambda: judge("a")) == saved_by(lambda: judge("b")) == CALL
    assert stats().unpriced_hits == 0


def test_a_function_in_a_pool_inside_of_another_makes_that_at_least(server: Canned, folder: Path) -> None:
    model = client(server)
    server.reply(call())
    inner = memoized(lambda question: model.invoke(question).text, "inner")

    def body(question: str) -> str:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(inner, question).result()

    outer = memoized(body, "outer")
    outer("q")
    assert saved_by(lambda: outer("q")) == NOTHING
    assert stats().partly_priced_hits == 1
    assert saved_by(lambda: inner("q")) == CALL


def test_other_calls_of_langchains_threads_are_known_to_be_outside(server: Canned, folder: Path) -> None:
    model = client(server)
    server.reply(*[call()] * 2)
    began, made = threading.Event(), threading.Event()

    def body(question: str) -> str:
        began.set()
        assert made.wait(10)
        return model.invoke(question).text

    def beside(question: str) -> str:
        assert began.wait(10)
        text = model.invoke(f"{question}?").text
        made.set()
        return text

    judge = memoized(body)
    RunnableParallel(judge=RunnableLambda(judge), beside=RunnableLambda(beside)).invoke("q")
    assert saved_by(lambda: judge("q")) == CALL
    assert stats().unpriced_hits == 0


# Time

clocks: list[Clock] = []


@pytest.fixture
def slow(clock: Clock, folder: Path) -> "Slow":
    assert folder
    clocks[:] = [clock]
    return Slow()


class Slow(BaseChatModel):
    """A model that takes as many seconds as it is asked to, by a clock that is put ahead."""

    @property
    def _llm_type(self) -> str:
        return "slow"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {}

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        clocks[0].ahead += float(messages[-1].text)
        return ChatResult(generations=[ChatGeneration(message=AIMessage("Hi."))])


def test_a_hit_saves_the_time_of_the_run(clock: Clock, slow: Slow) -> None:
    model = slow

    def body(seconds: str) -> str:
        clock.ahead += 100  # of its own
        return model.invoke(seconds).text

    judge = memoized(body)
    judge("7")
    judge("7")
    assert stats().saved_seconds == pytest.approx(107, abs=1)


def test_hits_inside_count_with_the_seconds_that_they_were_recorded_with(clock: Clock, slow: Slow) -> None:
    model = slow
    model.invoke("20")

    def body(seconds: str) -> str:
        clock.ahead += 100
        return model.invoke("20").text + model.invoke(seconds).text

    judge = memoized(body)
    judge("7")
    assert stats().saved_seconds == pytest.approx(20, abs=1)  # of the hit inside
    judge("7")
    assert stats().saved_seconds == pytest.approx(20 + 127, abs=1)
    outer = memoized(judge, "outer")
    outer("7")
    assert stats().saved_seconds == pytest.approx(20 + 127 + 127, abs=1)
    outer("7")
    assert stats().saved_seconds == pytest.approx(20 + 127 + 127 + 127, abs=1)


def test_hits_inside_that_run_side_by_side_count_once(clock: Clock, slow: Slow) -> None:
    model = slow
    for seconds in ("20", "21"):
        model.invoke(seconds)
    judge = memoized(lambda question: [each.text for each in model.batch(["20", "21"])])
    judge("q")
    before = stats().saved_seconds or 0.0
    judge("q")
    assert (stats().saved_seconds or 0.0) - before == pytest.approx(before, abs=1)
    assert before < 41 + 1


def test_a_function_that_runs_leaves_the_time_saved_by_its_hits(clock: Clock, slow: Slow) -> None:
    model = slow
    model.invoke("20")

    def body(question: str) -> str:
        text = model.invoke("20").text
        clock.ahead += 50  # after the hit: the function ends long after it
        return text

    judge = memoized(body)
    judge("q")
    model.invoke("20")
    assert stats().saved_seconds == pytest.approx(40, abs=1)


# Plans


def test_a_plan_counts_calls_inside_once(server: Canned, folder: Path) -> None:
    model = client(server)
    server.reply(call())
    judge = memoized(lambda question: model.invoke(question).text)
    judge("q")
    judge("q")
    nbcache.clear()
    assert nbcache.plan().usd == CALL
    server.reply(call())
    judge("q")
    nbcache.uninstall()
    nbcache.install(folder, prices=PRICES)
    judge("q")
    nbcache.clear()
    assert nbcache.plan().usd == CALL


def test_no_call_outside_is_taken_for_one_inside(server: Canned, folder: Path) -> None:
    model = client(server)
    server.reply(*[call()] * 3)
    judge = memoized(lambda question: model.invoke(question).text)
    model.invoke("before")
    judge("q")
    model.invoke("after")
    assert saved_by(lambda: judge("q")) == CALL
    with pytest.raises(httpx.HTTPError):
        memoized(lambda _: httpx.get("http://127.0.0.1:9/"), "broken")("q")


# Minimums


def test_a_function_is_kept_by_what_all_of_it_cost_and_took(server: Canned, slow: Slow, clock: Clock) -> None:
    model = client(server)
    server.reply(*[call()] * 4)
    twice = memoized(lambda question: [model.invoke(f"{question}{number}").text for number in range(2)])
    with_minimum = installation.installed().rules
    with_minimum.min_usd = Decimal("0.01")
    twice("q")
    twice("q")
    assert stats().spent_usd == 2 * CALL
    once = memoized(lambda question: model.invoke(question).text, "once")
    once("a")
    once("a")
    assert stats().spent_usd == 4 * CALL
    with_minimum.min_usd, with_minimum.min_seconds = None, 30
    slow.invoke("40")
    before = clock.ahead
    wait = memoized(lambda question: slow.invoke("40").text + question, "wait")
    assert wait("q") == wait("q")
    assert clock.ahead == before
    assert nbcache.last().hit.tolist()[-2:] == [True, True]


# Calls of their own kind


def test_functions_count_as_calls_of_their_own_kind(provider: Provider, folder: Path) -> None:
    embeddings = nbcache.wrap(
        OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False, **provider.openai)
    )
    model = client(provider)
    openai.OpenAI(**provider.openai).embeddings.create(model="text-embedding-3-small", input=["sdk"])
    judge = memoized(lambda question: model.invoke(question).text + str(len(embeddings.embed_query(question))))
    for question in ("a", "b", "a", "a"):
        judge(question)
    model.invoke("a")
    assert (stats().hits, stats().misses, stats().hit_rate) == (3, 7, 0.3)
    kinds = nbcache.stats(by="kind")
    assert kinds.index.name == "kind"
    assert kinds.hits.to_dict() == {"call": 1, "embedding": 0, "function": 2}
    assert kinds.misses.to_dict() == {"call": 2, "embedding": 3, "function": 2}
    assert kinds.spent_usd["function"] == NOTHING
    assert sum(kinds.saved_usd) == stats().saved_usd
    assert nbcache.last().kind.tolist()[1:4] == ["function", "call", "embedding"]
    lifetime = nbcache.stats(by="kind", lifetime=True)
    pd.testing.assert_frame_equal(lifetime, kinds)
    with pytest.raises(ValueError, match="write model or kind"):
        nbcache.stats(by="cell")  # type: ignore[call-overload]


def test_a_function_that_is_named_like_a_model_is_none(server: Canned, folder: Path) -> None:
    model = client(server)
    server.reply(call())
    same = memoized(lambda question: model.invoke(question).text, "m")
    same("q")
    same("q")
    kinds = nbcache.stats(by="kind")
    assert kinds.hits.to_dict() == {"call": 0, "function": 1}
    assert nbcache.stats(by="model").hits.to_dict() == {"m": 1}


def test_what_was_saved_in_part_is_known_for_all_time(folder: Path) -> None:
    model = FakeListChatModel(responses=["?"])

    def body(question: str) -> str:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(model.invoke, question).result().text

    judge = memoized(body)
    judge("q")
    judge("q")
    found = nbcache.stats(lifetime=True)
    assert isinstance(found, Stats)
    assert (found.unpriced_hits, found.partly_priced_hits, found.saved_usd) == (1, 1, NOTHING)
    assert amount_text(saved(found)) == "≥ $0"


def test_the_ledger_of_a_store_without_kinds_gets_them(folder: Path, server: Canned) -> None:
    installation.end()
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(GOLDEN / "store_v6", folder)
    with closing(DiskStore(folder)) as store:
        assert [row.kind for row in store.spendings()] == ["call"]
    nbcache.install(folder, prices=PRICES, scope="folder")
    count = memoized(len, "count")
    count("abc")
    kinds = nbcache.stats(by="kind", lifetime=True)
    assert kinds.misses.to_dict() == {"call": 1, "function": 1}


def test_stats_shows_functions_apart(folder: Path) -> None:
    count = memoized(len, "count")
    assert "functions" not in repr(html.stats(installation.installed()))
    for text in ("abc", "abc", "d", "abc"):
        count(text)
    lines = repr(html.stats(installation.installed())).splitlines()
    assert "functions: 2 hits, 2 misses, among the calls" in lines
    assert "functions: 2 hits, 2 misses, among the calls" in repr(html.summary()).splitlines()
