"""What a provider or gateway says that it charged for a call, in US dollars.

OpenRouter reports `usage.cost` (its credits are dollars), x.ai `usage.cost_in_usd_ticks`, Perplexity
`usage.cost.total_cost`, LiteLLM `response_cost` or the header `x-litellm-response-cost`.
"""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from nbcache.entry.records import EXACT
from nbcache.entry.usage.reported_metadata import mapping

LITELLM_HEADER = "x-litellm-response-cost"
_LITELLMS = frozenset({"response_cost", "_hidden_params", "headers"})  # where LiteLLM says it
_WRITTEN = re.compile(r"\d{1,6}(\.\d{1,30})?([eE]-\d{1,2})?")
_MOST, _LEAST = 10**6, Decimal(1).scaleb(-18)  # US dollars for one call, and the digits of them that are kept
_TICKS = 10**10  # of x.ai's for a dollar


def charge_of(parts: Iterable[dict[str, Any]]) -> str | None:
    """What was charged for a call, by the metadata of its generations, which all repeat it. None if they don't say."""
    charge = _charge_of(parts)
    return None if charge is None else f"{charge.quantize(_LEAST, context=EXACT).normalize(EXACT):f}"


def _charge_of(parts: Iterable[dict[str, Any]]) -> Decimal | None:
    for part in parts:
        for usage in (part.get("token_usage"), part.get("usage"), part):
            if not usage or not isinstance(usage, dict) or ("cost" not in usage and "cost_in_usd_ticks" not in usage):
                continue
            if (charge := _from_usage(usage)) is not None:
                return charge
        if _LITELLMS.isdisjoint(part):
            continue
        if (charge := _from_litellm(part)) is not None:
            return charge
    return None


def _from_litellm(part: dict[str, Any]) -> Decimal | None:
    """LiteLLM works it out itself, and says 0 of a model that it doesn't know."""
    for place in (part, part.get("_hidden_params")):
        if isinstance(place, dict) and (charge := _dollars(place.get("response_cost"))):
            return charge
    if "headers" not in part:
        return None
    for name, text in mapping(part["headers"]).items():
        if _is_litellms(name) and isinstance(text, str) and _WRITTEN.fullmatch(text.strip()):
            return Decimal(text.strip()) or None
    return None


def _is_litellms(name: Any) -> bool:
    return isinstance(name, str) and name.lower() == LITELLM_HEADER


def _from_usage(usage: dict[str, Any]) -> Decimal | None:
    if "cost_in_usd_ticks" in usage and (ticks := _number(usage["cost_in_usd_ticks"])) is not None:
        return EXACT.divide(ticks, _TICKS)
    if (cost := usage.get("cost")) is None:
        return None
    charge = _dollars(mapping(cost).get("total_cost", cost))
    if charge is None:
        return None
    # Of a call on the user's own key OpenRouter charges a fee, and the provider behind it the rest.
    upstream = _dollars(mapping(usage.get("cost_details")).get("upstream_inference_cost"))
    is_own_key = usage.get("is_byok")
    if is_own_key or (is_own_key is None and upstream is not None and charge < upstream):
        return None if upstream is None else EXACT.add(charge, upstream)
    return charge


def _dollars(value: Any) -> Decimal | None:
    number = _number(value)
    return number if number is not None and number < _MOST else None


def _number(value: Any) -> Decimal | None:
    """`value` if it is a number: not a text, not a bool, not negative, and not infinite. Else None."""
    if type(value) is int or type(value) is float:
        number = Decimal(str(value))
        return number if number.is_finite() and number >= 0 else None
    return None
