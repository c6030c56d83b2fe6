"""The SQL for the entries that a `Filter` selects."""

from collections.abc import Sequence
from typing import NamedTuple

from nbcache.entry.records import Filter
from nbcache.stores.sqlite import search_index
from nbcache.stores.sqlite.sql import Execute, joined, written


class Condition(NamedTuple):
    """SQL of what has to hold for a row `e` of `entry`, and its values."""

    sql: str
    values: tuple[object, ...] = ()


def together(conditions: Sequence[Condition]) -> Condition:
    """The condition that all of these hold."""
    values = tuple(value for condition in conditions for value in condition.values)
    return Condition(" AND ".join(condition.sql for condition in conditions) or "1", values)


def of_facets(which: Filter, row: str = "e") -> list[Condition]:
    """What `which` asks of the values that `facet` has, too: of the row `e` of `entry`, or of a row of `facet`."""
    wanted = (("model", which.model), ("cell", which.cell), ("status", which.status))
    parts = [Condition(f"{row}.{column} = ?", (written(value),)) for column, value in wanted if value is not None]
    several = (("notebooks", which.notebook), ("tags", which.tag))
    return parts + [
        Condition(f"instr({row}.{column}, ?)", (joined([value]),)) for column, value in several if value is not None
    ]


def is_alive(which: Filter, now: float) -> list[Condition]:
    """That an entry has not expired, unless `which` includes those."""
    return [] if which.include_expired else [Condition("(e.expires IS NULL OR e.expires > ?)", (now,))]


def of_rows(which: Filter) -> list[Condition]:
    """What `which` asks of other columns."""
    parts = []
    if which.before is not None:
        parts.append(Condition("e.created < ?", (which.before,)))
    if which.unused:
        parts.append(Condition("e.hits = 0"))
    return parts


def names_entries(which: Filter) -> bool:
    """Whether `which` names entries by what is in other tables than `entry`: their key, prompt or words."""
    return bool(which.key is not None or which.prompt is not None or which.words)


def source(sql: Execute, which: Filter, now: float) -> Condition:
    """The SQL after FROM for the rows `e` that `which` selects."""
    tables, conditions = _with_words(sql, which.words)
    if which.prompt is not None:
        conditions.append(Condition("e.id IN (SELECT id FROM preview WHERE prompt = ?)", (written(which.prompt),)))
    if which.key is not None:  # keys are hexadecimal
        keys = "SELECT rowid FROM Cache WHERE key >= ? AND key < ?"
        conditions.append(Condition(f"e.id IN ({keys})", (which.key, which.key + "g")))
    where = together([*conditions, *is_alive(which, now), *of_facets(which), *of_rows(which)])
    return Condition(f"{tables} WHERE {where.sql}", where.values)


def _with_words(sql: Execute, wanted: Sequence[str]) -> tuple[str, list[Condition]]:
    """The tables and conditions that select entries with these words."""
    if not wanted:
        return "entry e", []
    if search_index.is_made(sql):  # in this order: one look at each row that is found
        words = Condition("words MATCH ?", (search_index.query(wanted),))
        return "words w CROSS JOIN entry e ON e.id = w.rowid", [words]
    preview = "(SELECT lower(prompt || ' ' || answer) FROM preview WHERE id = e.id)"  # better than nothing
    return "entry e", [Condition(f"instr({preview}, ?)", (written(word),)) for word in wanted]
