"""Which answers are too cheap to be kept, by the settings `min_seconds` and `min_usd`."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial

from langchain_core.outputs import Generation

from nbcache.cache.misses.log import PendingAnswer
from nbcache.cache.state import CacheState
from nbcache.cache.user_rules import Rules
from nbcache.costs.costs_today import CostsToday
from nbcache.costs.price_lookup import Prices
from nbcache.entry.records import InnerCall, Usage
from nbcache.entry.text import prompt_text
from nbcache.entry.usage.estimates import token_estimate
from nbcache.entry.usage.usage_of_call import estimated
from nbcache.keys.key import CallKey
from nbcache.keys.request import document
from nbcache.stores.entry_costs import asks_a_model, is_value


def is_cheap(
    state: CacheState, key: CallKey, pending: PendingAnswer, answer: Sequence[Generation], usage: Usage
) -> bool:
    """Whether an answer reaches none of the minimums that are set. Values of `NotebookCache.put` are never cheap.

    The vectors of one request count together, by the time and the price of the whole request. A function counts by the calls
    inside.
    """
    rules, prices = state.rules, state.ledger.prices
    if (rules.min_seconds is None and rules.min_usd is None) or is_value(key.identity):
        return False
    call = pending.call
    if pending.calls is not None:
        return _is_below(rules, pending.elapsed, partial(_usd_inside, state, pending.calls))
    if call is None or call.misses < 2 or asks_a_model(document(key.identity)):
        return _is_below(rules, pending.elapsed, partial(_usd, prices, usage, pending.prompt, answer))
    if call.is_cheap is None:  # this is the first of the request's vectors
        whole = _usage_of_texts(usage, [pending.prompt, *call.pending])
        call.is_cheap = _is_below(rules, pending.elapsed, partial(_usd, prices, whole, "", answer))
    return call.is_cheap


def _is_below(rules: Rules, seconds: float | None, usd: Callable[[], Decimal | None]) -> bool:
    """Whether a call is below each minimum that is set. What isn't known of it is not below. The price is worked out last."""
    if rules.min_seconds is not None and (seconds is None or seconds >= rules.min_seconds):
        return False
    return rules.min_usd is None or ((price := usd()) is not None and price < rules.min_usd)


def _usd(prices: Prices, usage: Usage, prompt: str, answer: Sequence[Generation]) -> Decimal | None:
    if not usage.complete:
        usage = estimated(usage, prompt_text(prompt), "\n".join(each.text for each in answer))
    return prices.price(usage).usd


def _usd_inside(state: CacheState, calls: Sequence[InnerCall]) -> Decimal | None:
    """What the calls inside of a function would cost. None if that isn't known of all of them."""
    cost = CostsToday(state.store, state.ledger.prices).of_calls(calls)
    return None if cost.is_part else cost.usd


def _usage_of_texts(usage: Usage, texts: Sequence[str]) -> Usage:
    """What a request to embed `texts` used, by `usage` of one of them."""
    return replace(usage, input_tokens=sum(map(token_estimate, texts)), estimated=True)
