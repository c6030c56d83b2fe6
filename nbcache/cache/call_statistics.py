"""The sums of a session, or of all sessions, with what the scope holds."""

from dataclasses import replace
from typing import TYPE_CHECKING

from nbcache.costs.ledger_sums import total
from nbcache.entry.stats import Stats
from nbcache.errors import StoreError, warn_once

if TYPE_CHECKING:
    from nbcache.cache.notebook_cache import NotebookCache
    from nbcache.entry.records import Totals


def stats_of(cache: "NotebookCache", scope: str | None, *, lifetime: bool, errors: int) -> Stats:
    """As `NotebookCache.stats`. Of a session the sums are known even if the store can't be read."""
    held: Totals | None = None
    rows = cache.ledger.rows()
    try:
        contents = cache.contents(scope)
        rows = contents.spendings() if lifetime else rows
        held = contents.totals() if contents.is_listable else None
    except StoreError as error:
        if lifetime:
            raise
        warn_once(f"{type(error).__name__} {cache.store.url}", f"nbcache could not count the entries: {error}")
    return replace(Stats.of(total(rows), held, errors), by_tier={} if lifetime else cache.ledger.by_tier())
