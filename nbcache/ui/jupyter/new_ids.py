"""An id that is new in each run makes each run pay: said once at the end of a cell, with what to type."""

import time

from nbcache.cache.explain import Missed, new_ids
from nbcache.cache.notebook_cache import NotebookCache
from nbcache.costs.accounts import NEW
from nbcache.errors import logger, warn_once
from nbcache.keys.ignored.parameters import also_ignored
from nbcache.keys.ignored.run_ids import advice

_IN_ALL = 0.3  # seconds that a session spends on it
_AT_ONCE = 0.03  # seconds after which a cell's next call isn't looked at
_CALLS = 3  # of a cell
_CANDIDATES = 8  # recorded calls that each is compared with


class NewIds:
    """Looks for calls that would be hits, but for an id."""

    def __init__(self) -> None:
        self._left = _IN_ALL

    def look(self, cache: NotebookCache) -> None:
        """After a cell: say once which of its calls' settings are new in each run, as it seems. Never raises."""
        began = time.monotonic()
        if self._left <= 0 or not _has_missed(cache):
            return
        try:
            if paths := _found(cache, began + _AT_ONCE):
                text = advice(paths, also_ignored())
                warn_once(f"ids {paths}", f"nbcache: {cache.scrubber.text(text)}")
        except Exception as error:  # noqa: BLE001 - a notice, without which nothing is lost
            logger.debug("nbcache: no ids could be looked for: %s", error)
        self._left -= time.monotonic() - began


def _has_missed(cache: NotebookCache) -> bool:
    execution = cache.ledger.execution()
    return any(call.execution == execution and not call.hit for call in cache.ledger.calls())


def _found(cache: NotebookCache, ends: float) -> list[str]:
    """The settings that differ from an earlier run's in one of the cell's last calls; none where nothing else is the same."""
    execution = cache.ledger.execution()
    misses = [missed for missed in cache.misses() if missed.record.execution == execution and not missed.replayed]
    new = [missed for missed in misses if missed.record.why == NEW and missed.asked is not None]
    if not new:
        return []
    cache.ledger.index(within=_AT_ONCE / 3)
    for missed in new[: -_CALLS - 1 : -1]:
        if paths := _paths(cache, missed, misses[0].record.when, ends):
            return paths
        if time.monotonic() > ends:
            break
    return []


def _paths(cache: NotebookCache, missed: Missed, until: float, ends: float) -> list[str]:
    """The same for one call. `until` is when the cell began to call: calls of one run may have ids of their own."""
    if missed.asked is None:
        return []
    for before in cache.recordings.stored_like(missed.asked, until, _CANDIDATES):
        if paths := new_ids(before, missed.asked):
            return paths
        if time.monotonic() > ends:
            break
    return []
