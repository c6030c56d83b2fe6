"""Sums over rows of the ledger."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from nbcache.entry.records import Spending

_K = TypeVar("_K")


def add_to(sums: dict[_K, Spending], of: _K, row: Spending) -> None:
    """Add `row` to the sum that is kept of its kind."""
    if of in sums:
        sums[of].add(row)
    else:
        sums[of] = replace(row)


def total(rows: Iterable[Spending]) -> Spending:
    """The sum of `rows`, of no model in particular."""
    whole = Spending("", 0, 0.0, None, None, "")
    for row in rows:
        whole.add(row)
    return whole
