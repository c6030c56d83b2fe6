"""Calls of a model's class that go past LangChain's own methods, and so past the cache."""

from typing import Any

from langchain_core.language_models import BaseChatModel

from nbcache.cache import modes
from nbcache.cache.call import Call, current_call
from nbcache.cache.notebook_cache import NotebookCache, cache_of
from nbcache.errors import warn_once


def count_bypass(cache: NotebookCache | None, model: Any, name: str) -> Call | None:
    """Count a call that the method `name` makes without a lookup, and warn of its class once.

    Returns the call, to be made the current one. None if it is the current one, or if it isn't counted: it has been looked up
    or counted before, the cache is off, or it isn't the model's cache. Raises ReplayMiss in mode `replay`.
    """
    if cache is None:
        return None
    around = current_call.get()
    is_own = around is not None and around.model is model
    call = around if around is not None and is_own else Call(model, is_chat=isinstance(model, BaseChatModel))
    cls = type(model).__qualname__
    cache.forbid_in_replay(
        call, f"isn't looked up, since {cls} asks for its answers past LangChain's own methods (`{name}`)"
    )
    if call.settings is not None or cache_of(model) is not cache or cache.settings_now.mode == modes.OFF:
        return None
    cache.count_uncached(call, "not cacheable")
    warn_once(
        f"overrides {cls}",
        f"nbcache: answers of {cls} are not cached, because the class asks for them past LangChain's own methods "
        f"(`{name}`). Let the method that it overrides call `super()`",
    )
    call.settings = cache.settings_now  # so that the calls within it are not counted again
    return None if is_own else call
