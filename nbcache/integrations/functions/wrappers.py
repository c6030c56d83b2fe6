"""The wrappers of functions, one for each kind: each is itself a function of that kind, and calls its function itself.

While no cache is on a wrapper does nothing else.
"""

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Generator
from types import FunctionType
from typing import Any

from nbcache.integrations.functions.memoized import MISSING, Cached, Memoized
from nbcache.integrations.functions.stepping import Source, Step, stepped

_Wrapper = Callable[..., Any]


def wrapper_of(memoized: Memoized) -> _Wrapper:
    """The wrapper of a function, with all that `functools` says of it."""
    function = memoized.function
    make: Callable[[Memoized, FunctionType], _Wrapper]
    if inspect.iscoroutinefunction(function):
        make = of_coroutine
    elif inspect.isasyncgenfunction(function):
        make = _async_generator
    elif inspect.isgeneratorfunction(function):
        make = _generator
    else:
        make = of_function
    return functools.wraps(function)(make(memoized, function))


def is_wrapper(function: FunctionType) -> bool:
    """Whether this is one of the wrappers, and no function that only has the attributes of one."""
    return function.__code__.co_filename == __file__


def of_function(memoized: Cached, function: Callable[..., Any]) -> _Wrapper:
    """A wrapper of a function that returns its value."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        cache = memoized.cache_now()
        run = None if cache is None else memoized.begin(cache, args, kwargs)
        if run is None:
            return function(*args, **kwargs)
        with run:
            value = run.find()
            if value is MISSING:
                value = function(*args, **kwargs)
                run.save(value)
            return value

    return wrapper


def of_coroutine(memoized: Cached, function: Callable[..., Any]) -> _Wrapper:
    """A wrapper of an async function."""

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        cache = memoized.cache_now()
        run = None if cache is None else memoized.begin(cache, args, kwargs, is_async=True)
        if run is None:
            return await function(*args, **kwargs)
        with run:
            value = await run.afind()
            if value is MISSING:
                value = await function(*args, **kwargs)
                await run.asave(value)
            return value

    return wrapper


def _generator(memoized: Memoized, function: FunctionType) -> _Wrapper:
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        __tracebackhide__ = True
        cache = memoized.cache_now()
        run = None if cache is None else memoized.begin(cache, args, kwargs, is_stream=True)
        if run is None:
            return (yield from function(*args, **kwargs))
        return (yield from stepped(run.source(args, kwargs)))

    return wrapper


def _async_generator(memoized: Memoized, function: FunctionType) -> _Wrapper:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        __tracebackhide__ = True
        cache = memoized.cache_now()
        run = None if cache is None else memoized.begin(cache, args, kwargs, is_async=True, is_stream=True)
        source = Source(function(*args, **kwargs)) if run is None else await run.asource(args, kwargs)
        step = Step()
        try:
            while True:
                try:
                    item = await source.amake(step)
                except StopAsyncIteration:
                    break
                try:
                    step = Step((yield item))
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001 - the function may handle it
                    step = Step(error=error)
            await source.aend()
        finally:
            await source.aclose()

    return wrapper
