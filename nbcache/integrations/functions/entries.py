"""The entries of a memoized function in the store: those of its own module, whatever others have its name."""

from collections.abc import Iterator

from nbcache import codec
from nbcache.cache.notebook_cache import NotebookCache
from nbcache.entry.kind import FUNCTION
from nbcache.entry.records import EntryMeta, Filter
from nbcache.errors import DamagedError, UnsupportedError
from nbcache.integrations.functions.memoized import Memoized
from nbcache.keys.functions.module_names import function_name
from nbcache.keys.request import document
from nbcache.stores.selection import SelectedRows


def count(cache: NotebookCache, memoized: Memoized) -> int:
    """How many entries the function has in the scope: 0 if the store can't list its entries. Raises StoreError."""
    try:
        return sum(1 for _ in _entries(cache, memoized))
    except UnsupportedError:
        return 0


def clear(cache: NotebookCache, memoized: Memoized) -> None:
    """Delete them. Raises StoreError."""
    rows = SelectedRows(_entries(cache, memoized, include_expired=True))
    if rows:
        cache.contents().clear_these(rows)


def _entries(cache: NotebookCache, memoized: Memoized, *, include_expired: bool = False) -> Iterator[EntryMeta]:
    function = memoized.function
    name = function_name(function)
    which = Filter(model=function.__qualname__, kind=FUNCTION, include_expired=include_expired)
    for row, payload in cache.contents().stream(which):
        try:
            identity = codec.read(payload, row.key).header().identity
        except DamagedError:  # a check finds it
            continue
        if document(identity).get("class") == [FUNCTION, name]:
            yield row
