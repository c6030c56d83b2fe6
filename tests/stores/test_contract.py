"""What every store does, whatever it is made of. Each test ends with a store that `check` finds nothing wrong with."""

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nbcache.entry.models import Cleared, EntryMeta, Filter, Totals, Touch
from nbcache.errors import DamagedError, StoreError
from nbcache.stores import DiskStore, MemoryStore, Store
from tests.support.rows import FullStore, row_of

Make = Callable[..., FullStore]
NOW = 1_800_000_000.0


class Clock:
    """The time that every store goes by, standing still until it is told to go on."""

    def __init__(self) -> None:
        self.now = NOW

    def advance(self, seconds: float) -> float:
        self.now += seconds
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "time", lambda: made.now)
    return made


@pytest.fixture(params=["memory", "disk"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Makes a store with the bounds that it is given; it is checked and closed after the test."""
    stores: list[FullStore] = []

    def a_store(max_entries: int | None = None, max_bytes: int | None = None) -> FullStore:
        if request.param == "memory":
            stores.append(MemoryStore(max_entries, max_bytes, clock=lambda: time.time()))  # noqa: PLW0108 - looked up anew each time
        else:
            stores.append(DiskStore(tmp_path / f"store{len(stores)}", max_bytes=max_bytes, max_entries=max_entries))
        return stores[-1]

    yield a_store
    for store in stores:
        assert store.check() == []
        store.close()


@pytest.fixture
def store(make: Make) -> FullStore:
    return make()


def key_of(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()[:40]


def row(key: str, *notebooks: str) -> EntryMeta:
    return EntryMeta(key, "model", "prompt", "answer", "ok", time.time(), notebooks=notebooks)


def put(store: FullStore, name: object, payload: bytes = b"payload", *notebooks: str, ttl: float | None = None) -> str:
    key = key_of(name)
    store.put(key, payload, row(key, *notebooks), ttl)
    return key


def use(store: FullStore, clock: Clock, key: str) -> None:
    """What a hit does: a read, and its recency written down a moment later."""
    clock.advance(1)
    assert store.get(key) is not None
    store.touch([Touch(key, None, 1, clock.now)])


def found(store: FullStore, key: str) -> EntryMeta:
    meta = row_of(store, key)
    assert meta is not None
    return meta


# Entries


def test_empty_store_holds_nothing(store: FullStore) -> None:
    assert store.get(key_of(1)) is None
    assert row_of(store, key_of(1)) is None
    assert store.page() == []
    assert store.totals() == Totals(0, 0, 0)
    assert store.clear([]) == Cleared(0, 0, 0)


@pytest.mark.parametrize("wait", [True, False])
def test_what_was_put_is_got(store: FullStore, wait: bool) -> None:
    key = put(store, 1, b"payload")
    assert store.get(key, wait=wait) == b"payload"
    assert store.get(key_of(2)) is None


@pytest.mark.parametrize("size", [0, 1, 100, 4_095, 4_096, 32_767, 32_768, 1_000_000, 3_000_000])
def test_payloads_come_back_byte_for_byte(store: FullStore, size: int) -> None:
    for name, payload in (("random", secrets.token_bytes(size)), ("zeros", bytes(size)), ("utf-8?", b"\xff" * size)):
        key = put(store, name, payload)
        found_payload = store.get(key)
        assert type(found_payload) is bytes
        assert found_payload == payload
        assert found(store, key).size_bytes == size
    assert store.totals().size_bytes == 3 * size


def test_row_tells_what_was_put(store: FullStore) -> None:
    key = key_of(1)
    meta = EntryMeta(
        *(key, "a model", "a prompt", "an answer", "cut off", NOW),
        tags=("a tag", "another"),
        notebooks=("a.ipynb", "b.ipynb"),
        cell="cell 1",
    )
    store.put(key, b"payload", meta, 60)
    assert row_of(store, key) == replace(meta, size_bytes=7, expires=NOW + 60)
    assert store.page() == [row_of(store, key)]


def test_size_and_key_are_those_of_the_payload_whatever_the_row_says(store: FullStore) -> None:
    key = key_of(1)
    store.put(key, b"payload", replace(row(key_of(2)), size_bytes=10**9))
    assert found(store, key).key == key
    assert store.totals() == Totals(1, 7, 0)


def test_replaced_payload_and_row_are_new_and_owners_and_hits_stay(store: FullStore, clock: Clock) -> None:
    key = put(store, 1, b"old", "a.ipynb")
    hit = clock.advance(1)
    store.touch([Touch(key, "b.ipynb", 3, hit)])
    replaced = clock.advance(10)
    store.put(key, b"newer", replace(row(key, "c.ipynb"), model="new", prompt="new", answer="new", tags=("new",)))
    assert store.get(key) == b"newer"
    meta = found(store, key)
    assert (meta.model, meta.prompt, meta.answer, meta.tags, meta.created) == ("new", "new", "new", ("new",), replaced)
    assert set(meta.notebooks) == {"a.ipynb", "b.ipynb", "c.ipynb"}
    assert (meta.hits, meta.last_hit) == (3, hit)
    assert store.totals() == Totals(1, 5, 0)


ODD = [
    "",
    " ",
    "naïve ☃ 🤖 日本語",
    "'; DROP TABLE entry; --",
    "%_*?[]",
    "a\nb\tc\r\n",
    "nul \0 inside",
    "<script>alert(1)</script>",
    "\u202e right to left",
    "x" * 10_000,
]


@pytest.mark.parametrize("text", ODD)
def test_odd_text_comes_back_as_it_was(store: FullStore, text: str) -> None:
    key = key_of(1)
    store.put(key, b"payload", EntryMeta(key, text, text, text, text, NOW, cell=text))
    meta = found(store, key)
    assert (meta.model, meta.prompt, meta.answer, meta.status, meta.cell) == (text, text, text, text, text)
    assert store.page(Filter(model=text)) == [meta]


@pytest.mark.parametrize("text", [text for text in ODD if text])
def test_odd_tags_and_notebooks_come_back_and_are_found(store: FullStore, text: str) -> None:
    put(store, "another", b"payload", "x.ipynb")
    key = key_of(1)
    store.put(key, b"payload", replace(row(key, text, "x.ipynb"), tags=(text, "tag")))
    meta = found(store, key)
    assert sorted(meta.tags) == sorted((text, "tag"))
    assert sorted(meta.notebooks) == sorted((text, "x.ipynb"))
    assert store.page(Filter(tag=text)) == [meta]
    assert store.page(Filter(notebook=text)) == [meta]
    assert store.totals(Filter(notebook=text)).entries == 1
    assert store.clear([key], owner=text).kept == 1
    assert found(store, key).notebooks == ("x.ipynb",)


def test_half_an_emoji_costs_no_entry(store: FullStore) -> None:
    text = "\ud83d"  # a provider cut it in two; or a byte of a file's name that is not UTF-8
    key = key_of(1)
    store.put(key, b"payload", replace(row(key, text, "a.ipynb"), model=text, prompt=text, answer=text, tags=(text,)))
    store.touch([Touch(key, text, 1, NOW)])
    assert store.get(key) == b"payload"
    assert found(store, key).hits == 1
    assert store.totals(Filter(notebook="a.ipynb")).entries == 1
    assert store.totals(Filter(notebook=text)).entries == 1
    assert store.clear([key], owner=text).kept == 1


def test_delete_deletes_and_tells_whether_there_was_one(store: FullStore) -> None:
    key, other = put(store, 1), put(store, 2)
    assert store.delete(key) is True
    assert store.delete(key) is False
    assert store.get(key) is None
    assert row_of(store, key) is None
    assert [meta.key for meta in store.page()] == [other]
    assert store.totals() == Totals(1, 7, 0)


def test_deleted_entry_put_again_has_neither_hits_nor_owners_of_before(store: FullStore, clock: Clock) -> None:
    key = put(store, 1, b"payload", "a.ipynb")
    store.touch([Touch(key, "b.ipynb", 2, clock.now)])
    store.delete(key)
    put(store, 1, b"payload", "c.ipynb")
    meta = found(store, key)
    assert (meta.hits, meta.last_hit, meta.notebooks) == (0, None, ("c.ipynb",))


# Time to live


def test_entry_is_got_until_its_time_is_over(store: FullStore, clock: Clock) -> None:
    key, kept = put(store, 1, ttl=60), put(store, 2)
    clock.advance(59.9)
    assert store.get(key) == b"payload"
    assert found(store, key).expires == NOW + 60
    clock.advance(0.1)
    assert store.get(key) is None
    assert store.get(kept) == b"payload"


def test_expired_entry_is_gone_everywhere(store: FullStore, clock: Clock) -> None:
    key, kept = put(store, 1, b"payload", "a.ipynb", ttl=60), put(store, 2, b"payload", "a.ipynb")
    clock.advance(61)
    assert [meta.key for meta in store.page()] == [kept]
    assert row_of(store, key) is None
    assert store.totals() == Totals(1, 7, 0)
    assert store.totals(Filter(notebook="a.ipynb")) == Totals(1, 7, 0)
    assert store.delete(key) is False
    assert store.clear([key], owner="a.ipynb") == Cleared(0, 0, 0)
    store.touch([Touch(key, "b.ipynb", 1, clock.now)])
    assert row_of(store, key) is None


def test_each_entry_has_a_time_of_its_own(store: FullStore, clock: Clock) -> None:
    keys = [put(store, n, ttl=10.0 * n) for n in range(1, 30)]
    for n in range(29):
        assert [meta.key for meta in store.page()][::-1] == keys[n:]
        assert store.totals().entries == 29 - n
        clock.advance(10)
        put(store, "another")  # what has expired is cleaned up at some time: it must not matter when
        store.delete(key_of("another"))


def test_replaced_entry_lives_as_long_as_it_was_last_told(store: FullStore, clock: Clock) -> None:
    longer, forever = put(store, 1, ttl=10), put(store, 2, ttl=10)
    shorter = put(store, 3)
    put(store, 1, ttl=100)
    put(store, 2)
    put(store, 3, ttl=10)
    clock.advance(50)
    assert (store.get(longer), store.get(forever), store.get(shorter)) == (b"payload", b"payload", None)
    clock.advance(51)
    assert (store.get(longer), store.get(forever)) == (None, b"payload")
    assert found(store, forever).expires is None


def test_expired_entry_put_again_is_a_new_one(store: FullStore, clock: Clock) -> None:
    key = put(store, 1, b"payload", "a.ipynb", ttl=10)
    store.touch([Touch(key, "b.ipynb", 5, clock.now)])
    clock.advance(11)
    put(store, 1, b"payload", "c.ipynb")
    meta = found(store, key)
    assert (meta.hits, meta.last_hit, meta.notebooks, meta.expires) == (0, None, ("c.ipynb",), None)


# Hits


def test_touch_adds_up_hits_and_keeps_the_last_one(store: FullStore, clock: Clock) -> None:
    key = put(store, 1)
    assert (found(store, key).hits, found(store, key).last_hit) == (0, None)
    late = clock.advance(10)
    store.touch([Touch(key, None, 2, late), Touch(key, None, 3, late - 5)])
    store.touch([Touch(key, None, 1, late - 7)])
    assert (found(store, key).hits, found(store, key).last_hit) == (6, late)


def test_touch_makes_the_notebook_an_owner(store: FullStore, clock: Clock) -> None:
    key = put(store, 1, b"payload", "a.ipynb")
    store.touch([Touch(key, "b.ipynb", 1, clock.now), Touch(key, "a.ipynb", 1, clock.now)])
    store.touch([Touch(key, "b.ipynb", 1, clock.now), Touch(key, None, 1, clock.now)])
    assert sorted(found(store, key).notebooks) == ["a.ipynb", "b.ipynb"]
    assert store.totals(Filter(notebook="b.ipynb")) == Totals(1, 7, 0)


def test_touch_passes_over_what_is_gone(store: FullStore, clock: Clock) -> None:
    key = put(store, 1)
    store.touch([Touch(key_of("gone"), "a.ipynb", 1, clock.now), Touch(key, None, 1, clock.now)])
    store.touch([])
    assert row_of(store, key_of("gone")) is None
    assert found(store, key).hits == 1


def test_get_alone_counts_nothing(store: FullStore) -> None:
    key = put(store, 1)
    before = row_of(store, key)
    store.get(key)
    assert row_of(store, key) == before


# Pages


def test_page_is_newest_first_with_limit_and_offset(store: FullStore, clock: Clock) -> None:
    keys = []
    for n in range(10):
        clock.advance(1)
        keys.append(put(store, n))
    newest = keys[::-1]
    assert [meta.key for meta in store.page()] == newest
    assert [meta.key for meta in store.page(limit=3)] == newest[:3]
    assert [meta.key for meta in store.page(limit=3, offset=8)] == newest[8:]
    assert [meta.key for meta in store.page(offset=4)] == newest[4:]
    assert store.page(limit=0) == []
    assert store.page(limit=5, offset=10) == []
    clock.advance(1)
    put(store, 3)  # stored anew
    assert store.page(limit=1)[0].key == keys[3]


def test_page_means_what_every_field_of_its_filter_says(store: FullStore, clock: Clock) -> None:
    rows = {}
    for n in range(24):
        clock.advance(1)
        key = key_of(n)
        meta = replace(
            row(key, *(["a.ipynb"] if n % 2 else []), *(["b.ipynb"] if n % 3 else [])),
            model=f"model {n % 4}",
            tags=(("tag",) if n % 5 == 0 else ("ta", "tagged") if n % 5 == 1 else ()),
        )
        store.put(key, b"payload", meta)
        if n % 7 == 0:
            store.touch([Touch(key, None, 1, clock.now)])
        rows[n] = found(store, key)

    def meant(which: Filter) -> list[int]:
        by_key = {meta.key: n for n, meta in rows.items()}
        numbers = [by_key[meta.key] for meta in store.page(which)]
        assert numbers == sorted(numbers, reverse=True)
        return numbers[::-1]

    assert meant(Filter()) == list(range(24))
    assert meant(Filter(notebook="a.ipynb")) == [n for n in rows if n % 2]
    assert meant(Filter(notebook="nobody.ipynb")) == []
    assert meant(Filter(model="model 1")) == [n for n in rows if n % 4 == 1]
    assert meant(Filter(model="model")) == []
    assert meant(Filter(tag="tag")) == [n for n in rows if n % 5 == 0]
    assert meant(Filter(tag="ta")) == [n for n in rows if n % 5 == 1]
    assert meant(Filter(before=rows[5].created)) == [0, 1, 2, 3, 4]
    assert meant(Filter(unused=True)) == [n for n in rows if n % 7]
    assert meant(Filter(key=key_of(3))) == [3]
    assert meant(Filter(key=key_of(3)[:2])) == [n for n in rows if key_of(n).startswith(key_of(3)[:2])]
    assert meant(Filter(key="")) == list(range(24))
    both = Filter("b.ipynb", "model 1", "tag", before=rows[20].created, unused=True, key=key_of(5)[:1])
    assert meant(both) == [5]
    assert [meta.key for meta in store.page(Filter(notebook="a.ipynb"), limit=2, offset=1)] == [key_of(21), key_of(19)]


def test_totals_are_the_stores_or_one_notebooks(store: FullStore) -> None:
    put(store, 1, b"1", "a.ipynb")
    put(store, 2, b"22", "a.ipynb", "b.ipynb")
    put(store, 3, b"333")
    assert store.totals() == Totals(3, 6, 0)
    assert store.totals(Filter(notebook="a.ipynb")) == Totals(2, 3, 0)
    assert store.totals(Filter(notebook="b.ipynb")) == Totals(1, 2, 0)
    assert store.totals(Filter(notebook="c.ipynb")) == Totals(0, 0, 0)


# Clear


def test_clear_deletes_what_it_is_given(store: FullStore) -> None:
    one, two, three = (put(store, n, b"x" * n, "a.ipynb", "b.ipynb") for n in (1, 2, 3))
    assert store.clear([one, three, key_of("gone"), three]) == Cleared(2, 4, 0)
    assert [meta.key for meta in store.page()] == [two]
    assert store.totals() == Totals(1, 2, 0)


def test_clear_by_an_owner_keeps_what_others_own(store: FullStore) -> None:
    mine, shared = put(store, 1, b"1", "a.ipynb"), put(store, 2, b"22", "a.ipynb", "b.ipynb")
    others, nobodys = put(store, 3, b"333", "b.ipynb"), put(store, 4, b"4444")
    assert store.clear([mine, shared, others, nobodys], owner="a.ipynb") == Cleared(2, 5, 2)
    assert {meta.key for meta in store.page()} == {shared, others}
    assert found(store, shared).notebooks == ("b.ipynb",)
    assert store.totals(Filter(notebook="a.ipynb")) == Totals(0, 0, 0)
    assert store.totals(Filter(notebook="b.ipynb")) == Totals(2, 5, 0)
    assert store.clear([shared, others], owner="b.ipynb") == Cleared(2, 5, 0)
    assert store.page() == []


# Bounds


def test_bound_in_entries_evicts_the_least_recently_used(make: Make, clock: Clock) -> None:
    store = make(max_entries=3)
    keys = []
    for n in range(3):
        clock.advance(1)
        keys.append(put(store, n))
    use(store, clock, keys[0])
    for n in range(3, 5):
        clock.advance(1)
        keys.append(put(store, n))
    assert {meta.key for meta in store.page()} == {keys[0], keys[3], keys[4]}
    assert store.totals() == Totals(3, 21, 2)
    assert store.get(keys[1]) is None


def test_bound_in_bytes_evicts_until_there_is_room(make: Make, clock: Clock) -> None:
    store = make(max_bytes=100)
    keys = []
    for n in range(5):
        clock.advance(1)
        keys.append(put(store, n, b"x" * 20))
    assert store.totals() == Totals(5, 100, 0)
    clock.advance(1)
    large = put(store, "large", b"x" * 50)
    assert [meta.key for meta in store.page()] == [large, keys[4], keys[3]]
    assert store.totals() == Totals(3, 90, 3)


def test_replaced_entry_counts_once_and_is_used(make: Make, clock: Clock) -> None:
    store = make(max_entries=2, max_bytes=100)
    one, two = put(store, 1, b"x" * 40), None
    clock.advance(1)
    two = put(store, 2, b"x" * 40)
    clock.advance(1)
    put(store, 1, b"x" * 60)
    assert store.totals() == Totals(2, 100, 0)
    clock.advance(1)
    put(store, 3, b"x" * 40)
    assert store.get(two) is None
    assert store.get(one) is not None


def test_entry_that_was_just_put_is_never_the_one_evicted(make: Make, clock: Clock) -> None:
    store = make(max_entries=1)
    old = put(store, 1)
    store.touch([Touch(old, None, 1, clock.now + 1000)])
    new = key_of(2)
    store.put(new, b"payload", replace(row(new), created=clock.now - 1000))  # as an import would
    assert store.get(new) == b"payload"
    assert store.get(old) is None


def test_payload_larger_than_the_bound_is_refused_and_nothing_evicted(make: Make) -> None:
    store = make(max_bytes=100)
    key = put(store, 1, b"x" * 60)
    with pytest.raises(StoreError, match="max_bytes=100"):
        put(store, 2, b"x" * 101)
    with pytest.raises(StoreError):
        put(store, 1, b"y" * 101)
    assert store.get(key) == b"x" * 60
    assert store.totals() == Totals(1, 60, 0)
    put(store, 3, b"x" * 100)
    assert store.totals() == Totals(1, 100, 1)


def test_what_has_expired_never_pushes_out_what_lives(make: Make, clock: Clock) -> None:
    store = make(max_entries=3)
    kept = put(store, "kept")
    clock.advance(1)
    put(store, 1, ttl=10)
    put(store, 2, ttl=10)
    clock.advance(11)
    put(store, 3)
    assert store.get(kept) == b"payload"
    assert store.totals() == Totals(2, 14, 0)


def test_bound_set_later_holds_from_the_next_put_on(make: Make, clock: Clock) -> None:
    store = make()
    for n in range(5):
        clock.advance(1)
        put(store, n)
    store.bound(None, 2)
    assert store.totals().entries == 5
    clock.advance(1)
    put(store, 5)
    assert [meta.key for meta in store.page()] == [key_of(5), key_of(4)]
    assert store.totals().evictions == 4
    store.bound(None, None)
    put(store, 6)
    assert store.totals().entries == 3


@pytest.mark.parametrize("wrong", [0, -1])
@pytest.mark.parametrize("name", ["max_entries", "max_bytes"])
def test_wrong_bound_raises_at_once_and_says_what_to_write(make: Make, name: str, wrong: int) -> None:
    with pytest.raises(ValueError, match=f"{name}={wrong}: write .*, above zero"):
        make(**{name: wrong})
    store = make(max_entries=2)
    with pytest.raises(ValueError, match=name):
        store.bound(**{"max_entries": None, "max_bytes": None, name: wrong})
    for n in range(3):
        put(store, n)
    assert store.totals().entries == 2  # the bound of before holds


# Check


def test_check_with_a_reader_finds_and_mends_damaged_payloads(store: FullStore) -> None:
    good, bad, newer = put(store, 1, b"good", "a.ipynb"), put(store, 2, b"bad"), put(store, 3, b"newer")

    def read(payload: bytes, key: str) -> EntryMeta:
        if payload == b"bad":
            raise DamagedError(f"entry {key[:8]} is damaged")
        if payload == b"newer":
            raise DamagedError(f"entry {key[:8]} is newer", newer=True)
        return row(key)

    problems = [f"entry {bad[:8]} is damaged", f"entry {newer[:8]} is newer"]
    assert sorted(store.check(read=read)) == sorted(problems)
    assert store.totals().entries == 3  # to look is not to mend
    assert sorted(store.check(fix=True, read=read)) == sorted(problems)
    assert {meta.key for meta in store.page()} == {good, newer}
    assert store.get(newer) == b"newer"
    assert store.check(read=read) == [f"entry {newer[:8]} is newer"]
    assert found(store, good).notebooks == ("a.ipynb",)


def test_every_store_keeps_the_protocol(store: FullStore) -> None:
    assert isinstance(store, Store)
    assert "://" in store.url


def test_closed_store_opens_again(store: FullStore) -> None:
    store.close()
    key = put(store, 1)
    assert store.get(key) == b"payload"


# MemoryStore's own


def test_memory_store_has_the_clock_that_it_is_given() -> None:
    now = 100.0
    store = MemoryStore(clock=lambda: now)
    key = put(store, 1, ttl=10)
    now = 110.0
    assert store.get(key) is None
