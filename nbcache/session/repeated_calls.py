"""Identical calls of one cell that got one answer, where several may have been wanted."""

from collections import Counter

from nbcache import codec
from nbcache.costs.ledger import Ledger
from nbcache.entry.models import CallRecord
from nbcache.errors import StoreError
from nbcache.stores.base import Store
from nbcache.stores.entry_costs import asks_a_model, document

_SEVERAL = 3


def most_repeated(ledger: Ledger, store: Store) -> int:
    """How often the cell that ran last made the same call, at a temperature that isn't 0, and got what was there.

    0 where that was less than three times.
    """
    calls = [call for call in ledger.calls() if call.execution == ledger.execution()]
    times = Counter(call.key for call in calls if call.key is not None)
    for key, count in times.most_common():
        if count < _SEVERAL:
            break
        if key is not None and _had_a_hit(calls, key) and _may_vary(store, key):
            return count
    return 0


def _had_a_hit(calls: list[CallRecord], key: str) -> bool:
    return any(call.hit and call.key == key for call in calls)


def _may_vary(store: Store, key: str) -> bool:
    """Whether the call, made again, may get another answer: at no temperature given, providers vary too."""
    try:
        payload = store.get(key)
        told = {} if payload is None else document(codec.read(payload, key).header().identity)
    except StoreError:
        return False
    if not told or not asks_a_model(told):
        return False
    parts = [told.get(name) for name in ("options", "fields", "told")]
    given = [part["temperature"] for part in parts if isinstance(part, dict) and "temperature" in part]
    return not given or given[0] != 0
