"""Wraps the public entry points of LangChain's models while the cache is on.

Each call then tells the cache its model and options through `current_call`. Where streamed and shared
calls come in, they are wrapped here as well.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel, BaseLLM

from nbcache.call import Call, current_call
from nbcache.modes import checked_mode

# Arguments of `generate` that are LangChain's own; all others are options of the call.
_NOT_OPTIONS = frozenset({"stop", "callbacks", "tags", "metadata", "run_name", "run_id"})


class Instrument:
    """The wrapped entry points; `remove` puts back exactly what was there."""

    def __init__(self) -> None:
        self._active = True
        self._wrapped: list[tuple[type, str, Any, Any]] = []
        for cls in (BaseChatModel, BaseLLM):
            self._wrap(cls, "generate", self._sync(cls.generate, is_chat=cls is BaseChatModel))
            self._wrap(cls, "agenerate", self._async(cls.agenerate, is_chat=cls is BaseChatModel))

    def remove(self) -> None:
        """Put the originals back. Where somebody has wrapped ours since, ours stays and does nothing more."""
        self._active = False
        for cls, name, original, ours in self._wrapped:
            if cls.__dict__.get(name) is ours:
                setattr(cls, name, original)
        self._wrapped.clear()

    def _wrap(self, cls: type, name: str, ours: Any) -> None:
        original = cls.__dict__[name]
        setattr(cls, name, ours)
        self._wrapped.append((cls, name, original, ours))

    def _sync(self, original: Callable[..., Any], *, is_chat: bool) -> Callable[..., Any]:
        @functools.wraps(original)
        def generate(model: Any, /, *args: Any, **kwargs: Any) -> Any:
            if not self._active:
                return original(model, *args, **kwargs)
            token = current_call.set(_call(model, args, kwargs, is_chat=is_chat))
            try:
                return original(model, *args, **kwargs)
            finally:
                current_call.reset(token)

        return generate

    def _async(self, original: Callable[..., Any], *, is_chat: bool) -> Callable[..., Any]:
        @functools.wraps(original)
        async def agenerate(model: Any, /, *args: Any, **kwargs: Any) -> Any:
            if not self._active:
                return await original(model, *args, **kwargs)
            token = current_call.set(_call(model, args, kwargs, is_chat=is_chat))
            try:
                return await original(model, *args, **kwargs)
            finally:
                current_call.reset(token)

        return agenerate


def _call(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, is_chat: bool) -> Call:
    stop = args[1] if len(args) > 1 else kwargs.get("stop")
    options = {name: value for name, value in kwargs.items() if name not in _NOT_OPTIONS}
    return Call(model, stop, options, is_chat, _mode(kwargs.get("metadata")))


def _mode(metadata: Mapping[str, Any] | Sequence[Mapping[str, Any] | None] | None) -> str | None:
    """The mode that a call asks for by `config={"metadata": {"nbcache": "off"}}`. Raises ValueError."""
    if not metadata:
        return None
    told = [metadata] if isinstance(metadata, Mapping) else [one or {} for one in metadata]
    asked = {one.get("nbcache") for one in told}
    if asked == {None}:
        return None
    if len(asked) > 1:
        raise ValueError(f"one batch has one mode, not {sorted(map(str, asked))}: call the model for each")
    return checked_mode(asked.pop() or "")
