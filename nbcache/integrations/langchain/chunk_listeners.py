"""Who listens to the chunks or the events of an `invoke`, as LangChain itself decides."""

from collections.abc import Mapping
from typing import Any

_NOT_OPTIONS = frozenset({"messages", "stop", "run_manager"})  # arguments with which LangChain decides nothing
_MOST = 64
# What LangChain decided, by all that it depends on where a call has no options.
_decided: dict[tuple[Any, ...], bool] = {}


def is_listened_to(model: Any, run: Any, kwargs: Mapping[str, Any], async_api: bool) -> bool:  # noqa: FBT001 - as LangChain's
    """Whether LangChain streams this `invoke` for somebody who listens to its chunks, as LangChain itself decides."""
    if hears_chunks(model, run, kwargs, async_api):
        return True
    native = hasattr(model, "_stream_chat_model_events") or hasattr(model, "_astream_chat_model_events")
    return not native and hears_events(model, run, kwargs, async_api)


def hears_chunks_or_events(model: Any, run: Any, kwargs: Mapping[str, Any], async_api: bool) -> bool:  # noqa: FBT001 - as above
    """As `hears_chunks` or `hears_events`. LangChain is asked once for each kind of model and of handlers.

    To decide takes longer than all that is done for a hit. A handler that is more than its class says is asked for each time.
    """
    if not kwargs.keys() <= _NOT_OPTIONS:
        return _decide(model, run, kwargs, async_api)
    for handler in run.handlers:
        if (own := getattr(handler, "__dict__", None)) and any(map(callable, own.values())):
            return _decide(model, run, kwargs, async_api)
    cls, values = type(model), model.__dict__
    settings = values.get("streaming"), values.get("disable_streaming"), "streaming" in model.__pydantic_fields_set__
    methods = cls._should_stream, getattr(cls, "_should_use_protocol_streaming", None), cls._stream, cls._astream
    of = (cls, methods, settings, async_api, *map(type, run.handlers))
    if (decided := _decided.get(of)) is None:
        decided = _decide(model, run, kwargs, async_api)
        if len(_decided) >= _MOST:
            _decided.clear()
        _decided[of] = decided
    return decided


def _decide(model: Any, run: Any, kwargs: Mapping[str, Any], async_api: bool) -> bool:  # noqa: FBT001 - as above
    return hears_events(model, run, kwargs, async_api) or hears_chunks(model, run, kwargs, async_api)


def hears_chunks(model: Any, run: Any, kwargs: Mapping[str, Any], async_api: bool) -> bool:  # noqa: FBT001 - as above
    """Whether somebody listens to the chunks of a call."""
    return bool(model._should_stream(async_api=async_api, run_manager=run, **_arguments(kwargs)))  # noqa: SLF001 - as LangChain does


def hears_events(model: Any, run: Any, kwargs: Mapping[str, Any], async_api: bool) -> bool:  # noqa: FBT001 - as above
    """Whether somebody listens to the events of a call, which LangChain has since core 1.2."""
    as_events = getattr(model, "_should_use_protocol_streaming", None)
    return as_events is not None and bool(as_events(async_api=async_api, run_manager=run, **_arguments(kwargs)))


def _arguments(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call, as LangChain hands them on when it decides whether to stream."""
    return {name: value for name, value in kwargs.items() if name not in _NOT_OPTIONS}
