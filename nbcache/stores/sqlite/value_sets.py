"""Which entries have certain values, for a search within a filter: kept in memory while nothing is written."""

from collections import OrderedDict
from collections.abc import Callable

from nbcache.concurrency.locks import Lock

_REMEMBERED = 4  # sets of entries: one of a million has 160 kB


class ValueSets:
    """The entries with the values of the last few filters, by block. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sets: OrderedDict[object, dict[int, int]] = OrderedDict()

    def of(self, key: tuple[object, object], read: Callable[[], dict[int, int]]) -> dict[int, int]:
        """What `read` returns, or has returned for this key: a change token, and what is asked of the values."""
        with self._lock:
            known = self._sets.get(key)
        if known is None:
            known = read()
            with self._lock:
                if key[0] is not None:
                    self._sets[key] = known
                while len(self._sets) > _REMEMBERED:
                    self._sets.popitem(last=False)
        return known
