"""The totals of a store with bounds: its entries, their bytes, and how many entries were evicted.

Triggers keep entries and bytes up to date, `recount` counts them anew, and `add_eviction` counts an eviction.
"""

from nbcache.stores.sqlite.sql import Execute, only, whole

_COUNTED = f"SELECT count(*), CAST(total({only('integer', 'size')}) AS INTEGER) FROM entry"


def evictions(sql: Execute) -> int:
    """How many entries the bounds have evicted since the store was made."""
    row = sql("SELECT value FROM total WHERE name = 'evictions'").fetchone()
    return 0 if row is None else whole(row[0]) or 0


def add_eviction(sql: Execute) -> None:
    """Count one more eviction."""
    sql("INSERT INTO total VALUES ('evictions', 1) ON CONFLICT (name) DO UPDATE SET value = ? + 1", (evictions(sql),))


def read(sql: Execute) -> tuple[int, int] | None:
    """The totals of entries and bytes as the table has them. None if they can't be right."""
    totals = dict(sql("SELECT name, value FROM total WHERE name IN ('entries', 'bytes')").fetchall())
    entries, size = whole(totals.get("entries")), whole(totals.get("bytes"))
    return None if entries is None or size is None or entries < 0 or size < 0 else (entries, size)


def recount(sql: Execute) -> tuple[int, int]:
    """Count entries and bytes in the rows, and write the totals. Within a transaction."""
    entries, size = counted(sql)
    sql("INSERT OR REPLACE INTO total VALUES ('entries', ?), ('bytes', ?)", (entries, size))
    return entries, size


def counted(sql: Execute) -> tuple[int, int]:
    """Entries and bytes, counted in the rows."""
    ((entries, size),) = sql(_COUNTED)
    return int(entries), int(size)
