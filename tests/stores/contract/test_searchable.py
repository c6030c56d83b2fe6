"""Stores that find entries by their words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbcache.entry.records import EntryMeta, Filter
from nbcache.entry.text import words
from nbcache.stores import MemoryStore
from nbcache.stores.base import Listable, Searchable
from nbcache.stores.index_words import words_of
from tests.stores.contract.entries import NOW, keep, key_of, said, stored
from tests.support.rows import FullStore

NEEDS = (Searchable, Listable)


def find(store: FullStore, text: str) -> set[str]:
    return {row.prompt for row in store.page(Filter(words=tuple(words(text))))}


@pytest.fixture
def searched(store: FullStore) -> FullStore:
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


def test_words_are_looked_for_among_the_entries_that_a_filter_selects(searched: FullStore) -> None:
    keep(searched, "A monad, later", prompt="A monad, later", model="other", tags=("t",))
    while searched.index(said):
        pass
    which = Filter(words=("mon",))
    assert [row.prompt for row in searched.page(which, sort="model", descending=True, limit=1)] == ["A monad, later"]
    assert len(searched.page(which)) == searched.totals(which).entries == 3
    assert [row.prompt for row in searched.page(Filter(words=("mon",), model="other"))] == ["A monad, later"]
    assert [row.prompt for row in searched.page(Filter(words=("mon",), tag="t"))] == ["A monad, later"]
    assert searched.page(Filter(words=("mon",), key=key_of("東京の天気"))) == []
    searched.delete(key_of("A monad, later"))
    assert searched.totals(which).entries == len(searched.page(which)) == 2


LONG = " ".join(f"word{number}" for number in range(20))


@pytest.fixture
def calls(store: FullStore) -> dict[str, str]:
    """The keys of entries, by their prompts."""
    prompts = ("What is a monad?", "What is a monoid?", "How tall is the Eiffel Tower?", LONG, LONG + " and more")
    keys = {prompt: stored(store, "m", prompt, "An answer.") for prompt in prompts}
    while store.index(words_of):
        pass
    return keys


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("What is a monad?", "What is a monad?"),
        ("the Eiffel Tower, how tall is it", "How tall is the Eiffel Tower?"),
        (LONG + " and more", LONG + " and more"),
    ],
)
def test_the_most_similar_entry_comes_first(store: FullStore, calls: dict[str, str], asked: str, first: str) -> None:
    found = store.similar(sorted(words(asked)), 3)
    assert found[0] == calls[first]
    assert len(found) <= 3
    assert len(set(found)) == len(found)


def test_nothing_is_similar_to_words_that_no_entry_has(store: FullStore, calls: dict[str, str]) -> None:
    assert len(calls) == 5
    assert store.similar(["zebra", "xylophone"], 10) == []
    assert store.similar([], 10) == []


@given(st.text(), st.text())
def test_any_text_can_be_indexed_and_asked_for(one: str, other: str) -> None:
    memory = MemoryStore()
    key = key_of("x")
    memory.put(key, b"", EntryMeta(key, "m", "p", "a", "ok", NOW))
    memory.index(lambda _payload, _key: words(one))
    assert (not words(one)) or find(memory, one) == {"p"}
    find(memory, other)
