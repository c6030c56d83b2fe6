"""Tools of LangChain's, cached call by call: `nbcache.wrap(tool)`.

A wrapped tool is a copy of the tool, of a subclass of its class in which `_run` and `_arun` are cached. All else is LangChain's:
validation, callbacks, errors, and the message for the model. What is cached is the value between the two.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.messages.tool import ToolOutputMixin
from langchain_core.tools import BaseTool

from nbcache.entry.filter import TOOL
from nbcache.integrations.functions.call_course import MemoizedCall, begin
from nbcache.integrations.functions.memoized import Cached
from nbcache.integrations.functions.options import Options, used_names
from nbcache.integrations.functions.wrappers import of_coroutine, of_function
from nbcache.keys.functions import FunctionRules, ToolKey
from nbcache.keys.functions.run_state import READER_NAMES
from nbcache.keys.functions.tool_code import called_function, functions_of, is_of_function
from nbcache.keys.usercode import NotCanonicalError, is_users_code

if TYPE_CHECKING:
    from nbcache.cache.notebook_cache import NotebookCache

_CacheNow = Callable[[], "NotebookCache | None"]
_SLOTS = ("__dict__", "__pydantic_extra__", "__pydantic_fields_set__", "__pydantic_private__")
_MOST_KEYS = 16  # of copies of one tool, with other names, descriptions or functions


class _Wrap(NamedTuple):
    """Which class of tools is wrapped, how calls are cached, and what makes their identities, by what the tool is."""

    cls: type[BaseTool]
    options: Options
    cache_now: _CacheNow
    keys: dict[Any, ToolKey]


def wrapped_tool(tool: BaseTool, options: Options | None, cache_now: _CacheNow) -> BaseTool:
    """A cached copy of `tool`. One that is wrapped already stays as it is, unless there are other `options`."""
    if isinstance(tool, CachedTool):
        if options is None:
            return tool
        tool = tool.__wrapped__
    made = tool.model_copy()
    cls = _class_of(_Wrap(type(tool), options or Options(), cache_now, {}))
    object.__setattr__(made, "__class__", cls)
    return made


def check_ignored_by(tools: Iterable[BaseTool], ignore: frozenset[str]) -> None:
    """Raise ValueError for a name to ignore that no tool has as an argument or field, and the code of none uses."""
    if unknown := ignore - {name for tool in tools for name in _names_of(tool)} - READER_NAMES:
        named = " and ".join(tool.name for tool in tools)
        raise ValueError(
            f"ignore: {named} has no argument or field {min(unknown)!r}, and its code uses no such name; its arguments are "
            f"{', '.join(name for tool in tools for name in tool.args) or 'none'}"
        )


def _names_of(tool: BaseTool) -> Iterator[str]:
    yield from ("self", *type(tool).model_fields, *(tool.__pydantic_private__ or ()), *tool.args)
    for function in functions_of(tool):
        try:
            code = called_function(function).function
        except NotCanonicalError:  # which a call says
            continue
        yield from inspect.signature(code, follow_wrapped=False).parameters
        yield from used_names(code)
    for cls in () if is_of_function(tool) else type(tool).__mro__:
        for name, member in vars(cls).items() if is_users_code(cls) else ():
            yield f"{cls.__qualname__}.{name}"
            if isinstance(member, FunctionType):
                yield from used_names(member)


class CachedTool:
    """Of the classes of wrapped tools."""

    __nbcache__: _Wrap

    @property
    def __wrapped__(self) -> Any:
        """The tool without a cache: whatever is changed in one of them is in both."""
        plain = object.__new__(type(self).__nbcache__.cls)
        for name in _SLOTS:
            object.__setattr__(plain, name, getattr(self, name))
        return plain

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        wrap = type(self).__nbcache__
        return wrapped_tool, (self.__wrapped__, wrap.options, wrap.cache_now)


def _class_of(wrap: _Wrap) -> type[BaseTool]:
    """A subclass of the tool's class whose calls are cached."""
    cls = wrap.cls

    @functools.wraps(cls._run)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        plain = self.__wrapped__
        return of_function(_CachedRuns(plain, wrap), plain._run)(*args, **kwargs)  # noqa: SLF001 - what is cached

    @functools.wraps(cls._arun)
    async def arun(self: Any, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        plain = self.__wrapped__
        runs = _CachedRuns(plain, wrap, is_async=True)
        return await of_coroutine(runs, plain._arun)(*args, **kwargs)  # noqa: SLF001 - as above

    members: dict[str, Any] = {"__module__": __name__, "__qualname__": cls.__qualname__, "_run": run}
    if cls._arun is not BaseTool._arun:  # noqa: SLF001 - that one calls `_run`
        members["_arun"] = arun
    made_by: Any = type(cls)
    made = made_by(cls.__name__, (CachedTool, cls), members)
    made.__nbcache__ = wrap
    return made  # type: ignore[no-any-return]


class _CachedRuns(Cached):
    """What a wrapped tool runs, as it is now."""

    kind = TOOL

    def __init__(self, tool: BaseTool, wrap: _Wrap, *, is_async: bool = False) -> None:
        super().__init__((tool.name,), wrap.options, wrap.cache_now)
        self._tool = tool
        self._keys = wrap.keys
        self._is_async = is_async

    @property
    def key(self) -> ToolKey:
        tool, options = self._tool, self.options
        functions = (getattr(tool, "func", None), getattr(tool, "coroutine", None))
        which = (*map(id, (*functions, tool.args_schema)), tool.name, tool.description, self._is_async)
        key = self._keys.get(which)
        if key is None:
            if len(self._keys) >= _MOST_KEYS:
                self._keys.clear()
            rules = FunctionRules(options.ignore, options.version)
            key = self._keys[which] = ToolKey(tool, rules, is_async=self._is_async)
        return key

    @property
    def function(self) -> Any:
        """The function that is run."""
        return self.key.function

    def begin(
        self, cache: "NotebookCache", args: tuple[Any, ...], kwargs: Mapping[str, Any], **how: bool
    ) -> MemoizedCall | None:
        """As of a memoized function."""
        return begin(self, cache, (self._tool, *args), kwargs, **how)

    def takes(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        try:
            self.key.arguments(args[1:], kwargs)
        except TypeError:
            return False
        return True

    def refusal(self, value: Any) -> str | None:
        """LangGraph's commands and whole messages are answers to one request of a model, whose id they hold."""
        parts = [value, *(value if isinstance(value, list | tuple) else ())]
        for part in parts:
            for each in part if isinstance(part, list | tuple) else (part,):
                if isinstance(each, ToolOutputMixin):
                    return f"a {type(each).__name__} is good for one run"
        return None
