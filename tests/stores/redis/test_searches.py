"""Searches on a server: payloads are read a few at a time, and none again for the next page."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from nbcache.entry.edit import Edit
from nbcache.entry.records import Filter
from nbcache.stores import RedisStore
from nbcache.stores.index_words import words_of
from nbcache.stores.inner_entries import functions_around
from nbcache.stores.redis.searches import parts
from tests.stores.contract.entries import key_of, put, row, said, stored

ANY = (Filter(), Filter(model="model"), Filter(tag="t"))


@pytest.fixture
def looked_at(store: RedisStore) -> list[str]:
    """The keys of the entries whose words were looked at."""
    keys: list[str] = []

    def noted(payload: bytes, key: str) -> set[str]:
        keys.append(key)
        return said(payload, key)

    assert not store.index(noted)
    return keys


def number(store: RedisStore, *words: str, which: Filter = Filter()) -> int:  # noqa: B008 - frozen
    assert len(store.page(replace(which, words=words))) == store.number(replace(which, words=words))
    return store.totals(replace(which, words=words)).entries


def test_what_a_search_has_found_is_not_read_again(store: RedisStore, looked_at: list[str]) -> None:
    for word in ("monad", "monoid", "nomad"):
        put(store, word, word.encode())
    assert number(store, "mona") == 1
    assert len(looked_at) == 3
    for which in ANY:
        number(store, "mona", which=which)
    assert len(looked_at) == 3
    put(store, "new", b"a monad is new")
    assert number(store, "mona") == 2
    assert looked_at[3:] == [key_of("new")]


def test_an_entry_that_is_replaced_is_read_again(store: RedisStore, looked_at: list[str]) -> None:
    put(store, "one", b"monad")
    assert number(store, "monad") == 1
    store.put(key_of("one"), b"other", replace(row(key_of("one")), created=0.0))
    assert number(store, "monad") == 0
    assert looked_at == [key_of("one")] * 2


def test_a_longer_word_is_looked_for_where_its_beginning_is(store: RedisStore, looked_at: list[str]) -> None:
    for word in ("monad", "monoid", "zebra"):
        put(store, word, word.encode())
    assert number(store, "mon") == 2
    looked_at.clear()
    assert number(store, "monad", "mon") == 1
    assert sorted(looked_at) == sorted([key_of("monad"), key_of("monoid")])


def test_few_searches_are_remembered(store: RedisStore, looked_at: list[str]) -> None:
    put(store, "monad", b"monad")
    for letter in "bcdefghijk":
        number(store, letter)
    looked_at.clear()
    number(store, "k")
    assert looked_at == []
    number(store, "b")
    assert looked_at == [key_of("monad")]


def test_an_edit_of_tags_keeps_an_entry_similar(store: RedisStore) -> None:
    key = stored(store, "m", "What is a monad in the category of endofunctors?", "A monoid.")
    assert store.edit([key], Edit(add=("t",))) == 1
    assert store.similar(["endofunctors", "category"], 5) == [key]


def test_functions_around_a_call_are_found(store: RedisStore) -> None:
    import nbcache

    @nbcache.memoize
    def ask(question: str) -> str:
        from langchain_core.language_models import FakeListChatModel

        return FakeListChatModel(responses=["yes"]).invoke(question).text

    nbcache.install(store)
    ask("is it?")
    nbcache.installed().flush()
    (call,) = store.page(Filter(kind="call"))
    assert [around.kind for around in functions_around(store, call.key)] == ["function"]
    assert store.words_of is words_of
    nbcache.uninstall()


@pytest.mark.parametrize(
    ("sizes", "lengths"),
    [([], []), ([1], [1]), ([10] * 600, [256, 256, 88]), ([3e6, 3e6, 1], [1, 2]), ([9e6, 9e6], [1, 1])],
)
def test_few_bytes_are_read_at_a_time(sizes: list[float], lengths: list[int]) -> None:
    def found() -> Iterator[int]:
        end = 0
        for part in parts(np.array(sizes)):
            assert part.start == end
            end = part.stop
            yield len(sizes[part])

    assert list(found()) == lengths
