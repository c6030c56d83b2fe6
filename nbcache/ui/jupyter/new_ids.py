"""Finds ids that are new in each run, which make each run pay. A warning at the end of a cell says what to type."""

import time

from nbcache.cache.misses.log import LoggedMiss
from nbcache.cache.notebook_cache import NotebookCache
from nbcache.costs.events import NEW
from nbcache.errors import logger, warn_once
from nbcache.keys.ignored.langchain_parameters import also_ignored

_SESSION_TIME = 0.3  # seconds that a session spends on it
_CELL_TIME = 0.03  # seconds; after them no further call of a cell is examined
_CALLS = 3  # of a cell that are examined
_CANDIDATES = 8  # recorded calls that each of them is compared with


class NewIds:
    """Looks for calls that missed only because of an id."""

    def __init__(self) -> None:
        self._left = _SESSION_TIME

    def look(self, cache: NotebookCache) -> None:
        """After a cell: warn once of settings in its calls that seem to be new in each run. Never raises."""
        began = time.monotonic()
        if self._left <= 0 or not _has_missed(cache):
            return
        try:
            if paths := _changing_paths(cache, began + _CELL_TIME):
                from nbcache.keys.ignored.run_ids import advice  # noqa: PLC0415 - most sessions need none

                text = advice(paths, also_ignored())
                warn_once(f"ids {paths}", f"nbcache: {cache.scrubber.text(text)}")
        except Exception as error:  # noqa: BLE001 - a notice, without which nothing is lost
            logger.debug("nbcache: no ids could be looked for: %s", error)
        self._left -= time.monotonic() - began


def _has_missed(cache: NotebookCache) -> bool:
    execution = cache.ledger.execution()
    return any(call.execution == execution and not call.hit for call in cache.ledger.calls())


def _changing_paths(cache: NotebookCache, ends: float) -> list[str]:
    """The settings that alone differ from an earlier run, of one of the cell's last calls. Empty if there are none."""
    execution = cache.ledger.execution()
    misses = [missed for missed in cache.misses() if missed.record.execution == execution and not missed.replayed]
    new = [missed for missed in misses if missed.record.why == NEW and missed.call_key is not None]
    if not new:
        return []
    cache.ledger.index(within=_CELL_TIME / 3)
    for missed in new[: -_CALLS - 1 : -1]:
        if paths := _paths(cache, missed, misses[0].record.when, ends):
            return paths
        if time.monotonic() > ends:
            break
    return []


def _paths(cache: NotebookCache, missed: LoggedMiss, until: float, ends: float) -> list[str]:
    """The same for one call, against calls before `until`, the cell's first call: calls of one run may have different ids."""
    if missed.call_key is None:
        return []
    from nbcache.cache.misses import candidates  # noqa: PLC0415 - only for new calls
    from nbcache.cache.misses.nearest import new_ids  # noqa: PLC0415

    for before in candidates.stored_like(cache.recordings, missed.call_key, until, _CANDIDATES):
        if paths := new_ids(before, missed.call_key):
            return paths
        if time.monotonic() > ends:
            break
    return []
