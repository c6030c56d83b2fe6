"""Pages, words and the ledger of a store in a folder, which several processes have open."""

import random
import shutil
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from nbcache.entry.records import Filter, Totals, Usage
from nbcache.stores import DiskStore
from nbcache.stores.entry_costs import entry_cost
from nbcache.stores.sqlite import background_indexing, counts, id_sets, pages
from nbcache.stores.sqlite.filters import Condition
from nbcache.stores.sqlite.page_starts import Place
from nbcache.stores.sqlite.sql import Execute, joined
from tests.stores.contract.conftest import clock  # noqa: F401 - a fixture
from tests.stores.contract.entries import keep, key_of, put, said
from tests.stores.contract.test_ledger_store import spent
from tests.stores.contract.test_searchable import find
from tests.support.paths import GOLDEN

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 20,000 entries, of which every seventh is gone. It takes long to make: tests get copies."""
    folder, draw = tmp_path_factory.mktemp("made") / "store", random.Random(7)
    with closing(DiskStore(folder)) as disk:
        put(disk, "first")
    entries, rows = [], []
    for number in range(2, 20_001):
        entries.append((number, key_of(number)))
        seconds = None if number % 5 == 0 else draw.randrange(40)  # many are equal, and many not known
        rows.append((number, draw.random(), seconds, draw.choice("abc"), joined(["a.ipynb"] if number % 2 else [])))
    with closing(sqlite3.connect(folder / "cache.db")) as connection, connection:
        connection.executemany(
            "INSERT INTO Cache (rowid, key, raw, store_time, access_time, mode, value) VALUES (?, ?, 1, 0, 0, 1, x'')",
            entries,
        )
        connection.executemany(
            "INSERT INTO entry (id, created, used, size, seconds, model, status, tags, notebooks)"
            " VALUES (?, ?, 0, 1, ?, ?, 'ok', '', ?)",
            rows,
        )
        connection.execute("DELETE FROM Cache WHERE rowid % 7 = 0")
    return folder


@pytest.fixture(scope="module")
def _made_and_listed(_made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("listed") / "store"
    shutil.copytree(_made, folder)
    with closing(DiskStore(folder)) as disk:
        while disk.index(lambda _payload, _key: (), 1_000):
            pass
    return folder


@pytest.fixture
def large(_made: Path, tmp_path: Path) -> Path:
    """A folder with a store of 20,000 entries."""
    return Path(shutil.copytree(_made, tmp_path / "store"))


@pytest.fixture
def large_and_listed(_made_and_listed: Path, tmp_path: Path) -> Path:
    """The same, with all entries in the indexes of lists."""
    return Path(shutil.copytree(_made_and_listed, tmp_path / "store"))


@pytest.mark.parametrize("sort", ["seconds", "model", "created"])
@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.slow
def test_pages_far_in_go_on_where_the_page_before_ends(large: Path, sort: str, descending: bool) -> None:
    disk = DiskStore(large)
    for which in (Filter(), Filter(notebook="a.ipynb")):
        whole = [row.key for row in disk.page(which, sort=sort, descending=descending)]
        for offset in (*range(0, len(whole), 997), len(whole) - 1, len(whole), len(whole) + 100_000):
            page = disk.page(which, sort=sort, descending=descending, limit=50, offset=offset)
            assert [row.key for row in page] == whole[offset : offset + 50]
    disk.close()


@pytest.mark.parametrize("sort", ["seconds", "model", "created"])
@pytest.mark.slow
def test_jumps_to_and_fro_show_the_same_pages_as_reading_from_the_start(
    large_and_listed: Path, monkeypatch: pytest.MonkeyPatch, sort: str
) -> None:
    monkeypatch.setattr(pages, "_STEP", 500)
    disk, draw = DiskStore(large_and_listed), random.Random(7)
    for number in range(2):
        whole = {
            (which, descending): [row.key for row in disk.page(which, sort=sort, descending=descending)]
            for which in (Filter(), Filter(notebook="a.ipynb"))
            for descending in (True, False)
        }
        for _ in range(60):
            (which, descending), keys = draw.choice([*whole.items()])
            offset = draw.randrange(len(keys))
            page = disk.page(which, sort=sort, descending=descending, limit=50, offset=offset)
            assert [row.key for row in page] == keys[offset : offset + 50]
        disk.delete(draw.choice(whole[Filter(), True]))  # all places move
        put(disk, f"new {number}")
    disk.close()


def test_a_search_within_a_filter_counts_what_is_there_now(tmp_path: Path) -> None:
    disk = DiskStore(tmp_path / "store")
    which = Filter(words=("apple",), model="gpt-4o", notebook="a.ipynb")
    for number in range(3):
        keep(disk, f"apple {number}", model="gpt-4o", notebooks=("a.ipynb",))
        keep(disk, f"apple of another {number}", model="gpt-4o-mini", notebooks=("a.ipynb",))
        while disk.index(lambda _payload, _key: ("apple",), 1_000):
            pass
        assert disk.number(which) == disk.number(which) == number + 1
    with closing(DiskStore(tmp_path / "store")) as other:
        other.clear([row.key for row in disk.page(which)][:1])
    assert disk.number(which) == 2
    disk.close()


def test_a_search_within_a_filter_reads_which_entries_have_its_values_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = DiskStore(tmp_path / "store")
    keep(disk, "apple", model="gpt-4o")
    while disk.index(lambda _payload, _key: ("apple",), 1_000):
        pass
    reads: list[Filter] = []
    read = counts._with_values

    def counting(sql: Execute, which: Filter) -> dict[int, int]:
        reads.append(which)
        return read(sql, which)

    monkeypatch.setattr(counts, "_with_values", counting)
    assert [disk.number(Filter(words=(word,), model="gpt-4o")) for word in ("a", "ap", "app")] == [1, 1, 1]
    assert len(reads) == 1
    disk.close()


@pytest.mark.parametrize("rowids", [[], [7], [0, 4_095, 4_096, 9_000], [5, 2**62], [*range(3, 9_000, 3)]])
def test_the_ids_of_many_entries_are_a_set_of_each_block(rowids: list[int]) -> None:
    assert id_sets.of_many(rowids) == id_sets.by_block((rowid,) for rowid in rowids)


@pytest.mark.slow
def test_a_second_jump_passes_few_entries(large_and_listed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_STEP", 500)
    disk = DiskStore(large_and_listed)
    passed: list[int] = []
    further = pages._further

    def counting(sql: Execute, source: Condition, order: pages._Order, number: int) -> Place | None:
        passed.append(number)
        return further(sql, source, order, number)

    monkeypatch.setattr(pages, "_further", counting)
    for offset, most in ((8_000, 8_000), (3_000, 500), (7_999, 500), (8_050, 0)):
        passed.clear()
        disk.page(sort="seconds", limit=50, offset=offset)
        assert sum(passed) <= most
    disk.close()


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
    monkeypatch.setattr(background_indexing, "_LOOKED_AT", 2)
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


def test_two_kernels_on_one_folder_add_up(tmp_path: Path) -> None:
    one, other = DiskStore(tmp_path), DiskStore(tmp_path)
    for n in range(10):
        one.record([spent("one", n, "m", misses=1, spent_usd=Decimal("0.000001"))])
        other.record([spent("other", n, "m", misses=1, spent_usd=Decimal("0.000002"))])
    for disk in (one, other):
        assert sum(row.spent_usd for row in disk.spendings()) == Decimal("0.000030")
        disk.close()


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
    assert int.from_bytes((tmp_path / "store" / "cache.db").read_bytes()[60:64], "big") == 7


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
    assert entry_cost(payload, monad.key).usage == Usage(
        "demo.nbcache.invalid", "demo-model", input_tokens=11, output_tokens=27
    )
    (row,) = disk.spendings()
    assert (row.hits, row.misses, row.spent_usd, row.saved_usd) == (1, 2, Decimal("0.0219"), Decimal("0.0119"))
    assert (row.notebook, row.cell, row.model) == ("monads.ipynb", "In [1]", "demo-model")
    assert disk.check() == []
    disk.close()
