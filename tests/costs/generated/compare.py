"""Calls made by the real clients with the cache on, and what nbcache says that each of them cost."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self
from unittest import mock

import nbcache
from nbcache.cache import save
from nbcache.costs.price_lookup import Price, Prices
from nbcache.entry.records import Usage
from nbcache.entry.usage.usage_of_call import usage_of
from tests.costs.generated.bill import WHEN
from tests.costs.generated.case import Case
from tests.costs.generated.clients import client
from tests.costs.generated.wire import Wire

RIGHT, UNKNOWN, WRONG, MISSING = "right", "unknown", "wrong", "should be known"


@dataclass(frozen=True)
class Compared:
    """What nbcache says of a case, and whether that is right."""

    case: Case
    usage: Usage
    price: Price
    by_hand: Decimal | None

    @property
    def verdict(self) -> str:
        """One of `right`, `unknown` (rightly so), `wrong`, and `should be known`."""
        if self.price.usd is None:
            return UNKNOWN if self.by_hand is None or self.case.unclear else MISSING
        return RIGHT if self.price.usd == self.by_hand else WRONG

    def __str__(self) -> str:
        case = self.case
        way = f"{case.client}{', streamed' if case.stream else ''}"
        return (
            f"{way}, {case.model}: {self.price.usd} ({self.price.why}), by hand {self.by_hand}"
            f"\n  {case.bill}\n  {self.usage}\n  {dict(case.options)} {case.unclear}"
        )


class Comparer:
    """Makes the calls. To be used as a context manager."""

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._wire = stack.enter_context(Wire())
            nbcache.install("memory://", notebook="costs.ipynb", mode="refresh")
            stack.callback(nbcache.uninstall)
            self._used: list[Usage] = []
            stack.enter_context(mock.patch.object(save, "usage_of", self._usage_of))
            self._prices = Prices()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        client.cache_clear()

    def compare(self, cases: Iterator[Case]) -> Iterator[Compared]:
        """Each case with what nbcache says of it."""
        for case in cases:
            self._used.clear()
            self._wire.reply = case.reply
            client(case.client, case.model)(case.prompt, case.stream, case.options)
            (usage,) = self._used
            yield Compared(case, usage, self._prices.price(usage, WHEN), case.bill.usd())

    def _usage_of(self, *args: Any) -> Usage:
        usage = usage_of(*args)
        self._used.append(usage)
        return usage
