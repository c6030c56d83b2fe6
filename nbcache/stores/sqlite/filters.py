"""The SQL for the entries that a `Filter` selects."""

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nbcache.entry.globs import matches
from nbcache.entry.records import CALL, Filter
from nbcache.stores.sqlite import listing_index, search_index
from nbcache.stores.sqlite.sql import Execute, joined, pico, written
from nbcache.stores.sqlite.word_matches import Matches

OF_JSON = "SELECT value FROM json_each(?)"
_EXPIRED = 1_000  # expired entries that are left out by their ids; with more, all rows are read


class Condition(NamedTuple):
    """SQL of what has to hold for a row `e` of `entry`, and its values."""

    sql: str
    values: tuple[object, ...] = ()


def together(conditions: Sequence[Condition]) -> Condition:
    """The condition that all of these hold."""
    values = tuple(value for condition in conditions for value in condition.values)
    return Condition(" AND ".join(condition.sql for condition in conditions) or "1", values)


def of_facets(sql: Execute, which: Filter, row: str = "e") -> list[Condition]:
    """What `which` asks of the values that `facet` has, too: of the row `e` of `entry`, or of a row of `facet`."""
    wanted = (("model", which.model), ("cell", which.cell), ("status", which.status), ("client", which.client))
    parts = [Condition(f"{row}.{column} = ?", (written(value),)) for column, value in wanted if value is not None]
    if which.kind is not None:
        parts.append(Condition(f"coalesce({row}.kind, x'') = ?", (b"" if which.kind == CALL else written(which.kind),)))
    patterns = (("model", which.models), ("function", which.functions))
    parts += [_matching(sql, row, column, pattern) for column, pattern in patterns if pattern is not None]
    several = (("notebooks", which.notebook), ("tags", which.tag))
    return parts + [
        Condition(f"instr({row}.{column}, ?)", (joined([value]),)) for column, value in several if value is not None
    ]


def _matching(sql: Execute, row: str, column: str, pattern: str) -> Condition:
    """That a name matches a pattern, by the names that there are: SQLite has other rules for patterns than `globs`."""
    names = f"SELECT DISTINCT {column} FROM entry"
    if listing_index.is_made(sql):
        unlisted = f"{names} WHERE id > {listing_index.listed_until(sql)} AND facet IS NULL"
        names = f"SELECT DISTINCT {column} FROM facet UNION {unlisted}"
    found = [name for (name,) in sql(names) if isinstance(name, str) and matches(written(pattern), name)]
    return Condition(f"{row}.{column} IN ({OF_JSON})", (json.dumps(found),))


def is_alive(which: Filter, now: float) -> list[Condition]:
    """That an entry has not expired, unless `which` includes those."""
    return [] if which.include_expired else [Condition("(e.expires IS NULL OR e.expires > ?)", (now,))]


def not_expired(sql: Execute, which: Filter, now: float) -> list[Condition]:
    """`is_alive` for listed entries, in a way for which the rows of those that are passed over need not be read."""
    alive = is_alive(which, now)
    if not alive:
        return alive
    expired = (
        "SELECT e.id FROM entry e INDEXED BY entry_by_expires WHERE e.facet IS NOT NULL AND e.expires <= ? LIMIT ?"
    )
    ids = [rowid for (rowid,) in sql(expired, (now, _EXPIRED))]
    if len(ids) == _EXPIRED:
        return alive
    return [Condition(f"e.id NOT IN ({OF_JSON})", (json.dumps(ids),))] if ids else []


def of_rows(which: Filter) -> list[Condition]:
    """What `which` asks of other columns."""
    parts = []
    if which.before is not None:
        parts.append(Condition("e.created < ?", (which.before,)))
    if which.unused:
        parts.append(Condition("e.hits = 0"))
    if which.idle_since is not None:
        parts.append(Condition("coalesce(e.last_hit, e.created) < ?", (which.idle_since,)))
    if which.larger_than is not None:
        parts.append(Condition("e.size > ?", (which.larger_than,)))
    if which.cheaper_than is not None:
        parts.append(Condition("typeof(e.cost) = 'integer' AND e.cost < ?", (pico(which.cheaper_than),)))
    return parts


def names_entries(which: Filter) -> bool:
    """Whether `which` names entries by what is in other tables than `entry`: their key or prompt."""
    return which.key is not None or which.prompt is not None


def with_words(sql: Execute, which: Filter) -> Matches | None:
    """The entries with the words of `which`. None if it has none, or no entry is in the search index."""
    return Matches(sql, which.words) if which.words and search_index.is_filled(sql) else None


def source(sql: Execute, which: Filter, now: float, rowids: Iterable[int] | None = None) -> Condition:
    """The SQL after FROM for the rows `e` that `which` selects; `rowids` are those among which they are, if that is known."""
    tables, conditions = _with_words(which.words, with_words(sql, which) if rowids is None else rowids)
    if which.prompt is not None:
        conditions.append(Condition("e.id IN (SELECT id FROM preview WHERE prompt = ?)", (written(which.prompt),)))
    if which.key is not None:  # keys are hexadecimal
        keys = "SELECT rowid FROM Cache WHERE key >= ? AND key < ?"
        conditions.append(Condition(f"e.id IN ({keys})", (which.key, which.key + "g")))
    where = together([*conditions, *is_alive(which, now), *of_facets(sql, which), *of_rows(which)])
    return Condition(f"{tables} WHERE {where.sql}", where.values)


def _with_words(wanted: Sequence[str], rowids: Iterable[int] | None) -> tuple[str, list[Condition]]:
    """The tables and conditions that select entries with these words."""
    if rowids is not None:  # in this order: one look at each row that is found
        found = Condition("1", (json.dumps([*rowids]),))
        return "json_each(?) found CROSS JOIN entry e ON e.id = found.value", [found]
    preview = "(SELECT lower(prompt || ' ' || answer) FROM preview WHERE id = e.id)"  # better than nothing
    return "entry e", [Condition(f"instr({preview}, ?)", (written(word),)) for word in wanted]
