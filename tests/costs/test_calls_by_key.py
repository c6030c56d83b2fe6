"""The calls of a session by their keys."""

import tracemalloc
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nbcache.costs.calls_by_key import SessionCalls
from nbcache.entry.records import CallRecord, SessionCall

MODEL = "gpt-4o-mini"
KEY = "ab" * 20


def called(key: str | None, when: float = 1.0, model: str = MODEL) -> CallRecord:
    return CallRecord(when, 0, None, model, key)


def test_calls_of_a_key_are_counted_and_the_last_price_counts() -> None:
    calls, usd = SessionCalls(), Decimal("0.1234567890123456789")
    for when, price in ((2.0, Decimal(1)), (1.0, usd)):
        calls.note(called(KEY, when))
        calls.price(called(KEY, when), price, estimated=when == 1.0)
    calls.note(called("one of somebody else's"))
    first = SessionCall(KEY, MODEL, 2, usd, estimated=True, when=2.0)
    assert calls.all() == [first, SessionCall("one of somebody else's", MODEL, 1, when=1.0)]
    assert sorted(calls.take(), key=lambda call: call.key) == calls.all()
    assert calls.take() == []


def test_calls_without_a_key_are_summed_and_so_are_those_that_are_not_kept() -> None:
    calls = SessionCalls()
    for key in (None, KEY):
        calls.note(called(key))
        calls.price(called(key), Decimal("0.1"), estimated=False, unkept="not kept")
    calls.note(called(None))
    assert calls.all() == [SessionCall("", MODEL, 3, Decimal("0.2"), when=1.0, unpriced=1)]
    assert calls.unkept(KEY, MODEL) == "not kept"
    assert not calls.unkept("cd" * 20, MODEL)


def test_an_entry_that_is_used_without_a_call_is_no_call() -> None:
    calls = SessionCalls()
    calls.use(KEY, MODEL)
    assert calls.all() == []
    assert calls.used() == {KEY}
    calls.note(called(KEY))
    assert calls.all() == [SessionCall(KEY, MODEL, 1, when=1.0)]
    assert calls.used() == {KEY}


@pytest.mark.parametrize("key", [KEY, "AB" * 20, "x" * 40, "é", "ab " * 13 + "a", "0"])
def test_every_key_comes_back_as_it_is_by_model(key: str) -> None:
    calls = SessionCalls()
    for model in (MODEL, "other"):
        calls.note(called(key, model=model))
        calls.use(key, model)
    assert calls.all() == [SessionCall(key, model, 1, when=1.0) for model in (MODEL, "other")]
    assert calls.used() == {key}


@given(st.none() | st.decimals(allow_nan=False, allow_infinity=False))
@example(Decimal(0))
@example(Decimal("1E-80"))
@example(Decimal("123456789012345678.9"))
@example(Decimal("NaN"))
def test_a_price_is_kept_to_its_last_digit(usd: Decimal | None) -> None:
    calls = SessionCalls()
    calls.note(called(KEY))
    calls.price(called(KEY), Decimal("0.1234567890123456789123456789"), estimated=True)
    calls.price(called(KEY), usd, estimated=False)
    calls.use(KEY, MODEL)
    (call,) = calls.all()
    assert repr(call.usd) == repr(usd)
    assert not call.estimated


def test_a_call_takes_few_bytes() -> None:
    calls, number = SessionCalls(), 5_000
    tracemalloc.start()
    try:
        for key in range(number):
            record = called(f"{key:040x}", float(key))
            calls.note(record)
            calls.price(record, Decimal(key).scaleb(-9), estimated=False)
            calls.use(f"{key:040x}", MODEL)
        calls.take()
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size / number < 250
