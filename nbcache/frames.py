"""Rows as a DataFrame: the one place that imports pandas."""

from collections.abc import Sequence

import pandas as pd

from nbcache.entry import EntryMeta

COLUMNS = [
    *("key", "model", "prompt", "answer", "status", "tags", "notebook", "cell"),
    *("created", "last_hit", "hits", "size_bytes", "expires"),
]


def entries_frame(rows: Sequence[EntryMeta]) -> pd.DataFrame:
    """A row for each entry; times are UTC, several notebooks or tags are joined by ", "."""
    frame = pd.DataFrame(
        [
            (
                *(row.key, row.model, row.prompt, row.answer, row.status, ", ".join(row.tags)),
                *(", ".join(row.notebooks), row.cell, row.created, row.last_hit, row.hits, row.size_bytes, row.expires),
            )
            for row in rows
        ],
        columns=COLUMNS,
    )
    for name in ("created", "last_hit", "expires"):
        frame[name] = pd.to_datetime(frame[name].astype("float64"), unit="s", utc=True, errors="coerce")
    return frame
