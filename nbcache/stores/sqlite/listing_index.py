"""The listing: an index for each column that entries are sorted by, and how many entries have which values.

Pages and totals are read from it, so they take as long in a large store as in a small one. It costs an update nothing: an
entry joins the listing in the background, when its column `facet` gets a number. That is the row of `facet` with its
model, status, cell, tags, notebooks, client, kind and function, and with how many entries have the same. The indexes have
listed entries only.
SQLite and triggers keep both exact afterwards, whoever writes: this process, another one, an earlier release that still has
the store open.

New entries have higher ids than all others, and are listed in this order. So the entries beyond `listed_until` are those
that are not listed yet; readers look at these one by one.
"""

from collections.abc import Sequence

from nbcache.entry.filter import SORTABLE
from nbcache.stores.sqlite.sql import Execute, whole

COLUMN_OF = {name: name for name in SORTABLE} | {"size_bytes": "size", "cost_usd": "cost"}
_OF_VERSION_4 = ("model", "status", "cell", "tags", "notebooks")
_OF_VERSION_6 = (*_OF_VERSION_4, "client")
VALUES = (*_OF_VERSION_6, "kind", "function")  # of a row of `facet`
NO_VALUE = b""  # there
_NULLABLE = ("cell", "client", "kind", "function")
_NAMES = ", ".join(VALUES)


def _of(row: str, values: Sequence[str] = VALUES) -> str:
    """The values of a row of `entry`, as `facet` has them: in its unique index, NULL would equal nothing."""
    return ", ".join(f"coalesce({row}.{name}, x'')" if name in _NULLABLE else f"{row}.{name}" for name in values)


def _facet_of(row: str, values: Sequence[str] = VALUES) -> str:
    """The id of the row of `facet` with the values of a row of `entry`."""
    return f"(SELECT id FROM facet WHERE ({', '.join(values)}) = ({_of(row, values)}))"


def _table(values: Sequence[str]) -> str:
    added = "".join(f", {name} TEXT" for name in values[len(_OF_VERSION_4) :])  # last, where SQLite adds columns
    return (
        "CREATE TABLE facet (id INTEGER PRIMARY KEY, model TEXT, status TEXT, cell TEXT, tags TEXT, notebooks TEXT,"
        f" entries INTEGER, bytes INTEGER{added})"
    )


def _unique(values: Sequence[str]) -> str:
    return f"CREATE UNIQUE INDEX facet_values ON facet ({', '.join(values)})"


def _on_change(values: Sequence[str], when: str, only: str = "") -> str:
    names, changed = ", ".join(values), " OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in values)
    return (
        f"CREATE TRIGGER facet_changed AFTER UPDATE OF {names} ON entry WHEN {when} AND ({changed}) BEGIN"
        # Not OR IGNORE: in a trigger that an upsert fires, SQLite would take it for ABORT.
        f" INSERT INTO facet ({names}, entries, bytes) SELECT {_of('NEW', values)}, 0, 0"
        f" WHERE {_facet_of('NEW', values)} IS NULL;"
        f" UPDATE entry SET facet = {_facet_of('NEW', values)} WHERE id = NEW.id{only}; END"
    )


def _bytes(row: str) -> str:
    return f"CASE typeof({row}.size) WHEN 'integer' THEN {row}.size ELSE 0 END"


_LEAVES = (
    f"UPDATE facet SET entries = entries - 1, bytes = bytes - ({_bytes('OLD')}) WHERE id = OLD.facet;"
    " DELETE FROM facet WHERE id = OLD.facet AND entries <= 0;"
)
_COUNTED = (
    f"SELECT facet, count(*) AS entries, sum({_bytes('e')}) AS bytes FROM entry e WHERE facet IS NOT NULL GROUP BY 1"
)


def _on_size(when: str) -> str:
    return (
        f"CREATE TRIGGER facet_size AFTER UPDATE OF size ON entry WHEN {when} BEGIN"
        f" UPDATE facet SET bytes = bytes + ({_bytes('NEW')}) - ({_bytes('OLD')}) WHERE id = NEW.facet; END"
    )


COLUMN = "facet INTEGER"  # of `entry`
STATEMENTS = {
    "facet": _table(VALUES),
    "facet_values": _unique(VALUES),
    # With the id before the facet: entries with equal values are sorted by it.
    **{
        f"entry_by_{column}": f"CREATE INDEX entry_by_{column} ON entry ({column}, id, facet) WHERE facet IS NOT NULL"
        for column in COLUMN_OF.values()
    },
    "entry_by_facet": "CREATE INDEX entry_by_facet ON entry (facet, created) WHERE facet IS NOT NULL",
    "facet_joined": "CREATE TRIGGER facet_joined AFTER UPDATE OF facet ON entry BEGIN"
    f" UPDATE facet SET entries = entries + 1, bytes = bytes + ({_bytes('NEW')}) WHERE id = NEW.facet; {_LEAVES} END",
    "facet_size": _on_size("NEW.facet = OLD.facet"),  # else `facet_joined` counts the bytes
    # Not if the row of `facet` was changed itself, or is another one by the same statement: to write the indexes takes its time.
    "facet_changed": _on_change(VALUES, "NEW.facet = OLD.facet", f" AND facet IS NOT {_facet_of('NEW')}"),
    # A later entry may get the id of the last one, once that is deleted.
    "facet_left": f"CREATE TRIGGER facet_left AFTER DELETE ON entry WHEN OLD.facet IS NOT NULL BEGIN {_LEAVES}"
    " UPDATE total SET value = coalesce((SELECT max(id) FROM entry WHERE id < OLD.id), 0)"
    " WHERE name = 'listed' AND value = OLD.id; END",
}
_LAST = next(reversed(STATEMENTS))
OF_VERSION_5, OF_VERSION_6 = (
    {
        "facet": _table(values),
        "facet_values": _unique(values),
        "facet_size": _on_size("NEW.facet IS NOT NULL"),
        "facet_changed": _on_change(values, "NEW.facet IS NOT NULL"),
    }
    for values in (_OF_VERSION_4, _OF_VERSION_6)
)
OF_EARLIER_VERSIONS = (*OF_VERSION_5.values(), *OF_VERSION_6.values())


def is_made(sql: Execute) -> bool:
    """Whether there is a listing. A large store of an earlier release gets its indexes one by one."""
    return sql("SELECT 1 FROM sqlite_master WHERE name = ?", (_LAST,)).fetchone() is not None


def listed_until(sql: Execute) -> int:
    """The last id of the listed entries."""
    row = sql("SELECT value FROM total WHERE name = 'listed'").fetchone()
    return 0 if row is None else whole(row[0]) or 0


def is_left(sql: Execute) -> bool:
    """Whether entries are not listed yet."""
    last = sql("SELECT max(id) FROM entry").fetchone()[0]
    return not is_made(sql) or (last is not None and last > listed_until(sql))


def renew(sql: Execute) -> None:
    """Let the listing of versions 4 to 6 have the values that entries have now. They are unknown yet. Within a transaction."""
    made = {name for (name,) in sql("SELECT name FROM sqlite_master WHERE name LIKE 'facet%'")}
    columns = {name for _, name, *_ in sql("PRAGMA table_info(facet)")}
    missing = [name for name in VALUES if name not in columns]
    if "facet" not in made or not missing:
        return
    for name in missing:
        sql(f"ALTER TABLE facet ADD COLUMN {name} TEXT")
        sql(f"UPDATE facet SET {name} = x''")
    for kind, name in (("INDEX", "facet_values"), ("TRIGGER", "facet_changed"), ("TRIGGER", "facet_size")):
        if name in made:
            sql(f"DROP {kind} {name}")
            sql(STATEMENTS[name])


def extend(sql: Execute, at_most: int) -> None:
    """Make a missing index, or list the next entries. Within a transaction."""
    if not is_made(sql):
        there = {name for (name,) in sql("SELECT name FROM sqlite_master")}
        sql(next(statement for name, statement in STATEMENTS.items() if name not in there))
        return
    after = listed_until(sql)
    ((last,),) = sql("SELECT max(id) FROM (SELECT id FROM entry WHERE id > ? ORDER BY id LIMIT ?)", (after, at_most))
    if last is not None:
        _list(sql, "id > ? AND id <= ?", (after, last))
        sql("INSERT OR REPLACE INTO total VALUES ('listed', ?)", (last,))


def add(sql: Execute, rowid: int) -> None:
    """List an entry whose row was missing, and is before others that are listed. Within a transaction."""
    if is_made(sql) and rowid <= listed_until(sql):
        _list(sql, "id = ?", (rowid,))


def with_tags(sql: Execute, facet: int, tags: str, entries: int) -> int:
    """The row with the values of this one, but with these tags, for so many of its entries. Within a transaction.

    If these are all, the row itself gets the tags: then the indexes stay as they are.
    """
    others = ", ".join("?1" if name == "tags" else name for name in VALUES)
    twin = sql(f"SELECT id FROM facet WHERE ({_NAMES}) = (SELECT {others} FROM facet WHERE id = ?2)", (tags, facet))
    if (row := twin.fetchone()) is not None:
        return int(row[0])
    if sql("UPDATE facet SET tags = ? WHERE id = ? AND entries = ?", (tags, facet, entries)).rowcount:
        return facet
    new = sql(
        f"INSERT INTO facet ({_NAMES}, entries, bytes) SELECT {others}, 0, 0 FROM facet WHERE id = ?2", (tags, facet)
    )
    return int(new.lastrowid or 0) if new.rowcount else facet


def repair(sql: Execute) -> bool:
    """Correct what is listed wrongly; False if nothing was. Within a transaction."""
    if not is_made(sql):
        return False
    until = listed_until(sql)
    wrong = sql("UPDATE entry SET facet = NULL WHERE facet IS NOT NULL AND id > ?", (until,)).rowcount
    wrong += sql(
        f"UPDATE entry SET facet = NULL WHERE facet IS NOT NULL AND facet IS NOT {_facet_of('entry')}",
    ).rowcount
    wrong += _list(sql, "id <= ?", (until,))
    is_counted = f"(entries, bytes) IS (SELECT entries, bytes FROM ({_COUNTED}) WHERE facet = facet.id)"
    if sql(f"SELECT 1 FROM facet WHERE NOT {is_counted} LIMIT 1").fetchone() is not None:
        wrong += 1
        sql(f"UPDATE facet SET (entries, bytes) = (SELECT entries, bytes FROM ({_COUNTED}) c WHERE c.facet = facet.id)")
        sql("DELETE FROM facet WHERE entries IS NULL")
    return wrong > 0


def _list(sql: Execute, which: str, values: tuple[int, ...]) -> int:
    """List those of these entries that are not; returns how many."""
    which = f"facet IS NULL AND {which}"
    sql(
        f"INSERT OR IGNORE INTO facet ({_NAMES}, entries, bytes) SELECT DISTINCT {_of('entry')}, 0, 0 FROM entry"
        f" WHERE {which}",
        values,
    )
    return sql(f"UPDATE entry SET facet = {_facet_of('entry')} WHERE {which}", values).rowcount
