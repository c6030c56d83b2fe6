"""From one opened entry to others: the calls that were made inside of a function, and the functions around a call."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from nbcache.entry.filter import FUNCTIONS
from nbcache.entry.records import EntryMeta, InnerCall
from nbcache.errors import UnknownKeyError
from nbcache.stores.inner_entries import functions_around
from nbcache.stores.view import Contents

_LISTED = 50  # calls inside of one function


def links(contents: Contents, meta: EntryMeta, calls: Sequence[InnerCall]) -> dict[str, Any]:
    """The links of an entry, with what can be said of each call inside that has none. Raises StoreError.

    `calls` are those inside, each as often as it was made. One that is no longer stored has no `key`.
    """
    if meta.kind not in FUNCTIONS:  # what is called inside of one is inside of those around it, too
        return {"around": [_link(row) for row in functions_around(contents.store, meta.key)]}
    seen = Counter((call.key, call.model) for call in calls if call.is_seen)
    inside = [_inside(contents, *call) | {"times": times} for call, times in seen.most_common(_LISTED)]
    return {
        "inside": inside,
        "calls": seen.total(),
        "more": len(seen) - len(inside),
        "unseen": seen.total() < len(calls),
    }


def _inside(contents: Contents, key: str | None, model: str) -> dict[str, Any]:
    if key is None:
        return {"key": None, "text": f"{model}: not cached"}
    try:
        return _link(contents.find(key))
    except UnknownKeyError:
        return {"key": None, "text": f"{model}: no longer stored"}


def _link(row: EntryMeta) -> dict[str, Any]:
    return {"key": row.key, "text": row.prompt if row.kind in FUNCTIONS else f"{row.model}: {row.prompt}"}
