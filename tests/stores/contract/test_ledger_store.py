"""Stores that keep the ledger."""

from decimal import Decimal

from nbcache.entry.records import Spending
from nbcache.stores.base import LedgerStore, Listable
from tests.stores.contract.entries import NOW, put
from tests.support.rows import FullStore

NEEDS = (LedgerStore, Listable)


def spent(session: str, execution: int, model: str, notebook: str | None = "a.ipynb", **sums: object) -> Spending:
    return Spending(session, execution, NOW + execution, notebook, f"In [{execution}]", model, **sums)  # type: ignore[arg-type]


def test_ledger_sums_the_parts_of_each_execution_exactly(store: FullStore) -> None:
    store.record([spent("s", 1, "m", misses=1, spent_usd=Decimal("0.1"), unpriced_hits=1, estimated_misses=1)])
    store.record([spent("s", 1, "m", hits=2, spent_usd=Decimal("0.2"), saved_usd=Decimal("0.3"), saved_seconds=1.5)])
    store.record([spent("s", 1, "n", misses=1), spent("s", 2, "m", misses=3), spent("t", 1, "m", "b.ipynb", misses=5)])
    whole = spent(
        *("s", 1, "m"),
        hits=2,
        misses=1,
        spent_usd=Decimal("0.3"),
        saved_usd=Decimal("0.3"),
        saved_seconds=1.5,
        unpriced_hits=1,
        estimated_misses=1,
    )
    mine = [whole, spent("s", 1, "n", misses=1), spent("s", 2, "m", misses=3)]
    assert store.spendings("a.ipynb") == mine
    assert sorted(store.spendings(), key=lambda row: row.misses) == sorted(
        [*mine, spent("t", 1, "m", "b.ipynb", misses=5)], key=lambda row: row.misses
    )
    assert store.spendings("c.ipynb") == []


def test_ledger_outlives_clears(store: FullStore) -> None:
    key = put(store, 1)
    store.record([spent("s", 1, "m", misses=1)])
    store.clear([key])
    assert store.totals().entries == 0
    assert store.spendings() == [spent("s", 1, "m", misses=1)]
