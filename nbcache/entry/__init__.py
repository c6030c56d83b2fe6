"""What is known of an answer: records, status, usage, text."""

from typing import TYPE_CHECKING

from nbcache._names import handed_on

if TYPE_CHECKING:
    from nbcache.entry.records import (
        EXACT,
        PREVIEW_LENGTH,
        SORTABLE,
        CallRecord,
        Cleared,
        EntryMeta,
        Facets,
        Filter,
        Info,
        Record,
        SessionCall,
        Spending,
        Stats,
        Totals,
        Touch,
        Usage,
        known,
    )

__all__ = [
    "EXACT",
    "PREVIEW_LENGTH",
    "SORTABLE",
    "CallRecord",
    "Cleared",
    "EntryMeta",
    "Facets",
    "Filter",
    "Info",
    "Record",
    "SessionCall",
    "Spending",
    "Stats",
    "Totals",
    "Touch",
    "Usage",
    "known",
]
__getattr__ = handed_on(
    "nbcache.entry", dict.fromkeys(__all__, "records"), {"KEY_LENGTH": "nbcache.keys.digests:KEY_LENGTH"}
)
