"""What calls do on an event loop is bounded, however many there are at once."""

import asyncio
import threading
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from langchain_openai import ChatOpenAI

import nbcache
from nbcache.concurrency.executor import in_thread
from nbcache.concurrency.loop_turns import _TURN, take_turn
from nbcache.keys.known_keys import KnownCall
from tests.servers.provider import Provider
from tests.support.interrupting import Echo

CALLS = 400


async def _rounds_with_work(calls: int) -> list[int]:
    """How many calls did their work of 2 ms in each round of the loop."""
    done, rounds, is_over = 0, [], False

    async def call() -> None:
        nonlocal done
        await take_turn()
        ends = time.perf_counter() + 0.002
        while time.perf_counter() < ends:
            pass
        done += 1

    async def count() -> None:
        before = 0
        while not is_over:
            await asyncio.sleep(0)
            rounds.append(done - before)
            before = done

    counting = asyncio.create_task(count())
    await asyncio.gather(*(call() for _ in range(calls)))
    is_over = True
    await counting
    return rounds


async def test_of_many_calls_at_once_only_a_few_are_looked_up_in_each_round_of_the_loop() -> None:
    rounds = await _rounds_with_work(100)
    assert max(rounds) <= 2 * _TURN / 0.002
    assert sum(rounds) >= 95


async def test_calls_that_wait_for_their_turn_are_woken_once_each() -> None:
    """And not in each round, which would be a million times for a thousand calls."""
    loop, scheduled = asyncio.get_running_loop(), 0
    call_soon = loop.call_soon

    def counted(*args: Any, **how: Any) -> Any:
        nonlocal scheduled
        scheduled += 1
        return call_soon(*args, **how)

    async def call() -> None:
        await take_turn()
        ends = time.perf_counter() + _TURN / 2
        while time.perf_counter() < ends:
            pass

    loop.call_soon = counted  # type: ignore[method-assign, assignment]
    await asyncio.gather(*(call() for _ in range(100)))
    del loop.call_soon
    assert scheduled < 600


async def test_calls_whose_turn_never_comes_hold_up_no_others() -> None:
    async def call(number: int) -> int:
        await take_turn()
        time.sleep(_TURN)  # noqa: ASYNC251 - it holds the loop up
        return number

    tasks = [asyncio.create_task(call(number)) for number in range(20)]
    await asyncio.sleep(0)
    for task in tasks[1::2]:
        task.cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [each for each in done if isinstance(each, int)] == list(range(0, 20, 2))


def test_each_event_loop_has_its_own_turns() -> None:
    for _ in range(2):
        assert sum(asyncio.run(_rounds_with_work(20))) >= 15


async def test_a_miss_reads_the_store_once_whatever_other_calls_end_meanwhile(store: Path) -> None:
    del store
    cache, model, read = nbcache.installed(), Echo(), []
    get = cache.store.get

    def noted(key: str, **how: Any) -> bytes | None:
        read.append(key)
        return get(key, **how)

    cache.store.get = noted  # type: ignore[method-assign]
    await model.ainvoke("first")
    read.clear()
    await asyncio.gather(*(model.ainvoke(f"q {number}") for number in range(CALLS)))
    assert len(set(read)) == CALLS
    assert len(read) <= CALLS + 50  # again where it has to be opened, or another process was in the way


async def test_one_call_after_the_other_waits_for_no_round() -> None:
    begun = time.perf_counter()
    for _ in range(50):
        await take_turn()
        await asyncio.sleep(0)
    assert time.perf_counter() - begun < 5


async def test_a_thousand_misses_are_all_written_and_none_on_the_loop(store: Path) -> None:
    cache, model = nbcache.installed(), Echo()
    writers: set[int] = set()
    put = cache.store.put

    def noted(*args: object) -> None:
        writers.add(threading.get_ident())
        put(*args)  # type: ignore[arg-type]

    cache.store.put = noted  # type: ignore[method-assign, assignment]
    answers = await asyncio.gather(*(model.ainvoke(f"q {number}") for number in range(CALLS)))
    assert [answer.text for answer in answers] == [f"answer to q {number}" for number in range(CALLS)]
    assert len(writers) == 1  # several would leave the loop too little of the interpreter
    assert threading.get_ident() not in writers
    del cache.store.put
    nbcache.uninstall()
    nbcache.install(store)
    again = await asyncio.gather(*(model.ainvoke(f"q {number}") for number in range(CALLS)))
    assert [answer.text for answer in again] == [f"answer to q {number}" for number in range(CALLS)]
    assert nbcache.stats().misses == 0


async def test_the_loop_reads_the_store_in_the_writers_thread_while_that_writes(store: Path) -> None:
    del store
    cache, model = nbcache.installed(), Echo()
    await model.ainvoke("old")
    begun, go_on, readers = threading.Event(), threading.Event(), []
    get = cache.store.get

    def noted(*args: object, **how: object) -> bytes | None:
        readers.append(threading.get_ident())
        return get(*args, **how)  # type: ignore[arg-type]

    cache.store.get = noted  # type: ignore[method-assign]

    def write() -> None:
        begun.set()
        go_on.wait()

    writing = asyncio.create_task(in_thread(write, writes=True))
    await asyncio.to_thread(begun.wait)
    asking = asyncio.create_task(model.ainvoke("old"))
    for _ in range(20):
        await asyncio.sleep(0)
    go_on.set()
    assert (await asking).text == "answer to old"
    await writing
    assert readers
    assert threading.get_ident() not in readers


async def test_what_is_written_for_a_cancelled_call_is_written(store: Path) -> None:
    del store
    begun, go_on, done = threading.Event(), threading.Event(), []

    def write() -> None:
        begun.set()
        go_on.wait()
        done.append(1)

    task = asyncio.create_task(in_thread(write, writes=True))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    go_on.set()
    await asyncio.gather(task, return_exceptions=True)
    await in_thread(lambda: None, writes=True)
    assert done == [1]


@pytest.mark.parametrize("is_stream", [False, True])
async def test_keys_of_many_calls_at_once_are_worked_out_in_turns(
    is_stream: bool, provider: Provider, store: Path
) -> None:
    nbcache.install(store)
    model = ChatOpenAI(model="gpt-4o-mini", **provider.openai)
    for _ in range(2):  # the first call makes the model known
        await model.ainvoke("q")
    keys, rounds, is_over = 0, [0], False
    known_call = nbcache.NotebookCache.known_call

    def known(cache: nbcache.NotebookCache, request: Any) -> KnownCall | None:
        nonlocal keys
        keys += 1
        ends = time.perf_counter() + 0.002
        while time.perf_counter() < ends:
            pass
        return known_call(cache, request)

    async def count() -> None:
        while not is_over:
            before = keys
            await asyncio.sleep(0)
            rounds.append(keys - before)

    async def stream() -> None:
        async for _ in model.astream("q"):
            pass

    with mock.patch.object(nbcache.NotebookCache, "known_call", known):
        counting = asyncio.create_task(count())
        await asyncio.gather(*(stream() if is_stream else model.ainvoke("q") for _ in range(60)))
        is_over = True
        await counting
    assert keys == 60
    assert max(rounds) <= 2 * _TURN / 0.002 + 1
