"""Model classes that override LangChain's own entry points: in `replay` they send nothing either.

Such a method may call LangChain's entry point in turn, where the call is looked up, or send a request by itself.
"""

import dis
import functools
import inspect
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

from langchain_core.language_models import BaseChatModel, BaseLLM
from langchain_core.runnables import Runnable

from nbcache.cache.call import Call, running
from nbcache.integrations.langchain.calls_past_langchain import count_bypass
from nbcache.integrations.langchain.stream_wrappers import wrap_class
from nbcache.integrations.patching import Wrapping

_ENTRIES = frozenset(
    {
        *("invoke", "ainvoke", "stream", "astream", "batch", "abatch", "generate", "agenerate", "generate_prompt"),
        *("agenerate_prompt", "_generate_with_cache", "_agenerate_with_cache"),
    }
)
# The methods that the entry points call after a miss; those that make chunks are wrapped in `stream_wrappers`.
_SENDERS = frozenset({"_generate", "_agenerate", "_call", "_acall"})
_HOME = _ENTRIES | _SENDERS | {"_stream", "_astream"}
_LIBRARIES = frozenset({"langchain_core", "pydantic", "builtins", "abc", "typing"})


def watch_classes(wrapping: Wrapping) -> None:
    """Wrap the methods that override an entry point, in the classes that exist and in those that are defined later."""
    look_at = functools.partial(_look_at, wrapping)
    for base in (BaseChatModel, BaseLLM):
        for cls in _derived(base):
            look_at(cls)
        wrapping.watch(base, look_at)


def _derived(base: type) -> Iterator[type]:
    cls: type
    for cls in base.__subclasses__():
        yield cls
        yield from _derived(cls)


def _look_at(wrapping: Wrapping, cls: type) -> None:
    """Wrap the entry points that `cls` or its bases override. If there are any, wrap the methods that send requests, too."""
    owners = [base for base in cls.__mro__ if base.__module__.partition(".")[0] not in _LIBRARIES]
    overridden = [(owner, name) for owner in owners for name in _ENTRIES & vars(owner).keys()]
    if not overridden:
        return
    wrap_class(wrapping, cls)
    senders = [(owner, name) for owner in owners for name in _SENDERS & vars(owner).keys()]
    for owner, name in (*overridden, *senders):
        if isinstance(vars(owner)[name], FunctionType):
            leads = leads_home if name in _ENTRIES else None
            wrapping.wrap(owner, name, functools.partial(_wrapper, wrapping, name, leads))


def _wrapper(
    wrapping: Wrapping, name: str, leads: Callable[..., bool] | None, original: Callable[..., Any]
) -> Callable[..., Any]:
    """`original`, after a check whether it sends requests by itself: such a call is counted, or in `replay` refused."""

    def begun(model: Any) -> Call | None:
        if not wrapping.active or (leads is not None and leads(original, model)):
            return None
        return count_bypass(wrapping.cache_now(), model, name)

    if inspect.isasyncgenfunction(original) or inspect.isgeneratorfunction(original):
        return _generating(begun, original)
    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def awaited(model: Any, /, *args: Any, **kwargs: Any) -> Any:
            if (call := begun(model)) is None:
                return await original(model, *args, **kwargs)
            with running(call):
                return await original(model, *args, **kwargs)

        return awaited

    @functools.wraps(original)
    def wrapper(model: Any, /, *args: Any, **kwargs: Any) -> Any:
        if (call := begun(model)) is None:
            return original(model, *args, **kwargs)
        with running(call):
            return original(model, *args, **kwargs)

    return wrapper


def _generating(begun: Callable[[Any], Call | None], original: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a generator: the check is made at its first item, when its own code begins to run."""
    if inspect.isasyncgenfunction(original):

        @functools.wraps(original)
        async def awaited(model: Any, /, *args: Any, **kwargs: Any) -> Any:
            begun(model)
            async for item in original(model, *args, **kwargs):
                yield item

        return awaited

    @functools.wraps(original)
    def wrapper(model: Any, /, *args: Any, **kwargs: Any) -> Any:
        begun(model)
        yield from original(model, *args, **kwargs)

    return wrapper


def leads_home(function: Callable[..., Any], model: Any) -> bool:
    """Whether the method ends in one of LangChain's entry points (of this or another model), where the call is looked up.

    True also if its code can't be read.
    """
    cls: Any = type(model)
    names = _names(function, cls)
    if names is None:
        return True
    held = {**(model.__pydantic_private__ or {}), **vars(model)}
    outside = getattr(inspect.unwrap(function), "__globals__", {})
    values = [held.get(name, outside.get(name)) for name in names]
    bases = {base for base in cls.__mro__ if issubclass(base, Runnable)} if names & _HOME else set()
    return any(isinstance(value, Runnable) or (isinstance(value, type) and value in bases) for value in values)


@functools.lru_cache(maxsize=256)
def _names(function: Callable[..., Any], cls: type) -> frozenset[str] | None:
    """The names in a method and in the methods that it calls.

    None if one of them calls `super()` or a method in `_HOME`, or can't be read.
    """
    names: set[str] = set()
    waiting, visited = [inspect.unwrap(function)], set[Any]()
    while waiting:
        code = getattr(waiting.pop(), "__code__", None)
        if code is None:
            return None
        if code in visited:
            continue
        visited.add(code)
        own, others = _names_in(code)
        if "super" in others or own & _HOME:
            return None
        names |= own | others
        methods = [inspect.unwrap(method) for name in own if callable(method := getattr(cls, name, None))]
        waiting += [method for method in methods if isinstance(method, FunctionType)]
    return frozenset(names)


def _names_in(code: CodeType) -> tuple[set[str], set[str]]:
    """The attributes that code reads from its first argument (`self`), and all names in it."""
    own, others = set[str](), set[str]()
    first = code.co_varnames[:1]
    inner = [code]
    while inner:
        code = inner.pop()
        inner += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        others |= {*code.co_names}
        before = None
        for instruction in dis.get_instructions(code):
            if instruction.opname in {"LOAD_ATTR", "LOAD_METHOD"} and before is not None:
                variable = before.argval[-1:] if isinstance(before.argval, tuple) else (before.argval,)
                if before.opname.startswith(("LOAD_FAST", "LOAD_DEREF")) and variable == first:
                    own.add(instruction.argval)
            before = instruction
    return own, others
