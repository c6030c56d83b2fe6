"""The statements on the tables of metadata: writing, searching and deleting entries."""

import math
import sqlite3
import time
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from nbcache.entry.filter import CALL
from nbcache.stores.sqlite import listing_index, schema, tombstones
from nbcache.stores.sqlite.sql import Execute, cleaned, joined, number, pico, split, whole, written
from nbcache.stores.sqlite.word_matches import Matches

if TYPE_CHECKING:
    from nbcache.entry.records import EntryMeta, Touch

ROWID = "(SELECT rowid FROM Cache WHERE key = ? AND raw = 1)"
_LIVE = "(expire_time IS NULL OR expire_time > ?)"
_STORED = (
    "INSERT OR IGNORE INTO Cache (key, raw, store_time, expire_time, access_time, mode, value)"
    " VALUES (?, 1, 0, ?, 0, 1, ?)"
)
_ROW = (
    "INSERT INTO entry (id, created, expires, used, size, input_tokens, output_tokens, cost, seconds, model,"
    " provider, status, cell, tags, notebooks, charged, client, streamed, kind, function)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_STAY = {"id", "notebooks"}  # of a row that is written anew, besides its hits
_ROW_ANEW = f"{_ROW} ON CONFLICT (id) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in _ROW[_ROW.index("(") + 1 : _ROW.index(")")].split(", ") if name not in _STAY
)
_PREVIEW = "INSERT OR REPLACE INTO preview (id, prompt, answer) VALUES (?, ?, ?)"
_REPLACED = "SELECT rowid, expire_time <= ?, expire_time FROM Cache WHERE key = ? AND raw = 1"


def put(sql: Execute, key: str, payload: bytes, meta: "EntryMeta", expires: float | None) -> int:
    """Write an entry and its row; returns the rowid."""
    rowid, new = store(sql, key, payload, expires)
    insert(sql, rowid, columns_of(meta), len(payload), expires)
    if not new:
        listing_index.add(sql, rowid)  # it may have had no row
        for notebook in meta.notebooks:
            own(sql, rowid, notebook)
    return rowid


def store(sql: Execute, key: str, payload: bytes, expires: float | None) -> tuple[int, bool]:
    """Write a payload into diskcache's table as its `set` does; returns the rowid, and whether it is new."""
    new = (key, expires, payload)
    inserted = sql(_STORED, new)
    if inserted.rowcount:
        return int(inserted.lastrowid or 0), True
    row = sql(_REPLACED, (time.time(), key)).fetchone()
    if row[1]:  # it has expired: its hits and owners go with it
        tombstones.delete_entry(sql, row[0], key, row[2], "expired")
        return int(sql(_STORED, new).lastrowid or 0), True
    rowid = int(row[0])
    sql("UPDATE Cache SET expire_time = ?, mode = 1, value = ? WHERE rowid = ?", (expires, payload, rowid))
    return rowid, False


def columns_of(meta: "EntryMeta") -> tuple[Any, ...]:
    """The columns of a new entry that its row of metadata fills, and its previews. `insert` cleans the texts in them."""
    return (
        *(meta.created, meta.input_tokens, meta.output_tokens, pico(meta.cost_usd), meta.seconds),
        *(meta.model, meta.provider, meta.status, meta.cell, joined(meta.tags), joined(meta.notebooks)),
        *(int(meta.charged) or None, meta.client, int(meta.streamed) or None),
        *(None if meta.kind == CALL else meta.kind, meta.function, meta.prompt, meta.answer),
    )


def insert(sql: Execute, rowid: int, columns: tuple[Any, ...], size: int, expires: float | None) -> None:
    """Write the row of a payload that was just stored. Hits and owners of an earlier row stay."""
    created, *others, prompt, answer = cleaned(columns)
    row = (rowid, created, expires, created, size, *others)
    try:
        sql(_ROW, row)
    except sqlite3.IntegrityError:
        sql(_ROW_ANEW, row)
    sql(_PREVIEW, (rowid, prompt, answer))


def own(sql: Execute, rowid: int, notebook: str) -> None:
    """Make `notebook` an owner."""
    mine = joined([notebook])
    sql(
        "UPDATE entry SET notebooks = CASE notebooks WHEN '' THEN ?1 ELSE notebooks || substr(?1, 2) END"
        " WHERE id = ?2 AND NOT instr(notebooks, ?1)",
        (mine, rowid),
    )


def touch(sql: Execute, touched: "Touch", now: float) -> None:
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


def similar(sql: Execute, wanted: Sequence[str], limit: int) -> list[str]:
    """The keys of entries with all of the words; then of those with half of them, a quarter, and so on, the newest first."""
    keys: dict[str, None] = {}
    groups = deque([wanted] if wanted else [])
    while groups and len(keys) < limit:
        group = groups.popleft()
        for rowid in islice(Matches(sql, group, are_whole=True), limit):
            key = sql("SELECT key FROM Cache WHERE rowid = ?", (rowid,)).fetchone()
            keys |= {} if key is None else {key[0]: None}
        if len(group) > 1:
            groups.extend((group[::2], group[1::2]))
    return list(keys)[:limit]
