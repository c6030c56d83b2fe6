"""How many entries a filter selects, how many bytes they have, and which values."""

import json
from functools import partial

import orjson

from nbcache.entry.records import Facets, Filter
from nbcache.stores.sqlite import filters, id_sets, listing_index, totals
from nbcache.stores.sqlite.filters import Condition, together
from nbcache.stores.sqlite.sql import Execute, kind_in, only, split
from nbcache.stores.sqlite.value_sets import ValueSets

_COUNT = f"SELECT count(*), total({only('integer', 'e.size')}) FROM"
_SUMS = f"SELECT total({only('integer', 'f.entries')}), total({only('integer', 'f.bytes')}) FROM facet f WHERE"
_GONE = (
    "entry e INDEXED BY entry_by_expires WHERE e.facet IS NOT NULL AND e.expires <= ?"  # expired, and not deleted yet
)
# The facets with an entry that has not expired.
_LIVE = (
    f"(SELECT {', '.join(listing_index.VALUES)}, id, entries FROM facet) f LEFT JOIN (SELECT e.facet, count(*) AS n FROM {_GONE}"
    " GROUP BY 1) g ON g.facet = f.id WHERE f.entries > coalesce(g.n, 0)"
)
_NEW = ", ".join(f"e.{name}" for name in (*listing_index.VALUES, "id", "hits"))
_KINDS = "json_group_array(DISTINCT CASE typeof(e.kind) WHEN 'text' THEN e.kind END)"  # of a call it is NULL
_MANY = 20_000
_LONGEST = 50_000_000  # bytes of marks
_COLUMNS = ("model", "tags", "notebooks", "cell", "status", "client", "function")


def count(sql: Execute, which: Filter, now: float) -> tuple[int, int, int]:
    """Number and bytes of the entries that `which` selects, and all evictions."""
    evictions = totals.evictions(sql)
    if filters.names_entries(which) or filters.of_rows(which) or which.words or not listing_index.is_made(sql):
        rowids = [*found] if (found := filters.with_words(sql, which)) is not None else None
        source = _marked(sql, which, now, rowids) or filters.source(sql, which, now, rowids)
        ((entries, size),) = sql(f"{_COUNT} {source.sql}", source.values)
        return entries, int(size), evictions
    listed, wanted = together(filters.of_facets(sql, which, "f")), together(filters.of_facets(sql, which))
    ((entries, size),) = sql(f"{_SUMS} {listed.sql}", listed.values)
    parts = [(entries, size)]
    new = together([_unlisted(sql), *filters.is_alive(which, now), wanted])
    parts += sql(f"{_COUNT} entry e WHERE {new.sql}", new.values)
    if not which.include_expired:
        ((gone, freed),) = sql(f"{_COUNT} {_GONE} AND {wanted.sql}", (now, *wanted.values))
        parts.append((-gone, -freed))
    return int(sum(part[0] for part in parts)), int(sum(part[1] for part in parts)), evictions


def number(sql: Execute, which: Filter, now: float, sets: ValueSets, token: object) -> int:
    """How many entries `which` selects. With words, that is far quicker than to read how large they are.

    `sets` has the entries with some values while the store has this change token.
    """
    if not which.words or filters.names_entries(which) or filters.of_rows(which) or not listing_index.is_made(sql):
        return count(sql, which, now)[0]
    matches = filters.with_words(sql, which)
    if matches is None:
        return count(sql, which, now)[0]
    gone = (
        {} if which.include_expired else id_sets.by_block(sql("SELECT rowid FROM Cache WHERE expire_time <= ?", (now,)))
    )
    wanted = together(filters.of_facets(sql, which))
    those = sets.of((token, wanted), partial(_with_values, sql, which)) if wanted.values else None
    entries = 0
    for block, bits in matches.blocks():
        live = bits & ~gone.get(block, 0)
        entries += (live if those is None else live & those.get(block, 0)).bit_count()
    return entries


def _with_values(sql: Execute, which: Filter) -> dict[int, int]:
    """The entries with the values that `which` asks for, by block."""
    listed, new = (
        together(filters.of_facets(sql, which, "f")),
        together([_unlisted(sql), *filters.of_facets(sql, which)]),
    )
    facets = f"SELECT f.id FROM facet f WHERE {listed.sql}"
    rows = sql(
        f"SELECT json_group_array(e.id) FROM entry e INDEXED BY entry_by_facet WHERE e.facet IN ({facets})"
        f" UNION ALL SELECT json_group_array(e.id) FROM entry e WHERE {new.sql}",
        (*listed.values, *new.values),
    )
    return id_sets.of_many([rowid for (ids,) in rows for rowid in orjson.loads(ids)])


def _marked(sql: Execute, which: Filter, now: float, rowids: list[int] | None) -> Condition | None:
    """The SQL after FROM for many entries, by a mark for each: one pass over an index is quicker than a look at each row.

    None for few, or where ids that are not listed yet are among them.
    """
    if rowids is None or len(rowids) < _MANY or not listing_index.is_made(sql) or filters.names_entries(which):
        return None
    first, last = min(rowids), max(rowids)
    if last - first > _LONGEST or last > listing_index.listed_until(sql) or filters.of_rows(which):
        return None
    marks = bytearray(last - first + 1)
    for rowid in rowids:
        marks[rowid - first] = 1
    mark = Condition("e.id BETWEEN ? AND ? AND substr(?, e.id - ? + 1, 1) = x'01'", (first, last, bytes(marks), first))
    listed = Condition("entry e INDEXED BY entry_by_size WHERE e.facet IS NOT NULL")
    return together([listed, mark, *filters.of_facets(sql, which), *filters.not_expired(sql, which, now)])


def facets(sql: Execute, notebook: str | None, now: float) -> Facets:
    """The values that the entries have."""
    which = Filter(notebook=notebook)
    if listing_index.is_made(sql):
        new = together([_unlisted(sql), *filters.is_alive(which, now), *filters.of_facets(sql, which)])
        listed = together(filters.of_facets(sql, which, "f"))
        source = f"SELECT f.* FROM {_LIVE} AND {listed.sql} UNION ALL SELECT {_NEW} FROM entry e WHERE {new.sql}"
        values = (now, *listed.values, *new.values)
    else:
        source, values = filters.source(sql, which, now)
        source = f"SELECT e.* FROM {source}"
    (row,) = sql(f"SELECT {', '.join(map(_distinct, _COLUMNS))}, {_KINDS} FROM ({source}) e", values)
    *row, kinds = row
    of = {name: [each for each in json.loads(column) if each] for name, column in zip(_COLUMNS, row, strict=True)}

    def apart(column: str) -> tuple[str, ...]:
        return tuple(sorted({each for joined in of[column] for each in split(joined)}))

    names = ("model", "cell", "status", "client", "function")
    model, cell, status, client, function = (tuple(sorted(of[name])) for name in names)
    kind = tuple(sorted(set(map(kind_in, json.loads(kinds)))))
    return Facets(model, apart("tags"), apart("notebooks"), cell, status, client, kind, function)


def _distinct(column: str) -> str:
    return f"json_group_array(DISTINCT e.{column}) FILTER (WHERE typeof(e.{column}) = 'text')"


def _unlisted(sql: Execute) -> Condition:
    return Condition("e.id > ? AND e.facet IS NULL", (listing_index.listed_until(sql),))
