"""What a tool of LangChain's runs: a function, with what is bound to it, or the methods of its class."""

import dis
import functools
import inspect
import re
import typing
from collections.abc import Iterator, Mapping
from types import FunctionType, MethodType
from typing import Any, NamedTuple

from langchain_core.tools import BaseTool, StructuredTool, Tool

from nbcache.keys.functions.code_walk import unwrapped
from nbcache.keys.usercode.not_canonical import NotCanonicalError
from nbcache.keys.usercode.wrappers_and_containers import CACHED

_OF_FUNCTIONS = (StructuredTool, Tool)
# Classes by which LangChain and LangGraph know what they hand to a tool, besides the model's arguments.
_HANDED = frozenset({"InjectedToolArg", "_DirectlyInjectedToolArg", "ToolRuntime", "Runtime", "RunnableConfig"})
_HANDED_BY_NAME = re.compile(r"\b(?:Injected\w*|ToolRuntime|Runtime|RunnableConfig)\b")
# What LangChain adds to the arguments for the sake of traces.
OF_TRACES = frozenset({"run_manager", "callbacks"})
_OF_RUN = frozenset({"metadata", "inheritable_metadata", "tags", "inheritable_tags", "run_id", "parent_run_id"})


class CalledFunction(NamedTuple):
    """A function, and the arguments that come before those of a call: a method's object, and those of a `partial`."""

    function: Any  # a FunctionType; mypy would take that for a method
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}


def is_of_function(tool: BaseTool) -> bool:
    """Whether a tool runs a function that was given to it, and nothing else of its class."""
    cls = type(tool)
    return any(
        issubclass(cls, base) and cls._run is base._run and cls._arun is base._arun  # noqa: SLF001 - what they run
        for base in _OF_FUNCTIONS
    )


def functions_of(tool: BaseTool) -> tuple[Any, ...]:
    """The functions or methods of a tool: the sync one, if there is one, comes first."""
    if is_of_function(tool):
        return tuple(
            each for each in (getattr(tool, "func", None), getattr(tool, "coroutine", None)) if each is not None
        )
    cls = type(tool)
    return (cls._run,) if cls._arun is BaseTool._arun else (cls._run, cls._arun)  # noqa: SLF001 - as above


def called_function(function: Any) -> CalledFunction:
    """What a call of `function` runs. Raises NotCanonicalError for what is not written in Python."""
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    while True:
        if type(function) is FunctionType and unwrapped(function) is function:
            return CalledFunction(function, args, kwargs)
        if isinstance(function, functools.partial):
            args, kwargs = (*function.args, *args), {**function.keywords, **kwargs}
            function = function.func
        elif hasattr(function, "__func__") and hasattr(function, "__self__"):  # one of nbcache's own, too
            args, function = (function.__self__, *args), function.__func__
        elif type(function) is CACHED:
            function = function.__wrapped__
        elif (inner := unwrapped(function)) is not function:
            function = inner
        elif isinstance(method := getattr(type(function), "__call__", None), FunctionType):  # noqa: B004 - its code
            args, function = (function, *args), method
        else:
            raise NotCanonicalError(f"{function!r}, which is not written in Python")


def held_by(tool: BaseTool) -> dict[str, Any]:
    """The fields and attributes of a tool that are set. What runs report to, and what LangChain keeps in memory, is left out."""
    cls = type(tool)
    held = {name: value for name, value in tool.__dict__.items() if name in cls.model_fields and value is not None}
    held.update(tool.__pydantic_extra__ or {})
    held.update(tool.__pydantic_private__ or {})
    for name in ("callbacks", "verbose", "_tool_call_schema_memo"):
        held.pop(name, None)
    return held


def handed_to(tool: BaseTool) -> frozenset[str]:
    """The names of the parameters that whoever runs a tool fills in: ids, a state, a store, a runtime, a config."""
    annotated = [
        *_fields(tool.args_schema),
        *(pair for each in functions_of(tool) for pair in _annotations(each).items()),
    ]
    names = {name for name, annotation in annotated if name != "return" and _is_handed(annotation)}
    return frozenset(names.union(*map(_read_of_run, functions_of(tool))))


def _read_of_run(function: Any) -> Iterator[str]:
    """The parameters by which a function reads metadata, tags or ids of its run, of what LangChain adds for traces."""
    try:
        code = called_function(function).function.__code__
    except NotCanonicalError:  # a call says so
        return
    before: Any = ""
    for step in dis.get_instructions(code):
        loaded = {*before} if isinstance(before, tuple) else {before}  # one step may load two names
        if step.opname in {"LOAD_ATTR", "LOAD_METHOD"} and step.argval in _OF_RUN:
            yield from OF_TRACES & loaded
        before = step.argval


def _fields(schema: Any) -> Iterator[tuple[str, Any]]:
    for name, field in (getattr(schema, "model_fields", None) or {}).items():
        yield name, (getattr(field, "annotation", None), *getattr(field, "metadata", ()))


def _annotations(function: Any) -> Mapping[str, Any]:
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function, stop=lambda each: isinstance(each, MethodType))
    if not inspect.isroutine(function):
        function = getattr(type(function), "__call__", function)  # noqa: B004 - its annotations
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:  # noqa: BLE001 - annotations are the user's own code, and may name what is not there
        return dict(getattr(function, "__annotations__", {}))


def _is_handed(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return _HANDED_BY_NAME.search(annotation) is not None
    if isinstance(annotation, tuple):
        return any(map(_is_handed, annotation))
    if isinstance(annotation, typing.ForwardRef):
        return _is_handed(annotation.__forward_arg__)
    origin = typing.get_origin(annotation)
    if origin is not None:
        parts = (*typing.get_args(annotation), *getattr(annotation, "__metadata__", ()))
        return _is_handed(origin) or any(_is_handed(part) for part in parts if not isinstance(part, str))
    cls = annotation if isinstance(annotation, type) else type(annotation)
    return any(
        base.__name__ in _HANDED and base.__module__.partition(".")[0] in {"langchain_core", "langgraph", "langchain"}
        for base in cls.__mro__
    )
