"""Identical calls of one cell that got the same answer, though the user may have wanted several."""

from collections import Counter

from nbcache import codec
from nbcache.costs.ledger import Ledger
from nbcache.entry.models import CallRecord
from nbcache.errors import StoreError
from nbcache.stores.base import Store
from nbcache.stores.entry_costs import asks_a_model, document

_SEVERAL = 3  # identical calls, from which on the cell is told


def most_repeated(ledger: Ledger, store: Store) -> int:
    """How often the last cell made the same call, at a temperature that isn't 0, and got the stored answer.

    Returns 0 for less than three times.
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
    """Whether the call may get another answer if it is made again. It may, too, if no temperature is given."""
    try:
        payload = store.get(key)
        identity = {} if payload is None else document(codec.read(payload, key).header().identity)
    except StoreError:
        return False
    if not identity or not asks_a_model(identity):
        return False
    parts = [identity.get(name) for name in ("options", "fields", "told")]
    temperatures = [part["temperature"] for part in parts if isinstance(part, dict) and "temperature" in part]
    return not temperatures or temperatures[0] != 0
