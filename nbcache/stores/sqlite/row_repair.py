"""Finds and repairs what is wrong in the tables beside the payloads.

SQLite keeps values of any type in any column. A value that should be a number and is none is computed anew or dropped.
"""

from nbcache.entry.records import EntryMeta
from nbcache.stores.sqlite import listing_index, rows, schema, totals
from nbcache.stores.sqlite.sql import Execute, joined, moment, split, whole

_NUMBERS = "('integer', 'real')"
_DATE = "typeof({0}) IN ('integer', 'real') AND {0} BETWEEN 0 AND 253402300799"
_ENTRY = " AND ".join(
    (
        *(_DATE.format(f"e.{name}") for name in ("created", "used")),
        *(f"(e.{name} IS NULL OR {_DATE.format(f'e.{name}')})" for name in ("expires", "last_hit")),
        *(f"typeof(e.{name}) = 'integer' AND e.{name} >= 0" for name in ("hits", "size")),
        *(f"typeof(e.{name}) IN ('integer', 'null')" for name in ("input_tokens", "output_tokens", "cost")),
        "typeof(e.seconds) IN ('real', 'null')",
        *(f"typeof(e.{name}) = 'text'" for name in ("model", "status", "tags", "notebooks")),
        *(f"typeof(e.{name}) IN ('text', 'null')" for name in ("provider", "cell", "client", "kind", "function")),
        *(f"typeof(p.{name}) = 'text'" for name in ("prompt", "answer")),
    )
)
_IS_SOUND = f"SELECT {_ENTRY} FROM entry e LEFT JOIN preview p ON p.id = e.id WHERE e.id = ?"
_LEDGER = {
    **dict.fromkeys(("hits", "misses", "spent", "saved"), ("integer", 0)),
    **{f"{how}_{what}": ("integer", 0) for how in ("unpriced", "estimated") for what in ("hits", "misses")},
    "saved_seconds": ("real", 0.0),
    "began": ("real", 0.0),
}


def is_sound(sql: Execute, rowid: int) -> bool | None:
    """Whether the values in the row of an entry are of the right types. None if there is no row."""
    row = sql(_IS_SOUND, (rowid,)).fetchone()
    return None if row is None else bool(row[0])


def rebuild(sql: Execute, rowid: int, meta: EntryMeta, size: int) -> None:
    """Write the row of an entry anew from its payload, with the hits and the owners that it had."""
    old = sql("SELECT hits, last_hit, notebooks FROM entry WHERE id = ?", (rowid,)).fetchone()
    hits, last_hit, notebooks = old or (0, None, "")
    sql(
        "DELETE FROM total WHERE name = 'bytes'"
    )  # counted anew at the end: a trigger can't count a value that is no number
    rows.insert(sql, rowid, rows.columns_of(meta), size, moment(meta.expires))
    sql(
        "UPDATE entry SET hits = ?, last_hit = ?, notebooks = ? WHERE id = ?",
        (max(0, whole(hits) or 0), moment(last_hit), joined({*meta.notebooks, *split(notebooks)}), rowid),
    )
    listing_index.add(sql, rowid)


def repair(sql: Execute) -> list[str]:
    """Repair rows without a payload, values of a wrong type, and wrong totals; a line each. Within a transaction."""
    problems = []
    lost = "FROM indexed WHERE id NOT IN (SELECT rowid FROM Cache)"
    sql(f"INSERT INTO unindexed (id, words) SELECT id, words {lost}")
    if sql(f"DELETE {lost}").rowcount:
        problems.append("words of entries without a payload")
    for table in ("entry", "preview"):
        gone = sql(f"DELETE FROM {table} WHERE id NOT IN (SELECT rowid FROM Cache)").rowcount
        if gone:
            problems.append(f"{gone} rows of {table} without a payload")
    expiry = "UPDATE Cache SET expire_time = (SELECT expires FROM entry WHERE id = Cache.rowid)"
    if changed := sql(f"{expiry} WHERE typeof(expire_time) NOT IN ('integer', 'real', 'null')").rowcount:
        problems.append(f"{changed} times of expiry were none")
    problems += _repair_ledger(sql)
    if sql(f"DELETE FROM tombstone WHERE typeof(gone) NOT IN {_NUMBERS} OR typeof(key) != 'text'").rowcount:
        problems.append("some entries that have gone had no time")
    if listing_index.repair(sql):
        problems.append("the listing was not that of the rows")
    return problems + _repair_totals(sql)


def _repair_ledger(sql: Execute) -> list[str]:
    problems = []
    for column, (kind, instead) in _LEDGER.items():
        wrong = f"typeof({column}) NOT IN ('{kind}', 'null')"
        if changed := sql(f"UPDATE spending SET {column} = ? WHERE {wrong}", (instead,)).rowcount:
            problems.append(f"{changed} rows of the ledger had no number as {column}")
    if sql("UPDATE spending SET execution = 0 WHERE typeof(execution) != 'integer'").rowcount:
        problems.append("rows of the ledger were of no execution")
    if sql("SELECT 1 FROM sqlite_master WHERE name = 'called'").fetchone() is not None:
        wrong = "typeof(calls) != 'integer' OR typeof(usd) NOT IN ('integer', 'null') OR typeof(last) != 'real'"
        if changed := sql(f"DELETE FROM called WHERE {wrong}").rowcount:
            problems.append(f"{changed} calls of the last sessions had no numbers")
    return problems


def _repair_totals(sql: Execute) -> list[str]:
    if not schema.counts_totals(sql) or totals.read(sql) == totals.counted(sql):
        return []
    totals.recount(sql)
    return ["the totals were not those of the rows"]
