"""Stores that can list their entries: rows, hits, owners, pages and clears."""

import secrets
from dataclasses import replace
from decimal import Decimal

import pytest

from nbcache.entry.records import SORTABLE, Cleared, EntryMeta, Facets, Filter, Totals, Touch
from nbcache.stores.base import Listable
from tests.stores.contract.entries import NOW, Clock, as_listed, found, keep, key_of, put, row
from tests.support.rows import FullStore, row_of

NEEDS = (Listable,)


def test_empty_store_holds_nothing(store: FullStore) -> None:
    assert store.get(key_of(1)) is None
    assert row_of(store, key_of(1)) is None
    assert store.page() == []
    assert store.totals() == Totals(0, 0, 0)
    assert store.clear([]) == Cleared(0, 0, 0)


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
    assert row_of(store, key) == as_listed(store, replace(meta, size_bytes=7, expires=NOW + 60))
    assert store.page() == [row_of(store, key)]


def test_size_and_key_are_those_of_the_payload_whatever_the_row_says(store: FullStore) -> None:
    key = key_of(1)
    store.put(key, b"payload", replace(row(key_of(2)), size_bytes=10**9))
    assert found(store, key).key == key
    assert store.totals() == Totals(1, 7, 0)


def test_replaced_payload_and_row_are_new_and_owners_and_hits_stay(store: FullStore, clock: Clock) -> None:
    key = put(store, 1, b"old", "a.ipynb", ttl=60)
    hit = clock.advance(1)
    store.touch([Touch(key, "b.ipynb", 3, hit)])
    replaced = clock.advance(10)
    new = replace(row(key, "c.ipynb"), model="new", prompt="new", answer="new", tags=("new",))
    store.put(key, b"newer", new)
    assert store.get(key) == b"newer"
    meta = found(store, key)
    listed = as_listed(store, new)
    assert (meta.model, meta.tags, meta.created) == ("new", ("new",), replaced)
    assert (meta.prompt, meta.answer) == (listed.prompt, listed.answer)
    assert set(meta.notebooks) == {"a.ipynb", "b.ipynb", "c.ipynb"}
    assert (meta.hits, meta.last_hit, meta.expires) == (3, hit, None)
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
    meta = EntryMeta(key, text, text, text, text, NOW, cell=text, size_bytes=7)
    store.put(key, b"payload", meta)
    assert found(store, key) == as_listed(store, meta)
    assert store.page(Filter(model=text)) == [as_listed(store, meta)]


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


def test_expired_entry_put_again_is_a_new_one(store: FullStore, clock: Clock) -> None:
    key = put(store, 1, b"payload", "a.ipynb", ttl=10)
    store.touch([Touch(key, "b.ipynb", 5, clock.now)])
    clock.advance(11)
    put(store, 1, b"payload", "c.ipynb")
    meta = found(store, key)
    assert (meta.hits, meta.last_hit, meta.notebooks, meta.expires) == (0, None, ("c.ipynb",), None)


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


def test_clear_deletes_what_it_is_given(store: FullStore) -> None:
    one, two, three = (put(store, n, b"x" * n, "a.ipynb", "b.ipynb") for n in (1, 2, 3))
    assert store.clear([one, three, key_of("gone"), three]) == Cleared(2, 4, 0)
    assert [meta.key for meta in store.page()] == [two]
    assert store.totals() == Totals(1, 2, 0)


def test_a_key_that_is_given_twice_is_cleared_once(store: FullStore) -> None:
    shared = put(store, 1, b"1", "a.ipynb", "b.ipynb")
    assert store.clear([shared, shared], owner="a.ipynb") == Cleared(0, 0, 1)
    assert store.clear([shared, shared]) == Cleared(1, 1, 0)


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


@pytest.mark.parametrize("sort", [name for name in SORTABLE if name not in {"expires", "hits", "last_hit", "cost_usd"}])
@pytest.mark.parametrize("descending", [True, False])
def test_page_is_sorted_by_any_column(store: FullStore, sort: str, descending: bool) -> None:
    values = ["a", "b", "c", "d"] if sort in {"model", "provider", "status", "cell"} else [1, 2, 3, 4]
    if sort == "size_bytes":
        keys = [put(store, n, b"x" * n) for n in (1, 2, 3, 4)]
    else:
        keys = [keep(store, str(n), **{sort: values[n]}) for n in (2, 0, 3, 1)]
        keys = [keys[1], keys[3], keys[0], keys[2]]
    wanted = keys[::-1] if descending else keys
    assert [row.key for row in store.page(sort=sort, descending=descending)] == wanted
    assert [row.key for row in store.page(sort=sort, descending=descending, limit=2, offset=1)] == wanted[1:3]


def test_unknown_values_come_last_of_what_descends(store: FullStore) -> None:
    known, unknown = keep(store, "known", seconds=1.5), keep(store, "unknown")
    assert [row.key for row in store.page(sort="seconds")] == [known, unknown]
    assert [row.key for row in store.page(sort="seconds", descending=False)] == [unknown, known]


def test_unknown_column_is_refused(store: FullStore) -> None:
    with pytest.raises(ValueError, match="created"):
        store.page(sort="id; DROP TABLE entry")


@pytest.mark.parametrize(
    "which",
    [
        *(Filter(model="m1"), Filter(cell="In [1]"), Filter(status="cut off"), Filter(tag="t1")),
        *(Filter(notebook="a.ipynb"), Filter(model="m1", status="cut off"), Filter(client="openai")),
        Filter(kind="tool"),
    ],
    ids=repr,
)
def test_filter_means_the_same_in_a_page_and_in_totals(store: FullStore, which: Filter) -> None:
    facts = {"model": "m1", "cell": "In [1]", "status": "cut off", "client": "openai", "kind": "tool"}
    meant = keep(store, "x", **facts, tags=("t1", "t2"), notebooks=("a.ipynb",))
    keep(store, "other", model="m10", cell="In [10]", client="open", tags=("t10",), notebooks=("aa.ipynb",))
    keep(store, "no client")
    assert [row.key for row in store.page(which)] == [meant]
    assert store.totals(which) == Totals(1, 1, 0)


def test_facets_are_the_values_that_there_are(store: FullStore) -> None:
    owners = ("b.ipynb", "a.ipynb")
    keep(store, "x", model="m2", cell="c1", status="ok", tags=("t2", "t1"), notebooks=owners, client="openai")
    keep(store, "y", model="m1", status="empty", tags=("t1",), notebooks=("a.ipynb",), client="langchain")
    keep(store, "z", model="m1", status="empty", kind="function", function="judge")
    clients, kinds = ("langchain", "openai"), ("call", "function")
    everything = Facets(
        *(("m1", "m2"), ("t1", "t2"), ("a.ipynb", "b.ipynb"), ("c1",), ("empty", "ok"), clients, kinds, ("judge",))
    )
    assert store.facets() == everything
    assert store.facets("b.ipynb") == Facets(
        ("m2",), ("t1", "t2"), ("a.ipynb", "b.ipynb"), ("c1",), ("ok",), ("openai",), ("call",)
    )
    assert store.facets("c.ipynb") == Facets()


def test_what_a_call_used_is_in_its_row(store: FullStore) -> None:
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


def test_replaced_answer_is_not_sold_at_the_old_price(store: FullStore) -> None:
    key = keep(store, "x")
    store.touch([Touch(key, None, 0, NOW, Decimal(1))])
    keep(store, "x", seconds=2.0)
    found = row_of(store, key)
    assert found is not None
    assert (found.cost_usd, found.seconds) == (None, 2.0)
