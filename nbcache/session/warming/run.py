"""The calls of one warm-up: in threads, or as tasks of an event loop."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sized
from concurrent.futures import Future
from contextlib import aclosing
from contextvars import copy_context
from functools import partial
from typing import Any

from nbcache.concurrency.bounded_threads import BoundedThreads
from nbcache.concurrency.loop_thread import LoopThread
from nbcache.costs.ledger import Ledger
from nbcache.costs.money import usd_text
from nbcache.errors import warn_once
from nbcache.integrations.http.loop_connections import own_connections
from nbcache.session.progress_line import ProgressLine
from nbcache.session.warming.results import Tally, Warmed
from nbcache.session.warming.targets import Target, arguments, finish

_GRACE = 5.0  # seconds that calls which run have left after an interrupt
_IDLE = 1.0  # seconds in which threads without work surely end
_WIDTH = 20  # of the bar


class Run:
    """The calls of one warm-up, in threads or on an event loop, and its line of progress."""

    def __init__(self, ledger: Ledger, target: Target, inputs: Any, most: int, *, progress: bool) -> None:
        """At most `most` calls run at a time. The costs are read from the `ledger`."""
        self._target = target
        self._inputs = inputs
        self._tally = Tally(ledger, len(inputs) if isinstance(inputs, Sized) else None)
        self._began = time.monotonic()
        self._line = ProgressLine(self._text, is_wanted=progress)
        self._most = most
        self._threads = BoundedThreads(most, self._line.update)
        self._loop = LoopThread(own_connections)

    # In threads

    def run(self) -> Warmed:
        """Make the call of each input. The inputs are read in this thread, as calls begin."""
        tally = self._tally
        try:
            for number, value in enumerate(self._inputs):
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

    async def arun(self) -> Warmed:
        """As `run`, in tasks of the running loop."""
        slots, tasks = asyncio.Semaphore(self._most), set[asyncio.Task[None]]()

        def end(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            slots.release()
            self._line.update()

        try:
            number = 0
            async with aclosing(one_by_one(self._inputs)) as values:
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


def _bar(done: int, total: int) -> str:
    filled = _WIDTH * done // total if total else _WIDTH
    return f"[{'#' * filled}{'.' * (_WIDTH - filled)}]"


async def one_by_one(inputs: Iterable[Any] | AsyncIterable[Any]) -> AsyncGenerator[Any]:
    """Each of the inputs."""
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
