"""What is known of an answer: records, status, usage, text.

`records.py` has the frozen records of an entry and of a store. `status.py` says whether an answer may be handed out again, and
`new_status.py` decides it for an answer that has just come.

What it took: `usage.py` puts it together from the tokens (`token_counts.py`), the charge (`charges.py`) and the metadata
(`reported_metadata.py`) that a provider reports. `estimates.py` estimates tokens that are not reported. `priced_request.py`,
`extra_services.py` and `vendors.py` say what else a price depends on, and `time_saved.py` how much waiting was saved.

Beside these: `text.py` (prompts and answers as people read them), `durations_and_sizes.py` (durations and sizes), `events.py` (what a
session notes of its calls), `ledger_sums.py` (sums of the ledger), `langchain_clients.py` and `langchain_headers.py` (which
classes are clients of providers, and the headers that they hand on).
"""

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
