"""Threads of our own, for what must not run on an event loop."""

import asyncio
import contextvars
import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")


async def in_thread(work: Callable[[], _T]) -> _T:
    """Do `work` in a thread of our own: the loop's default ones may all be busy with the user's tools."""
    context = contextvars.copy_context()
    try:
        future = _threads(os.getpid()).submit(context.run, work)
    except RuntimeError:  # the interpreter is ending, or has no more threads
        return work()
    return await asyncio.wrap_future(future)


@functools.lru_cache(maxsize=1)
def _threads(_process: int) -> ThreadPoolExecutor:
    """The threads of this process: a forked child has none of its parent's."""
    return ThreadPoolExecutor(max_workers=4, thread_name_prefix="nbcache-io")
