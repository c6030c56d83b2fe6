"""What the providers' own prompt caches saved, beside what nbcache did: through real clients, each number against one by hand."""

import asyncio
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_aws import ChatBedrock, ChatBedrockConverse
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

import nbcache
from nbcache.costs.price_lookup import Prices
from nbcache.entry.records import Spending, Usage
from nbcache.entry.stats import Stats
from nbcache.session import installation
from nbcache.stores import DiskStore
from nbcache.ui import report
from nbcache.ui.cli import json_documents
from nbcache.ui.panel.board import Board
from tests.servers import canned as c
from tests.servers.canned import Canned, Reply
from tests.support.paths import GOLDEN

# US dollars per million tokens. Claude's writes cost 1.25 and 2 times the input price, and reads a tenth.
RATES = {"input": 2, "output": 8, "cache_read": 0.2, "cache_write": 2.5, "cache_write_1h": 4}
CLAUDE = "claude-haiku-4-5-20251001"
PRICES = dict.fromkeys(
    ("m", "gpt-4o-mini", CLAUDE, "claude-haiku-4-5", "us.anthropic.claude-haiku-4-5-20251001-v1:0", "gemini-2.5-flash"),
    RATES,
) | {"plain": {"input": 2, "output": 8}}
KEY: dict[str, Any] = {"api_key": "sk-test", "max_retries": 0}
AWS: dict[str, Any] = {"region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
NOTHING = Decimal(0)


def read(tokens: int) -> Decimal:
    return tokens * Decimal("1.8") / 10**6


def written(short: int, long: int = 0) -> Decimal:
    return (short * Decimal("0.5") + long * 2) / 10**6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    nbcache.install(folder, prices=PRICES)
    return folder


def stats(*, lifetime: bool = False) -> Stats:
    found = nbcache.stats(lifetime=lifetime)
    assert isinstance(found, Stats)
    return found


def saved() -> tuple[Decimal | None, int, int]:
    found = stats()
    return found.provider_saved_usd, found.provider_priced_misses, found.provider_unpriced_misses


def model(server: Canned, name: str = "m", **settings: Any) -> ChatOpenAI:
    return ChatOpenAI(model=name, base_url=f"{server.url}/v1", **KEY, **settings)


def chat(cached: int, name: str = "m", tokens: int = 2000) -> Reply:
    usage = {"prompt_tokens": tokens, "completion_tokens": 10, "total_tokens": tokens + 10}
    return c.chat(name, usage | {"prompt_tokens_details": {"cached_tokens": cached}})


def claude(server: Canned) -> ChatAnthropic:
    return ChatAnthropic(model="claude-haiku-4-5", base_url=server.url, **KEY)


def message(**usage: Any) -> Reply:
    return c.as_json(c.anthropic(CLAUDE, {"input_tokens": 21, "output_tokens": 12, **usage}))


# By provider

DEEPSEEK = {
    "prompt_tokens": 1000,
    "completion_tokens": 9,
    "total_tokens": 1009,
    "prompt_cache_hit_tokens": 800,
    "prompt_cache_miss_tokens": 200,
}
XAI = {
    "prompt_tokens": 1000,
    "completion_tokens": 9,
    "total_tokens": 1109,
    "prompt_tokens_details": {"cached_tokens": 700},
    "completion_tokens_details": {"reasoning_tokens": 100},
}


def _bedrock_converse(url: str) -> object:
    return ChatBedrockConverse(model_id=f"us.anthropic.{CLAUDE}-v1:0", endpoint_url=url, **AWS).invoke("hi")


def _stream_of_sdk(url: str) -> object:
    client = openai.OpenAI(base_url=f"{url}/v1", **KEY)
    messages: Any = [{"role": "user", "content": "hi"}]
    chunks = client.chat.completions.create(
        model="gpt-4o-mini", messages=messages, stream=True, stream_options={"include_usage": True}
    )
    return list(chunks)


def _sdk_of_anthropic(url: str) -> object:
    client = anthropic.Anthropic(base_url=url, **KEY)
    return client.messages.create(model=CLAUDE, max_tokens=9, messages=[{"role": "user", "content": "hi"}])


CALLS: dict[str, tuple[Callable[[str], object], Reply, Decimal]] = {
    "OpenAI": (
        lambda url: ChatOpenAI(model="gpt-4o-mini", base_url=f"{url}/v1", **KEY).invoke("hi"),
        c.chat("gpt-4o-mini", c.OPENAI_USAGE),
        read(1024),
    ),
    "OpenAI, stream": (
        lambda url: list(ChatOpenAI(model="gpt-4o-mini", base_url=f"{url}/v1", stream_usage=True, **KEY).stream("hi")),
        c.chat_stream("gpt-4o-mini", c.OPENAI_USAGE),
        read(1024),
    ),
    "OpenAI, Responses API": (
        lambda url: ChatOpenAI(model="gpt-4o-mini", base_url=f"{url}/v1", use_responses_api=True, **KEY).invoke("hi"),
        c.as_json(c.responses("gpt-4o-mini")),
        read(1024),
    ),
    "OpenAI's SDK, stream": (_stream_of_sdk, c.chat_stream("gpt-4o-mini", c.OPENAI_USAGE), read(1024)),
    "DeepSeek": (
        lambda url: ChatOpenAI(model="m", base_url=f"{url}/v1", **KEY).invoke("hi"),
        c.chat("m", DEEPSEEK),
        read(800),
    ),
    "xAI": (
        lambda url: ChatOpenAI(model="m", base_url=f"{url}/v1", **KEY).invoke("hi"),
        c.chat("m", XAI),
        read(700),
    ),
    "Anthropic": (
        lambda url: ChatAnthropic(model="claude-haiku-4-5", base_url=url, **KEY).invoke("hi"),
        c.as_json(c.anthropic(CLAUDE, c.ANTHROPIC_USAGE)),
        read(2000) - written(200, 300),
    ),
    "Anthropic's SDK": (
        _sdk_of_anthropic,
        c.as_json(c.anthropic(CLAUDE, c.ANTHROPIC_USAGE)),
        read(2000) - written(200, 300),
    ),
    "Google": (
        lambda url: ChatGoogleGenerativeAI(model="gemini-2.5-flash", base_url=url, google_api_key="x").invoke("hi"),
        c.google("gemini-2.5-flash"),
        read(1024),
    ),
    "Bedrock": (_bedrock_converse, c.converse(), read(2000) - written(500)),
    "Bedrock, InvokeModel": (
        lambda url: ChatBedrock(model_id=f"us.anthropic.{CLAUDE}-v1:0", endpoint_url=url, **AWS).invoke("hi"),
        c.invoke_model(),
        read(2000) - written(500),
    ),
}


@pytest.mark.parametrize(("call", "reply", "by_hand"), CALLS.values(), ids=CALLS.keys())
def test_a_paid_call_saves_at_its_provider_and_a_hit_does_not(
    call: Callable[[str], object], reply: Reply, by_hand: Decimal, server: Canned, folder: Path
) -> None:
    if call is _sdk_of_anthropic or call is _stream_of_sdk:
        nbcache.install(folder, prices=PRICES, clients="all")
    server.reply(reply)
    call(server.url)
    assert saved() == (by_hand, 1, 0)
    paid, saved_here = stats().spent_usd, stats().saved_usd
    call(server.url)
    assert (stats().hits, stats().misses) == (1, 1)
    assert saved() == (by_hand, 1, 0)
    assert stats().spent_usd == paid == stats().saved_usd != saved_here  # neither has it in it a second time


def test_a_first_write_costs_more_than_it_saves(server: Canned, folder: Path) -> None:
    server.reply(message(cache_creation_input_tokens=4000, cache_read_input_tokens=0))
    claude(server).invoke("q")
    assert saved() == (-written(4000), 1, 0)
    server.reply(message(cache_creation_input_tokens=0, cache_read_input_tokens=4000))
    claude(server).invoke("q2")
    assert saved() == (read(4000) - written(4000), 2, 0)


def test_a_write_for_an_hour_costs_twice_the_input_price(server: Canned, folder: Path) -> None:
    lifetimes = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 4000}
    server.reply(message(cache_creation_input_tokens=4000, cache_read_input_tokens=0, cache_creation=lifetimes))
    claude(server).invoke("q")
    assert saved() == (-written(0, 4000), 1, 0)


def test_a_call_without_cached_tokens_counts_for_nothing(server: Canned, folder: Path) -> None:
    server.reply(chat(0), c.chat("m", None), chat(0, "unheard-of"))
    for name in ("m", "m", "unheard-of"):
        model(server, name).invoke(f"q{len(server.replies)}")
    assert saved() == (NOTHING, 0, 0)
    assert "provider:" not in report.status(installation.installed())
    assert "provider_saved" not in Board().state()


def test_without_a_price_it_is_unknown_and_never_nothing(server: Canned, folder: Path) -> None:
    server.reply(chat(500, "unheard-of"), chat(1000), chat(500, "unheard-of"))
    model(server, "unheard-of").invoke("a")
    assert saved() == (None, 0, 1)
    lines = report.status(installation.installed()).splitlines()
    assert "provider:  unknown what its own prompt cache saved · not known of 1 of 1 miss" in lines
    assert json_documents.sums(stats())["provider_saved_usd"] is None
    assert nbcache.stats(by="model").provider_saved_usd.tolist() == [None]
    assert "provider_saved" not in Board().state()  # there is no number
    model(server).invoke("b")
    model(server, "unheard-of").invoke("c")
    assert saved() == (read(1000), 1, 2)
    lines = report.status(installation.installed()).splitlines()
    assert "provider:  saved $0.0018 by its own prompt cache · not known of 2 of 3 misses" in lines
    assert (Board().state()["provider_saved"], Board().state()["provider_note"]) == (
        "$0.0018",
        "by its own prompt cache · not known of 2 of 3 misses",
    )


def test_cached_tokens_that_cost_as_much_as_others_have_saved_a_known_nothing(server: Canned, folder: Path) -> None:
    server.reply(chat(500, "plain"))
    model(server, "plain").invoke("q")
    assert saved() == (NOTHING, 1, 0)
    assert "provider:" not in report.status(installation.installed())
    assert "provider_saved" not in Board().state()


def test_what_was_paid_while_the_cache_is_off_counts_as_what_was_spent(server: Canned, folder: Path) -> None:
    server.reply(chat(1000), chat(1000), chat(1000), chat(1000))
    for mode in ("on", "off", "refresh", "read-only"):
        before = stats()
        with nbcache.mode(mode):
            model(server).invoke("q")
        after = stats()
        paid = (after.spent_usd or NOTHING) - (before.spent_usd or NOTHING)
        assert (after.provider_saved_usd or NOTHING) - (before.provider_saved_usd or NOTHING) == (
            read(1000) if paid else NOTHING
        ), mode


def test_a_call_inside_of_a_function_counts_once(server: Canned, folder: Path) -> None:
    asked = model(server)
    server.reply(chat(1000))

    @nbcache.memoize(ignore=("asked",), version="1")
    def judge(question: str) -> str:
        return asked.invoke(question).text

    judge("q")
    judge("q")
    assert saved() == (read(1000), 1, 0)
    kinds = nbcache.stats(by="kind")
    assert kinds.provider_saved_usd.to_dict() == {"call": read(1000), "function": NOTHING}


def test_embeddings_and_async_calls_count_alike(server: Canned, folder: Path) -> None:
    server.reply(chat(1000))
    asyncio.run(model(server).ainvoke("q"))
    assert saved() == (read(1000), 1, 0)
    vectors = [{"object": "embedding", "index": 0, "embedding": [0.5]}]
    server.reply(
        c.as_json({"object": "list", "data": vectors, "model": "m", "usage": {"prompt_tokens": 2, "total_tokens": 2}})
    )
    settings: dict[str, Any] = {"base_url": f"{server.url}/v1", "api_key": KEY["api_key"]}
    embeddings = OpenAIEmbeddings(model="m", check_embedding_ctx_length=False, **settings)
    nbcache.wrap(embeddings).embed_query("q")
    assert saved() == (read(1000), 1, 0)


# By list prices

AT_ANTHROPIC = Usage("anthropic", "claude-sonnet-4-5", 150_000, 10)


def test_list_prices_give_the_same_as_a_calculation_by_hand() -> None:
    usage = replace(AT_ANTHROPIC, cache_read_tokens=100_000, cache_write_tokens=20_000, cache_write_1h_tokens=5_000)
    by_hand = (100_000 * Decimal("2.7") - 15_000 * Decimal("0.75") - 5_000 * 3) / 10**6
    assert Prices().saved_by_provider(usage) == by_hand


def test_a_long_prompt_saves_at_the_prices_of_its_tier() -> None:
    """Above 200,000 tokens in all the input costs $6 per million tokens, not $3, and reading a tenth of that."""
    usage = replace(AT_ANTHROPIC, input_tokens=300_000, cache_read_tokens=100_000)
    assert Prices().saved_by_provider(usage) == 100_000 * Decimal("5.4") / 10**6


@pytest.mark.parametrize(
    "usage",
    [
        Usage("openai", "gpt-4-turbo", 1000, 10, cache_read_tokens=500),  # no price of cached tokens is listed
        Usage("openai", "gpt-4o-mini", 1000, 10, cache_write_tokens=500),
        Usage("nobody", "gpt-4o-mini", 1000, 10, cache_read_tokens=500),
        Usage("openai", "gpt-4o-mini", 100, 10, cache_read_tokens=500),  # more than there were
        Usage("moonshotai", "kimi-k2-0905-preview", 1000, 10, mixed="cache_read"),
    ],
)
def test_what_is_not_listed_is_unknown(usage: Usage) -> None:
    assert Prices().saved_by_provider(usage) is None


def test_what_the_provider_charged_does_not_tell_what_its_cache_saved() -> None:
    usage = Usage("openai", "gpt-4o-mini", 1000, 10, cache_read_tokens=500, charged="0.5")
    assert Prices().saved_by_provider(usage) == 500 * Decimal("0.075") / 10**6
    assert Prices().saved_by_provider(replace(usage, model="unheard-of")) is None


def test_a_model_on_this_machine_saves_nothing() -> None:
    assert Prices().saved_by_provider(Usage("ollama", "llama3.2", 1000, 10, cache_read_tokens=500, local=True)) == 0


# In the ledger


def test_it_is_summed_over_sessions_and_kernels(server: Canned, folder: Path) -> None:
    server.reply(message(cache_creation_input_tokens=4000, cache_read_input_tokens=0))
    claude(server).invoke("q")
    nbcache.install(folder, prices=PRICES)  # another session
    server.reply(chat(1000), chat(500, "unheard-of"))
    model(server).invoke("q")
    model(server, "unheard-of").invoke("q")
    installation.installed().flush()
    found = stats(lifetime=True)
    assert found.provider_saved_usd == read(1000) - written(4000)
    assert (found.provider_priced_misses, found.provider_unpriced_misses) == (2, 1)
    history = nbcache.history()
    assert sum(filter(None, history.provider_saved_usd), NOTHING) == read(1000) - written(4000)
    assert history.provider_unpriced_misses.sum() == 1
    by_model = nbcache.stats(lifetime=True, by="model").provider_saved_usd.to_dict()
    assert by_model == {"claude-haiku-4-5": -written(4000), "m": read(1000), "unheard-of": None}


@pytest.mark.parametrize("version", range(1, 7))
def test_of_what_an_earlier_release_counted_nothing_is_known(version: int, tmp_path: Path, server: Canned) -> None:
    shutil.copytree(GOLDEN / f"store_v{version}", tmp_path / "store")
    with closing(DiskStore(tmp_path / "store")) as store:
        misses = sum(row.misses for row in store.spendings())
        nbcache.install(store, prices=PRICES, scope="folder")
        found = stats(lifetime=True)
        assert (found.provider_saved_usd, found.provider_unpriced_misses) == (None if misses else NOTHING, misses)
        server.reply(chat(1000))
        model(server).invoke("q")
        installation.installed().flush()
        found = stats(lifetime=True)
        assert (found.provider_saved_usd, found.provider_priced_misses) == (read(1000), 1)
        assert found.provider_unpriced_misses == misses
        nbcache.uninstall()


def test_a_sum_below_zero_comes_back_exactly(tmp_path: Path) -> None:
    amounts = [Decimal("-1234567.000000000001"), Decimal("0.000000000002"), Decimal("-0.000000000003")]
    with closing(DiskStore(tmp_path / "store")) as store:
        for amount in amounts:
            row = Spending("s", 1, 1.0, None, None, "m", misses=1, provider_saved_usd=amount, provider_priced_misses=1)
            store.record([row])
        (row,) = store.spendings()
    assert (row.provider_saved_usd, row.provider_priced_misses) == (sum(amounts), 3)


# As people read it


def test_the_text_says_what_it_saved_and_what_it_cost(server: Canned, folder: Path) -> None:
    server.reply(message(cache_creation_input_tokens=4000, cache_read_input_tokens=0))
    claude(server).invoke("q")
    text = report.status(installation.installed())
    assert "provider:  its own prompt cache cost $0.002 more to write than it saved" in text.splitlines()
    assert (Board().state()["provider_saved"], Board().state()["provider_note"]) == (
        "-$0.002",
        "its prompt cache cost more to write than it saved",
    )
    document = json_documents.sums(stats())
    assert Decimal(document["provider_saved_usd"]) == -written(4000)
    assert (document["provider_priced_misses"], document["provider_unpriced_misses"]) == (1, 0)
