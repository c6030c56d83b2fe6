"""What the page asks to do with entries: evict and clear them, tag them, and let them expire.

Each action returns a text that says what was done. It raises ValueError or NbcacheError, with a message for people; then
nothing was done.
"""

from collections.abc import Callable, Mapping
from typing import Any

from nbcache.entry.durations_and_sizes import bytes_text
from nbcache.entry.edit import Edit
from nbcache.entry.records import Filter
from nbcache.keys.canonical import digest
from nbcache.session.entry_changes import checked_tags, expiry
from nbcache.stores.selection import Selection
from nbcache.stores.view import Contents
from nbcache.ui import report
from nbcache.ui.panel import page_requests


def place(contents: Contents) -> str:
    """A digest of the store and the scope: what was confirmed for one scope is never done to another."""
    return digest(f"{contents.store.url} {contents.notebook}".encode())


def would_clear(contents: Contents) -> str:
    """What `clear` would do."""
    return report.would_clear(contents.would_clear(contents.select(Filter())))


def _evict(contents: Contents, message: dict[str, Any]) -> str:
    meta = contents.evict(str(message.get("key")))
    return f"evicted 1 entry, {bytes_text(meta.size_bytes)} freed{report.to_pay_again([meta])}"


def _evict_shown(contents: Contents, message: dict[str, Any]) -> str:
    return report.cleared(contents.clear_these(_shown(contents, message)), contents.store, dry_run=False)


def _clear(contents: Contents, message: dict[str, Any]) -> str:
    _check_place(contents, message)
    return report.cleared(contents.clear(), contents.store, dry_run=False)


def _tag(contents: Contents, message: dict[str, Any]) -> str:
    return _change(contents, message, Edit(add=checked_tags((page_requests.text(message, "text").strip(),))))


def _untag(contents: Contents, message: dict[str, Any]) -> str:
    return _change(contents, message, Edit(remove=checked_tags((page_requests.text(message, "text"),))))


def _expire(contents: Contents, message: dict[str, Any]) -> str:
    return _change(contents, message, expiry(page_requests.text(message, "text").strip()))


ACTIONS: Mapping[str, Callable[[Contents, dict[str, Any]], str]] = {
    "evict": _evict,
    "evict shown": _evict_shown,
    "clear": _clear,
    "tag": _tag,
    "untag": _untag,
    "expire": _expire,
}


def _change(contents: Contents, message: dict[str, Any], change: Edit) -> str:
    """Change the entry with the key of the message, or else those that are shown."""
    key = page_requests.text(message, "key")
    done = contents.edit(change, key=key) if key else contents.edit_these(_shown(contents, message), change)
    return report.changed(done, change, contents.store, dry_run=False)


def _shown(contents: Contents, message: dict[str, Any]) -> Selection:
    """The entries that the user saw when they confirmed. Raises ValueError if there are others by now."""
    _check_place(contents, message)
    rows, total = contents.select(page_requests.entry_filter(message)), page_requests.number(message, "total")
    if len(rows) != total:
        raise ValueError(f"nothing was done: there are {len(rows):,} such entries by now, not {total:,}. Look again")
    return rows


def _check_place(contents: Contents, message: dict[str, Any]) -> None:
    """Raise ValueError if the store or the scope has changed since the user confirmed."""
    if message.get("place") != place(contents):
        raise ValueError("nothing was done: the cache has another store or scope by now. Look at its entries first")
