"""What a type checker knows of a memoized function: all that it knew of the function. `make lint` checks these lines, too."""

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import assert_type

import pytest

import nbcache


@nbcache.memoize
def plain(number: int, *, text: str = "") -> dict[str, int]:
    return {text: number}


@nbcache.memoize(ttl="7d", tags=("a", "b"), ignore=("text",))
def with_options(number: int, text: str) -> list[int]:
    return [number, len(text)]


@nbcache.memoize
async def awaited(number: int) -> str:
    return str(number)


@nbcache.memoize
def items(number: int) -> Generator[int, None, str]:
    yield number
    return "end"


@nbcache.memoize
async def awaited_items(number: int) -> AsyncIterator[int]:
    yield number


class Judge:
    @nbcache.memoize
    def score(self, text: str) -> int:
        return len(text)

    @classmethod
    @nbcache.memoize
    def of_class(cls, text: str) -> int:
        return len(text)

    @nbcache.memoize
    @staticmethod
    def of_none(text: str) -> int:
        return len(text)

    @nbcache.memoize
    async def awaited(self, text: str) -> int:
        return len(text)

    @property
    @nbcache.memoize
    def size(self) -> int:
        return 1


def test_a_function_keeps_its_signature(store: Path) -> None:
    assert_type(plain(1, text="a"), dict[str, int])
    assert_type(with_options(1, "a"), list[int])
    assert_type(plain.cache_key(1, text="a"), str)
    assert_type(plain.cache_info().hits, int)
    assert plain(1) == {"": 1}


def test_wrong_arguments_are_seen(store: Path) -> None:
    judge = Judge()
    with pytest.raises(TypeError):
        plain(1, txt="a")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        plain.cache_key()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        judge.score()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        judge.score.cache_key()  # type: ignore[call-arg]
    plain("1")  # type: ignore[arg-type]


def test_what_is_awaited_and_what_is_iterated_keep_their_types(store: Path) -> None:
    assert_type(asyncio.run(awaited(1)), str)
    made = items(1)
    assert_type(made, Generator[int, None, str])
    numbers: Iterator[int] = made
    assert list(numbers) == [1]

    async def read() -> list[int]:
        return [item async for item in awaited_items(1)]

    assert asyncio.run(read()) == [1]


def test_methods_keep_theirs(store: Path) -> None:
    judge = Judge()
    assert_type(judge.score("a"), int)
    assert_type(Judge.score(judge, "a"), int)
    assert_type(judge.score.cache_key("a"), str)
    assert_type(Judge.score.cache_key(judge, "a"), str)
    assert_type(Judge.of_class("a"), int)
    assert_type(Judge.of_none("a"), int)
    assert_type(asyncio.run(judge.awaited("a")), int)
    assert_type(judge.size, int)
    assert (judge.score("ab"), Judge.of_class("ab"), Judge.of_none("ab"), judge.size) == (2, 2, 2, 1)
