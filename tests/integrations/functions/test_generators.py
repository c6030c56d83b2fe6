"""Generators are played item by item, and kept only if they were read to their end."""

import asyncio
import inspect
import warnings
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

import nbcache
from nbcache import NbcacheWarning, ReplayMiss
from nbcache.cache.call import current_call

RUNS: list[Any] = []


@pytest.fixture(autouse=True)
def no_runs() -> None:
    RUNS.clear()


@nbcache.memoize(ignore="RUNS")
def items(number: int) -> Generator[list[int], Any, str]:
    RUNS.append("begin")
    try:
        for at in range(number):
            RUNS.append(at)
            try:
                yield [at]
            except ValueError:
                yield [-1]
    finally:
        RUNS.append("closed")
    return "the end"


def end_of(made: Generator[Any, Any, Any]) -> tuple[list[Any], Any]:
    """All items, and what it returned."""
    read = []
    while True:
        try:
            read.append(next(made))
        except StopIteration as end:
            return read, end.value


def test_it_is_played_with_its_items_and_what_it_returned(store: Path) -> None:
    first = end_of(items(3))
    assert first == ([[0], [1], [2]], "the end")
    assert end_of(items(3)) == first
    assert RUNS == ["begin", 0, 1, 2, "closed"]
    assert inspect.isgeneratorfunction(items)


def test_nothing_runs_before_the_first_item_is_taken(store: Path) -> None:
    items(3)
    assert RUNS == []
    made = items(3)
    next(made)
    assert RUNS == ["begin", 0]
    made.close()


def test_one_that_is_left_is_closed_and_not_kept(store: Path) -> None:
    for item in items(3):
        if item == [1]:
            break
    del item
    assert RUNS == ["begin", 0, 1, "closed"]
    assert nbcache.stats().entries == 0
    assert end_of(items(3))[0] == [[0], [1], [2]]


def test_one_that_fails_is_not_kept(store: Path) -> None:
    @nbcache.memoize
    def fails() -> Iterator[int]:
        yield 1
        raise KeyError("x")

    for _ in range(2):
        made = fails()
        assert next(made) == 1
        with pytest.raises(KeyError):
            next(made)
    assert nbcache.stats().entries == 0


def test_an_item_is_kept_as_it_was_yielded_and_played_as_a_new_object(store: Path) -> None:
    for _ in range(3):
        read = []
        for item in items(2):
            changed: list[Any] = item
            assert len(item) == 1
            changed.append("changed")
            read.append(item[0])
        assert read == [0, 1]
    assert RUNS.count("begin") == 1


def test_what_is_sent_or_thrown_in_reaches_the_function_and_is_not_kept(store: Path) -> None:
    @nbcache.memoize(ignore="RUNS")
    def echo() -> Generator[Any, Any, Any]:
        RUNS.append("begin")
        sent = yield "first"
        return (yield sent)

    made = echo()
    with pytest.warns(NbcacheWarning, match="sent or thrown into it"):
        assert (next(made), made.send(5), end_of(made)) == ("first", 5, ([], None))
    made = items(2)
    with pytest.warns(NbcacheWarning, match="sent or thrown into it"):
        assert (next(made), made.throw(ValueError("x")), end_of(made)[0]) == ([0], [-1], [[1]])
    assert nbcache.stats().entries == 0


def test_what_is_sent_into_a_played_one_reaches_the_function_too(store: Path) -> None:
    @nbcache.memoize(ignore="RUNS")
    def echo(number: int) -> Generator[Any, Any, Any]:
        RUNS.append(number)
        sent = yield "first"
        yield sent
        return sent

    assert end_of(echo(1)) == (["first", None], None)
    made = echo(1)
    assert next(made) == "first"
    assert (made.send(5), end_of(made)) == (5, ([], 5))
    assert RUNS == [1, 1]
    assert end_of(echo(1)) == (["first", None], None)
    end_of(items(2))
    made = items(2)
    next(made)
    with pytest.raises(KeyError):
        made.throw(KeyError("x"))
    assert RUNS[-1] == "closed"
    with nbcache.mode("replay"):
        made = echo(1)
        next(made)
        with pytest.raises(ReplayMiss, match="echo"):
            made.send(5)


def test_an_item_that_would_not_come_back_is_the_readers_and_is_named_once(store: Path) -> None:
    @nbcache.memoize
    def opaque() -> Iterator[Any]:
        yield 1
        yield object()

    with pytest.warns(NbcacheWarning, match=r"of item 2, .*object") as caught:
        read = [*opaque(), *opaque()]
    assert [type(item) for item in read] == [int, object] * 2
    assert len(caught) == 1
    assert nbcache.stats().entries == 0


def test_an_empty_one_is_kept(store: Path) -> None:
    assert [list(items(0)), list(items(0))] == [[], []]
    assert RUNS == ["begin", "closed"]


def test_yield_from_passes_all_of_it_on(store: Path) -> None:
    def outer() -> Generator[Any, Any, Any]:
        return (yield from items(2))

    assert end_of(outer()) == end_of(outer()) == ([[0], [1]], "the end")


def test_its_reader_is_not_within_its_call(store: Path) -> None:
    for _ in items(2):
        assert current_call.get() is None
    assert current_call.get() is None


def test_replay_plays_it_and_names_it_if_it_was_never_recorded(store: Path) -> None:
    list(items(1))
    with nbcache.mode("replay"):
        assert list(items(1)) == [[0]]
        with pytest.raises(ReplayMiss, match="items"):
            next(items(2))


@nbcache.memoize(ignore="RUNS")
async def awaited(number: int) -> AsyncIterator[list[int]]:
    RUNS.append("begin")
    try:
        for at in range(number):
            await asyncio.sleep(0)
            try:
                yield [at]
            except ValueError:
                yield [-1]
    finally:
        RUNS.append("closed")


async def test_an_async_one_is_played(store: Path) -> None:
    assert [item async for item in awaited(3)] == [[0], [1], [2]]
    assert [item async for item in awaited(3)] == [[0], [1], [2]]
    assert RUNS == ["begin", "closed"]
    assert inspect.isasyncgenfunction(awaited)


async def test_an_async_one_that_is_left_is_closed_and_not_kept(store: Path) -> None:
    made: Any = awaited(3)
    await anext(made)
    await made.aclose()
    assert RUNS == ["begin", "closed"]
    assert nbcache.stats().entries == 0
    assert current_call.get() is None


async def test_what_is_sent_or_thrown_into_an_async_one_reaches_the_function(store: Path) -> None:
    made: Any = awaited(2)
    with pytest.warns(NbcacheWarning, match="sent or thrown into it"):
        read = [await anext(made), await made.athrow(ValueError("x")), *[item async for item in made]]
    assert read == [[0], [-1], [1]]
    assert nbcache.stats().entries == 0
    assert [item async for item in awaited(2)] == [[0], [1]]
    made = awaited(2)
    await anext(made)
    assert await made.athrow(ValueError("x")) == [-1]
    await made.aclose()


async def test_a_cancelled_reader_leaves_nothing(store: Path) -> None:
    is_stuck = asyncio.Event()

    @nbcache.memoize(ignore="is_stuck")
    async def stuck() -> AsyncIterator[int]:
        yield 1
        is_stuck.set()
        await asyncio.Event().wait()

    async def read() -> None:
        async for _ in stuck():
            pass

    task = asyncio.create_task(read())
    await asyncio.wait_for(is_stuck.wait(), 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert nbcache.stats().entries == 0


def test_generators_are_plain_while_nothing_is_installed() -> None:
    async def read() -> list[Any]:
        made: Any = awaited(2)
        return [await anext(made), await made.athrow(ValueError("x")), *[item async for item in made]]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert end_of(items(2)) == ([[0], [1]], "the end")
        assert asyncio.run(read()) == [[0], [-1], [1]]
