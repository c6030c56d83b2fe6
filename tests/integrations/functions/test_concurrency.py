"""Functions in threads, tasks and processes: one run for identical calls at the same time, and nobody waits for ever."""

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from concurrent.futures import wait as futures_wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbcache
from nbcache import codec
from nbcache.cache.call import Call
from nbcache.codec.values import value_in
from nbcache.session import installation
from tests.support.waiting_calls import PATIENCE, waiting

RUNS: list[Any] = []


@pytest.fixture(autouse=True)
def no_leases(store: Path) -> Any:
    RUNS.clear()
    yield
    assert not installation.installed()._lookup.flights._leases, "a lease was left behind"


class Gate:
    """Where runs of a function stop until the test lets them go on. No argument: it never counts."""

    def __init__(self) -> None:
        self.came = threading.Semaphore(0)
        self.opens = threading.Event()

    def __call__(self) -> None:
        self.came.release()
        assert self.opens.wait(PATIENCE)


GATE = Gate()


@pytest.fixture(autouse=True)
def new_gate() -> None:
    GATE.__init__()  # type: ignore[misc]


@nbcache.memoize(ignore=("GATE", "RUNS"))
def slow(number: int) -> list[int]:
    RUNS.append(number)
    GATE()
    return [number]


def test_identical_calls_in_threads_are_one_run() -> None:
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(slow, 1) for _ in range(8)]
        waiting(7)
        GATE.opens.set()
        values = [call.result(PATIENCE) for call in calls]
    assert values == [[1]] * 8
    assert len({id(value) for value in values}) == 8
    assert RUNS == [1]


@nbcache.memoize(ignore="RUNS")
async def awaited(number: int) -> list[int]:
    RUNS.append(number)
    await asyncio.sleep(0.05)
    return [number]


async def test_identical_calls_in_tasks_are_one_run() -> None:
    assert await asyncio.gather(*(awaited(1) for _ in range(50))) == [[1]] * 50
    assert RUNS == [1]


def test_after_a_failure_exactly_one_of_those_who_wait_runs() -> None:
    @nbcache.memoize(ignore=("GATE", "RUNS"))
    def fails_once() -> int:
        RUNS.append(1)
        GATE()
        if len(RUNS) == 1:
            raise KeyError("first")
        return 2

    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(fails_once) for _ in range(4)]
        waiting(3)
        GATE.opens.set()
        errors = [call.exception(PATIENCE) for call in calls]
    assert sorted(type(error).__name__ for error in errors) == ["KeyError", "NoneType", "NoneType", "NoneType"]
    assert len(RUNS) == 2


def test_those_who_wait_for_a_value_that_is_not_stored_run_themselves() -> None:
    @nbcache.memoize(ignore=("GATE", "RUNS"))
    def opaque() -> object:
        RUNS.append(1)
        GATE()
        return object()

    def twice() -> list[object]:
        with ThreadPoolExecutor(2) as pool:
            calls = [pool.submit(opaque) for _ in range(2)]
            waiting(1)
            GATE.opens.set()
            return [call.result(PATIENCE) for call in calls]

    with pytest.warns(nbcache.NbcacheWarning, match="opaque"):
        one, other = twice()
    assert one is not other
    assert len(RUNS) == 2


def test_calls_within_calls_are_one_run_too() -> None:
    """Many callers need the same index at once: each waits for it within a call of its own."""

    @nbcache.memoize
    def caller(number: int) -> list[int]:
        return [number, *slow(0)]

    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(caller, number) for number in range(4)]
        waiting(3)
        GATE.opens.set()
        assert [call.result(PATIENCE) for call in calls] == [[number, 0] for number in range(4)]
    assert RUNS == [0]


async def test_awaited_calls_within_calls_are_one_run_too() -> None:
    @nbcache.memoize
    async def caller(number: int) -> list[int]:
        return [number, *await awaited(0)]

    assert await asyncio.gather(*(caller(number) for number in range(4))) == [[number, 0] for number in range(4)]
    assert RUNS == [0]


def test_functions_that_need_each_other_do_not_wait_in_a_circle() -> None:
    both, rounds = threading.Barrier(2), threading.local()
    functions: dict[str, Callable[[], list[str]]] = {}

    def make(name: str, other: str) -> Callable[[], list[str]]:
        @nbcache.memoize(version=name)
        def asks() -> list[str]:
            if getattr(rounds, "inner", False):
                return [name]
            rounds.inner = True
            both.wait(PATIENCE)
            return [name, *functions[other]()]

        return asks

    functions |= {"a": make("a", "b"), "b": make("b", "a")}
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(functions[name]) for name in "ab"]
        assert {call.result(PATIENCE)[0] for call in calls} == {"a", "b"}


@nbcache.memoize(ignore="RUNS")
def fibonacci(number: int) -> int:
    RUNS.append(number)
    return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)


def test_a_recursive_function_runs_once_for_each_argument() -> None:
    assert fibonacci(20) == 6765
    assert sorted(RUNS) == list(range(21))


@nbcache.memoize(ignore=("depth", "RUNS"))
def same(number: int, depth: int) -> int:
    RUNS.append(depth)
    return 0 if depth == 0 else 1 + same(number, depth - 1)


def test_a_function_does_not_wait_for_itself() -> None:
    assert same(1, 3) == 3


@nbcache.memoize(ignore="RUNS")
def in_pools(number: int) -> int:
    RUNS.append(number)
    if number < 2:
        return number
    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(in_pools, (number - 1, number - 2)))


def test_a_function_that_calls_itself_in_a_thread_pool_ends() -> None:
    assert in_pools(8) == 21


@nbcache.memoize(ignore=("depth", "how", "RUNS"))
def same_in_pools(number: int, depth: int, how: Callable[[ThreadPoolExecutor, Any], Any]) -> int:
    RUNS.append(depth)
    if depth == 0:
        return 0
    with ThreadPoolExecutor(1) as pool:
        how(pool, lambda: same_in_pools(number, depth - 1, how))
    return depth


@pytest.mark.parametrize(
    "how",
    [
        lambda pool, call: pool.submit(call).result(),
        lambda pool, call: list(pool.map(lambda _: call(), [1])),
        lambda pool, call: futures_wait([pool.submit(call)]),
        lambda pool, call: list(as_completed([pool.submit(call)])),
        lambda pool, call: pool.submit(call),
        lambda _, call: joined(call),
    ],
    ids=["result", "map", "wait", "as_completed", "shutdown", "join"],
)
def test_a_call_in_a_thread_does_not_wait_for_the_identical_one_that_waits_for_the_thread(how: Any) -> None:
    began = time.monotonic()
    assert same_in_pools(1, 2, how) == 2
    assert RUNS == [2, 1, 0]
    assert time.monotonic() - began < PATIENCE


def joined(call: Callable[[], Any]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


async def test_an_async_function_that_calls_itself_in_tasks_ends() -> None:
    @nbcache.memoize
    async def fan_out(number: int) -> int:
        if number < 2:
            return number
        return sum(await asyncio.gather(fan_out(number - 1), fan_out(number - 2)))

    assert await fan_out(10) == 55


async def test_a_cancelled_call_lets_the_next_one_run() -> None:
    begun = asyncio.Event()

    @nbcache.memoize(ignore=("begun", "RUNS"))
    async def stuck() -> int:
        RUNS.append(1)
        if len(RUNS) == 1:
            begun.set()
            await asyncio.Event().wait()
        return len(RUNS)

    leader = asyncio.create_task(stuck())
    await begun.wait()
    waiter = asyncio.create_task(stuck())
    await asyncio.to_thread(waiting, 1)
    leader.cancel()
    assert await asyncio.wait_for(waiter, PATIENCE) == 2
    with pytest.raises(asyncio.CancelledError):
        await leader


def test_an_interrupt_leaves_nothing_behind() -> None:
    @nbcache.memoize(ignore="RUNS")
    def interrupted() -> int:
        RUNS.append(1)
        if len(RUNS) == 1:
            signal.raise_signal(signal.SIGINT)
        return 1

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert nbcache.stats().entries == 0
    assert (interrupted(), len(RUNS)) == (1, 2)


def test_a_coroutine_within_another_loop_of_the_thread() -> None:
    @nbcache.memoize
    def nested(number: int) -> list[int]:
        return asyncio.run(awaited(number))

    async def main() -> list[int]:
        return await asyncio.to_thread(nested, 1)

    assert asyncio.run(main()) == nested(1) == [1]
    assert RUNS == [1]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_childs_calls_are_hits_of_its_parent() -> None:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        values = pool.map(fibonacci, [5, 6])
    assert values == [5, 8]
    RUNS.clear()
    assert [fibonacci(5), fibonacci(6)] == [5, 8]
    assert RUNS == []


@nbcache.memoize
def numbers(count: int) -> Any:
    return np.arange(count) * 0.1


def test_whoever_waits_for_a_hit_gets_memory_of_its_own(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lease:
        handed: list[Any] = []  # noqa: RUF012 - for this test alone

        def resolve(self, payload: Any) -> None:
            self.handed.append(payload)

    numbers(400_000)
    monkeypatch.setattr(Call, "settle", lambda *_: Lease())
    came = numbers(400_000)
    came[:] = 0.0
    (payload,) = Lease.handed
    assert type(payload) is bytes
    (generation,) = codec.read(payload, numbers.cache_key(400_000)).generations()
    assert np.array_equal(value_in(generation), np.arange(400_000) * 0.1)
