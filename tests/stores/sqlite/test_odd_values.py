"""SQLite keeps values of any type in any column: whatever stands there, the store can be read, counted and mended."""

import sqlite3
from contextlib import closing, suppress
from dataclasses import fields
from pathlib import Path

import pytest

import nbcache
from nbcache.entry.records import EntryMeta, Filter, SessionCall
from nbcache.errors import forget_warnings
from nbcache.stores import DiskStore
from tests.faults.test_faults import Echo, ask, change, heard
from tests.support.rows import full

ODD = [
    "'text'",
    "x'00ff'",
    "''",
    "9e999",
    "-9e999",
    "1e300",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "0.5",
]
COLUMNS = {
    "entry": (
        *("created", "expires", "used", "last_hit", "hits", "size", "input_tokens", "output_tokens", "cost", "seconds"),
        *("model", "provider", "status", "cell", "tags", "notebooks", "client", "kind", "function"),
    ),
    "preview": ("prompt", "answer"),
    "spending": (
        *("execution", "began", "notebook", "cell", "model", "hits", "misses", "spent", "saved", "saved_seconds"),
        *("unpriced_hits", "unpriced_misses", "estimated_hits", "estimated_misses", "session"),
    ),
    "called": ("calls", "usd", "estimated", "last", "model"),
    "total": ("value",),
    "tombstone": ("gone", "why"),
    "Cache": ("expire_time", "raw", "mode", "filename"),
}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The database of a store with bounds, in which two answers are, and one was pushed out."""
    nbcache.install(tmp_path / "store", max_entries=2)
    ask(Echo(), "zero", "one", "two", "two")
    cache = nbcache.installed()
    cache.flush()
    full(cache.store).record_calls("a session", None, [SessionCall("5" * 40, "m", 2, when=1.0)])
    nbcache.uninstall()
    return tmp_path / "store" / "cache.db"


def look_at_all(database: Path) -> None:
    """Ask for all that there is to know, and go on using the store."""
    cache = nbcache.install(database.parent, max_entries=2)
    contents = cache.contents("folder")
    for row in contents.entries():
        assert isinstance(row.created, float)
        assert isinstance(row.size_bytes, int)
    nbcache.stats("folder", lifetime=True)
    nbcache.history("folder")
    nbcache.entries("folder")
    contents.facets()
    contents.totals()
    full(cache.store).last_calls(None)
    for key in (row.key for row in contents.entries()):
        full(cache.store).tombstone(key, 1e10)
    nbcache.check()


@pytest.mark.parametrize(("table", "column"), [(table, name) for table, names in COLUMNS.items() for name in names])
@pytest.mark.slow
def test_no_value_makes_a_store_unreadable_and_check_mends_it(database: Path, table: str, column: str) -> None:
    sound = database.read_bytes()
    for value in ODD:
        database.write_bytes(sound)
        change(database, f"UPDATE OR REPLACE {table} SET {column} = {value}")
        forget_warnings()
        with heard() as said:
            look_at_all(database)
            nbcache.check(fix=True)
            assert nbcache.check() == [], value
            ask(model := Echo(), "new", "other", "new", "other")
        assert model.calls == 2, value
        assert said == [], value
        nbcache.uninstall()


@pytest.mark.parametrize(
    ("table", "column"), [(table, name) for table in ("entry", "preview") for name in COLUMNS[table]]
)
def test_columns_say_what_rows_say_whatever_stands_there(database: Path, table: str, column: str) -> None:
    for value in ODD:
        with suppress(sqlite3.IntegrityError):  # a trigger refuses it
            change(database, f"UPDATE {table} SET {column} = {value} WHERE id = (SELECT min(id) FROM {table})")
        with closing(DiskStore(database.parent)) as store:
            which = Filter(include_expired=True)
            rows = store.page(which)
            assert store.columns(which) == {
                each.name: [getattr(row, each.name) for row in rows] for each in fields(EntryMeta)
            }


def test_check_gives_a_row_its_values_back(database: Path) -> None:
    before = {row.key: row for row in nbcache.install(database.parent).contents("folder").entries()}
    nbcache.uninstall()
    change(database, "UPDATE entry SET created = 'then', size = 'large', model = x'00', hits = 'many', cost = 'dear'")
    nbcache.install(database.parent)
    assert len(nbcache.check(fix=True)) == 2 + 1  # and the totals
    after = {row.key: row for row in nbcache.installed().contents("folder").entries()}
    assert after.keys() == before.keys()
    for key, row in after.items():
        assert (row.created, row.size_bytes, row.model) == (
            *(before[key].created, before[key].size_bytes, before[key].model),
        )


@pytest.mark.parametrize(
    "statement", ["DELETE FROM total", "UPDATE total SET value = 'x'", "UPDATE total SET value = 1e15"]
)
def test_store_with_bounds_whose_totals_are_lost_goes_on_keeping_what_fits(database: Path, statement: str) -> None:
    change(database, statement)
    nbcache.install(database.parent, max_entries=3)
    model = Echo()
    with heard() as said:
        ask(model, "three", "one", "two", "three")
    assert said == []
    assert model.calls == 1
    assert nbcache.stats("folder").entries == 3
    ask(model, "four", "five")
    assert nbcache.stats("folder").entries == 3


def test_a_missing_total_is_mended(database: Path) -> None:
    change(database, "DELETE FROM total")
    nbcache.install(database.parent, max_entries=2)
    assert len(nbcache.check(fix=True)) == 1
    assert nbcache.check() == []
    nbcache.uninstall()
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT value FROM total WHERE name = 'entries'").fetchone() == (2,)


@pytest.mark.parametrize("ttl", [10**400, 10**30, 1e308])
def test_a_time_to_live_beyond_all_clocks_is_refused_where_it_is_set(tmp_path: Path, ttl: float) -> None:
    with pytest.raises(ValueError, match="ttl"):
        nbcache.install(tmp_path / "store", ttl=ttl)
