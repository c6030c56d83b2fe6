"""Pages, totals and facets come from the listing: exact whatever happens to entries, and no slower in a large store."""

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from nbcache.entry.edit import Edit
from nbcache.entry.records import SORTABLE, EntryMeta, Facets, Filter, Totals, Touch
from nbcache.stores import DiskStore
from nbcache.stores.sqlite import listing_index, pages
from tests.stores.sqlite.test_store import key_of
from tests.support.paths import GOLDEN

BOOKS = ("a.ipynb", "b.ipynb", "c.ipynb")
FILTERS = (
    Filter(),
    Filter(notebook="a.ipynb"),
    Filter(model="m1", status="ok"),
    Filter(tag="t"),
    Filter(cell="In [2]"),
    Filter(client="openai"),
    Filter(kind="function"),
    Filter(kind="call", model="m1"),
    Filter(notebook="nobody's"),
    Filter(unused=True),
    Filter(before=500.0, model="m2"),
    Filter(include_expired=True),
    Filter(words=("p7",)),
)


def row(number: int, draw: random.Random) -> EntryMeta:
    return EntryMeta(
        *(key_of(number), f"m{draw.randrange(3)}", f"p{number}", "a", draw.choice(["ok", "ok", "refused"])),
        created=float(draw.randrange(1000)),
        tags=draw.choice([(), ("t",), ("t", "u")]),
        notebooks=tuple(draw.sample(BOOKS, draw.randrange(3))),
        cell=draw.choice([None, "", "In [1]", "In [2]"]),
        client=draw.choice([None, "langchain", "openai"]),
        streamed=draw.random() < 0.5,
        kind=draw.choice(["call", "call", "embedding", "function"]),
        function=draw.choice([None, "judge", "C.ask"]),
        input_tokens=draw.choice([None, 1, 2, 3]),
        cost_usd=draw.choice([None, Decimal("0.01"), Decimal(draw.randrange(9))]),
        seconds=draw.choice([None, draw.random()]),
    )


def change(store: DiskStore, draw: random.Random, number: int) -> None:
    """Something that happens to a store."""
    key = key_of(draw.randrange(number + 1))
    what = draw.randrange(14)
    if what < 6:
        ttl = draw.choice([None, None, 0.0, 1e6])
        store.put(key_of(number), b"payload" * draw.randrange(1, 9), row(number, draw), ttl)
    elif what == 6:
        store.put(key, b"another", replace(row(number, draw), key=key))
    elif what == 7:
        store.touch([Touch(key, draw.choice(BOOKS), 1, float(draw.randrange(1000)), Decimal(1))])
    elif what == 8:
        store.clear([key], owner=draw.choice(BOOKS))
    elif what == 9:
        store.delete(key)
    elif what == 10:
        those = draw.choice([Filter(), Filter(model="m1"), Filter(tag="t"), Filter(before=300.0), Filter(key=key)])
        edits = (
            Edit(add=("u",)),
            Edit(remove=("t",)),
            Edit(add=("t",), remove=("u",)),
            Edit(sets_expiry=True, expires=5e9),
        )
        store.edit(store.select(those).keys(), draw.choice(edits))
    else:
        store.index(lambda _, key: [key], draw.randrange(1, 20))


def check_all(store: DiskStore, draw: random.Random) -> None:
    """Compare what comes from the listing with all rows of the store."""
    for which in FILTERS:
        everything = store.page(which)
        assert store.totals(which) == Totals(len(everything), sum(meta.size_bytes for meta in everything), 0)
        sort, descending = draw.choice(SORTABLE), draw.random() < 0.5
        whole = [meta.key for meta in store.page(which, sort=sort, descending=descending)]
        for offset in (0, 3, len(whole) // 2, max(0, len(whole) - 5), len(whole), len(whole) + 9):
            page = store.page(which, sort=sort, descending=descending, limit=7, offset=offset)
            assert [meta.key for meta in page] == whole[offset : offset + 7], (which, sort, descending, offset)
    for notebook in (None, *BOOKS):
        rows = store.page(Filter(notebook=notebook))
        assert store.facets(notebook) == Facets(
            tuple(sorted({meta.model for meta in rows})),
            tuple(sorted({tag for meta in rows for tag in meta.tags})),
            tuple(sorted({name for meta in rows for name in meta.notebooks})),
            tuple(sorted({meta.cell for meta in rows if meta.cell})),
            tuple(sorted({meta.status for meta in rows})),
            tuple(sorted({meta.client for meta in rows if meta.client})),
            tuple(sorted({meta.kind for meta in rows})),
            tuple(sorted({meta.function for meta in rows if meta.function})),
        )


def sort_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pages be sorted rather than read from an index in order."""
    for name in ("_SORTED", "_READ_AND_SORTED"):
        monkeypatch.setattr(pages, name, 0)


def sort_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pages be read from an index in order."""
    for name in ("_SORTED", "_READ_AND_SORTED"):
        monkeypatch.setattr(pages, name, 10**9)


@pytest.mark.parametrize("few", [0, 10_000], ids=["in order", "sorted"])
@pytest.mark.parametrize("seed", range(3))
def test_pages_totals_and_facets_are_exact_whatever_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, few: int
) -> None:
    monkeypatch.setattr(pages, "_FEW", few)
    if few:
        sort_all(monkeypatch)
    else:
        sort_none(monkeypatch)
    store, draw = DiskStore(tmp_path / "store"), random.Random(seed)
    for number in range(240):
        change(store, draw, number)
        if number % 40 == 0:
            check_all(store, draw)
    check_all(store, draw)
    while store.index(lambda _, key: [key], 50):
        pass
    check_all(store, draw)
    assert store.check() == []
    store.close()


def test_entry_that_gets_the_id_of_a_deleted_one_is_listed(tmp_path: Path) -> None:
    store, draw = DiskStore(tmp_path / "store"), random.Random(1)
    for number in range(6):
        store.put(key_of(number), b"payload", row(number, draw))
    while store.index(lambda _, key: [key]):
        pass
    for number in (4, 5):
        store.delete(key_of(number))
    store.put(key_of("new"), b"payload", replace(row(9, draw), key=key_of("new")))
    assert store.totals().entries == len(store.page(limit=10)) == 5
    while store.index(lambda _, key: [key]):
        pass
    check_all(store, draw)
    store.close()


def fill(folder: Path, entries: int) -> DiskStore:
    """A store of so many entries, all listed."""
    store = DiskStore(folder)
    draw, rows = random.Random(3), []
    for number in range(entries):
        meta = row(number, random.Random(number % 60))  # so that both have the same models, notebooks and so on
        rows.append(replace(meta, created=number, seconds=draw.random(), cost_usd=Decimal(draw.randrange(99))))
    store.put_all((meta.key, b"payload", meta) for meta in rows)
    while store.index(lambda _, key: [key[:2]], 1_000):
        pass
    return store


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DiskStore, DiskStore]]:
    """A store and one of ten times its size."""
    made = (fill(tmp_path_factory.mktemp("small"), 1_000), fill(tmp_path_factory.mktemp("large"), 10_000))
    yield made
    for store in made:
        store.close()


def steps(store: DiskStore, read: Callable[[DiskStore], object]) -> int:
    """How much SQLite's machine does for `read`, in tens of steps."""
    read(store)
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    assert store._database.file is not None
    connections = list(store._database.file.pool._open)
    for connection in connections:
        connection.set_progress_handler(step, 10)
    try:
        read(store)
    finally:
        for connection in connections:
            connection.bound()
    return count


PAGES = [
    *((Filter(), sort) for sort in SORTABLE),
    *((Filter(model="m1"), sort) for sort in ("created", "cost_usd", "seconds", "model")),
    *((Filter(notebook="b.ipynb", tag="u"), sort) for sort in ("created", "cost_usd", "seconds")),
]


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize(("which", "sort"), PAGES, ids=[f"{sort} {number}" for number, (_, sort) in enumerate(PAGES)])
def test_page_takes_no_more_work_in_a_large_store(
    stores: tuple[DiskStore, DiskStore],
    monkeypatch: pytest.MonkeyPatch,
    sort: str,
    which: Filter,
    *,
    descending: bool,
) -> None:
    monkeypatch.setattr(pages, "_FEW", 100)
    sort_none(monkeypatch)

    def page(store: DiskStore) -> None:
        assert len(store.page(which, sort=sort, descending=descending, limit=20)) == 20

    small, large = (steps(store, page) for store in stores)
    assert large < 1.5 * small + 100


@pytest.mark.parametrize(
    "read",
    [
        lambda store: store.page(limit=50, offset=store.totals().entries - 50),
        lambda store: store.totals(),
        lambda store: store.totals(Filter(model="m1", notebook="a.ipynb")),
        lambda store: store.facets(),
        lambda store: store.facets("a.ipynb"),
        lambda store: DiskStore(store.folder).get("0" * 40),
        lambda store: store.index(lambda _, key: [key]),
    ],
    ids=["last page", "totals", "totals of some", "facets", "facets of a notebook", "opening", "nothing to index"],
)
def test_reading_takes_no_more_work_in_a_large_store(
    stores: tuple[DiskStore, DiskStore], read: Callable[[DiskStore], object]
) -> None:
    small, large = (steps(store, read) for store in stores)
    assert large < 1.3 * small + 10


@pytest.mark.parametrize(
    "which", [Filter(), Filter(notebook="b.ipynb", tag="u"), Filter(unused=True)], ids=["all", "some", "unused"]
)
@pytest.mark.parametrize("sort", ["cost_usd", "seconds", "created", "last_hit"])
def test_next_page_takes_no_more_work_far_in(
    stores: tuple[DiskStore, DiskStore], monkeypatch: pytest.MonkeyPatch, sort: str, which: Filter
) -> None:
    monkeypatch.setattr(pages, "_FEW", 10)
    sort_none(monkeypatch)
    store, whole = stores[1], [row.key for row in stores[1].page(which, sort=sort)]

    def page(store: DiskStore, offset: int) -> None:
        assert [row.key for row in store.page(which, sort=sort, limit=20, offset=offset)] == whole[offset : offset + 20]

    work = [steps(store, partial(page, offset=offset)) for offset in range(0, 500, 20)]
    assert work[-1] < 1.5 * max(work[:3]) + 30


def test_page_after_a_write_begins_where_it_should(tmp_path: Path) -> None:
    store, other = fill(tmp_path / "store", 60), DiskStore(tmp_path / "store")
    store.page(limit=20)
    row_before = replace(row(1, random.Random(1)), key=key_of("new"), created=1e6)
    other.put(row_before.key, b"payload", row_before)
    whole = [meta.key for meta in other.page()]
    assert [meta.key for meta in store.page(limit=20, offset=20)] == whole[20:40]
    store.delete(whole[0])
    assert [meta.key for meta in store.page(limit=20, offset=40)] == whole[41:]
    for each in (store, other):
        each.close()


def plan(store: DiskStore, read: Callable[[DiskStore], object]) -> str:
    """How SQLite looks for what `read` reads."""
    statements: list[str] = []
    assert store._database.file is not None
    (connection,) = store._database.file.pool._idle
    connection.set_trace_callback(statements.append)
    read(store)
    connection.set_trace_callback(None)
    reads = [statement for statement in statements if statement.startswith("SELECT")]
    plans = [connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall() for statement in reads]
    return "\n".join(str(line[3]) for lines in plans for line in lines)


@pytest.mark.parametrize("sort", SORTABLE)
def test_page_is_read_from_the_index_of_its_column(stores: tuple[DiskStore, DiskStore], sort: str) -> None:
    found = plan(stores[1], lambda store: store.page(sort=sort, limit=20))
    assert f"entry_by_{listing_index.COLUMN_OF[sort]}" in found
    assert "SCAN entry" not in found
    assert "SCAN Cache" not in found


# An earlier release's store


def of_version_3(folder: Path) -> None:
    """Make the store one of version 3, which has no listing."""
    with closing(sqlite3.connect(folder / "cache.db", isolation_level=None)) as connection:
        for name, statement in reversed(listing_index.STATEMENTS.items()):
            kind = statement.replace("UNIQUE ", "").split()[1]
            connection.execute(f"DROP {kind} {name}")
        connection.execute("ALTER TABLE entry DROP COLUMN facet")
        connection.execute("DELETE FROM total WHERE name = 'listed'")
        connection.execute("PRAGMA user_version = 3")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def test_store_of_version_3_is_listed_a_few_entries_at_a_time(tmp_path: Path) -> None:
    fill(tmp_path / "store", 300).close()
    of_version_3(tmp_path / "store")
    draw, rounds, left = random.Random(5), 0, True
    while left:
        store = DiskStore(tmp_path / "store")  # each time a new process, as after a kill
        if rounds % 10 == 0:
            check_all(store, draw)
        left = store.index(lambda _, key: [key], 20)
        store.close()
        rounds += 1
    assert rounds > 300 / 20 + len(listing_index.STATEMENTS)
    check_all(store, draw)
    assert store.check() == []
    store.close()


def test_what_an_earlier_release_writes_meanwhile_is_counted(tmp_path: Path) -> None:
    """It had the store open, and doesn't know the listing."""
    store, draw = fill(tmp_path / "store", 100), random.Random(6)
    with closing(sqlite3.connect(tmp_path / "store" / "cache.db", isolation_level=None)) as earlier:
        for number in range(100, 130):
            cursor = earlier.execute(
                "INSERT INTO Cache (key, raw, store_time, access_time, mode, value) VALUES (?, 1, 0, 0, 1, x'00')",
                (key_of(number),),
            )
            earlier.execute(
                "INSERT INTO entry (id, created, used, size, model, status, tags, notebooks)"
                " VALUES (?, ?, 0, 1, ?, 'ok', '', '')",
                (cursor.lastrowid, draw.random(), draw.choice("abc")),
            )
        earlier.execute("DELETE FROM Cache WHERE rowid % 7 = 0")
        earlier.execute("UPDATE entry SET model = 'another', size = 7, hits = 3 WHERE id % 5 = 0")
    check_all(store, draw)
    while store.index(lambda _, key: [key], 10):
        pass
    check_all(store, draw)
    assert store.check() == []
    store.close()


def test_wrong_counts_are_found_and_mended(tmp_path: Path) -> None:
    store = fill(tmp_path / "store", 50)
    with closing(sqlite3.connect(tmp_path / "store" / "cache.db", isolation_level=None)) as other:
        other.execute("UPDATE facet SET entries = entries + 1 WHERE id % 2")
        other.execute("UPDATE facet SET model = 'wrong' WHERE id = 3")
        other.execute("UPDATE entry SET facet = NULL WHERE id = 20")
    assert store.check(fix=True) == ["the listing was not that of the rows"]
    assert store.check() == []
    check_all(store, random.Random(1))
    store.close()


def test_golden_store_of_version_3_gets_its_listing(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "store_v3", tmp_path / "store")
    store = DiskStore(tmp_path / "store")
    rows, totals, facets = store.page(limit=10), store.totals(), store.facets()
    while store.index(lambda _, key: [key]):
        pass
    assert store.page(limit=10) == store.page() == [replace(row, client="langchain") for row in rows]
    assert (store.totals(), store.facets()) == (totals, replace(facets, client=("langchain",)))
    assert store.check() == []
    store.close()


def test_tags_of_all_entries_with_equal_values_leave_the_indexes_alone(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    for number in range(40):
        key = key_of(number)
        store.put(key, b"payload", EntryMeta(key, f"m{number % 4}", "p", "a", "ok", float(number), tags=("t",)))
    while store.index(lambda _, key: [key], 50):
        pass

    def facets() -> dict[object, object]:
        with closing(sqlite3.connect(store.folder / "cache.db")) as connection:
            return dict(connection.execute("SELECT id, facet FROM entry"))

    before = facets()
    assert store.edit(store.select(Filter(model="m1")).keys(), Edit(add=("u",))) == 10
    assert facets() == before
    assert store.edit(store.select(Filter(before=20.0)).keys(), Edit(add=("v",))) == 20
    assert len(set(facets().values())) == 8
    assert store.edit(store.select(Filter(tag="t")).keys(), Edit(remove=("u", "v"))) == 25
    assert len(set(facets().values())) == 4
    assert store.totals(Filter(tag="t")) == Totals(40, 280, 0)
    assert store.totals(Filter(tag="u")).entries == 0
    assert store.check() == []
    store.close()
