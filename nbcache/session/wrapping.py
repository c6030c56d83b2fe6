"""`nbcache.wrap`: a cached copy of one object, for the cache that is on when it is called."""

import inspect
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, TypeVar

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseLanguageModel
from langchain_core.tools import BaseTool, BaseToolkit

from nbcache import public_in
from nbcache.integrations.functions.options import Options, checked_options
from nbcache.session.memoized_functions import cache_now

_T = TypeVar("_T")


@public_in("nbcache")
def wrap(
    target: _T,
    /,
    *,
    ttl: float | str | timedelta | None = None,
    tags: str | Iterable[str] = (),
    ignore: str | Iterable[str] = (),
    version: str | None = None,
) -> _T:
    """A cached copy of `target`: a tool or several, an SDK's client, one of an HTTP library, or LangChain's `Embeddings`.

    Each call asks the cache that is on at that time, and is an ordinary call while none is on. `target` is not changed.

    Tools are LangChain's, in a list or tuple if there are several. A call with the same arguments does not run the tool again,
    so do not wrap one that sends, writes or deletes something.

    SDKs are those whose clients hold a client of httpx: OpenAI's, Anthropic's, Google's, Mistral's, Groq's, Cohere's and so on.
    HTTP libraries are httpx, requests (`Session`) and aiohttp (`ClientSession`). Their calls are cached whatever the setting
    `clients` says. LangChain's models need no wrapping.

    Args:
        target: the object, or a list or tuple of tools.
        ttl: how long a tool's results are good, as of `nbcache.memoize`; so are the next ones.
        tags: a tag or several, which each entry of a tool gets besides those of the mode.
        ignore: names of a tool's arguments and fields, or of what its code uses, that don't count.
        version: counts in place of a tool's code: a new one makes every call run again, an edit none.

    Raises:
        TypeError: for any other object, and for options of what is no tool.
        ValueError: for an option that is wrong.
    """
    options: Options | None = checked_options(ttl, tags, ignore, version)
    if options == Options():
        options = None
    thing: Any = target
    if isinstance(thing, BaseTool):
        return _tools([thing], options)[0]  # type: ignore[no-any-return]  # of the class that it was of
    if isinstance(thing, list | tuple):
        tools = _tools(thing, options)
        return tools if isinstance(thing, list) else tuple(tools)  # type: ignore[return-value]  # as above
    _refuse(thing)
    if options is not None:
        raise TypeError(
            f"nbcache.wrap: ttl, tags, ignore and version are for tools, and this is a {type(thing).__qualname__}"
        )
    if isinstance(thing, Embeddings):
        from nbcache.integrations.embeddings.wrapper import wrap_embeddings  # noqa: PLC0415 - few need it

        return wrap_embeddings(thing, cache_now)  # type: ignore[return-value]  # Embeddings, as it was
    from nbcache.integrations.http.wrap_client import wrap_client  # noqa: PLC0415 - as above

    return wrap_client(target, cache_now)


def _tools(tools: Iterable[Any], options: Options | None) -> list[Any]:
    """Tools with a cache."""
    from nbcache.integrations.functions.tools import check_ignored_by, wrapped_tool  # noqa: PLC0415 - as above

    tools = [*tools]
    for each in tools:
        if not isinstance(each, BaseTool):
            name = getattr(each, "__qualname__", type(each).__qualname__)
            raise TypeError(
                f"nbcache.wrap: only tools are wrapped in a list, and {name} is none of LangChain's: make one of a "
                "function by @tool, and wrap other objects one by one"
            )
    if options is not None and tools:
        check_ignored_by(tools, options.ignore)
    return [wrapped_tool(each, options, cache_now) for each in tools]


def _refuse(thing: Any) -> None:
    """Raise TypeError for what is not wrapped, with what to do instead."""
    name = getattr(thing, "__qualname__", type(thing).__qualname__)
    if isinstance(thing, type):
        raise TypeError(f"nbcache.wrap: {name} is a class: wrap an object, {name}(…)")
    if isinstance(thing, BaseLanguageModel):
        raise TypeError(f"nbcache.wrap: {name} is one of LangChain's models: use it as it is, it is cached")
    if isinstance(thing, BaseToolkit):
        raise TypeError(f"nbcache.wrap: {name} is a toolkit: wrap its tools, nbcache.wrap(toolkit.get_tools())")
    if inspect.isroutine(thing):
        raise TypeError(
            f"nbcache.wrap: {name} is a function: decorate it with @nbcache.memoize, or make a tool of it by @tool"
        )
