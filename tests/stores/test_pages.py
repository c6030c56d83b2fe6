"""What every store tells of its entries: pages, filters, facets, words; and the ledger that outlives them."""

import random
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcache.entry.models import SORTABLE, EntryMeta, Facets, Filter, Spending, Totals, Touch, Usage
from nbcache.entry.text import words
from nbcache.stores import DiskStore, MemoryStore
from nbcache.stores.entry_costs import facts_of
from nbcache.stores.sqlite import store as disk_module
from nbcache.stores.sqlite.sql import joined
from tests.stores.test_contract import NOW, Clock, Make, clock, key_of, make, put, store  # noqa: F401 - fixtures
from tests.support.paths import GOLDEN
from tests.support.rows import FullStore, row_of

pytestmark = pytest.mark.usefixtures("clock")


def said(payload: bytes, _key: str) -> set[str]:
    return words(payload.decode())


def keep(store: FullStore, name: str, **fields: object) -> str:  # noqa: F811 - a fixture's name
    key = key_of(name)
    meta = EntryMeta(*(key, "model", "prompt", "answer", "ok", NOW))
    store.put(key, name.encode(), replace(meta, **fields))  # type: ignore[arg-type]  # whatever the test sets
    return key


@pytest.mark.parametrize("sort", [name for name in SORTABLE if name not in {"expires", "hits", "last_hit", "cost_usd"}])
@pytest.mark.parametrize("descending", [True, False])
def test_page_is_sorted_by_any_column(store: FullStore, sort: str, descending: bool) -> None:  # noqa: F811
    values = ["a", "b", "c", "d"] if sort in {"model", "provider", "status", "cell"} else [1, 2, 3, 4]
    if sort == "size_bytes":
        keys = [put(store, n, b"x" * n) for n in (1, 2, 3, 4)]
    else:
        keys = [keep(store, str(n), **{sort: values[n]}) for n in (2, 0, 3, 1)]
        keys = [keys[1], keys[3], keys[0], keys[2]]
    wanted = keys[::-1] if descending else keys
    assert [row.key for row in store.page(sort=sort, descending=descending)] == wanted
    assert [row.key for row in store.page(sort=sort, descending=descending, limit=2, offset=1)] == wanted[1:3]


def test_unknown_values_come_last_of_what_descends(store: FullStore) -> None:  # noqa: F811
    known, unknown = keep(store, "known", seconds=1.5), keep(store, "unknown")
    assert [row.key for row in store.page(sort="seconds")] == [known, unknown]
    assert [row.key for row in store.page(sort="seconds", descending=False)] == [unknown, known]


@pytest.mark.parametrize("sort", ["seconds", "model", "created"])
@pytest.mark.parametrize("descending", [True, False])
def test_pages_far_in_go_on_where_the_page_before_ends(tmp_path: Path, sort: str, descending: bool) -> None:
    disk, draw = DiskStore(tmp_path / "store"), random.Random(7)
    put(disk, "first")
    with closing(sqlite3.connect(tmp_path / "store" / "cache.db", isolation_level=None)) as connection:
        connection.execute("BEGIN")
        for number in range(2, 20_001):
            seconds = None if number % 5 == 0 else draw.randrange(40)  # many are equal, and many not known
            connection.execute(
                "INSERT INTO Cache (rowid, key, raw, store_time, access_time, mode, value) VALUES (?, ?, 1, 0, 0, 1, ?)",
                (number, key_of(number), b""),
            )
            connection.execute(
                "INSERT INTO entry (id, created, used, size, seconds, model, status, tags, notebooks)"
                " VALUES (?, ?, 0, 1, ?, ?, 'ok', '', ?)",
                (number, draw.random(), seconds, draw.choice("abc"), joined(["a.ipynb"] if number % 2 else [])),
            )
            if number % 7 == 0:  # some are gone
                connection.execute("DELETE FROM Cache WHERE rowid = ?", (number,))
        connection.execute("COMMIT")
    for which in (Filter(), Filter(notebook="a.ipynb")):
        whole = [row.key for row in disk.page(which, sort=sort, descending=descending)]
        for offset in (*range(0, len(whole), 997), len(whole) - 1, len(whole), len(whole) + 100_000):
            page = disk.page(which, sort=sort, descending=descending, limit=50, offset=offset)
            assert [row.key for row in page] == whole[offset : offset + 50]
    disk.close()


def test_unknown_column_is_refused(store: FullStore) -> None:  # noqa: F811
    with pytest.raises(ValueError, match="created"):
        store.page(sort="id; DROP TABLE entry")


@pytest.mark.parametrize(
    "which",
    [
        *(Filter(model="m1"), Filter(cell="In [1]"), Filter(status="cut off"), Filter(tag="t1")),
        *(Filter(notebook="a.ipynb"), Filter(model="m1", status="cut off")),
    ],
    ids=repr,
)
def test_filter_means_the_same_in_a_page_and_in_totals(store: FullStore, which: Filter) -> None:  # noqa: F811
    meant = keep(store, "x", model="m1", cell="In [1]", status="cut off", tags=("t1", "t2"), notebooks=("a.ipynb",))
    keep(store, "other", model="m10", cell="In [10]", tags=("t10",), notebooks=("aa.ipynb",))
    assert [row.key for row in store.page(which)] == [meant]
    assert store.totals(which) == Totals(1, 1, 0)


def test_facets_are_the_values_that_there_are(store: FullStore) -> None:  # noqa: F811
    keep(store, "x", model="m2", cell="c1", status="ok", tags=("t2", "t1"), notebooks=("b.ipynb", "a.ipynb"))
    keep(store, "y", model="m1", status="empty", tags=("t1",), notebooks=("a.ipynb",))
    everything = Facets(("m1", "m2"), ("t1", "t2"), ("a.ipynb", "b.ipynb"), ("c1",), ("empty", "ok"))
    assert store.facets() == everything
    assert store.facets("b.ipynb") == Facets(("m2",), ("t1", "t2"), ("a.ipynb", "b.ipynb"), ("c1",), ("ok",))
    assert store.facets("c.ipynb") == Facets()


def test_what_a_call_used_is_in_its_row(store: FullStore) -> None:  # noqa: F811
    used = {"provider": "openai", "input_tokens": 12, "output_tokens": 0, "seconds": 1.25}
    key = keep(store, "x", **used)
    found = row_of(store, key)
    assert found is not None
    assert {name: getattr(found, name) for name in used} == used
    assert found.cost_usd is None
    store.touch([Touch(key, None, 0, NOW, Decimal("0.000000037512"))])
    priced = row_of(store, key)
    assert priced == replace(found, cost_usd=Decimal("0.000000037512"))  # and no hit was counted
    assert [row.key for row in store.page(sort="cost_usd")] == [key]


def test_replaced_answer_is_not_sold_at_the_old_price(store: FullStore) -> None:  # noqa: F811
    key = keep(store, "x")
    store.touch([Touch(key, None, 0, NOW, Decimal(1))])
    keep(store, "x", seconds=2.0)
    found = row_of(store, key)
    assert found is not None
    assert (found.cost_usd, found.seconds) == (None, 2.0)


# Words


def find(store: FullStore, text: str) -> set[str]:  # noqa: F811
    return {row.prompt for row in store.page(Filter(words=tuple(words(text))))}


@pytest.fixture
def searched(store: FullStore) -> FullStore:  # noqa: F811
    for text in ("What is a monad?", "def my_func(x): return Größe", "東京の天気", "A monoid, in a category"):
        keep(store, text, prompt=text)
    while store.index(said, at_most=3):
        pass
    return store


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("monad", {"What is a monad?"}),
        ("MONA", {"What is a monad?"}),
        ("mon a", {"What is a monad?", "A monoid, in a category"}),
        ("w", {"What is a monad?"}),
        ("my func", {"def my_func(x): return Größe"}),
        ("my_func", {"def my_func(x): return Größe"}),
        ("grösse", {"def my_func(x): return Größe"}),
        ("天気", {"東京の天気"}),
        ("気天東", {"東京の天気"}),
        ("nomad", set()),
        ("monad category", set()),
        ('"monad" OR x*', set()),
    ],
)
def test_words_find_what_holds_all_of_them(searched: FullStore, asked: str, found: set[str]) -> None:
    assert find(searched, asked) == found


def test_what_is_gone_or_replaced_is_found_no_longer(searched: FullStore) -> None:
    searched.delete(key_of("What is a monad?"))
    searched.put(key_of("東京の天気"), b"other", EntryMeta(key_of("東京の天気"), "m", "new", "a", "ok", NOW))
    assert find(searched, "monad") == set()
    assert find(searched, "天気") == set()
    while searched.index(said):
        pass
    assert find(searched, "other") == {"new"}
    assert find(searched, "monad") == set()


def test_index_has_nothing_left_to_do_once_it_is_done(searched: FullStore) -> None:
    assert not searched.index(said)


def test_words_of_a_deleted_entry_are_in_no_file(tmp_path: Path) -> None:
    disk = DiskStore(tmp_path / "store")
    keep(disk, "xylophone zugzwang", prompt="p")
    for n in range(50):
        keep(disk, f"other {n}")
    disk.index(said)
    disk.delete(key_of("xylophone zugzwang"))
    disk.close()
    left = b"".join(path.read_bytes() for path in (tmp_path / "store").iterdir())
    assert b"other" in left
    for word in (b"xylophone", b"zugzwang"):
        assert word not in left.lower()


def test_entries_that_another_process_left_are_indexed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_module, "_LOOKED_AT", 2)
    one = DiskStore(tmp_path / "store")
    for number in range(5):
        keep(one, f"left behind {number}", prompt=f"p{number}")
    one.close()
    another = DiskStore(tmp_path / "store")
    assert find(another, "behind") == set()
    assert another.index(said, at_most=1)
    keep(another, "of its own", prompt="own")
    assert another.index(said, at_most=1)
    assert find(another, "own") == {"own"}  # before what others left
    while another.index(said, at_most=3):
        pass
    assert find(another, "behind") == {f"p{number}" for number in range(5)}
    assert find(another, "own") == {"own"}
    another.close()


def test_without_an_index_previews_are_searched(tmp_path: Path) -> None:
    disk = DiskStore(tmp_path / "store")
    keep(disk, "x", prompt="What is a Monad?")
    assert find(disk, "monad") == {"What is a Monad?"}
    assert find(disk, "nomad") == set()
    disk.close()


@given(st.text(), st.text())
def test_any_text_can_be_indexed_and_asked_for(one: str, other: str) -> None:
    memory = MemoryStore()
    key = key_of("x")
    memory.put(key, b"", EntryMeta(key, "m", "p", "a", "ok", NOW))
    memory.index(lambda _payload, _key: words(one))
    assert (not words(one)) or find(memory, one) == {"p"}
    find(memory, other)


# Money


def spent(session: str, execution: int, model: str, notebook: str | None = "a.ipynb", **sums: object) -> Spending:
    return Spending(session, execution, NOW + execution, notebook, f"In [{execution}]", model, **sums)  # type: ignore[arg-type]


def test_ledger_sums_the_parts_of_each_execution_exactly(store: FullStore) -> None:  # noqa: F811
    store.record([spent("s", 1, "m", misses=1, spent_usd=Decimal("0.1"), unpriced_hits=1, estimated_misses=1)])
    store.record([spent("s", 1, "m", hits=2, spent_usd=Decimal("0.2"), saved_usd=Decimal("0.3"), saved_seconds=1.5)])
    store.record([spent("s", 1, "n", misses=1), spent("s", 2, "m", misses=3), spent("t", 1, "m", "b.ipynb", misses=5)])
    whole = spent(
        *("s", 1, "m"),
        hits=2,
        misses=1,
        spent_usd=Decimal("0.3"),
        saved_usd=Decimal("0.3"),
        saved_seconds=1.5,
        unpriced_hits=1,
        estimated_misses=1,
    )
    mine = [whole, spent("s", 1, "n", misses=1), spent("s", 2, "m", misses=3)]
    assert store.spendings("a.ipynb") == mine
    assert sorted(store.spendings(), key=lambda row: row.misses) == sorted(
        [*mine, spent("t", 1, "m", "b.ipynb", misses=5)], key=lambda row: row.misses
    )
    assert store.spendings("c.ipynb") == []


def test_ledger_outlives_clears(store: FullStore) -> None:  # noqa: F811
    key = put(store, 1)
    store.record([spent("s", 1, "m", misses=1)])
    store.clear([key])
    assert store.totals().entries == 0
    assert store.spendings() == [spent("s", 1, "m", misses=1)]


def test_two_kernels_on_one_folder_add_up(tmp_path: Path) -> None:
    one, other = DiskStore(tmp_path), DiskStore(tmp_path)
    for n in range(10):
        one.record([spent("one", n, "m", misses=1, spent_usd=Decimal("0.000001"))])
        other.record([spent("other", n, "m", misses=1, spent_usd=Decimal("0.000002"))])
    for disk in (one, other):
        assert sum(row.spent_usd for row in disk.spendings()) == Decimal("0.000030")
        disk.close()


# What has gone by itself


def _why(gone: tuple[str, float] | None) -> str | None:
    return None if gone is None else gone[0]


def test_evicted_entry_is_told_once(make: Make, clock: Clock) -> None:  # noqa: F811
    bounded = make(max_entries=2)
    evicted, cleared, _ = (put(bounded, n) for n in range(3))
    bounded.delete(cleared)
    told = [_why(bounded.tombstone(key, clock.now)) for key in (evicted, cleared, key_of("never"), evicted)]
    assert told == ["evicted", None, None, None]


def test_a_miss_from_before_the_eviction_is_not_told_of_it(make: Make, clock: Clock) -> None:  # noqa: F811
    bounded = make(max_entries=1)
    evicted = put(bounded, 1)
    missed = clock.now
    clock.advance(5)
    put(bounded, 2)
    assert bounded.tombstone(evicted, missed) is None
    assert _why(bounded.tombstone(evicted, clock.now)) == "evicted"


def test_expired_entry_is_told_once(store: FullStore, clock: Clock) -> None:  # noqa: F811
    expired = put(store, 1, b"payload", ttl=10)
    clock.advance(20)
    assert store.get(expired) is None
    assert [store.tombstone(expired, clock.now - 11), store.tombstone(expired, clock.now)] == [
        None,
        ("expired", clock.now - 10),
    ]
    put(store, 2)
    assert store.tombstone(expired, clock.now) is None


# A store of the first version


def test_first_versions_store_is_brought_up_to_date_with_all_it_held(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "store_v1", tmp_path / "store")
    disk = DiskStore(tmp_path / "store")
    rows = disk.page()
    assert rows
    assert all(row.prompt and row.provider is None for row in rows)
    assert any(row.notebooks for row in rows)
    assert disk.totals() == Totals(len(rows), sum(row.size_bytes for row in rows), disk.totals().evictions)
    assert disk.check() == []
    disk.bound(None, len(rows))
    put(disk, "one too many")
    assert disk.totals().entries == len(rows)
    disk.close()
    assert int.from_bytes((tmp_path / "store" / "cache.db").read_bytes()[60:64], "big") == 3


def test_store_of_version_2_is_read(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "store_v2", tmp_path / "store")
    disk = DiskStore(tmp_path / "store")
    closure, monad = disk.page(Filter(notebook="monads.ipynb"))
    assert (closure.prompt, monad.prompt) == ("What is a closure?", "What is a monad?")
    assert (monad.model, monad.provider, monad.status) == ("demo-model", "demo.nbcache.invalid", "ok")
    assert (monad.input_tokens, monad.output_tokens, monad.hits) == (11, 27, 1)
    assert (closure.cost_usd, monad.cost_usd) == (Decimal("0.01"), Decimal("0.0119"))
    assert (monad.cell, monad.tags) == ("In [1]", ("golden",))
    assert find(disk, "monad") == {"What is a monad?"}
    payload = disk.get(monad.key)
    assert payload is not None
    assert facts_of(payload, monad.key).usage == Usage(
        "demo.nbcache.invalid", "demo-model", input_tokens=11, output_tokens=27
    )
    (row,) = disk.spendings()
    assert (row.hits, row.misses, row.spent_usd, row.saved_usd) == (1, 2, Decimal("0.0219"), Decimal("0.0119"))
    assert (row.notebook, row.cell, row.model) == ("monads.ipynb", "In [1]", "demo-model")
    assert disk.check() == []
    disk.close()
