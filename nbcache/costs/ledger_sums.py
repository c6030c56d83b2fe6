"""Sums over rows of the ledger."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from nbcache.entry.kind import KINDS
from nbcache.entry.records import Spending

_K = TypeVar("_K")


def add_to(sums: dict[_K, Spending], of: _K, row: Spending) -> None:
    """Add `row` to the sum that is kept of its kind."""
    if of in sums:
        sums[of].add(row)
    else:
        sums[of] = replace(row)


def by_model(rows: Iterable[Spending]) -> dict[str, Spending]:
    """The sum of each model's rows, in the order of their names."""
    models: dict[str, Spending] = {}
    for row in rows:
        add_to(models, row.model, row)
    return {model: models[model] for model in sorted(models)}


def by_kind(rows: Iterable[Spending]) -> dict[str, Spending]:
    """The sum of the rows of each kind of call, in the order of `KINDS`."""
    kinds: dict[str, Spending] = {}
    for row in rows:
        add_to(kinds, row.kind, row)
    return {kind: kinds[kind] for kind in sorted(kinds, key=lambda kind: (*KINDS, kind).index(kind))}


def total(rows: Iterable[Spending]) -> Spending:
    """The sum of `rows`, of no model in particular."""
    whole = Spending("", 0, 0.0, None, None, "")
    for row in rows:
        whole.add(row)
    return whole
