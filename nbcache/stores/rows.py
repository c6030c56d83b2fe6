"""The table of metadata beside diskcache's own in one SQLite file: its schema and statements.

A row of `entry` has the rowid of its payload in `Cache`, diskcache's table. Triggers keep the two in
step whatever deletes a payload, and keep the totals.
"""

import sqlite3
from collections.abc import Callable, Sequence

from nbcache.entry import EntryMeta, Filter, Touch

Execute = Callable[..., sqlite3.Cursor]

_SEPARATOR = "\x1f"  # between tags and between notebooks; in no file's name that anybody types
_TOMBSTONES = 10_000

SCHEMA = (
    # Counters of diskcache's own, which nothing here reads: they would cost a fifth of an update.
    *(f"DROP TRIGGER IF EXISTS Settings_{name}" for name in ("count_insert", "count_delete", "size_insert")),
    *(f"DROP TRIGGER IF EXISTS Settings_{name}" for name in ("size_update", "size_delete")),
    "CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY, model TEXT NOT NULL, prompt TEXT NOT NULL,"
    " answer TEXT NOT NULL, status TEXT NOT NULL, created REAL NOT NULL, tags TEXT NOT NULL, cell TEXT,"
    " last_hit REAL, hits INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL, used REAL NOT NULL)",
    "CREATE INDEX IF NOT EXISTS entry_created ON entry (created)",
    "CREATE TABLE IF NOT EXISTS owner (id INTEGER, notebook TEXT, PRIMARY KEY (id, notebook)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS tombstone (id INTEGER PRIMARY KEY, key TEXT UNIQUE, gone REAL, why TEXT)",
    "CREATE TABLE IF NOT EXISTS total (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT OR IGNORE INTO total VALUES ('entries', 0), ('bytes', 0), ('evictions', 0)",
    "CREATE TRIGGER IF NOT EXISTS entry_gone AFTER DELETE ON Cache BEGIN"
    " INSERT OR REPLACE INTO tombstone (key, gone, why) SELECT OLD.key, julianday('now'), 'expired'"
    "  WHERE OLD.expire_time < (julianday('now') - 2440587.5) * 86400;"
    " DELETE FROM entry WHERE id = OLD.rowid; DELETE FROM owner WHERE id = OLD.rowid; END",
    "CREATE TRIGGER IF NOT EXISTS total_insert AFTER INSERT ON entry BEGIN"
    " UPDATE total SET value = value + 1 WHERE name = 'entries';"
    " UPDATE total SET value = value + NEW.size WHERE name = 'bytes'; END",
    "CREATE TRIGGER IF NOT EXISTS total_update AFTER UPDATE OF size ON entry BEGIN"
    " UPDATE total SET value = value + NEW.size - OLD.size WHERE name = 'bytes'; END",
    "CREATE TRIGGER IF NOT EXISTS total_delete AFTER DELETE ON entry BEGIN"
    " UPDATE total SET value = value - 1 WHERE name = 'entries';"
    " UPDATE total SET value = value - OLD.size WHERE name = 'bytes'; END",
)
_ROWID = "(SELECT rowid FROM Cache WHERE key = ? AND raw = 1)"
_SELECT = (
    "SELECT c.key, e.model, e.prompt, e.answer, e.status, e.created, e.tags, e.cell, e.last_hit, e.hits, e.size,"
    " c.expire_time, (SELECT group_concat(notebook, char(31)) FROM owner WHERE id = e.id)"
    " FROM entry e JOIN Cache c ON c.rowid = e.id WHERE (c.expire_time IS NULL OR c.expire_time > ?)"
)


def store(sql: Execute, key: str, payload: bytes, expires: float | None) -> int:
    """Write a payload into diskcache's table as its own `set` does with such a value; the rowid."""
    found = sql("SELECT rowid FROM Cache WHERE key = ? AND raw = 1", (key,)).fetchone()
    if found is None:
        inserted = sql(
            "INSERT INTO Cache (key, raw, store_time, expire_time, access_time, mode, value) VALUES (?, 1, 0, ?, 0, 1, ?)",
            (key, expires, payload),
        )
        return int(inserted.lastrowid or 0)
    rowid = int(found[0])
    sql("UPDATE Cache SET expire_time = ?, mode = 1, value = ? WHERE rowid = ?", (expires, payload, rowid))
    return rowid


def insert(sql: Execute, rowid: int, meta: EntryMeta, size: int) -> None:
    """Write the row of a payload that was just stored. Owners and hits of an earlier one stay."""
    sql(
        "INSERT INTO entry (id, model, prompt, answer, status, created, tags, cell, size, used)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
        " model = excluded.model, prompt = excluded.prompt, answer = excluded.answer, status = excluded.status,"
        " created = excluded.created, tags = excluded.tags, cell = excluded.cell, size = excluded.size,"
        " used = excluded.used",
        (
            *(rowid, _written(meta.model), _written(meta.prompt), _written(meta.answer), meta.status, meta.created),
            *(_written(_joined(meta.tags)), meta.cell and _written(meta.cell), size, meta.created),
        ),
    )
    for notebook in meta.notebooks:
        sql("INSERT OR IGNORE INTO owner VALUES (?, ?)", (rowid, _written(notebook)))


def touch(sql: Execute, touched: Touch) -> None:
    """Write down hits of one entry by one notebook."""
    sql(
        "UPDATE entry SET hits = hits + ?1, last_hit = max(coalesce(last_hit, 0), ?2), used = max(used, ?2)"
        " WHERE id = (SELECT rowid FROM Cache WHERE key = ?3 AND raw = 1)",
        (touched.hits, touched.when, touched.key),
    )
    if touched.notebook is not None:
        _own(sql, touched.key, touched.notebook)


def select(sql: Execute, which: Filter, now: float, limit: int | None, offset: int) -> list[EntryMeta]:
    """The rows that `which` means, newest first."""
    where, values = _where(which)
    rows = sql(
        f"{_SELECT}{where} ORDER BY e.created DESC, e.id DESC LIMIT ? OFFSET ?",
        (now, *values, -1 if limit is None else limit, offset),
    )
    return [_meta(row) for row in rows]


def totals(sql: Execute, notebook: str | None, now: float) -> tuple[int, int, int]:
    """Entries and bytes, of the store or owned by one notebook, and all evictions."""
    where, values = _where(Filter(notebook=notebook))
    ((entries, size),) = sql(
        "SELECT count(*), coalesce(sum(e.size), 0) FROM entry e JOIN Cache c ON c.rowid = e.id"
        f" WHERE (c.expire_time IS NULL OR c.expire_time > ?){where}",
        (now, *values),
    )
    return entries, size, _total(sql, "evictions")


def disown(sql: Execute, key: str, owner: str) -> bool:
    """Take the ownership of `owner` away; whether others own the entry still."""
    sql(f"DELETE FROM owner WHERE id = {_ROWID} AND notebook = ?", (key, _written(owner)))
    return bool(sql(f"SELECT 1 FROM owner WHERE id = {_ROWID}", (key,)).fetchone())


def size_of(sql: Execute, key: str) -> int | None:
    """Bytes of an entry; None where there is none."""
    row = sql(f"SELECT size FROM entry WHERE id = {_ROWID}", (key,)).fetchone()
    return None if row is None else int(row[0])


def evict(sql: Execute, max_bytes: int | None, max_entries: int | None, spare: str) -> None:
    """Delete the least recently used entries but `spare` until the store is within its bounds."""
    if not _is_over(sql, max_bytes, max_entries):
        return
    # Only a store with bounds needs the index, which costs a fifth of an update.
    sql("CREATE INDEX IF NOT EXISTS entry_used ON entry (used)")
    while _is_over(sql, max_bytes, max_entries):
        row = sql(
            f"SELECT c.rowid, c.key FROM entry e JOIN Cache c ON c.rowid = e.id WHERE e.id != {_ROWID}"
            " ORDER BY e.used, e.id LIMIT 1",
            (spare,),
        ).fetchone()
        if row is None:
            return
        sql("DELETE FROM Cache WHERE rowid = ?", (row[0],))
        _bury(sql, row[1])


def _is_over(sql: Execute, max_bytes: int | None, max_entries: int | None) -> bool:
    return (max_entries is not None and _total(sql, "entries") > max_entries) or (
        max_bytes is not None and _total(sql, "bytes") > max_bytes
    )


def mend(sql: Execute) -> list[str]:
    """What of the metadata belongs to no payload, or was counted wrong; mended."""
    problems = []
    for table in ("entry", "owner"):
        lost = sql(f"DELETE FROM {table} WHERE id NOT IN (SELECT rowid FROM Cache)").rowcount
        if lost:
            problems.append(f"{lost} rows of {table} without a payload")
    counted = sql("SELECT count(*), coalesce(sum(size), 0) FROM entry").fetchone()
    if counted != (_total(sql, "entries"), _total(sql, "bytes")):
        problems.append("the totals were not those of the rows")
        sql("UPDATE total SET value = ? WHERE name = 'entries'", (counted[0],))
        sql("UPDATE total SET value = ? WHERE name = 'bytes'", (counted[1],))
    return problems


def _bury(sql: Execute, key: str) -> None:
    """Leave a tombstone (no text) and count the eviction; only so many are kept."""
    sql("INSERT OR REPLACE INTO tombstone (key, gone, why) VALUES (?, julianday('now'), 'evicted')", (key,))
    sql("DELETE FROM tombstone WHERE id <= (SELECT max(id) FROM tombstone) - ?", (_TOMBSTONES,))
    sql("UPDATE total SET value = value + 1 WHERE name = 'evictions'")


def _own(sql: Execute, key: str, notebook: str) -> None:
    sql("INSERT OR IGNORE INTO owner SELECT rowid, ? FROM Cache WHERE key = ? AND raw = 1", (_written(notebook), key))


def _total(sql: Execute, name: str) -> int:
    return int(sql("SELECT value FROM total WHERE name = ?", (name,)).fetchone()[0])


def _where(which: Filter) -> tuple[str, list[object]]:
    conditions: list[tuple[str, object]] = []
    if which.notebook is not None:
        conditions.append(("EXISTS (SELECT 1 FROM owner WHERE id = e.id AND notebook = ?)", _written(which.notebook)))
    if which.model is not None:
        conditions.append(("e.model = ?", _written(which.model)))
    if which.tag is not None:
        conditions.append(("instr(e.tags, ?)", _written(_joined([which.tag]))))
    if which.before is not None:
        conditions.append(("e.created < ?", which.before))
    if which.unused:
        conditions.append(("e.hits < ?", 1))
    if which.key is not None:
        conditions += [("c.key >= ?", which.key), ("c.key < ?", which.key + "g")]  # keys are hexadecimal
    return "".join(f" AND {condition}" for condition, _ in conditions), [value for _, value in conditions]


def _meta(row: Sequence[object]) -> EntryMeta:
    key, model, prompt, answer, status, created, tags, cell, last_hit, hits, size, expires, notebooks = row
    return EntryMeta(
        *(key, model, prompt, answer, status, created),  # type: ignore[arg-type]  # as the schema says
        tags=_split(tags),
        notebooks=_split(notebooks),
        cell=cell,  # type: ignore[arg-type]
        last_hit=last_hit,  # type: ignore[arg-type]
        hits=hits,  # type: ignore[arg-type]
        size_bytes=size,  # type: ignore[arg-type]
        expires=expires,  # type: ignore[arg-type]
    )


def _written(text: str) -> str:
    """`text` as SQLite can store it: half an emoji becomes a question mark."""
    return text.encode(errors="replace").decode()


def _joined(words: Sequence[str]) -> str:
    return _SEPARATOR + _SEPARATOR.join(words) + _SEPARATOR if words else ""


def _split(text: object) -> tuple[str, ...]:
    return tuple(sorted(word for word in str(text or "").split(_SEPARATOR) if word))
