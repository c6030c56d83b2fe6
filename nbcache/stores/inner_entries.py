"""Which entries belong together: that of a function, and those of the calls that were made inside while it ran.

A function's entry has the keys of those calls. The search index has them, too, as words that nobody can type: so the functions
around a call are found as quickly as the entries with a word, and nothing has to be kept true when entries are deleted.
"""

from collections.abc import Sequence
from contextlib import suppress

from nbcache import codec
from nbcache.codec.entry_description import row_in
from nbcache.entry.records import EntryMeta
from nbcache.errors import DamagedError
from nbcache.stores.base import Searchable, Store
from nbcache.stores.index_words import index_new_entries, word_of_key

MOST_FUNCTIONS = 100  # around one call that are listed
_INDEXED_WITHIN = 1.0  # seconds


def functions_around(store: Store, key: str) -> tuple[EntryMeta, ...]:
    """The rows of functions inside of which the call `key` was made, as they were stored: at most `MOST_FUNCTIONS`.

    A store that can't search its entries knows none. Raises StoreError.
    """
    if not isinstance(store, Searchable):
        return ()
    index_new_entries(store, _INDEXED_WITHIN)
    rows = (_row_with(store.get(each), each, key) for each in store.similar([word_of_key(key)], MOST_FUNCTIONS))
    return tuple(row for row in rows if row is not None)


def _row_with(payload: bytes | None, key: str, inner: str) -> EntryMeta | None:
    """The row of the entry `key` if the call `inner` was made inside."""
    if payload is None:  # it has expired, or was just deleted
        return None
    with suppress(DamagedError):
        whole = codec.read(payload, key)
        if any(call.key == inner for call in whole.header().calls or ()):
            return row_in(whole)
    return None


def gone(store: Store, keys: Sequence[str]) -> tuple[str, ...]:
    """Those of `keys` that the store has no more, each once."""
    return tuple(key for key in dict.fromkeys(keys) if store.get(key) is None)
