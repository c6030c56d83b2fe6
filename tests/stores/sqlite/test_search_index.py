"""The search index: exact whatever happens, deleted words are in no file, and its work doesn't grow with the store."""

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nbcache.entry.edit import Edit
from nbcache.entry.records import EntryMeta, Filter
from nbcache.entry.text import words
from nbcache.stores import DiskStore
from nbcache.stores.sqlite import earlier_search_index, id_sets, pages, search_index, word_matches
from tests.stores.sqlite.test_listing_index import steps
from tests.stores.sqlite.test_store import key_of
from tests.support.paths import GOLDEN

VOCABULARY = ["alpha", "alps", "album", "al", "a", "bär", "barn", "café", "cafeteria", "x1", "日", "straße", "strand"]


def words_of(payload: bytes, _key: str) -> set[str]:
    return words(payload.decode())


def put(store: DiskStore, number: int | str, text: str) -> str:
    key = key_of(number)
    store.put(key, text.encode(), EntryMeta(key, f"m{len(text) % 2}", "p", "a", "ok", float(len(text))))
    return key


def index_all(store: DiskStore) -> None:
    while store.index(words_of, 50):
        pass


def found(store: DiskStore, *wanted: str, limit: int | None = None, **which: str) -> set[str]:
    rows = store.page(Filter(words=tuple(wanted), **which), limit=limit)  # type: ignore[arg-type]
    return {row.key for row in rows}


@pytest.mark.parametrize("few", [0, 10_000], ids=["walked", "sorted"])
def test_search_is_exact_whatever_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr(search_index, "BLOCK", 32)  # several blocks
    monkeypatch.setattr(id_sets, "BLOCK", 32)
    monkeypatch.setattr(word_matches, "BLOCK", 32)
    monkeypatch.setattr(word_matches, "_READ_AT_ONCE", 2)
    monkeypatch.setattr(search_index, "MERGED_AT_ONCE", 7)
    monkeypatch.setattr(pages, "_FEW", few)
    store, draw = DiskStore(tmp_path / "store"), random.Random(few)
    texts: dict[str, str] = {}
    for number in range(200):
        text = " ".join(draw.choices(VOCABULARY, k=4))
        texts[put(store, number, text)] = text
        if number % 9 == 0:
            key = draw.choice(sorted(texts))
            store.delete(key)
            del texts[key]
        if number % 11 == 0 and texts:
            which = draw.randrange(number + 1)
            texts[put(store, which, "album strand")] = "album strand"
        if number % 13 == 12:
            with closing(sqlite3.connect(store.folder / "cache.db", isolation_level=None)) as other:
                (last,) = other.execute("SELECT key FROM Cache ORDER BY rowid DESC LIMIT 1").fetchone()
                other.execute("DELETE FROM Cache WHERE key = ?", (last,))  # a later entry gets its id
            texts.pop(last, None)
        if number % 7 == 0:
            store.index(words_of, draw.randrange(1, 30))
        if number % 40 == 39:
            index_all(store)
            plain = {
                key: {word.replace("ä", "a").replace("é", "e") for word in words(text)} for key, text in texts.items()
            }
            for wanted in (
                ["a"],
                ["al"],
                ["alp"],
                ["albu"],
                ["bar"],
                ["cafe"],
                ["cafet"],
                ["s"],
                ["日"],
                ["b", "al"],
                ["no"],
            ):
                keys = {
                    key for key, line in plain.items() if all(any(each.startswith(w) for each in line) for w in wanted)
                }
                assert found(store, *wanted) == keys, wanted
                assert found(store, *wanted, limit=1_000) == keys
                assert found(store, *wanted, model="m1", limit=1_000) == {k for k in keys if len(texts[k]) % 2}
                assert store.totals(Filter(words=tuple(wanted))).entries == len(keys)
    assert store.check() == []
    store.close()


def test_many_matches_are_counted_by_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbcache.stores.sqlite.counts._MANY", 1)
    store = DiskStore(tmp_path / "store")
    for number in range(60):
        store.put(
            *(key_of(number), ("even" if number % 2 == 0 else "odd").encode()),
            EntryMeta(key_of(number), f"m{number % 3}", "p", "a", "ok", 1.0),
            ttl=0.0 if number % 5 == 0 else None,
        )
    index_all(store)
    for which in (
        Filter(words=("eve",)),
        Filter(words=("odd",), model="m1"),
        Filter(words=("e",), include_expired=True),
    ):
        rows = store.page(which)
        assert (store.totals(which).entries, store.totals(which).size_bytes) == (
            len(rows),
            sum(row.size_bytes for row in rows),
        )
    store.close()


def left_in(folder: Path, text: bytes) -> list[str]:
    return [path.name for path in folder.iterdir() if text in path.read_bytes()]


def test_evicted_words_are_in_no_file_while_the_store_is_open(tmp_path: Path) -> None:
    """Also not in parts of pages that SQLite has moved elsewhere while the index grew."""
    store, draw = DiskStore(tmp_path / "store"), random.Random(4)
    texts = [
        " ".join([f"secret{number}q", *(f"w{draw.randrange(3_000)}" for _ in range(30))]) for number in range(3_000)
    ]
    for number, text in enumerate(texts):
        put(store, number, text)
        if number % 100 == 0:
            index_all(store)
    index_all(store)
    for number in draw.sample(range(3_000), 12):
        assert left_in(store.folder, f"secret{number}q".encode()) != []
        store.delete(key_of(number))
        assert left_in(store.folder, f"secret{number}q".encode()) == []
    store.close()


@pytest.mark.parametrize("left", [0, 100, 700])
def test_clearing_many_changes_the_row_of_a_common_word_a_few_times(tmp_path: Path, left: int) -> None:
    store = DiskStore(tmp_path / "store")
    rows = [EntryMeta(key_of(number), "m", "p", "a", "ok", 1.0) for number in range(1_000)]
    store.put_all((row.key, f"common w{number % 50} x{number}".encode(), row) for number, row in enumerate(rows))
    index_all(store)
    statements: list[str] = []
    assert store._database.file is not None
    for connection in store._database.file.pool._open:
        connection.set_trace_callback(statements.append)
    store.clear([row.key for number, row in enumerate(rows) if number * 7 % 1_000 >= left])
    for connection in store._database.file.pool._open:
        connection.set_trace_callback(None)
    written = [line for line in statements if line.startswith(("DELETE FROM word", "UPDATE word", "INSERT INTO word"))]
    assert len(written) < (1_000 - left) + 60 * 5 if left else len(written) < 5
    assert len(found(store, "common")) == left
    assert len(found(store, "x")) == left
    with closing(sqlite3.connect(store.folder / "cache.db")) as other:
        rest = other.execute("SELECT (SELECT count(*) FROM unindexed), (SELECT count(*) FROM indexed)").fetchone()
        assert rest == (0, left)
        assert (other.execute("SELECT count(*) FROM word").fetchone()[0] == 0) == (left == 0)
    store.close()


def test_replaced_words_go_with_the_next_that_is_indexed(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    put(store, 1, "zugzwang and more")
    index_all(store)
    put(store, 1, "another answer")
    assert found(store, "zugzwang") == set()
    index_all(store)
    assert found(store, "answer") == {key_of(1)}
    store.delete(key_of(2))  # which folds the log in
    store.close()
    assert left_in(store.folder, b"zugzwang") == []


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DiskStore, DiskStore]]:
    """A store and one of five times its size, each of several blocks."""
    made = []
    for size in (3_000, 15_000):
        store = DiskStore(tmp_path_factory.mktemp("store"))
        rows = (EntryMeta(key_of(number), "m", "p", "a", "ok", float(number)) for number in range(size))
        store.put_all((row.key, f"common w{number % 500} x{number}".encode(), row) for number, row in enumerate(rows))
        while store.index(words_of, 2_000):
            pass
        made.append(store)
    yield made[0], made[1]
    for store in made:
        store.close()


def entries_are_indexed(store: DiskStore) -> None:
    put(store, f"new {random.random()}", "common new words")
    index_all(store)


@pytest.mark.parametrize(
    "work",
    [
        lambda store: store.delete(store.page(limit=1)[0].key),
        entries_are_indexed,
        lambda store: store.page(Filter(words=("c",)), limit=50),
        lambda store: store.page(Filter(words=("common",)), limit=50),
    ],
    ids=["evict", "index", "one letter", "word"],
)
def test_work_does_not_grow_with_the_store(
    stores: tuple[DiskStore, DiskStore], monkeypatch: pytest.MonkeyPatch, work: Callable[[DiskStore], object]
) -> None:
    monkeypatch.setattr(pages, "_FEW", 100)
    small, large = (steps(store, work) for store in stores)
    assert large < 1.3 * small + 20


def test_a_merge_takes_few_statements_whatever_the_number_of_words(tmp_path: Path) -> None:
    """Each statement leaves the interpreter to other threads, and has to get it back."""
    numbers = []
    for words_each in (10, 1_000):
        store = DiskStore(tmp_path / f"store{words_each}")
        for number in range(search_index.MERGED_AT_ONCE):
            put(store, number, " ".join(f"w{number}x{at}" for at in range(words_each)))
        while not store._query(lambda cache: search_index.has_many_fresh(cache.execute)):
            store.index(words_of, 50)
        statements: list[str] = []
        assert store._database.file is not None
        for connection in store._database.file.pool._open:
            connection.set_trace_callback(statements.append)
        store.index(words_of, 50)
        assert found(store, "w7x") == {key_of(7)}
        numbers.append(len(statements))
        store.close()
    assert numbers[1] <= numbers[0] + 5


def test_a_step_merges_once_or_indexes_as_many_entries_as_it_may(tmp_path: Path) -> None:
    store, indexed = DiskStore(tmp_path / "store"), 0
    for number in range(3 * search_index.MERGED_AT_ONCE):
        put(store, number, f"text {number}")

    def fresh() -> int:
        return int(store._query(lambda cache: cache.execute("SELECT count(*) FROM fresh").fetchone()[0]))

    left, changes = True, []
    while left:
        left = store.index(words_of, 8)
        changes.append(fresh() - indexed)
        indexed = fresh()
    assert {change for change in changes if change > 0} <= set(range(9))
    assert [change for change in changes if change < 0] == [-search_index.MERGED_AT_ONCE] * 3
    assert len(found(store, "text", limit=1_000)) == 3 * search_index.MERGED_AT_ONCE
    store.close()


# An earlier release's index


@pytest.fixture
def of_version_3(tmp_path: Path) -> Path:
    """A store of version 3 with an index of its own."""
    shutil.copytree(GOLDEN / "store_v3", tmp_path / "store")
    with closing(sqlite3.connect(tmp_path / "store" / "cache.db", isolation_level=None)) as connection:
        connection.execute("DROP TABLE IF EXISTS words")
        for name in ("words_gone", "words_changed"):
            connection.execute(f"DROP TRIGGER IF EXISTS {name}")
        for statement in (earlier_search_index.STATEMENTS[0], *earlier_search_index.STATEMENTS[2:4]):
            connection.execute(statement)
        for rowid in range(1, 400):
            connection.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (rowid, f"zugzwang{rowid} xylophone"))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return tmp_path / "store"


def test_earlier_index_is_removed_in_the_background(of_version_3: Path) -> None:
    store = DiskStore(of_version_3)
    assert len(store.page()) == 3
    assert left_in(of_version_3, b"xylophone") != []
    rounds = 0
    while store.index(lambda _, key: [key]):
        rounds += 1
    assert rounds > 3
    key = store.page()[0].key
    assert found(store, key[:5]) == {key}
    assert store.check() == []
    store.close()
    assert left_in(of_version_3, b"xylophone") == []
    with closing(sqlite3.connect(of_version_3 / "cache.db")) as connection:
        assert connection.execute("SELECT name FROM sqlite_master WHERE name LIKE 'words%'").fetchall() == []


def test_evicting_one_removes_the_words_of_an_earlier_index(of_version_3: Path) -> None:
    store = DiskStore(of_version_3)
    store.delete(store.page()[0].key)
    assert left_in(of_version_3, b"xylophone") == []
    assert left_in(of_version_3, b"zugzwang") == []
    store.close()


def test_entry_that_gets_other_tags_stays_in_the_index(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    keys = [put(store, number, f"alpha x{number}") for number in range(5)]
    index_all(store)
    assert store.edit(keys, Edit(add=("new",))) == 5
    assert store.edit(keys, Edit(sets_expiry=True, expires=5e9)) == 5
    with closing(sqlite3.connect(store.folder / "cache.db")) as connection:
        assert connection.execute("SELECT count(*) FROM indexed").fetchone() == (5,)
        assert connection.execute("SELECT count(*) FROM unindexed").fetchone() == (0,)
    assert found(store, "alpha", tag="new") == set(keys)
    put(store, 3, "alps")  # another answer has other words
    index_all(store)
    assert found(store, "alpha") == {*keys} - {keys[3]}
    assert found(store, "alps") == {keys[3]}
    assert store.check() == []
    store.close()
