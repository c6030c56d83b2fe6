"""Sums of money and time, as a user reads them: never a number that the calls don't bear out."""

import math
import re
from decimal import Context, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcache.costs.money import Money, amount_text, note_text, usd_text
from nbcache.entry.durations_and_sizes import seconds_text

# Picodollars up to ten million dollars, of every size alike.
dollars = (
    st.integers(0, 19).flatmap(lambda digits: st.integers(0, 10**digits)).map(lambda pico: Decimal(pico).scaleb(-12))
)
prices = st.lists(st.tuples(st.none() | dollars, st.booleans()), max_size=8)


def summed(calls: list[tuple[Decimal | None, bool]]) -> Money:
    money = Money()
    for price, estimated in calls:
        money = money.add(price, estimated=estimated)
    return money


def read(text: str) -> Decimal:
    """The number in an amount."""
    return Decimal(re.sub(r"[$,~≥<> ]", "", text))


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        ("0", "$0"),
        ("0E-12", "$0"),
        ("-0", "$0"),
        ("0.000000000001", "<$0.0001"),
        ("0.0000999999", "<$0.0001"),
        ("0.0001", "$0.0001"),
        ("0.000125", "$0.00012"),  # half to even
        ("0.000135", "$0.00014"),
        ("0.00045", "$0.00045"),
        ("0.0041", "$0.0041"),
        ("0.00996", "$0.01"),
        ("0.0123", "$0.012"),
        ("0.05", "$0.05"),
        ("0.0996", "$0.10"),
        ("0.1", "$0.10"),
        ("0.415", "$0.42"),
        ("0.425", "$0.42"),
        ("0.996", "$1.00"),
        ("9.995", "$10.00"),
        ("1234.5", "$1,234.50"),
        ("1234567.005", "$1,234,567.00"),
        ("1E+3", "$1,000.00"),
        ("-0.425", "-$0.42"),
    ],
)
def test_dollars_are_shown_to_the_cent_and_small_ones_to_two_digits(usd: str, text: str) -> None:
    assert usd_text(Decimal(usd)) == text


@given(dollars)
def test_a_shown_amount_is_within_half_a_cent_and_half_a_digit(usd: Decimal) -> None:
    text = usd_text(usd)
    if text.startswith("<"):
        assert 0 < usd < read(text)
        return
    off = abs(read(text) - usd)
    assert off <= Decimal("0.005")
    assert off <= usd * Decimal("0.05")  # of two digits, half of the last is 5 % at most
    assert (text == "$0") == (usd == 0)


@given(dollars, dollars)
def test_more_money_never_reads_as_less(one: Decimal, other: Decimal) -> None:
    less, more = (usd + Decimal("0.0001") for usd in sorted((one, other)))
    assert read(usd_text(less)) <= read(usd_text(more))
    if more - less > Decimal("0.01"):  # a cent apart is never the same text
        assert read(usd_text(less)) < read(usd_text(more))


def test_a_sum_says_what_it_leaves_out_and_what_it_guesses() -> None:
    whole = Money().add(Decimal("0.40")).add(Decimal("0.02"))
    assert (amount_text(whole), note_text(whole, "hit")) == ("$0.42", "")
    short = whole.add(None)
    assert (amount_text(short), note_text(short, "hit")) == ("≥ $0.42", "1 of 3 hits unpriced")
    guessed = whole.add(Decimal("0.01"), estimated=True)
    assert (amount_text(guessed), note_text(guessed, "miss")) == ("~$0.43", "1 of 3 misses estimated")
    both = guessed.add(None)
    assert (amount_text(both), note_text(both, "call")) == ("≥ ~$0.43", "1 of 4 calls unpriced, 1 estimated")


def test_no_price_at_all_is_unknown_and_no_calls_are_nothing() -> None:
    assert (amount_text(Money()), note_text(Money(), "hit")) == ("$0", "")
    lost = Money().add(None)
    assert (amount_text(lost), note_text(lost, "hit")) == ("unknown", "1 of 1 hit unpriced")
    assert amount_text(lost.add(None, estimated=True)) == "unknown"
    assert note_text(Money(calls=1234, unpriced=1200), "hit") == "1,200 of 1,234 hits unpriced"


def test_at_least_is_rounded_down() -> None:
    # 0.425 + 0.004 = 0.429: with an unpriced call that may have cost nothing, "at least $0.43" would be a lie.
    assert amount_text(Money().add(Decimal("0.425")).add(Decimal("0.004")).add(None)) == "≥ $0.42"
    assert amount_text(Money().add(Decimal("0.00419")).add(None)) == "≥ $0.0041"
    assert amount_text(Money().add(Decimal("0.00009"), estimated=True).add(None)) == "> $0"
    assert amount_text(Money().add(Decimal(0)).add(None)) == "≥ $0"


def test_a_free_call_is_no_estimate() -> None:
    free = Money().add(Decimal(0), estimated=True)
    assert (amount_text(free), note_text(free, "hit")) == ("$0", "")


@given(prices)
def test_an_amount_never_claims_more_than_is_known(calls: list[tuple[Decimal | None, bool]]) -> None:
    money, known = summed(calls), [price for price, _ in calls if price is not None]
    text, note = amount_text(money), note_text(money, "hit")
    assert money.usd == sum(known, Decimal(0))  # exactly, in picodollars
    assert (money.calls, money.unpriced) == (len(calls), len(calls) - len(known))
    assert (text == "unknown") == (bool(calls) and not known)
    assert ("unpriced" in note) == (len(known) < len(calls))
    assert ("estimated" in note) == any(guess and price for price, guess in calls)
    if text.startswith(("≥", ">")):
        assert read(text) <= money.usd < read(text) + Decimal("0.01")
    if text != "unknown" and "<" not in text:
        assert abs(read(text) - money.usd) < Decimal("0.01")


@given(prices, prices)
def test_sums_of_sums_are_sums(
    some: list[tuple[Decimal | None, bool]], more: list[tuple[Decimal | None, bool]]
) -> None:
    assert summed(some) + summed(more) == summed(some + more)
    assert summed(some) + summed(more) == summed(more) + summed(some)
    assert summed(some) + Money() == summed(some)


def test_a_notebook_that_computes_with_few_digits_changes_no_sum() -> None:
    with localcontext(Context(prec=2)):
        money = Money().add(Decimal("1234.56")).add(Decimal("0.01"))
        texts = usd_text(Decimal("1234.56")), usd_text(Decimal("-1234.56")), usd_text(Decimal("0.00412"))
    assert money.usd == Decimal("1234.57")
    assert texts == ("$1,234.56", "-$1,234.56", "$0.0041")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.0004, "<0.1 s"),
        (0.1, "0.1 s"),
        (0.42, "0.4 s"),
        (3, "3 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (38.2, "38 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (125, "2 min 5 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h"),
        (3780, "1 h 3 min"),
        (7199, "2 h"),
        (36e5, "1,000 h"),
        (-0.42, "-0.4 s"),
        (math.nan, "unknown"),
        (math.inf, "unknown"),
    ],
)
def test_seconds_are_shown_in_the_two_largest_units(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


@given(st.floats(min_value=0.1, max_value=10**9))
def test_a_shown_time_is_as_near_as_its_smallest_unit(seconds: float) -> None:
    text = seconds_text(seconds)
    units = {"h": 3600, "min": 60, "s": 1}
    parts = re.findall(r"([\d,.]+) (h|min|s)", text)
    back = sum(float(number.replace(",", "")) * units[unit] for number, unit in parts)
    step = 0.1 if seconds < 9.95 else 1 if seconds < 3599.5 else 60
    assert " ".join(f"{number} {unit}" for number, unit in parts) == text
    assert abs(back - seconds) <= step / 2 * 1.001
