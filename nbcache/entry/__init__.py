"""What is known of an answer: records, status, usage, text.

`records.py` has the frozen records of an entry and of a store, `stats.py` the sums of calls, and `filter.py` the filter that
chooses among entries (`globs.py`: by patterns of names). `believable.py` says which records of others are believed.
`status.py` says whether an answer may be handed out again (`finish_reasons.py`: what providers' reasons mean), and
`status_of_new_answer.py` decides it for an answer that has just come.

`usage/` says what a call used, as its provider reports it.

`edit.py` is a change of entries that exist. Beside these: `client.py` (which client made a call), `kind.py` (whether it is one,
an embedding, a function or a tool), `text.py` (prompts and answers as people read them),
`durations_and_sizes.py` (durations and sizes), `exact_sums.py` (how dollars are added), `langchain_clients.py` and
`langchain_headers.py` (which classes are clients of providers, and the headers that they hand on).
"""

from typing import TYPE_CHECKING

from nbcache import handed_on

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
        Totals,
        Touch,
        Usage,
    )
    from nbcache.entry.stats import Stats, known

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
    "nbcache.entry",
    dict.fromkeys(__all__, "records") | dict.fromkeys(("Stats", "known"), "stats"),
    {"KEY_LENGTH": "nbcache.keys.digests:KEY_LENGTH"},
)
