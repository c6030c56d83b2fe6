"""What a call costs. List prices are those of 1 November 2026, per million tokens; the sums are done by hand here."""

import math
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Context, Decimal, Inexact, localcontext
from typing import Any

import genai_prices
import pytest
from genai_prices import data_snapshot
from hypothesis import given
from hypothesis import strategies as st

from nbcache.costs import price_lookup
from nbcache.costs.price_lookup import Price, Prices
from nbcache.entry.records import Usage

WHEN = datetime(2026, 11, 1, 12, tzinfo=UTC)
FIRST = datetime(1, 1, 1)  # noqa: DTZ001 - some zones have no such time


@pytest.fixture(autouse=True)
def no_memory() -> Iterator[None]:
    price_lookup._looked_up.cache_clear()
    yield
    price_lookup._looked_up.cache_clear()


def used(provider: str | None, model: str | None, new: int | None = 1000, out: int | None = 500, **more: Any) -> Usage:
    return Usage(provider, model, new, out, **more)


def cost(usage: Usage, when: datetime | None = WHEN, **own: Any) -> tuple[str | None, str]:
    found = Prices(own.get("own")).price(usage, when)
    return found.usd if found.usd is None else f"{found.usd.normalize():f}", found.why


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        # $0.15 in, $0.60 out: 1000 x 0.15 + 500 x 0.60 = 450 millionths
        (used("openai", "gpt-4o-mini"), "0.00045"),
        (used("openai", "gpt-4o-mini-2024-07-18", service_tier="default"), "0.00045"),
        (used("azure", "gpt-4o-mini-2024-07-18"), "0.00045"),
        # 400 of the 1000 were cached, at $0.075: 600 x 0.15 + 400 x 0.075 + 500 x 0.60 = 420
        (used("openai", "gpt-4o-mini", cache_read_tokens=400), "0.00042"),
        # reasoning is part of the output: $0.25 in, $2 out: 250 + 1000
        (used("openai", "gpt-5-mini", reasoning_tokens=300), "0.00125"),
        # flex is half of that
        (used("openai", "gpt-5-mini", service_tier="flex"), "0.000625"),
        # $3 in, $15 out, cached $0.30, written for 5 minutes $3.75 and for an hour $6:
        # 1300 x 3 + 400 x 0.30 + 100 x 3.75 + 200 x 6 + 100 x 15 = 3900 + 120 + 375 + 1200 + 1500 = 7095
        (
            used(
                "anthropic",
                "claude-sonnet-4-5-20250929",
                2000,
                100,
                cache_read_tokens=400,
                cache_write_tokens=300,
                cache_write_1h_tokens=200,
                service_tier="standard",
            ),
            "0.007095",
        ),
        # above 200 000 tokens in, all of them cost $6 in, $22.50 out: 300 000 x 6 + 1000 x 22.50
        (used("anthropic", "claude-sonnet-4-5", 300_000, 1000), "1.8225"),
        # through Bedrock: $3 in, $15 out; in Europe 10 % more
        (used("aws", "us.anthropic.claude-3-5-sonnet-20241022-v2:0"), "0.0105"),
        (used("aws", "global.anthropic.claude-sonnet-4-5-20250929-v1:0"), "0.0105"),
        (used("aws", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"), "0.01155"),
        # through Vertex AI
        (used("google", "claude-sonnet-4-5@20250929"), "0.0105"),
        # $0.30 in, $2.50 out: 300 + 1250
        (used("google", "gemini-2.5-flash"), "0.00155"),
        (used("google", "models/gemini-2.5-flash"), "0.00155"),
        (used("google", "projects/p/locations/eu/publishers/google/models/gemini-2.5-flash"), "0.00155"),
        # 100 of them audio at $1: 900 x 0.30 + 100 x 1 + 1250
        (used("google", "gemini-2.5-flash", input_audio_tokens=100), "0.00162"),
        # $2.50 and $10 for text, $32 and $64 for audio: 900 x 2.50 + 100 x 32 + 450 x 10 + 50 x 64
        (used("openai", "gpt-audio", input_audio_tokens=100, output_audio_tokens=50), "0.01315"),
        # $3 in, $15 out, and $14 for a thousand calls: 3000 + 7500 + 14 000
        (used("perplexity", "sonar-pro"), "0.0245"),
        # $2 in, $8 out, and $3 for what is reasoning: 1000 x 2 + 200 x 8 + 300 x 3
        (used("openrouter", "perplexity/sonar-deep-research", reasoning_tokens=300), "0.0045"),
        (used("openrouter", "meta-llama/llama-3.3-70b-instruct:free"), "0"),
        (used("openai", "gpt-4o-mini", 0, 0), "0"),
    ],
    ids=lambda value: value.model if isinstance(value, Usage) else value,
)
def test_a_call_costs_its_list_price(usage: Usage, usd: str) -> None:
    assert cost(usage) == (usd, "list price")


@pytest.mark.parametrize(
    ("usage", "why"),
    [
        (used("openai", "gpt-99"), "unknown model"),
        (used("openai", None), "unknown model"),
        (used("openai", ""), "unknown model"),
        (used("azure", "my-deployment"), "unknown model"),
        (used(None, "gpt-4o"), "unknown provider"),
        (used("llm.example.com", "gpt-4o"), "unknown provider"),
        (used("openai.example.com", "gpt-4o"), "unknown provider"),  # not OpenAI's bill
        (used("my-anthropic-proxy", "claude-sonnet-4-5"), "unknown provider"),
        (used("openai", "gpt-4o-mini", None, 500), "no usage"),
        (used("openai", "gpt-4o-mini", 1000, None), "no usage"),
        (used("openai", "gpt-4o-mini", -1), "no usage"),
        (used("openai", "gpt-4o-mini", cache_read_tokens=600, cache_write_tokens=600), "no usage"),
        (used("openai", "gpt-4o-mini", cache_write_tokens=1, cache_write_1h_tokens=2), "no usage"),
        (used("openai", "gpt-4o-mini", cache_read_tokens=-1), "no usage"),
        (used("openai", "gpt-4o-mini", reasoning_tokens=501), "no usage"),
        (used("openai", "gpt-4o-mini", input_audio_tokens=1001), "no usage"),
        (used("openai", "gpt-4o-mini", output_audio_tokens=501), "no usage"),
    ],
    ids=repr,
)
def test_what_is_not_known_has_no_price(usage: Usage, why: str) -> None:
    assert cost(usage) == (None, why)


@pytest.mark.parametrize(
    "usage",
    [
        used("github-copilot", "gpt-4o"),  # listed without any price, which is not $0
        used("openai", "gpt-transcribe"),  # only hours of audio are priced
        used("openai", "text-embedding-3-small"),  # no price for output
        used(
            "openai", "gpt-4o-audio-preview", input_audio_tokens=10
        ),  # audio is dearer than text, by an unknown factor
        used("openai", "gpt-4o-audio-preview", output_audio_tokens=10),
        used("google", "gemini-2.5-flash", input_audio_tokens=10, cache_read_tokens=5),  # which of them is not told
        # an hour in the cache costs more than five minutes, which is all that is listed
        used("aws", "us.anthropic.claude-sonnet-4-20250514-v1:0", cache_write_tokens=20, cache_write_1h_tokens=10),
        used("openai", "gpt-4o-mini", service_tier="flex"),  # no price for this tier
        used("anthropic", "claude-sonnet-4-5", service_tier="priority"),
    ],
    ids=repr,
)
def test_a_list_price_that_leaves_something_out_is_not_taken(usage: Usage) -> None:
    assert cost(usage) == (None, "unknown model")


def test_a_price_that_covers_what_was_used_is_taken() -> None:
    # The same models as above, without what they have no price for.
    assert cost(used("openai", "text-embedding-3-small", 10**6, 0))[0] == "0.02"
    assert cost(used("openai", "gpt-4o-audio-preview"))[0] == "0.0075"
    assert (
        cost(used("aws", "us.anthropic.claude-sonnet-4-20250514-v1:0", 20, 0, cache_write_tokens=20))[0] == "0.000075"
    )
    assert cost(used("google", "gemini-2.5-pro", input_audio_tokens=1000))[0] == "0.00625"  # audio costs what text does


def test_a_local_model_costs_nothing() -> None:
    assert cost(used("ollama", "llama3.2", local=True)) == ("0", "local")
    assert cost(Usage(local=True)) == ("0", "local")
    assert cost(used("openai", "gpt-4o-mini", local=True)) == ("0", "local")


def test_an_old_call_costs_what_it_cost_then() -> None:
    # o3 was $10 in and $40 out until 10 June 2025, then $2 and $8.
    o3, day = used("openai", "o3"), datetime(2025, 6, 10, tzinfo=UTC)
    prices = Prices()
    before, after = prices.price(o3, day - timedelta(seconds=1)), prices.price(o3, day)
    assert (before.usd, after.usd) == (Decimal("0.03"), Decimal("0.006"))
    assert prices.price(o3, day - timedelta(seconds=1)) == before  # whatever was asked in between
    assert prices.price(o3, day.astimezone(timezone(timedelta(hours=9)))) == after


def test_the_time_of_day_counts_to_the_minute() -> None:
    # $1.32 from 01:00 to 04:00 UTC, else $0.66
    call = used("deepseek", "deepseek-v4-pro", 10**6, 0)
    four = datetime(2026, 9, 1, 4, tzinfo=UTC)
    assert [cost(call, four + timedelta(seconds=s))[0] for s in (-10800, -1, 0, 59)] == ["1.32", "1.32", "0.66", "0.66"]


def test_a_time_without_a_zone_is_local() -> None:
    call = used("deepseek", "deepseek-v4-pro", 10**6, 0)
    four = datetime(2026, 9, 1, 4, tzinfo=UTC)
    for minutes in (-1, 0):
        when = four + timedelta(minutes=minutes)
        assert cost(call, when.astimezone().replace(tzinfo=None)) == cost(call, when)


def test_now_is_the_default() -> None:
    assert cost(used("openai", "gpt-4o-mini"), None) == ("0.00045", "list price")


OWN: dict[str, dict[str, Any]] = {
    "gpt-4o-mini": {"input": 0.1, "output": "0.4"},
    "openai/gpt-4o": {"input": 1, "output": Decimal(4), "cache_read": 0.25, "cache_write": 1.5, "cache_write_1h": 2},
    "gpt-4o": {"input": 9, "output": 9},
    "models/house": {"input": 2, "output": 6, "cache_write": 3, "request": "0.01"},
    "flat": {"request": 0.002},
    "LLM.example.com/Own": {"input": 0, "output": 0},
}


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        (used("openai", "gpt-4o-mini"), "0.0003"),  # 1000 x 0.1 + 500 x 0.4 = 300 millionths
        (used("openai", "GPT-4o-mini"), "0.0003"),
        (used("openai", "gpt-4o-mini-2024-07-18"), "0.0003"),  # what answered when `gpt-4o-mini` was asked for
        (used("openai", "gpt-4o-mini", cache_read_tokens=900), "0.0003"),  # cached tokens at the input price
        (used("openai", "gpt-4o-mini", service_tier="flex", input_audio_tokens=9), "0.0003"),
        # the provider's own entry goes before the model's: 600 + 200 x 0.25 + 50 x 1.5 + 150 x 2 + 500 x 4
        (
            used("openai", "gpt-4o", cache_read_tokens=200, cache_write_tokens=200, cache_write_1h_tokens=150),
            "0.003025",
        ),
        (used("azure", "gpt-4o"), "0.0135"),  # 1500 x 9
        # 900 x 2 + 100 x 3 + 500 x 6 = 5100, and a cent
        (used(None, "house", cache_write_tokens=100, cache_write_1h_tokens=100), "0.0151"),
        (used("google", "models/house"), "0.015"),
        (used("ollama", "house", local=True), "0.015"),
        (used("nowhere", "flat"), "0.002"),
        (used("nowhere", "flat", None, None), "0.002"),  # a call is a call
        (used("llm.example.com", "own"), "0"),
    ],
    ids=repr,
)
def test_the_users_own_prices_come_first(usage: Usage, usd: str) -> None:
    assert cost(usage, own=OWN) == (usd, "your price")


def test_own_prices_hold_for_nothing_else() -> None:
    assert cost(used("openai", "gpt-4.1"), own=OWN) == ("0.006", "list price")  # $2 and $8
    assert cost(used("nowhere", "own"), own=OWN) == (None, "unknown provider")
    assert cost(used("ollama", "llama3.2", local=True), own=OWN) == ("0", "local")
    assert cost(used("openai", "gpt-4o-mini-foo"), own=OWN)[1] == "unknown model"
    assert cost(used("openai", "gpt-4o-mini", None), own=OWN) == (None, "no usage")


def test_a_dated_version_may_have_its_own_price() -> None:
    own = {"gpt-4o": {"input": 1, "output": 1}, "gpt-4o-2024-05-13": {"input": 2, "output": 2}}
    assert cost(used("openai", "gpt-4o-2024-05-13", 10**6, 0), own=own) == ("2", "your price")
    assert cost(used("openai", "gpt-4o-2024-08-06", 10**6, 0), own=own) == ("1", "your price")
    assert cost(used("openai", "gpt-4o-20240806", 10**6, 0), own=own) == ("1", "your price")


def test_a_price_is_what_was_written_not_the_nearest_binary_fraction() -> None:
    found = Prices({"m": {"input": 0.15, "output": 1e-7}}).price(used(None, "m", 1, 1), WHEN)
    assert found.usd == Decimal("0.0000001500001")


NO_PRICES: list[Any] = [
    *(-1, -0.01, math.nan, math.inf, True, None, [], "", "$1", "free", "nan", "sNaN", 10**7, "1e999"),
]


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ([], "prices="),
        ({"m": 0.15}, "'m'.*input"),
        ({"": {"request": 1}}, "input"),
        ({5: {"request": 1}}, "5.*input"),
        ({"m": {}}, "'m'.* lacks input and output"),
        ({"m": {"input": 1}}, "'m'.* lacks output"),
        ({"m": {"output": 1, "request": 1}}, "'m'.* lacks input"),
        ({"m": {"input": 1, "output": 1, "inptu": 1}}, "'m'.*'inptu'.*input, output, cache_read"),
        *(({"m": {"input": 1, "output": value}}, "'m'.*output=.*0.15") for value in NO_PRICES),
    ],
    ids=repr,
)
def test_a_wrong_price_is_refused_with_what_to_write(own: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Prices(own)


def test_own_prices_are_not_changed_from_outside() -> None:
    own = {"m": {"input": 1, "output": 1}}
    prices = Prices(own)
    own["m"]["input"] = 5
    assert prices.price(used(None, "m", 10**6, 0)).usd == 1


def test_a_notebook_that_computes_with_few_digits_changes_no_price() -> None:
    strict = Context(prec=2, traps=[Inexact])
    with localcontext(strict):
        listed = Prices().price(used("openai", "gpt-4o-mini", 1237, 511), WHEN)
        own = Prices({"m": {"input": "0.123", "output": 1}}).price(used(None, "m", 1237, 511), WHEN)
    assert listed.usd == Decimal("0.00049215")  # 1237 x 0.15 + 511 x 0.60 = 185.55 + 306.6
    assert own.usd == Decimal("0.000663151")  # 1237 x 0.123 + 511 = 152.151 + 511


def test_whatever_genai_prices_raises_the_price_is_only_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(genai_prices, "calc_price", broken)
    assert cost(used("openai", "gpt-4o-mini")) == (None, "unknown model")
    monkeypatch.undo()
    monkeypatch.setattr(data_snapshot, "get_snapshot", broken)
    assert cost(used("openai", "gpt-4o-mini")) == (None, "unknown model")
    monkeypatch.undo()
    assert cost(used("openai", "gpt-4o-mini")) == ("0.00045", "list price")  # not remembered as unknown
    assert cost(used("openai", "gpt-4o-mini"), FIRST)[0] in {None, "0.00045"}


text = st.text(max_size=30)
names = st.none() | text | st.sampled_from(["openai", "google", "models/", "gpt-4o", "openrouter", "litellm", "aws"])
counts = st.none() | st.integers(-5, 10**12)
parts = st.integers(-5, 10**6)


@given(
    st.builds(
        Usage,
        provider=names,
        model=names,
        input_tokens=counts,
        output_tokens=counts,
        cache_read_tokens=parts,
        cache_write_tokens=parts,
        cache_write_1h_tokens=parts,
        reasoning_tokens=parts,
        input_audio_tokens=parts,
        output_audio_tokens=parts,
        service_tier=st.none() | text,
    )
)
def test_no_usage_raises_and_no_price_is_negative(usage: Usage) -> None:
    for prices in (Prices(), Prices(OWN)):
        found = prices.price(usage, WHEN)
        assert found.usd is None or found.usd >= 0
        assert (found.usd is None) == (found.why in {"unknown model", "unknown provider", "no usage"})


def test_a_repeated_lookup_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    real = genai_prices.calc_price

    def counted(*args: Any, **named: Any) -> Any:
        nonlocal asked
        asked += 1
        return real(*args, **named)

    monkeypatch.setattr(genai_prices, "calc_price", counted)
    for _ in range(3):
        cost(used("openai", "gpt-4o-mini"))
        cost(used("openai", "gpt-99"))
    assert asked == 2
    cost(used("openai", "gpt-4o-mini"), WHEN + timedelta(minutes=1))
    assert asked == 3


def test_new_price_data_is_used_at_once() -> None:
    call = used("openai", "gpt-4o-mini")
    assert cost(call)[0] == "0.00045"
    none = data_snapshot.DataSnapshot(providers=[], from_auto_update=True, timestamp=datetime(2026, 11, 5, 9))  # noqa: DTZ001 - as genai-prices makes it
    data_snapshot.set_custom_snapshot(none)
    try:
        assert cost(call) == (None, "unknown provider")
    finally:
        data_snapshot.set_custom_snapshot(None)
    assert cost(call)[0] == "0.00045"


ALONE = """
import socket, sys, threading
def refuse(*args, **named): raise AssertionError("network")
socket.socket.connect = socket.getaddrinfo = refuse
from nbcache.costs import price_lookup
from nbcache.entry.records import Usage
def loaded(): return any(name.split(".")[0] == "genai_prices" for name in sys.modules)
prices = price_lookup.Prices({"m": {"input": 1, "output": 1}})
prices.price(Usage(None, "m", 1, 1)); prices.price(Usage(local=True)); prices.price(Usage("openai", "gpt-4o-mini"))
assert not loaded(), "imported before it was needed"
assert prices.price(Usage("openai", "gpt-4o-mini", 1, 1)).why == "list price"
assert loaded()
print([thread.name for thread in threading.enumerate()])
"""


def test_genai_prices_is_imported_when_a_list_price_is_asked_for_and_stays_off_the_network() -> None:
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("['MainThread']", "")


def test_many_threads_get_the_same_price() -> None:
    found: list[Price] = []
    ready = threading.Barrier(8)

    def ask() -> None:
        ready.wait()
        found.extend(Prices().price(used("openai", "gpt-4o-mini"), WHEN + timedelta(minutes=m)) for m in range(20))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [Price(Decimal("0.00045"), "list price")] * 160
