"""The tables beside diskcache's own in one SQLite file, and the upgrade of an earlier nbcache's file.

A row of `entry` has the rowid of its payload in `Cache`, diskcache's table. It is narrow, so that a scan is quick; what is
only shown is in `preview`. Triggers delete these rows with the payload.

**Unknown means newer.** A later release may add columns, each of a plain type and without a constraint, that don't change
what the others mean; this release leaves them alone. Anything else takes another STORE_VERSION: then this release leaves
the store alone, and says that a newer one wrote it.
"""

from nbcache.stores.sqlite import earlier_search_index, listing_index, search_index
from nbcache.stores.sqlite.folder import STORE_VERSION
from nbcache.stores.sqlite.sql import Execute

_MADE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'preview'"  # from version 2 on
_OF_VERSION_1 = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'owner'"  # which alone has it
_OF_KEYS = 3  # the version that gave entries their present keys
FIRST = -(2**63)  # of all rowids: no entry is done yet
_BOUNDED = "SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = 'entry_used'"

_DISKCACHE = (  # its tables as it makes them itself, but for counters that would cost a fifth of an update
    "CREATE TABLE IF NOT EXISTS Settings (key TEXT NOT NULL UNIQUE, value)",
    "CREATE TABLE IF NOT EXISTS Cache (rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER, store_time REAL,"
    " expire_time REAL, access_time REAL, access_count INTEGER DEFAULT 0, tag BLOB, size INTEGER DEFAULT 0,"
    " mode INTEGER DEFAULT 0, filename TEXT, value BLOB)",
    "CREATE UNIQUE INDEX IF NOT EXISTS Cache_key_raw ON Cache (key, raw)",
    "CREATE INDEX IF NOT EXISTS Cache_expire_time ON Cache (expire_time) WHERE expire_time IS NOT NULL",
)
_TABLES = (
    # Counters of diskcache's, which nothing here reads.
    *(f"DROP TRIGGER IF EXISTS Settings_{name}" for name in ("count_insert", "count_delete", "size_insert")),
    *(f"DROP TRIGGER IF EXISTS Settings_{name}" for name in ("size_update", "size_delete")),
    "CREATE TABLE entry (id INTEGER PRIMARY KEY, created REAL NOT NULL, expires REAL, used REAL NOT NULL,"
    " last_hit REAL, hits INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL, input_tokens INTEGER,"
    " output_tokens INTEGER, cost INTEGER, seconds REAL, model TEXT NOT NULL, provider TEXT, status TEXT NOT NULL,"
    " cell TEXT, tags TEXT NOT NULL, notebooks TEXT NOT NULL, charged INTEGER, facet INTEGER, client TEXT,"
    " streamed INTEGER, kind TEXT, function TEXT)",  # no kind is `call`
    "CREATE TABLE preview (id INTEGER PRIMARY KEY, prompt TEXT NOT NULL, answer TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS tombstone (id INTEGER PRIMARY KEY, key TEXT UNIQUE, gone REAL, why TEXT)",
    "CREATE TABLE IF NOT EXISTS total (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT OR IGNORE INTO total VALUES ('entries', 0), ('bytes', 0), ('evictions', 0)",
    "CREATE TABLE spending (id INTEGER PRIMARY KEY, session TEXT NOT NULL, execution INTEGER NOT NULL, began REAL,"
    " notebook TEXT, cell TEXT, model TEXT NOT NULL, hits INTEGER, misses INTEGER, spent INTEGER, saved INTEGER,"
    " saved_seconds REAL, unpriced_hits INTEGER, unpriced_misses INTEGER, estimated_hits INTEGER,"
    " estimated_misses INTEGER, charged_hits INTEGER, charged_misses INTEGER, waited REAL, untimed_hits INTEGER,"
    " partly_priced_hits INTEGER, kind TEXT, provider_saved INTEGER, provider_priced_misses INTEGER,"
    " provider_unpriced_misses INTEGER)",
    "CREATE TRIGGER entry_gone AFTER DELETE ON Cache BEGIN"
    " DELETE FROM entry WHERE id = OLD.rowid; DELETE FROM preview WHERE id = OLD.rowid; END",
)
# Only a store with bounds needs totals and the order of use: they cost a third of an update.
_BOUNDS = (
    "CREATE INDEX entry_used ON entry (used)",
    "UPDATE total SET value = (SELECT count(*) FROM entry) WHERE name = 'entries'",
    "UPDATE total SET value = (SELECT coalesce(sum(size), 0) FROM entry) WHERE name = 'bytes'",
    "CREATE TRIGGER total_insert AFTER INSERT ON entry BEGIN"
    " UPDATE total SET value = value + 1 WHERE name = 'entries';"
    " UPDATE total SET value = value + NEW.size WHERE name = 'bytes'; END",
    "CREATE TRIGGER total_update AFTER UPDATE OF size ON entry BEGIN"
    " UPDATE total SET value = value + NEW.size - OLD.size WHERE name = 'bytes'; END",
    "CREATE TRIGGER total_delete AFTER DELETE ON entry BEGIN"
    " UPDATE total SET value = value - 1 WHERE name = 'entries';"
    " UPDATE total SET value = value - OLD.size WHERE name = 'bytes'; END",
)
# The columns that versions 3, 4, 6 and 7 added: last in their tables, where SQLite adds them. `saved_seconds` keeps its meaning,
# which is what the models took in all.
_ADDED = {
    "entry": ("charged INTEGER", listing_index.COLUMN, "client TEXT", "streamed INTEGER", "kind TEXT", "function TEXT"),
    "spending": (
        "charged_hits INTEGER",
        "charged_misses INTEGER",
        "waited REAL",
        "untimed_hits INTEGER",
        *("partly_priced_hits INTEGER", "kind TEXT"),
        *("provider_saved INTEGER", "provider_priced_misses INTEGER", "provider_unpriced_misses INTEGER"),
    ),
}
_FROM_VERSION_1 = (
    *(f"DROP TRIGGER {name}" for name in ("entry_gone", "total_insert", "total_update", "total_delete")),
    "DROP INDEX IF EXISTS entry_used",
    "DROP INDEX entry_created",
    "ALTER TABLE entry RENAME TO entry_1",
    *_TABLES,
    "INSERT INTO entry (id, created, expires, used, last_hit, hits, size, model, status, cell, tags, notebooks)"
    " SELECT e.id, e.created, c.expire_time, e.used, e.last_hit, e.hits, e.size, e.model, e.status, e.cell, e.tags,"
    " coalesce((SELECT char(31) || group_concat(notebook, char(31)) || char(31) FROM owner WHERE id = e.id), '')"
    " FROM entry_1 e JOIN Cache c ON c.rowid = e.id",
    "INSERT INTO preview SELECT id, prompt, answer FROM entry_1",
    "DROP TABLE entry_1",
    "DROP TABLE owner",
)
STATEMENTS = (*_DISKCACHE, *_TABLES, *_BOUNDS, *search_index.STATEMENTS, *listing_index.STATEMENTS.values())
# The same tables as earlier versions made them.
OF_EARLIER_VERSIONS = (
    tuple(
        statement.replace(f", {', '.join(columns[number:])})", ")")
        for table, columns in _ADDED.items()
        for statement in _TABLES
        if statement.startswith(f"CREATE TABLE {table} ")
        for number in range(len(columns))
    )
    + listing_index.OF_EARLIER_VERSIONS
    + search_index.OF_VERSION_6
)


def version(sql: Execute) -> int:
    """The version of the tables; 0 if there are none."""
    if sql(_OF_VERSION_1).fetchone() is not None:
        return 1
    if sql(_MADE).fetchone() is None:
        return 0
    ((written,),) = sql("PRAGMA user_version")
    return written if _OF_KEYS <= written <= STORE_VERSION else 2


def make(sql: Execute) -> None:
    """Make the tables, or upgrade those of an earlier version. Within a transaction.

    Version 3 has the tables of version 2 with some more columns, and versions 4 and 5 the listing and the search index, so
    that an earlier nbcache that has the store open isn't in trouble. Version 3 stands for the entries' keys and payloads.
    Version 6 adds the client of each entry, and version 7 its kind and function. A store of an earlier version gets its listing
    and its index in the background.
    """
    now = version(sql)
    if now == STORE_VERSION:
        return
    new = (*_DISKCACHE, *_TABLES, *listing_index.STATEMENTS.values())
    for statement in {0: new, 1: _FROM_VERSION_1}.get(now, ()):
        sql(statement)
    for table, columns in _ADDED.items():
        there = {name for _, name, *_ in sql(f"PRAGMA table_info({table})")}
        for column in columns:
            if column.partition(" ")[0] not in there:
                sql(f"ALTER TABLE {table} ADD COLUMN {column}")
    listing_index.renew(sql)
    if 0 < now < _OF_KEYS:
        sql("INSERT OR REPLACE INTO total VALUES ('rekeyed', ?)", (FIRST,))
    if now:
        sql("INSERT OR REPLACE INTO total VALUES ('described', ?)", (FIRST,))
    earlier_search_index.leave(sql)
    search_index.make(sql)
    sql(f"PRAGMA user_version = {STORE_VERSION}")


def make_bounded(sql: Execute) -> None:
    """Keep totals and the order of use from now on. Within a transaction."""
    if sql(_BOUNDED).fetchone() is None:
        for statement in _BOUNDS:
            sql(statement)


def counts_totals(sql: Execute) -> bool:
    """Whether the store has ever had bounds, and so keeps totals."""
    return sql(_BOUNDED).fetchone() is not None
