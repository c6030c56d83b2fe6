"""What `nbcache.warm` calls for an input, and what it reads of what that returns."""

import functools
import inspect
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from nbcache import public_in


@public_in("nbcache")
@dataclass(frozen=True, slots=True, init=False)
class args:  # noqa: N801 - written as a call: `nbcache.args(…)`
    """The arguments of one call, for `nbcache.warm`: an input of more than one positional argument."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        object.__setattr__(self, "args", args)
        object.__setattr__(self, "kwargs", kwargs)

    def __repr__(self) -> str:
        given = [*map(repr, self.args), *(f"{name}={value!r}" for name, value in self.kwargs.items())]
        return f"nbcache.args({', '.join(given)})"


def arguments(value: Any) -> args:
    """The arguments that an input stands for."""
    return value if isinstance(value, args) else args(value)


class Target(NamedTuple):
    """What is called for each input. If it `is_async`, the call does nothing itself: what it returns is awaited or read."""

    call: Callable[..., Any]
    is_async: bool
    name: str

    def start(self, given: args) -> Any:
        """Call it in a thread. Returns what remains to be done on an event loop, or None."""
        result = self.call(*given.args, **given.kwargs)
        if inspect.isawaitable(result) or isinstance(result, AsyncIterator):
            return result
        _read(result)
        return None


def target_of(runnable: Any, *, on_loop: bool) -> Target:
    """What to call of `runnable`; `on_loop` says that there is an event loop for it. Raises TypeError if there is nothing."""
    name = getattr(runnable, "__qualname__", None) or type(runnable).__qualname__
    if isinstance(runnable, type):
        raise TypeError(f"nbcache.warm: {name} is a class: pass an object or a function")
    if callable(getattr(runnable, "invoke", None)):
        is_async = callable(getattr(runnable, "ainvoke", None)) and (on_loop or _is_async_only(runnable))
        return Target(runnable.ainvoke if is_async else runnable.invoke, is_async, name)
    if callable(getattr(runnable, "embed_documents", None)):
        if on_loop and callable(getattr(runnable, "aembed_documents", None)):
            return Target(lambda text: runnable.aembed_documents([text]), is_async=True, name=name)
        return Target(lambda text: runnable.embed_documents([text]), is_async=False, name=name)
    if not callable(runnable):
        raise TypeError(
            f"nbcache.warm: {name} can't be called: write a model, a chain, a function or a method, and then the inputs"
        )
    return Target(runnable, _is_async(runnable), name)


def _is_async_only(runnable: Any) -> bool:
    """Whether a runnable of LangChain's was made of an async function alone, as of `RunnableLambda` or `@tool`."""
    has_function = getattr(runnable, "func", None) is not None
    return not has_function and any(getattr(runnable, name, None) is not None for name in ("afunc", "coroutine"))


def _is_async(function: Any) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function) and not hasattr(function, "__wrapped__"):
        function = type(function).__call__
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


async def finish(result: Any) -> None:
    """Await what a call has returned, and read it to its end."""
    if inspect.isawaitable(result):
        result = await result
    if isinstance(result, AsyncIterator):
        async for _ in result:
            pass
    else:
        _read(result)


def _read(result: Any) -> None:
    """Read a generator or a stream to its end: only then is it kept."""
    if isinstance(result, Iterator):
        deque(result, maxlen=0)
