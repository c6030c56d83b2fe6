"""Where pages begin: the entry before each page that follows one that was read, while nothing is written.

With it a page is read from the index right there. To count all entries before it takes longer the farther in it is.
"""

from collections import OrderedDict
from typing import TYPE_CHECKING

from nbcache.concurrency.locks import Lock

if TYPE_CHECKING:
    from nbcache.entry.records import EntryMeta, Filter
    from nbcache.stores.sqlite.pages import Part

_REMEMBERED = 256  # pages


class PageStarts:
    """The keys of the entries before pages. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._token: object = None
        self._keys: OrderedDict[tuple[Filter, str, bool, int], str] = OrderedDict()

    def found(self, token: object, which: "Filter", part: "Part") -> "Part":
        """The same part with the entry before it, if that is known while the store has this change token."""
        with self._lock:
            if token is None or token != self._token:
                return part
            return part._replace(after=self._keys.get((which, part.sort, part.descending, part.offset)))

    def keep(self, token: object, which: "Filter", part: "Part", rows: "list[EntryMeta]") -> None:
        """Remember where the page after these rows begins. The store had this change token before they were read."""
        if token is None or not rows:
            return
        with self._lock:
            if token != self._token:
                self._token = token
                self._keys.clear()
            self._keys[which, part.sort, part.descending, part.offset + len(rows)] = rows[-1].key
            while len(self._keys) > _REMEMBERED:
                self._keys.popitem(last=False)
