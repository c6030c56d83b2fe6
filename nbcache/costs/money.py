"""Sums of money and of time, and their texts for magics, panel, command line and footer."""

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

from nbcache.entry.durations_and_sizes import counted, seconds_text
from nbcache.entry.records import EXACT, Spending
from nbcache.entry.stats import Stats

_CENT, _TEN_CENTS = Decimal("0.01"), Decimal("0.10")
_LEAST = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Money:
    """US dollars over a number of calls, exactly.

    `unpriced` calls have no known price, and are not in the sum. Of some of them, which are functions, a part is (`partly`).
    The tokens of `estimated` calls were estimated from the text, and the cost of `charged` calls was stated by the provider:
    both are in the sum. What was saved and what was spent are two sums, never netted.
    """

    usd: Decimal = Decimal(0)
    calls: int = 0
    unpriced: int = 0
    estimated: int = 0
    charged: int = 0
    partly: int = 0

    def __add__(self, other: "Money") -> "Money":
        return Money(
            EXACT.add(self.usd, other.usd),
            self.calls + other.calls,
            self.unpriced + other.unpriced,
            self.estimated + other.estimated,
            self.charged + other.charged,
            self.partly + other.partly,
        )

    def add(self, price: Decimal | None, *, estimated: bool = False) -> "Money":
        """This and one more call, at `price` in US dollars. None means unknown.

        $0 is never an estimate: what costs nothing costs nothing for any number of tokens.
        """
        return self + Money(price or Decimal(0), 1, int(price is None), int(estimated and bool(price)))


def usd_text(usd: Decimal) -> str:
    """US dollars for people: `$1,234.50`, `$0.42`, `$0.0041`, `<$0.0001`, `$0`.

    Rounded half to even: to the cent from ten cents on, to two digits below. Only zero is `$0`.
    """
    return _text(usd, ROUND_HALF_EVEN)


def amount_text(money: Money) -> str:
    """A sum for people: `$0.42`, `~$0.42` if some of it is estimated, `≥ $0.42` if some calls are unpriced.

    What follows `≥` is rounded down, so that it is true. If that gives zero, the text is `> $0`. It is `unknown` if no
    call has a price, and `$0` if there were no calls.
    """
    if money.unpriced and money.unpriced - money.partly >= money.calls:
        return "unknown"
    about = "~" if money.estimated else ""
    if not money.unpriced:
        return about + usd_text(money.usd)
    known = _text(money.usd, ROUND_DOWN)
    if known == "$0":
        return f"{'>' if money.usd else '≥'} $0"
    return f"≥ {about}{known}"


def note_text(money: Money, word: str) -> str:
    """What a sum leaves out, estimates or has from the provider: `2 of 7 hits unpriced, 3 estimated, 1 as charged`.

    Nothing if all of it is worked out from prices.

    `word` is what the calls are, in the singular: `hit`, `miss`, `call`.
    """
    of = f" of {counted(money.calls, word)}"
    notes: list[str] = []
    kinds = ((money.unpriced, "unpriced"), (money.estimated, "estimated"), (money.charged, "as charged"))
    for number, what in kinds:
        if number:
            notes.append(f"{number:,}{'' if notes else of} {what}")
    return ", ".join(notes)


def _text(usd: Decimal, rounding: str) -> str:
    if usd < 0:
        return "-" + _text(usd.copy_negate(), rounding)
    if 0 < usd < _LEAST:
        return "$0" if rounding == ROUND_DOWN else f"<${_LEAST}"
    if not usd:
        return "$0"
    digit = _CENT if usd >= _TEN_CENTS else Decimal(1).scaleb(usd.adjusted() - 1, EXACT)
    text = f"{usd.quantize(digit, rounding, EXACT):,f}"
    whole, _, fraction = text.partition(".")
    return f"${whole}.{fraction[:2]}{fraction[2:].rstrip('0')}"


def spent(sums: Stats | Spending) -> Money:
    """What the misses paid."""
    counts = (sums.misses, sums.unpriced_misses, sums.estimated_misses, sums.charged_misses)
    return Money(sums.spent_usd or Decimal(0), *counts)


def saved(sums: Stats | Spending) -> Money:
    """What the hits would have paid."""
    counts = (sums.hits, sums.unpriced_hits, sums.estimated_hits, sums.charged_hits, sums.partly_priced_hits)
    return Money(sums.saved_usd or Decimal(0), *counts)


def saved_by_provider(sums: Stats | Spending) -> Money:
    """What the providers' own prompt caches saved in misses, less what it cost to write them: it may be below zero."""
    calls = sums.provider_priced_misses + sums.provider_unpriced_misses
    return Money(sums.provider_saved_usd or Decimal(0), calls, sums.provider_unpriced_misses)


def provider_note(money: Money) -> str:
    """What a sum of `saved_by_provider` leaves out: `not known of 1 of 3 misses`. Nothing if all of it is known.

    That may be below zero, too, so that no such sum is shown with `≥`.
    """
    return f"not known of {money.unpriced:,} of {counted(money.calls, 'miss')}" if money.unpriced else ""


def waited_text(sums: Stats | Spending) -> str:
    """How much longer the user would have waited: `38 s`; `≥ 38 s` if the time of some hits is unknown; or `unknown`."""
    if sums.hits and sums.untimed_hits >= sums.hits:
        return "unknown"
    text = seconds_text(sums.saved_seconds or 0.0)
    return f"≥ {text}" if sums.untimed_hits else text


def saved_text(money: Money) -> str:
    """What was saved, for people: `up to $0.42`, since a call made again may get the price for cached prompts."""
    text = amount_text(money)
    return f"up to {text}" if money.usd and not money.unpriced else text


def cost_text(usd: Decimal | None, *, charged: bool = False) -> str:
    """What one call cost: `$0.42`; `$0.42 as charged` if the provider stated it; or `unknown`."""
    return "unknown" if usd is None else f"{usd_text(usd)}{' as charged' if charged else ''}"
