"""The sums of calls, as `nbcache.stats()` gives them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import TypeVar

from nbcache import public_in
from nbcache.entry.records import Spending, Totals

_N = TypeVar("_N", Decimal, float)


@public_in("nbcache")
@dataclass(frozen=True, slots=True)
class Stats:
    """Calls, money and time, failures of the cache itself, and what the scope holds now (bytes).

    What isn't known is None. Money is in US dollars, without the calls whose price isn't known (`unpriced_hits`,
    `unpriced_misses`). If no price is known at all, it is None. What was saved is at most `saved_usd`: if the call were made
    again, the provider might charge its lower price for a cached prompt. For `estimated` calls the tokens were estimated from
    the text. For `charged` calls the provider itself has said what they cost. Of the unpriced hits, `partly_priced_hits` are
    those of functions that have saved at least what counts: other calls inside have no known price, or may not have been seen.

    `saved_seconds` are those that somebody would have waited longer: calls made at the same time count once.
    `model_seconds` are what the models would have taken in all. Both leave out `untimed_hits`, and are None if all hits
    are untimed.

    `provider_saved_usd` is what the providers' own prompt caches saved in misses, less what it cost to write them: so it may be
    below zero. It is no part of `saved_usd`, and `spent_usd` has it in it. It leaves out `provider_unpriced_misses`, of which it
    isn't known, and is None if it isn't known of any call that used such a cache (`provider_priced_misses` are those of which it is).

    `by_tier` counts the hits that each tier of the store answered in this session, by its name. It is empty if there is one tier,
    and over the lifetime. An answer that is still in memory counts for the tier that it was read from.
    """

    hits: int
    misses: int
    errors: int
    entries: int | None
    size_bytes: int | None
    evictions: int | None = 0
    spent_usd: Decimal | None = Decimal(0)
    saved_usd: Decimal | None = Decimal(0)
    saved_seconds: float | None = 0.0
    unpriced_hits: int = 0
    unpriced_misses: int = 0
    estimated_hits: int = 0
    estimated_misses: int = 0
    charged_hits: int = 0
    charged_misses: int = 0
    model_seconds: float | None = 0.0
    untimed_hits: int = 0
    partly_priced_hits: int = 0
    provider_saved_usd: Decimal | None = Decimal(0)
    provider_priced_misses: int = 0
    provider_unpriced_misses: int = 0
    by_tier: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, sums: Spending, held: Totals | None, errors: int) -> "Stats":
        """The same from the sums of the ledger and of the store. `held` is None if the store can't be read."""
        counts = {
            each.name: getattr(sums, each.name) for each in fields(cls) if each.name.endswith(("_hits", "_misses"))
        }
        return cls(
            *(sums.hits, sums.misses, errors),
            entries=None if held is None else held.entries,
            size_bytes=None if held is None else held.size_bytes,
            evictions=None if held is None else held.evictions,
            spent_usd=known(sums.spent_usd, sums.misses, sums.unpriced_misses),
            saved_usd=known(sums.saved_usd, sums.hits, sums.unknown_hits),
            saved_seconds=known(sums.saved_seconds, sums.hits, sums.untimed_hits),
            provider_saved_usd=provider_saved(sums),
            model_seconds=sums.model_seconds or known(0.0, sums.hits, sums.untimed_hits),
            **counts,
        )

    @property
    def hit_rate(self) -> float:
        """The share of hits among all calls, from 0 to 1. It is 0 if there were no calls."""
        calls = self.hits + self.misses
        return self.hits / calls if calls else 0.0

    @property
    def estimated(self) -> int:
        """Calls whose tokens were estimated from the text."""
        return self.estimated_hits + self.estimated_misses


def known(value: _N, calls: int, unknown: int) -> _N | None:
    """A sum over so many calls. None if it isn't known of any of them."""
    return None if calls and unknown >= calls else value


def provider_saved(sums: Spending) -> Decimal | None:
    """What the providers' own prompt caches saved (US dollars). None if that isn't known of any call that used one."""
    calls = sums.provider_priced_misses + sums.provider_unpriced_misses
    return known(sums.provider_saved_usd, calls, sums.provider_unpriced_misses)
