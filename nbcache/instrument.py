"""Wraps the public entry points of LangChain's models while the cache is on.

Each call then tells the cache its model and options through `current_call`. Where streamed and shared
calls come in, they are wrapped here as well.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from langchain_core.language_models import BaseChatModel, BaseLLM

from nbcache.call import Call, current_call
from nbcache.modes import checked_mode

# Arguments of `generate` that are LangChain's own; all others are options of the call.
_NOT_OPTIONS = frozenset(
    {
        *("stop", "callbacks", "tags", "metadata", "run_name", "run_id", "run_manager"),
        *("ls_structured_output_format", "structured_output_format"),
    }
)


class Instrument:
    """The wrapped entry points; `remove` puts back exactly what was there."""

    def __init__(self) -> None:
        self._active = True
        self._wrapped: list[tuple[type, str, Any, Any]] = []
        for cls in (BaseChatModel, BaseLLM):
            self._wrap(cls, "generate", self._sync)
            self._wrap(cls, "agenerate", self._async)
        # A class with a `generate` of its own comes in here. This is LangChain's own affair: where a release
        # has it no longer, such a class is known by its `llm_string` alone.
        for name, wrapper in (("_generate_with_cache", self._sync), ("_agenerate_with_cache", self._async)):
            if callable(BaseChatModel.__dict__.get(name)):
                self._wrap(BaseChatModel, name, wrapper)

    def remove(self) -> None:
        """Put the originals back. Where somebody has wrapped ours since, ours stays and does nothing more."""
        self._active = False
        for cls, name, original, ours in self._wrapped:
            if cls.__dict__.get(name) is ours:
                setattr(cls, name, original)
        self._wrapped.clear()

    def _wrap(self, cls: type, name: str, wrapper: Callable[..., Any]) -> None:
        original = cls.__dict__[name]
        ours = wrapper(original, is_chat=cls is BaseChatModel, is_entry=not name.startswith("_"))
        setattr(cls, name, ours)
        self._wrapped.append((cls, name, original, ours))

    def _sync(self, original: Callable[..., Any], *, is_chat: bool, is_entry: bool) -> Callable[..., Any]:
        @functools.wraps(original)
        def wrapper(model: Any, /, *args: Any, **kwargs: Any) -> Any:
            call = self._begin(model, args, kwargs, is_chat=is_chat, is_entry=is_entry)
            if call is None:
                return original(model, *args, **kwargs)
            token = current_call.set(call)
            try:
                return original(model, *args, **kwargs)
            finally:
                current_call.reset(token)

        return wrapper

    def _async(self, original: Callable[..., Any], *, is_chat: bool, is_entry: bool) -> Callable[..., Any]:
        @functools.wraps(original)
        async def wrapper(model: Any, /, *args: Any, **kwargs: Any) -> Any:
            call = self._begin(model, args, kwargs, is_chat=is_chat, is_entry=is_entry)
            if call is None:
                return await original(model, *args, **kwargs)
            token = current_call.set(call)
            try:
                return await original(model, *args, **kwargs)
            finally:
                current_call.reset(token)

        return wrapper

    def _begin(
        self, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, is_chat: bool, is_entry: bool
    ) -> Call | None:
        """The call that begins here; None where it began further out, or the cache is off."""
        if not self._active:
            return None
        stop = args[1] if len(args) > 1 else kwargs.get("stop")
        options = _NO_OPTIONS if kwargs.keys() <= _NOT_OPTIONS else _options(kwargs)
        outer = None if is_entry else current_call.get()
        if outer is not None and outer.model is model and outer.stop is stop and _same(outer.options, options):
            return None
        return Call(model, stop, options, is_chat, _mode(kwargs.get("metadata")))


_NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


def _options(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in kwargs.items() if name not in _NOT_OPTIONS}


def _same(options: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """Whether these are the very same values: to compare an option may be anything, arrays and errors included."""
    return options.keys() == others.keys() and all(options[name] is others[name] for name in options)


def _mode(metadata: Mapping[str, Any] | Sequence[Mapping[str, Any] | None] | None) -> str | None:
    """The mode that a call asks for by `config={"metadata": {"nbcache": "off"}}`. Raises ValueError."""
    if not metadata:
        return None
    told = [metadata] if isinstance(metadata, Mapping) else [one or {} for one in metadata]
    asked = [one.get("nbcache") for one in told]
    if any(mode != asked[0] for mode in asked):
        raise ValueError(f"one batch has one mode, not {asked}: call the model for each")
    return None if asked[0] is None else checked_mode(asked[0])
