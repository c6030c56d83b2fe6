"""`nbcache.warm`: calls for many inputs, of which only those are made whose answers are not in the cache."""

import asyncio
import reprlib
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping, Sized
from concurrent.futures import Future
from contextlib import aclosing
from contextvars import copy_context
from functools import partial
from typing import Any

from pydantic import BaseModel

from nbcache import public_in
from nbcache.cache import modes
from nbcache.concurrency.bounded_threads import BoundedThreads, LoopThread
from nbcache.costs.money import usd_text
from nbcache.costs.noted_calls import noting
from nbcache.errors import warn_once
from nbcache.session.installation import installed
from nbcache.session.progress_line import ProgressLine
from nbcache.session.warming.results import Tally, Warmed
from nbcache.session.warming.targets import Target, args, arguments, finish, target_of

_GRACE = 5.0  # seconds that calls which run have left after an interrupt
_WIDTH = 20  # of the bar
_IDLE = 1.0  # seconds in which threads without work surely end


@public_in("nbcache")
def warm(
    runnable: Any,
    inputs: Iterable[Any],
    *,
    max_concurrency: int = 8,
    progress: bool = True,
) -> Warmed:
    """Call `runnable` for each of `inputs`, at most `max_concurrency` at a time: what is in the cache costs nothing.

    `runnable` is a model, a chain, an agent or a tool of LangChain's, wrapped embeddings, a function, or a method such as
    `client.chat.completions.create` of a wrapped client. It may be async; what it streams is read to its end. An input is its
    one positional argument, or `nbcache.args(…)`. Exceptions are collected. After an interrupt no further call begins, and
    those that run have 5 seconds to end. `progress` shows a line in a notebook or a terminal.

    Raises:
        TypeError: for a text, a dict or a DataFrame as inputs, and for what can't be called.
        ValueError: for a wrong `max_concurrency`, and in a mode that keeps nothing (`off`, `read-only`).
        NotInstalledError: while the cache is off.
        ReplayMiss: in mode `replay`, for an input that was not recorded.
    """
    warming = _Warming(runnable, inputs, max_concurrency, progress=progress, on_loop=False)
    with noting():
        return warming.run(inputs)


@public_in("nbcache")
async def awarm(
    runnable: Any,
    inputs: Iterable[Any] | AsyncIterable[Any],
    *,
    max_concurrency: int = 8,
    progress: bool = True,
) -> Warmed:
    """As `warm`, on the running event loop: runnables by `ainvoke`, and functions that are not async in threads.

    If it is cancelled, the calls that run are, too.
    """
    warming = _Warming(runnable, inputs, max_concurrency, progress=progress, on_loop=True)
    with noting():
        return await warming.arun(inputs)


class _Warming:
    """One warm-up."""

    def __init__(self, runnable: Any, inputs: Any, most: int, *, progress: bool, on_loop: bool) -> None:
        _check(inputs, most)
        cache = installed()
        mode = cache.settings_now.mode
        if mode in {modes.OFF, modes.READ_ONLY}:
            raise ValueError(
                f"nbcache.warm: the mode is `{mode}`, in which nothing would be kept: `%llmcache on` first"
            )
        self._target: Target = target_of(runnable, on_loop=on_loop)
        self._tally = Tally(cache.ledger, len(inputs) if isinstance(inputs, Sized) else None)
        self._began = time.monotonic()
        self._line = ProgressLine(self._text, is_wanted=progress)
        self._most = most
        self._threads = BoundedThreads(most, self._line.update)
        self._loop = LoopThread()

    # In threads

    def run(self, inputs: Iterable[Any]) -> Warmed:
        """Call it for each of the inputs. These are read in this thread, as calls begin."""
        tally = self._tally
        try:
            for number, value in enumerate(inputs):
                if tally.stopped_by is not None:
                    break
                self._threads.give(partial(copy_context().run, self._call, number, value))
            self._threads.end()
        except Exception:  # of the inputs' own
            self._threads.end()
            raise
        except BaseException as error:
            tally.stopped_by = error
            self._threads.end(_GRACE)
            raise
        finally:
            self._loop.end()
            self._line.end()
        return self._result()

    def _call(self, number: int, value: Any) -> None:
        tally = self._tally
        if tally.stopped_by is not None:
            return
        try:
            with tally.counted(number, value):
                rest = self._target.start(arguments(value))
                if rest is not None:
                    self._loop.run(finish(rest))
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that warms
            tally.stopped_by = error

    # On an event loop

    async def arun(self, inputs: Iterable[Any] | AsyncIterable[Any]) -> Warmed:
        """As `run`, in tasks of the running loop."""
        slots, tasks = asyncio.Semaphore(self._most), set[asyncio.Task[None]]()

        def end(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            slots.release()
            self._line.update()

        try:
            number = 0
            async with aclosing(_one_by_one(inputs)) as values:
                async for value in values:
                    await slots.acquire()
                    if self._tally.stopped_by is not None:
                        break
                    task = asyncio.create_task(self._acall(number, value))
                    tasks.add(task)
                    task.add_done_callback(end)
                    number += 1
            if tasks:
                await asyncio.wait(tasks)
        except BaseException:
            running = list(map(_cancelled, tasks))
            await asyncio.gather(*running, return_exceptions=True)
            raise
        finally:
            self._threads.end(_IDLE)
            self._line.end()
        return self._result()

    async def _acall(self, number: int, value: Any) -> None:
        target, tally = self._target, self._tally
        try:
            with tally.counted(number, value):
                given = arguments(value)
                if target.is_async:
                    rest = target.call(*given.args, **given.kwargs)
                else:
                    rest = await self._in_thread(partial(target.start, given))
                if rest is not None:
                    await finish(rest)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - it is raised in the task that warms
            tally.stopped_by = error

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        done = Future[Any]()
        self._threads.give(partial(copy_context().run, _fulfil, done, work))
        return await asyncio.wrap_future(done)

    # What is shown, and returned

    def _result(self) -> Warmed:
        tally = self._tally
        if tally.stopped_by is not None:
            raise tally.stopped_by
        if tally.is_unseen:
            name = self._target.name
            warn_once(
                f"warm {name}",
                f"nbcache.warm: no call of {name} went through the cache, so nothing was kept: wrap the client that it uses "
                "with nbcache.wrap, or make it a function with @nbcache.memoize",
            )
        return tally.result(time.monotonic() - self._began)

    def _text(self) -> str:
        """The line: how far it is, what that has cost, and about what all will."""
        done, total = self._tally.done, self._tally.total
        so_far = self._tally.result(0.0)
        parts = [f"{done:,}" if total is None else f"{_bar(done, total)} {done:,} of {total:,}", so_far.counts_text()]
        if so_far.usd and total and done < total:
            parts.append(f"about {usd_text(so_far.usd * total / done)} in all")
        return ", ".join(parts)


def _check(inputs: Any, max_concurrency: int) -> None:
    """Raise TypeError for inputs that are one input by mistake, and ValueError for a wrong number."""
    is_frame = hasattr(inputs, "columns") and hasattr(inputs, "iloc")
    if is_frame:
        raise TypeError('nbcache.warm: write a column of the DataFrame, such as df["question"]')
    is_one = isinstance(inputs, str | bytes | Mapping | args | BaseModel)
    if is_one or not isinstance(inputs, Iterable | AsyncIterable):
        raise TypeError(
            f"nbcache.warm: write a list of inputs, not one {type(inputs).__qualname__}: [{reprlib.repr(inputs)}]"
        )
    if isinstance(max_concurrency, bool) or not isinstance(max_concurrency, int) or max_concurrency < 1:
        raise ValueError(f"max_concurrency={max_concurrency!r}: write a whole number, above zero")


def _bar(done: int, total: int) -> str:
    filled = _WIDTH * done // total if total else _WIDTH
    return f"[{'#' * filled}{'.' * (_WIDTH - filled)}]"


async def _one_by_one(inputs: Iterable[Any] | AsyncIterable[Any]) -> AsyncGenerator[Any]:
    if isinstance(inputs, AsyncIterable):
        async for value in inputs:
            yield value
    else:
        for value in inputs:
            yield value


def _cancelled(task: asyncio.Task[None]) -> asyncio.Task[None]:
    task.cancel()
    return task


def _fulfil(done: Future[Any], work: Callable[[], Any]) -> None:
    if done.set_running_or_notify_cancel():
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised in the task that waits
            done.set_exception(error)
