"""The statements on the tables of metadata: writing, searching and deleting entries."""

import json
import math
import time
from array import array
from collections import deque
from collections.abc import Collection, Sequence

from nbcache.entry.records import SORTABLE, EntryMeta, Facets, Filter, Touch
from nbcache.stores.sqlite import schema, search_index, totals
from nbcache.stores.sqlite.sql import Execute, dollars, joined, moment, number, only, pico, split, text, whole, written

_COLUMN_OF = {name: name for name in SORTABLE} | {"size_bytes": "size", "cost_usd": "cost"}
_TOMBSTONES = 10_000
_FAR = 5_000  # rows before a page
_SAMPLE = 2_000
_LOWEST, _HIGHEST = (-math.inf, 0), (b"", 0)  # as SQLite compares a number or a text, and an id
ROWID = "(SELECT rowid FROM Cache WHERE key = ? AND raw = 1)"
_LIVE = "(expire_time IS NULL OR expire_time > ?)"
EXPIRED = "SELECT rowid, key, expire_time FROM Cache WHERE expire_time <= ?"
_COLUMNS = (
    "c.key, e.model, p.prompt, p.answer, e.status, e.created, e.tags, e.notebooks, e.cell, e.last_hit, e.hits, e.size,"
    " e.expires, e.provider, e.input_tokens, e.output_tokens, e.cost, e.seconds, e.charged"
)


_REPLACED = "SELECT rowid, expire_time <= ?, expire_time FROM Cache WHERE key = ? AND raw = 1"


def put(sql: Execute, key: str, payload: bytes, meta: EntryMeta, expires: float | None) -> int:
    """Write an entry and its row; returns the rowid."""
    rowid, new = store(sql, key, payload, expires)
    insert(sql, rowid, meta, len(payload), expires)
    for notebook in () if new else meta.notebooks:
        own(sql, rowid, notebook)
    return rowid


def store(sql: Execute, key: str, payload: bytes, expires: float | None) -> tuple[int, bool]:
    """Write a payload into diskcache's table as its `set` does; returns the rowid, and whether it is new."""
    row = sql(_REPLACED, (time.time(), key)).fetchone()
    if row is not None and row[1]:  # its hits and owners go with it
        delete_with_tombstone(sql, row[0], key, row[2], "expired")
    if row is None or row[1]:
        inserted = sql(
            "INSERT INTO Cache (key, raw, store_time, expire_time, access_time, mode, value) VALUES (?, 1, 0, ?, 0, 1, ?)",
            (key, expires, payload),
        )
        return int(inserted.lastrowid or 0), True
    rowid = int(row[0])
    sql("UPDATE Cache SET expire_time = ?, mode = 1, value = ? WHERE rowid = ?", (expires, payload, rowid))
    return rowid, False


def insert(sql: Execute, rowid: int, meta: EntryMeta, size: int, expires: float | None) -> None:
    """Write the row of a payload that was just stored. Hits and owners of an earlier row stay."""
    sql(
        "INSERT INTO entry (id, created, expires, used, size, input_tokens, output_tokens, cost, seconds, model,"
        " provider, status, cell, tags, notebooks, charged) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET created = excluded.created, expires = excluded.expires, used = excluded.used,"
        " size = excluded.size, input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens,"
        " cost = excluded.cost, seconds = excluded.seconds, model = excluded.model, provider = excluded.provider,"
        " status = excluded.status, cell = excluded.cell, tags = excluded.tags, charged = excluded.charged",
        (
            *(rowid, meta.created, expires, meta.created, size, meta.input_tokens, meta.output_tokens),
            *(
                pico(meta.cost_usd),
                meta.seconds,
                written(meta.model),
                meta.provider and written(meta.provider),
                meta.status,
            ),
            *(meta.cell and written(meta.cell), joined(meta.tags), joined(meta.notebooks)),
            int(meta.charged) or None,
        ),
    )
    sql(
        "INSERT OR REPLACE INTO preview (id, prompt, answer) VALUES (?, ?, ?)",
        (rowid, written(meta.prompt), written(meta.answer)),
    )


def own(sql: Execute, rowid: int, notebook: str) -> None:
    """Make `notebook` an owner."""
    mine = joined([notebook])
    sql(
        "UPDATE entry SET notebooks = CASE notebooks WHEN '' THEN ?1 ELSE notebooks || substr(?1, 2) END"
        " WHERE id = ?2 AND NOT instr(notebooks, ?1)",
        (mine, rowid),
    )


def touch(sql: Execute, touched: Touch, now: float) -> None:
    """Write down the hits, the owner and the cost of one entry."""
    row = sql(f"SELECT rowid FROM Cache WHERE rowid = {ROWID} AND {_LIVE}", (touched.key, now)).fetchone()
    if row is None:
        return
    if touched.hits:
        sql(
            "UPDATE entry SET hits = hits + ?1, last_hit = max(coalesce(last_hit, 0), ?2), used = max(used, ?2)"
            " WHERE id = ?3",
            (touched.hits, touched.when, row[0]),
        )
        if schema.counts_totals(sql):
            put_last(sql, touched.key, now)
    if touched.cost_usd is not None:
        charged = int(touched.charged) or None
        sql("UPDATE entry SET cost = ?, charged = ? WHERE id = ?", (pico(touched.cost_usd), charged, row[0]))
    if touched.notebook is not None:
        own(sql, row[0], touched.notebook)


def select(  # noqa: PLR0913 - what a page is
    sql: Execute, which: Filter, now: float, *, sort: str, descending: bool, limit: int | None, offset: int
) -> list[EntryMeta]:
    """The rows that `which` selects. First the ids alone, from the narrow table; then the rows of the page."""
    if sort not in SORTABLE:
        raise ValueError(f"sort={sort!r}: write one of {', '.join(SORTABLE)}")
    source, values = _source(sql, which, now)
    column, direction = f"e.{_COLUMN_OF[sort]}", "DESC" if descending else "ASC"
    order = f"{column} {direction}, e.id {direction}"
    if limit is not None and offset >= _FAR and not which.words:
        near = _near(sql, source, values, column, descending=descending, limit=limit, offset=offset)
        if near is not None:
            source, values = "json_each(?) near CROSS JOIN entry e ON e.id = near.value", [near[0]]
            offset -= near[1]
    rows = sql(
        f"SELECT {_COLUMNS} FROM (SELECT e.id FROM {source} ORDER BY {order} LIMIT ? OFFSET ?) page"
        " JOIN entry e ON e.id = page.id JOIN Cache c ON c.rowid = e.id LEFT JOIN preview p ON p.id = e.id"
        f" ORDER BY {order}",
        (*values, -1 if limit is None else limit, offset),
    )
    return [_meta(row) for row in rows]


def ids(sql: Execute, which: Filter, now: float, keys: Collection[str] | None) -> "array[int]":
    """The ids of the entries that `which` selects, or of those of them among `keys`, the newest first: eight bytes each."""
    source, values = _source(sql, which, now)
    if keys is not None:
        source += " AND e.id IN (SELECT rowid FROM Cache WHERE raw = 1 AND key IN (SELECT value FROM json_each(?)))"
        values.append(json.dumps([*keys]))
    return array(
        "q", (rowid for (rowid,) in sql(f"SELECT e.id FROM {source} ORDER BY e.created DESC, e.id DESC", values))
    )


def with_payload(sql: Execute, rowid: int, expires_after: float) -> tuple[EntryMeta, int, object] | None:
    """The row of an entry, and its payload as diskcache's table has it: mode and value. None if it is gone, or has expired."""
    row = sql(
        f"SELECT {_COLUMNS}, c.mode, c.value FROM entry e JOIN Cache c ON c.rowid = e.id LEFT JOIN preview p ON p.id = e.id"
        " WHERE e.id = ? AND c.raw = 1 AND (c.expire_time IS NULL OR c.expire_time > ?)",
        (rowid, expires_after),
    ).fetchone()
    return None if row is None else (_meta(row), row[-2], row[-1])


def _near(  # noqa: PLR0913 - what a page is
    sql: Execute, source: str, values: list[object], column: str, *, descending: bool, limit: int, offset: int
) -> tuple[str, int] | None:
    """Find the ids (as JSON) that include those of a page far in, and how many rows come before them.

    To sort half of the rows takes longer than to read all of them twice. So a sample is sorted, which shows between which
    of its rows the page is. Returns None in the rare case that the page isn't there.
    """
    place = f"coalesce({column}, -9e999), e.id"  # SQLite's own order of what is unknown
    direction, earlier = ("DESC", ">") if descending else ("ASC", "<")
    last_id = sql("SELECT max(id) FROM entry").fetchone()[0] or 0
    step = max(1, -(-last_id // _SAMPLE))
    sample = sql(
        f"SELECT {place} FROM {source} AND e.id IN (WITH RECURSIVE some (id) AS (VALUES (1) UNION ALL"
        f" SELECT id + 1 + abs(random() % {2 * step - 1}) FROM some WHERE id < {last_id}) SELECT id FROM some)"
        f" ORDER BY 1 {direction}, 2 {direction}",
        values,
    ).fetchall()
    slack = 3 * math.sqrt(offset / step) + 3
    first, last = int(offset / step - slack), int((offset + limit) / step + slack)
    if first >= len(sample):
        return None
    ends = (_HIGHEST, _LOWEST) if descending else (_LOWEST, _HIGHEST)
    begin = sample[first] if first >= 0 else ends[0]
    end = sample[last] if last < len(sample) else ends[1]
    ((before, ids),) = sql(
        f"SELECT count(*) FILTER (WHERE ({place}) {earlier} (?, ?)),"
        f" json_group_array(e.id) FILTER (WHERE ({place}) BETWEEN (?, ?) AND (?, ?)) FROM {source}",
        (*begin, *((*end, *begin) if descending else (*begin, *end)), *values),
    )
    enough = end is ends[1] or ids.count(",") + 1 >= offset - before + limit
    return (ids, before) if before <= offset and enough else None


def count(sql: Execute, which: Filter, now: float) -> tuple[int, int, int]:
    """Number and bytes of the entries that `which` selects, and all evictions."""
    source, values = _source(sql, which, now)
    ((entries, size),) = sql(f"SELECT count(*), total({only('integer', 'e.size')}) FROM {source}", values)
    return entries, int(size), totals.evictions(sql)


def facets(sql: Execute, notebook: str | None, now: float) -> Facets:
    """The values that the entries have."""
    source, values = _source(sql, Filter(notebook=notebook), now)
    columns = ("model", "tags", "notebooks", "cell", "status")
    (row,) = sql(f"SELECT {', '.join(map(_distinct, columns))} FROM {source}", values)
    values_of = {name: [each for each in json.loads(values) if each] for name, values in zip(columns, row, strict=True)}

    def apart(column: str) -> tuple[str, ...]:
        return tuple(sorted({each for joined in values_of[column] for each in split(joined)}))

    model, cell, status = (tuple(sorted(values_of[name])) for name in ("model", "cell", "status"))
    return Facets(model, apart("tags"), apart("notebooks"), cell, status)


def _distinct(column: str) -> str:
    return f"json_group_array(DISTINCT e.{column}) FILTER (WHERE typeof(e.{column}) = 'text')"


def disown(sql: Execute, key: str, owner: str) -> bool:
    """Remove `owner` from the owners. Returns whether there are others."""
    row = sql(f"SELECT id, notebooks FROM entry WHERE id = {ROWID}", (key,)).fetchone()
    if row is None:
        return False
    others = [name for name in split(row[1]) if name != written(owner)]
    sql("UPDATE entry SET notebooks = ? WHERE id = ?", (joined(others), row[0]))
    return bool(others)


def delete(sql: Execute, key: str) -> bool:
    """Delete an entry, even an expired one. Returns whether there was one."""
    return sql("DELETE FROM Cache WHERE key = ? AND raw = 1", (key,)).rowcount > 0


def size_of(sql: Execute, key: str, now: float) -> int | None:
    """Bytes of an entry. None if there is none, or it has expired."""
    row = sql(f"SELECT size FROM entry WHERE id = {ROWID} AND (expires IS NULL OR expires > ?)", (key, now)).fetchone()
    return None if row is None else whole(row[0]) or 0


def put_last(sql: Execute, key: str, now: float) -> None:
    """Make `key` the most recently used entry, even if the clock was ahead when others were used."""
    (newest,) = sql(f"SELECT max(used) FROM entry WHERE id != {ROWID}", (key,)).fetchone()
    if (newest := number(newest)) is not None and newest > now:
        sql(f"UPDATE entry SET used = ? WHERE id = {ROWID}", (math.nextafter(newest, math.inf), key))


def delete_with_tombstone(sql: Execute, rowid: int, key: str, when: float, why: str) -> None:
    """Delete an expired or evicted entry, and write a tombstone, which has no text. Only the latest tombstones are kept."""
    sql("DELETE FROM Cache WHERE rowid = ?", (rowid,))
    if sql("DELETE FROM tombstone WHERE key = ? AND gone = ? AND why = 'told'", (key, when)).rowcount > 0:
        return
    sql("INSERT OR REPLACE INTO tombstone (key, gone, why) VALUES (?, ?, ?)", (key, when, why))
    sql("DELETE FROM tombstone WHERE id <= (SELECT max(id) FROM tombstone) - ?", (_TOMBSTONES,))


def may_have_tombstone(sql: Execute, key: str) -> bool:
    """Whether `key` has a tombstone, or has expired."""
    return bool(
        sql(
            "SELECT EXISTS (SELECT 1 FROM tombstone WHERE key = ?1)"
            " OR EXISTS (SELECT 1 FROM Cache WHERE key = ?1 AND expire_time IS NOT NULL)",
            (key,),
        ).fetchone()[0]
    )


def similar(sql: Execute, wanted: Sequence[str], limit: int) -> list[str]:
    """The keys of entries with all of the words; then of those with half of them, a quarter, and so on, the newest first."""
    if not wanted or not search_index.is_made(sql):
        return []
    keys: dict[str, None] = {}
    groups = deque([wanted])
    while groups and len(keys) < limit:
        group = groups.popleft()
        some = sql(
            "SELECT c.key FROM (SELECT rowid FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT ?) w"
            " JOIN Cache c ON c.rowid = w.rowid",
            (search_index.whole(group), limit),
        )
        keys |= {key: None for (key,) in some}
        if len(group) > 1:
            groups.extend((group[::2], group[1::2]))
    return list(keys)[:limit]


def tombstone(sql: Execute, key: str, when: float, *, keep: bool) -> tuple[str, float] | None:
    """Why (`expired`, `evicted`) and when `key`, which missed at `when`, was removed; without `keep` only once."""
    expired = sql(f"{EXPIRED} AND key = ?", (when, key)).fetchone()
    row = sql("SELECT why, gone FROM tombstone WHERE key = ? AND gone <= ?", (key, when)).fetchone()
    if expired is not None and row != ("told", expired[2]):  # it is still there
        if not keep:
            sql("INSERT OR REPLACE INTO tombstone (key, gone, why) VALUES (?, ?, 'told')", (key, expired[2]))
        return "expired", float(expired[2])
    if row is None or row[0] == "told":
        return None
    if not keep:
        sql("DELETE FROM tombstone WHERE key = ?", (key,))
    return text(row[0]), moment(row[1]) or when


def _source(sql: Execute, which: Filter, now: float) -> tuple[str, list[object]]:
    """The SQL after FROM for the rows `e` that `which` selects, and its values."""
    tables, conditions = _with_words(sql, which.words)
    conditions.append(("(e.expires IS NULL OR e.expires > ?)", [0 if which.include_expired else now]))
    for column, value in (("model", which.model), ("cell", which.cell), ("status", which.status)):
        if value is not None:
            conditions.append((f"e.{column} = ?", [written(value)]))
    for column, value in (("notebooks", which.notebook), ("tags", which.tag)):
        if value is not None:
            conditions.append((f"instr(e.{column}, ?)", [joined([value])]))
    if which.prompt is not None:
        conditions.append(("e.id IN (SELECT id FROM preview WHERE prompt = ?)", [written(which.prompt)]))
    if which.before is not None:
        conditions.append(("e.created < ?", [which.before]))
    if which.unused:
        conditions.append(("e.hits = 0", []))
    if which.key is not None:  # keys are hexadecimal
        conditions.append(
            ("e.id IN (SELECT rowid FROM Cache WHERE key >= ? AND key < ?)", [which.key, which.key + "g"])
        )
    where = " AND ".join(condition for condition, _ in conditions)
    return f"{tables} WHERE {where}", [value for _, values in conditions for value in values]


def _with_words(sql: Execute, wanted: Sequence[str]) -> tuple[str, list[tuple[str, list[object]]]]:
    """The tables and conditions that select entries with these words."""
    if not wanted:
        return "entry e", []
    if search_index.is_made(sql):  # in this order: one look at each row that is found
        return "words w CROSS JOIN entry e ON e.id = w.rowid", [("words MATCH ?", [search_index.query(wanted)])]
    preview = "(SELECT lower(prompt || ' ' || answer) FROM preview WHERE id = e.id)"  # better than nothing
    return "entry e", [(f"instr({preview}, ?)", [written(word)]) for word in wanted]


def _meta(row: Sequence[object]) -> EntryMeta:
    key, model, prompt, answer, status, created, tags, notebooks, cell, last_hit, hits, size, expires = row[:13]
    provider, input_tokens, output_tokens, cost, seconds, charged = row[13:19]
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
    )
