"""Pages of entries, in any order.

A page is read from the index of its column: from the row that comes before it, or from the nearer end. Few entries are
sorted instead: those with certain values, where these are few, and the new ones that are not listed yet.
"""

import json
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

from nbcache.entry.filter import check_sort
from nbcache.entry.records import EntryMeta, Filter
from nbcache.stores.sqlite import counts, filters, listing_index
from nbcache.stores.sqlite.filters import OF_JSON, Condition, together
from nbcache.stores.sqlite.page_starts import PageOrder, PageStarts, Place
from nbcache.stores.sqlite.sql import Execute, dollars, kind_in, moment, number, split, text, whole, written
from nbcache.stores.sqlite.word_matches import Matches

_FEW = 5_000  # entries that are sorted rather than found in order: a few milliseconds
# How many entries of the index are passed in the time in which one is sorted: one of which the index has all, and another.
_SORTED, _READ_AND_SORTED = 8, 20
_RISKED = 8  # the part of the index that is passed for nothing, at worst, rather than to sort
_ALL = 2**62  # entries
_STEP = 20_000  # entries that are passed at once: some milliseconds
_COLUMNS = (
    "c.key, e.model, p.prompt, p.answer, e.status, e.created, e.tags, e.notebooks, e.cell, e.last_hit, e.hits, e.size,"
    " e.expires, e.provider, e.input_tokens, e.output_tokens, e.cost, e.seconds, e.charged, e.client, e.streamed,"
    " e.kind, e.function"
)
_OF_IDS = (
    "json_each(?) i CROSS JOIN entry e ON e.id = i.value JOIN Cache c ON c.rowid = e.id LEFT JOIN preview p ON p.id = e.id"
    " WHERE c.raw = 1"
)
_LIVE = "(c.expire_time IS NULL OR c.expire_time > ?)"


class ShownRow(NamedTuple):
    """What a list shows of an entry."""

    key: str
    prompt: str
    answer: str


class Part(NamedTuple):
    """Which of the selected entries: `limit` after `offset` in this order. Without `limit`, all that follow."""

    sort: str = "created"
    descending: bool = True
    limit: int | None = None
    offset: int = 0


class _Order(NamedTuple):
    """By which column, and from which place on."""

    column: str
    descending: bool
    after: Place | None = None

    @property
    def sql(self) -> str:
        direction = "DESC" if self.descending else "ASC"
        return f"ORDER BY e.{self.column} {direction}, e.id {direction}"


def select(  # noqa: PLR0913 - the part, and from where it can be read
    sql: Execute, which: Filter, now: float, part: Part, *, starts: PageStarts | None = None, token: object = None
) -> list[EntryMeta]:
    """The rows of this part of the entries that `which` selects.

    `starts` has the places that are known while the store has this change token, and gets those that are found.
    """
    check_sort(part.sort)
    starts = PageStarts() if starts is None else starts
    column = listing_index.COLUMN_OF[part.sort]
    in_order = PageOrder(token, _next_expiry(sql, now), which, column, part.descending)
    start, place = starts.nearest(in_order, part.offset)
    if part.offset - start > _STEP and not which.words and (turned := _from_the_end(sql, which, now, part)):
        rows = select(sql, which, now, turned, starts=starts, token=token)[::-1]
    else:
        keep = partial(starts.keep, in_order)
        rows = _select(sql, which, now, part, order=_Order(column, part.descending, place), start=start, keep=keep)
    if part.limit is not None and rows and (last := _place(sql, column, rows[-1].key)) is not None:
        starts.keep(in_order, part.offset + len(rows), last)
    return rows


def _select(  # noqa: PLR0913 - the part, and where it is
    sql: Execute,
    which: Filter,
    now: float,
    part: Part,
    *,
    order: _Order,
    start: int,
    keep: Callable[[int, Place], None],
) -> list[EntryMeta]:
    """The same, read from the place in `order`, which is before the offset `start`. First their ids, then the rows."""
    offset, limit = part.offset - start, -1 if part.limit is None else part.limit
    matches, few = _matches(sql, which)
    if few is not None or not _is_listed(sql, which, matches, limit):
        sources, matches = [filters.source(sql, which, now, few)], None
    else:
        sources = _sources(sql, which, now, order, offset + limit)
    if len(sources) == 1 and matches is None and f" entry_by_{order.column} " in sources[0].sql:
        while offset:
            step = min(offset, _STEP)
            if (place := _further(sql, sources[0], order, step)) is None:
                return []
            order, offset, start = order._replace(after=place), offset - step, start + step
            keep(start, place)
    if len(sources) == 1 and order.after is None and matches is None:
        where = f"SELECT e.id FROM {sources[0].sql} {order.sql} LIMIT ? OFFSET ?"
        return _rows(sql, Condition(where, (*sources[0].values, limit, offset)), order, -1, 0)
    most = limit if limit < 0 else limit + offset
    ids = [rowid for source in sources for rowid in _ids(sql, source, order, most, matches)]
    return _rows(sql, Condition("SELECT value AS id FROM json_each(?)", (json.dumps(ids),)), order, limit, offset)


def _next_expiry(sql: Execute, now: float) -> object:
    """When the next entry expires."""
    return sql("SELECT min(expire_time) FROM Cache WHERE expire_time > ?", (now,)).fetchone()[0]


def newest_first(sql: Execute, which: Filter, now: float) -> Condition:
    """The SQL after FROM for all entries that `which` selects: from the listing, if all are in it. Else they are sorted."""
    if _is_listed(sql, which, None, 0) and not listing_index.is_left(sql):
        return _sources(sql, which, now, _Order("created", descending=True), _ALL)[0]
    return filters.source(sql, which, now)


def ids(
    sql: Execute, which: Filter, now: float, keys: Collection[str] | None, rowids: Iterable[int] | None = None
) -> "array[int]":
    """The ids of the entries that `which` selects, or of those of them among `keys` or `rowids`, the newest first.

    Eight bytes each.
    """
    if keys is None and rowids is None:
        source = newest_first(sql, which, now)
    else:
        source = filters.source(sql, which, now, rowids)
    if keys is not None:
        named = f"e.id IN (SELECT rowid FROM Cache WHERE raw = 1 AND key IN ({OF_JSON}))"
        source = together([source, Condition(named, (json.dumps([*keys]),))])
    return array("q", _ids(sql, source, _Order("created", descending=True), -1))


def rows_of(sql: Execute, ids: Iterable[int]) -> list[EntryMeta]:
    """The rows of these entries, in this order."""
    return [_meta(row) for row in sql(f"SELECT {_COLUMNS} FROM {_OF_IDS}", _named(ids))]


def with_payloads(
    sql: Execute, ids: Sequence[int], expires_after: float
) -> Iterator[tuple[int, EntryMeta, tuple[int, object]]]:
    """The rows of these entries, in this order: each after its index in `ids`, and with its payload as mode and value.

    Entries that are gone, or have expired, are left out.
    """
    for at, *row in sql(
        f"SELECT i.key, {_COLUMNS}, c.mode, c.value FROM {_OF_IDS} AND {_LIVE}", _named(ids, expires_after)
    ):
        yield at, _meta(row), (row[-2], row[-1])


def shown_with_payloads(
    sql: Execute, ids: Sequence[int], expires_after: float
) -> Iterator[tuple[int, ShownRow, tuple[int, object]]]:
    """The same with what a list shows of them, which takes half of the time."""
    tables = "json_each(?) i CROSS JOIN Cache c ON c.rowid = i.value LEFT JOIN preview p ON p.id = c.rowid"
    for at, key, prompt, answer, mode, value in sql(
        f"SELECT i.key, c.key, p.prompt, p.answer, c.mode, c.value FROM {tables} WHERE c.raw = 1 AND {_LIVE}",
        _named(ids, expires_after),
    ):
        yield at, ShownRow(text(key), text(prompt), text(answer)), (mode, value)


def _named(ids: Iterable[int], *others: object) -> tuple[object, ...]:
    """The values of a statement that names these ids."""
    return json.dumps([*ids]), *others


def _place(sql: Execute, column: str, key: str) -> Place | None:
    """The place of the entry with this key. None if it is gone."""
    place = f"SELECT e.{column}, e.id FROM Cache c JOIN entry e ON e.id = c.rowid WHERE c.key = ? AND c.raw = 1"
    row = sql(place, (key,)).fetchone()
    return None if row is None else Place(*row)


def _further(sql: Execute, source: Condition, order: _Order, number: int) -> Place | None:
    """The place of the entry that is so many entries further on. None if there are fewer."""
    for conditions in _after(order):
        where = together([source, *conditions])
        found = f"SELECT e.{order.column}, e.id FROM {where.sql} {order.sql} LIMIT 1 OFFSET ?"
        if (row := sql(found, (*where.values, number - 1)).fetchone()) is not None:
            return Place(*row)
        number -= sql(f"SELECT count(*) FROM {where.sql}", where.values).fetchone()[0]
    return None


def _after(order: _Order) -> list[list[Condition]]:
    """The ranges that follow a place, in order: what is unknown is before all values, and SQLite doesn't compare it.

    Each is a range of the index: of `(column, id) < (?, ?)` SQLite would read all entries with an equal value.
    """
    if order.after is None:
        return [[]]
    (value, rowid), column, sign = order.after, f"e.{order.column}", "<" if order.descending else ">"
    further = Condition(f"e.id {sign} ?", (rowid,))
    if value is None:
        equal = [Condition(f"{column} IS NULL"), further]
        return [equal] if order.descending else [equal, [Condition(f"{column} IS NOT NULL")]]
    ranges = [[Condition(f"{column} = ?", (value,)), further], [Condition(f"{column} {sign} ?", (value,))]]
    return [*ranges, [Condition(f"{column} IS NULL")]] if order.descending else ranges


def _ids(sql: Execute, source: Condition, order: _Order, most: int, matches: Matches | None = None) -> list[int]:
    """The ids of the first entries of a source in this order; only those that match."""
    ids: list[int] = []
    for conditions in _after(order):
        where = together([source, *conditions])
        left = None if most < 0 else most - len(ids)
        if left == 0:
            break
        limit = -1 if matches is not None or left is None else left
        rows = sql(f"SELECT e.id FROM {where.sql} {order.sql} LIMIT ?", (*where.values, limit))
        ids += islice((rowid for (rowid,) in rows if matches is None or rowid in matches), left)
    return ids


def _is_listed(sql: Execute, which: Filter, matches: Matches | None, limit: int) -> bool:
    """Whether to read the entries in order from the listing."""
    is_searched = which.words and matches is None  # nothing is in the search index: all are looked through
    return limit >= 0 and not is_searched and not filters.names_entries(which) and listing_index.is_made(sql)


def _matches(sql: Execute, which: Filter) -> tuple[Matches | None, list[int] | None]:
    """The entries with the words of `which`, and a list of them if they are few."""
    matches = filters.with_words(sql, which)
    few = None if matches is None else list(islice(matches, _FEW + 1))
    return matches, few if few is not None and len(few) <= _FEW else None


def _sources(sql: Execute, which: Filter, now: float, order: _Order, most: int) -> list[Condition]:
    """The SQL after FROM for the entries that `which` selects: the listed ones, and the new ones if there are any.

    At most so many of them are read, in order.
    """
    until = listing_index.listed_until(sql)
    others = filters.of_rows(which)
    alive = filters.is_alive(which, now)
    sources = [together([_listed(sql, which, order, most), *filters.not_expired(sql, which, now), *others])]
    ((last,),) = sql("SELECT max(id) FROM entry")
    if last is not None and last > until:
        new = Condition("entry e WHERE e.id > ? AND e.facet IS NULL", (until,))
        sources.append(together([new, *filters.of_facets(sql, which), *alive, *others]))
    return sources


def _listed(sql: Execute, which: Filter, order: _Order, most: int) -> Condition:
    """The listed entries with the values that `which` asks for: in order, or without if that is quicker to read and sort."""
    in_order = Condition(f"entry e INDEXED BY entry_by_{order.column} WHERE e.facet IS NOT NULL")
    wanted = together(filters.of_facets(sql, which, "f"))
    if not wanted.values:
        return in_order
    facets = sql(f"SELECT f.id, f.entries FROM facet f WHERE {wanted.sql}", wanted.values).fetchall()
    values = (json.dumps([each for each, _ in facets]),)
    entries = sum(whole(each) or 0 for _, each in facets)
    if _is_quicker_sorted(sql, entries, order, most):
        return Condition(f"entry e INDEXED BY entry_by_facet WHERE e.facet IN ({OF_JSON})", values)
    column, value = order.column, getattr(which, order.column, None)
    one_value = [] if value is None else [Condition(f"e.{column} = ?", (written(value),))]
    return together([in_order, *one_value, Condition(f"+e.facet IN ({OF_JSON})", values)])


def _is_quicker_sorted(sql: Execute, entries: int, order: _Order, most: int) -> bool:
    """Whether so many entries are read and sorted in less time than the index is read in order up to that many of them.

    In the index others are between them. They may be close together at the far end, so not much is risked for few.
    """
    all_entries = whole(sql("SELECT max(id) FROM entry").fetchone()[0]) or 0
    passed = min(most * all_entries / max(1, entries), all_entries)
    return entries * (_SORTED if order.column == "created" else _READ_AND_SORTED) <= max(passed, all_entries / _RISKED)


def _from_the_end(sql: Execute, which: Filter, now: float, part: Part) -> Part | None:
    """The same part counted from the other end, if that is nearer and it is known where that is."""
    if filters.of_rows(which) or filters.names_entries(which) or part.limit is None or listing_index.is_left(sql):
        return None
    entries = counts.count(sql, which, now)[0]
    if part.offset <= entries / 2:
        return None
    limit = max(0, min(part.limit, entries - part.offset))
    return part._replace(descending=not part.descending, limit=limit, offset=max(0, entries - part.offset - limit))


def _rows(sql: Execute, page: Condition, order: _Order, limit: int, offset: int) -> list[EntryMeta]:
    rows = sql(
        f"SELECT {_COLUMNS} FROM ({page.sql}) page"
        " JOIN entry e ON e.id = page.id JOIN Cache c ON c.rowid = e.id LEFT JOIN preview p ON p.id = e.id"
        f" {order.sql} LIMIT ? OFFSET ?",
        (*page.values, limit, offset),
    )
    return [_meta(row) for row in rows]


def _meta(row: Sequence[object]) -> EntryMeta:
    key, model, prompt, answer, status, created, tags, notebooks, cell, last_hit, hits, size, expires = row[:13]
    provider, input_tokens, output_tokens, cost, seconds, charged, client, streamed, kind, function = row[13:23]
    return EntryMeta(
        key=text(key),
        model=text(model),
        prompt=text(prompt),
        answer=text(answer),
        status=text(status),
        created=moment(created) or 0.0,
        tags=split(tags),
        notebooks=split(notebooks),
        cell=None if cell is None else text(cell),
        last_hit=moment(last_hit),
        hits=whole(hits) or 0,
        size_bytes=whole(size) or 0,
        expires=moment(expires),
        provider=None if provider is None else text(provider),
        input_tokens=whole(input_tokens),
        output_tokens=whole(output_tokens),
        cost_usd=dollars(cost),
        seconds=number(seconds),
        charged=bool(charged),
        client=None if client is None else text(client),
        streamed=bool(streamed),
        kind=kind_in(kind),
        function=None if function is None else text(function),
    )
