"""`nbcache.warm`: calls for many inputs, of which only those are made whose answers are not in the cache."""

import reprlib
from collections.abc import AsyncIterable, Iterable, Mapping
from functools import partial
from typing import Any

from pydantic import BaseModel

from nbcache import public_in
from nbcache.cache import modes
from nbcache.cache.notebook_cache import NotebookCache
from nbcache.concurrency.executor import in_thread
from nbcache.costs.noted_calls import noting
from nbcache.session.installation import installed
from nbcache.session.warming.results import Warmed
from nbcache.session.warming.run import Run, one_by_one
from nbcache.session.warming.targets import args, target_of


@public_in("nbcache")
def warm(
    runnable: Any,
    inputs: Iterable[Any],
    *,
    max_concurrency: int = 8,
    dry_run: bool = False,
    progress: bool = True,
) -> Warmed:
    """Call `runnable` for each of `inputs`, at most `max_concurrency` at a time: what is in the cache costs nothing.

    `runnable` is a model, a chain, an agent or a tool of LangChain's, wrapped embeddings, a function, or a method such as
    `client.chat.completions.create` of a wrapped client. It may be async; what it streams is read to its end. An input is its
    one positional argument, or `nbcache.args(…)`. Exceptions are collected. After an interrupt no further call begins, and
    those that run have 5 seconds to end. `progress` shows a line in a notebook or a terminal.

    With `dry_run` nothing is called. It says of a model, a memoized function or wrapped embeddings how many inputs would be hits,
    and about what the others would cost.

    Raises:
        TypeError: for a text, a dict or a DataFrame as inputs, and for what can't be called.
        ValueError: for a wrong `max_concurrency`, in a mode that keeps nothing (`off`, `read-only`), and for a dry run of what
            can't be told without a call.
        NotInstalledError: while the cache is off.
        ReplayMiss: in mode `replay`, for an input that was not recorded.
    """
    target = target_of(runnable, on_loop=False)
    cache = _checked(inputs, max_concurrency, on_loop=False)
    if dry_run:
        return _estimate(runnable, inputs, cache, is_async=False)
    run = Run(cache.ledger, target, inputs, max_concurrency, progress=progress)
    with noting():
        return run.run()


@public_in("nbcache")
async def awarm(
    runnable: Any,
    inputs: Iterable[Any] | AsyncIterable[Any],
    *,
    max_concurrency: int = 8,
    dry_run: bool = False,
    progress: bool = True,
) -> Warmed:
    """As `warm`, on the running event loop: runnables by `ainvoke`, and functions that are not async in threads.

    If it is cancelled, the calls that run are, too.
    """
    target = target_of(runnable, on_loop=True)
    cache = _checked(inputs, max_concurrency, on_loop=True)
    if dry_run:
        given = [value async for value in one_by_one(inputs)]
        return await in_thread(partial(_estimate, runnable, given, cache, is_async=True))
    run = Run(cache.ledger, target, inputs, max_concurrency, progress=progress)
    with noting():
        return await run.arun()


def _checked(inputs: Any, max_concurrency: int, *, on_loop: bool) -> NotebookCache:
    """The cache that is on. Raises TypeError for inputs that are one input by mistake, and ValueError as `warm`."""
    if hasattr(inputs, "columns") and hasattr(inputs, "iloc"):
        raise TypeError('nbcache.warm: write a column of the DataFrame, such as df["question"]')
    is_one = isinstance(inputs, str | bytes | Mapping | args | BaseModel)
    if isinstance(inputs, AsyncIterable) and not on_loop:
        raise TypeError("nbcache.warm: these inputs are async: write `await nbcache.awarm(…)`")
    if is_one or not isinstance(inputs, Iterable | AsyncIterable):
        raise TypeError(
            f"nbcache.warm: write a list of inputs, not one {type(inputs).__qualname__}: [{reprlib.repr(inputs)}]"
        )
    if isinstance(max_concurrency, bool) or not isinstance(max_concurrency, int) or max_concurrency < 1:
        raise ValueError(f"max_concurrency={max_concurrency!r}: write a whole number, above zero")
    cache = installed()
    mode = cache.settings_now.mode
    if mode in {modes.OFF, modes.READ_ONLY}:
        raise ValueError(f"nbcache.warm: the mode is `{mode}`, in which nothing would be kept: `%llmcache on` first")
    return cache


def _estimate(runnable: Any, inputs: Iterable[Any], cache: NotebookCache, *, is_async: bool) -> Warmed:
    if cache.settings_now.mode == modes.REPLAY:
        raise ValueError("nbcache.warm: the mode is `replay`, in which nothing is made: there is no cost to estimate")
    from nbcache.session.warming.estimates import estimate  # noqa: PLC0415 - for dry runs only

    return estimate(runnable, inputs, cache, is_async=is_async)
