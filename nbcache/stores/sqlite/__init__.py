"""The store in a folder: one SQLite file.

For one operation: `store.py` is the store, `database.py` its file, and `connection_pool.py` the pool that runs the statement and
retries it while the file is busy (`connection.py` is one of them). Before that, `folder.py` makes the folder, `file_kinds.py`
says whose the file is, and `network_drives.py` and `opening_modes.py` how it can be opened. `network_locks.py` locks it where
several machines have it.

The tables: `schema.py` makes them and `foreign_tables.py` checks those that are there. `diskcache_file.py` holds the
payloads, of which `large_payloads.py` reads the large ones. `rows.py`, `session_calls.py`, `lifetime_ledger.py` and `totals.py`
each have the statements on one subject (`stored_ledger.py` keeps the ledger in memory where nothing can be written), and
`new_rows.py` the one statement of an update, with the row that it leaves to be moved. `entry_stream.py` reads many entries with their payloads, and `sql.py` converts the values in columns. `upgrade.py` and
`rekeying.py` give entries of earlier versions their present keys.

Reading many entries: `pages.py`, `counts.py` and `columns.py` read pages, totals with facets, and all rows; `filters.py` has
the SQL of a filter, `page_starts.py` remembers where pages begin, and `value_sets.py` which entries have the values of a
filter. `selection.py` has the rows of those that were selected, which are read when they are needed. They read the indexes
of `listing_index.py`, and the words of `search_index.py` (`earlier_search_index.py` is that of earlier versions):
`word_matches.py` finds entries by words, `text_candidates.py` those that may contain a text, and `id_sets.py` has sets of
entries. `background_indexing.py` fills both indexes in the background.

Deleting: `eviction.py` (over the bounds), `expiry.py` (too old), `tombstones.py` (why and when), `clearing.py`
(asked for), `deleted_text.py` (no text stays in the file). Changing: `editing.py` (tags, and when entries expire).
When something is wrong: `check.py` and `row_repair.py` (check and repair), `damaged_files.py` (set aside),
`full_disk.py` (delete without free space), `late_answers.py` (kept in memory until they can be written). `changes.py` says
whether what is in memory still holds.
"""

from typing import TYPE_CHECKING

from nbcache import modules_when_used

if TYPE_CHECKING:
    from nbcache.stores.sqlite import (
        check,
        clearing,
        columns,
        counts,
        damaged_files,
        diskcache_file,
        earlier_search_index,
        editing,
        entry_stream,
        full_disk,
        large_payloads,
        lifetime_ledger,
        listing_index,
        new_rows,
        pages,
        rows,
        schema,
        search_index,
        selection,
        session_calls,
        tombstones,
        totals,
        upgrade,
        word_matches,
    )

# Neither `%load_ext` nor a hit needs them.
__all__ = [
    "check",
    "clearing",
    "columns",
    "counts",
    "damaged_files",
    "diskcache_file",
    "earlier_search_index",
    "editing",
    "entry_stream",
    "full_disk",
    "large_payloads",
    "lifetime_ledger",
    "listing_index",
    "new_rows",
    "pages",
    "rows",
    "schema",
    "search_index",
    "selection",
    "session_calls",
    "tombstones",
    "totals",
    "upgrade",
    "word_matches",
]
__getattr__ = modules_when_used("nbcache.stores.sqlite", __all__)
