"""What the calls of entries would cost today: at today's prices, and where these don't know it, what they cost when recorded."""

import contextlib
import time
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from nbcache.costs.price_lookup import Price, Prices
from nbcache.entry.records import EXACT, Filter, InnerCall, Usage
from nbcache.stores.base import Listable, Store
from nbcache.stores.entry_costs import EntryCost

_REMEMBERED = 10_000  # prices of then that are kept in memory
_WRITTEN_DOWN = 10.0  # seconds after which the price of an answer is surely written down
_ABSURD = 10_000  # US dollars. No call costs that, whatever tokens a server reports
CHARGED, AS_RECORDED, INSIDE = "charged", "as recorded", "calls inside"


class Cost(NamedTuple):
    """US dollars, None if unknown, and where the number is from. `is_part` says that there may be more than that."""

    usd: Decimal | None
    source: str | None
    is_estimated: bool = False
    is_part: bool = False


class CostsToday:
    """Prices calls, each usage once in a batch of notes."""

    def __init__(self, store: Store, prices: Prices) -> None:
        self._listed = store if isinstance(store, Listable) else None
        self._prices = prices
        self._today: dict[Usage, Price] = {}
        self._then: dict[tuple[str, float | None], Decimal | None] = {}  # by key, and when it was recorded

    def begin(self) -> None:
        """Look prices up anew: some depend on the time of day."""
        self._today.clear()

    def of_usage(self, usage: Usage) -> Cost:
        """What a call with this usage costs now."""
        price = self._today.get(usage)
        if price is None:
            price = self._prices.price(usage)
            absurd = price.usd is not None and price.usd > _ABSURD
            price = self._today[usage] = Price(None, "no usage") if absurd else price
        if price.usd is None:
            return Cost(None, None)
        return Cost(price.usd, price.why, usage.estimated and bool(price.usd) and price.why != CHARGED)

    def saved_by_provider(self, usage: Usage) -> Decimal | None:
        """What the provider's own prompt cache saves now in a call with this usage. None if that isn't known."""
        saved = self._prices.saved_by_provider(usage)
        return None if saved is None or abs(saved) > _ABSURD else saved

    def of_entry(self, key: str, entry: EntryCost) -> Cost:
        """What the call of the entry `key` would cost now."""
        if entry.calls is None:
            return self._of_call(key, entry.usage, entry.recorded)
        cost = self.of_calls(entry.calls, entry.recorded)
        if cost.usd is not None and not cost.is_part:
            return cost
        then = self._usd_then(key, entry.recorded)  # it is written down only if it is the whole cost
        return cost if then is None else Cost(then, AS_RECORDED)

    def of_calls(self, calls: Sequence[InnerCall], recorded: float | None = None) -> Cost:
        """What the calls inside of a function would cost now. None of them costs nothing.

        Those without a known price are left out. If none has one, the cost is unknown.
        """
        costs = [self._of_call(call.key, call.usage, recorded) for call in calls if call.is_seen]
        known = [cost for cost in costs if cost.usd is not None]
        if costs and not known:
            return Cost(None, None)
        return Cost(
            _sum(cost.usd for cost in known),
            ", ".join(sorted({cost.source or "" for cost in known})) or INSIDE,
            any(cost.is_estimated for cost in known),
            len(known) < len(calls),
        )

    def _of_call(self, key: str | None, usage: Usage | None, recorded: float | None) -> Cost:
        cost = Cost(None, None) if usage is None else self.of_usage(usage)
        if cost.usd is None and key is not None and (then := self._usd_then(key, recorded)) is not None:
            return Cost(then, AS_RECORDED, usage is not None and usage.estimated and bool(then))
        return cost

    def _usd_then(self, key: str, recorded: float | None) -> Decimal | None:
        """What the answer cost when it was recorded: used if today's price is unknown. The store is asked once for each answer.

        Whoever paid for it writes its price down a second later, so that a missing one is asked for again until then.
        """
        if (of := (key, recorded)) in self._then:
            return self._then[of]
        with contextlib.suppress(Exception):
            row = next(iter(() if self._listed is None else self._listed.page(Filter(key=key), limit=1)), None)
            usd = None if row is None else row.cost_usd
            if usd is not None or (recorded is not None and time.time() > recorded + _WRITTEN_DOWN):
                if len(self._then) >= _REMEMBERED:
                    self._then.clear()
                self._then[of] = usd
            return usd
        return None


def _sum(dollars: Iterable[Decimal | None]) -> Decimal:
    whole = Decimal(0)
    for usd in dollars:
        whole = EXACT.add(whole, usd or 0)
    return whole
