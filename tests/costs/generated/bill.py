"""What a provider charges for a call: each token once, at its own rate. Nothing of nbcache has a part in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from genai_prices.data import providers
from genai_prices.types import ModelInfo, StartDateConstraint, TieredPrices

WHEN = datetime(2026, 11, 1, 12, tzinfo=UTC)
# The rate at which a kind of token is charged that has none of its own: of sound Google lists one only where it is dearer.
_ELSE = {"cache_read_mtok": "input_mtok", "cache_write_mtok": "input_mtok"}
_ELSE_AT_GOOGLES = {**_ELSE, "input_audio_mtok": "input_mtok"}


@dataclass(frozen=True)
class Bill:
    """The tokens of each kind, by the name of its rate in the price list; no token is in two of them.

    `model` is the list's own name for it, None where nobody can know the model. `variant` is the service tier or speed.
    `charged` is what the answer itself says it cost, in US dollars, `free` a model that nobody charges for.
    """

    provider: str
    model: str | None
    tokens: Mapping[str, int]
    variant: Mapping[str, str] = field(default_factory=dict)
    searches: int = 0
    charged: Decimal | None = None
    free: bool = False

    def usd(self) -> Decimal | None:
        """The sum, None where the list has no rate for a part of it."""
        if self.charged is not None:
            return self.charged
        if self.free:
            return Decimal(0)
        rates = self._rates()
        if rates is None:
            return None
        whole = sum(count for kind, count in self.tokens.items() if not kind.startswith("output"))
        total = Decimal(0)
        for kind, count in {**self.tokens, "web_searches_kcount": self.searches}.items():
            if not count:
                continue
            rate = _rate(rates, kind, _ELSE_AT_GOOGLES if self.provider == "google" else _ELSE)
            if rate is None:
                return None
            if isinstance(rate, TieredPrices):
                rate = next((tier.price for tier in reversed(rate.tiers) if whole > tier.start), rate.base)
            total += rate * count / (1000 if kind.endswith("kcount") else 1_000_000)
        return total

    def _rates(self) -> dict[str, Any] | None:
        if self.model is None:
            return None
        model = _listed(self.provider, self.model)
        rates = dict(_standard(model))
        if self.variant:
            variants = [each for each in model.price_variants or () if each.when == self.variant]
            if not variants:
                return None
            rates |= {name: rate for name, rate in vars(variants[0].prices).items() if rate is not None}
        return rates


@cache
def _listed(provider: str, model: str) -> ModelInfo:
    (owner,) = (each for each in providers if each.id == provider)
    (info,) = (each for each in owner.models if each.id == model)
    return info


def _standard(model: ModelInfo) -> dict[str, Any]:
    if not isinstance(model.prices, list):
        return vars(model.prices)
    return vars([each.prices for each in model.prices if _holds(each.constraint)][-1])


def _holds(constraint: Any) -> bool:
    if constraint is None:
        return True
    if isinstance(constraint, StartDateConstraint):
        return constraint.start_date <= WHEN.date()
    return bool(constraint.start_time <= WHEN.timetz() < constraint.end_time)  # none in use here goes over midnight


def _rate(rates: Mapping[str, Any], kind: str, otherwise: Mapping[str, str]) -> Any:
    while rates.get(kind) is None:
        if kind not in otherwise:
            return None
        kind = otherwise[kind]
    return rates[kind]
