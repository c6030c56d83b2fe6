"""Identical calls of one cell that got the same answer, though the user may have wanted several."""

from collections import Counter
from typing import TYPE_CHECKING

from nbcache import codec
from nbcache.costs.ledger import Ledger
from nbcache.errors import StoreError, warn_once
from nbcache.keys.request import document
from nbcache.session.installation import installed
from nbcache.stores.base import Store
from nbcache.stores.entry_costs import asks_a_model

if TYPE_CHECKING:
    from nbcache.entry.records import CallRecord

_SEVERAL = 3  # identical calls, from which on the user is warned


def tell_repeats() -> None:
    """Warn once if a cell's identical calls got one answer: the user may have wanted samples."""
    cache = installed()
    if times := _most_repeated(cache.ledger, cache.store):
        warn_once(
            "samples",
            f"nbcache: {times} identical calls of this cell got one answer. `%%llmcache on --samples` gives each an "
            "answer of its own, and the same ones when the cell is run again",
        )


def _most_repeated(ledger: Ledger, store: Store) -> int:
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


def _had_a_hit(calls: "list[CallRecord]", key: str) -> bool:
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
