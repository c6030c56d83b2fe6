"""Makes memoized functions, and refuses what none can be made of."""

import functools
import inspect
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from nbcache.integrations.functions.memoized import Memoized
from nbcache.integrations.functions.methods import BoundMethod, Method, is_in_class
from nbcache.integrations.functions.options import Options, check_ignored
from nbcache.integrations.functions.wrappers import is_wrapper, wrapper_of

if TYPE_CHECKING:
    from nbcache.cache.notebook_cache import NotebookCache

_CacheNow = Callable[[], "NotebookCache | None"]


def memoized(function: Any, options: Options, cache_now: _CacheNow) -> Any:
    """`function` with a cache: `cache_now` returns the one that is on at each call.

    Raises TypeError for what is no function, and ValueError for a name to ignore that the function doesn't have.
    """
    if isinstance(function, classmethod | staticmethod):
        return type(function)(memoized(function.__func__, options, cache_now))
    if not isinstance(function, FunctionType) or is_wrapper(function):
        raise TypeError(f"nbcache.memoize: {_of_langchain(function) or _refusal(function)}")
    check_ignored(function, options.ignore)
    made = Memoized(function, options, cache_now)
    wrapper = wrapper_of(made)
    if is_in_class(function):
        return Method(made, wrapper)
    for name in ("cache_key", "cache_info", "cache_clear"):
        setattr(wrapper, name, getattr(made, name))
    return wrapper


def memoized_in(function: Any) -> tuple[Memoized, tuple[Any, ...]] | None:
    """What is behind a memoized function or method, and the arguments that come first: the object. None for anything else."""
    if isinstance(function, BoundMethod):
        return function.__func__.memoized, (function.__self__,)
    if isinstance(function, Method):
        return function.memoized, ()
    if isinstance(function, FunctionType) and is_wrapper(function):
        return function.cache_key.__self__, ()  # type: ignore[attr-defined]
    return None


def _refusal(thing: Any) -> str:
    """Why this can't be memoized, and what to decorate instead."""
    name = getattr(thing, "__qualname__", type(thing).__qualname__)
    if isinstance(thing, type):
        return f"{name} is a class: decorate one of its methods, or a function that makes and uses an object of it"
    if isinstance(thing, functools.partial):
        called = getattr(thing.func, "__qualname__", thing.func)
        return f"this is a functools.partial of {called}: decorate {called} itself, or a function that calls it"
    if inspect.isawaitable(thing) or inspect.isgenerator(thing) or inspect.isasyncgen(thing):
        return f"{name} is being called: decorate the function, without calling it"
    if isinstance(thing, Method) or (isinstance(thing, FunctionType) and is_wrapper(thing)):
        return f"{name} is memoized: decorate it once, with all options"
    if isinstance(thing, MethodType) or (hasattr(thing, "__self__") and not isinstance(thing, BuiltinFunctionType)):
        return f"{name} is the method of an object: decorate the function in its class"
    if isinstance(thing, property | functools.cached_property):
        return f"a {type(thing).__name__} can't be decorated: write @{type(thing).__name__} above @nbcache.memoize"
    if callable(thing) and hasattr(thing, "__wrapped__"):
        return f"{name} is wrapped by a {type(thing).__qualname__}: write @nbcache.memoize below that decorator, or without it"
    if inspect.isroutine(thing):
        return f"{name} isn't written in Python: decorate a function that calls it"
    if callable(thing):
        return f"this is an object of {name}: decorate its class's method __call__"
    shown = repr(thing) if isinstance(thing, str | int | float | None) else f"an object of {name}"
    return f'{shown:.200} is no function: decorate a function, as in @nbcache.memoize or @nbcache.memoize(ttl="7d")'


def _of_langchain(thing: Any) -> str | None:
    """What to do with an object of LangChain's, or with a method of one. None for anything else."""
    from langchain_core.embeddings import Embeddings  # noqa: PLC0415 - this is on its way to an error
    from langchain_core.language_models import BaseLanguageModel  # noqa: PLC0415 - as above
    from langchain_core.tools import BaseTool  # noqa: PLC0415 - as above

    target = getattr(thing, "__self__", thing)
    name = type(target).__qualname__
    if isinstance(target, BaseLanguageModel):
        return f"{name} is one of LangChain's models, whose calls are cached already: use it as it is"
    if isinstance(target, BaseTool | Embeddings):
        kind = "tool" if isinstance(target, BaseTool) else "model of embeddings"
        return f"{name} is a {kind} of LangChain's: write nbcache.wrap(…) around it"
    return None
