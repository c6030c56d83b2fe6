"""Wraps the entry points of LangChain's models while the cache is on.

Each call then tells the cache its model and options through `current_call`; streams are recorded and played.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from typing import Any

from langchain_core.language_models import BaseChatModel, BaseLLM, chat_models
from langchain_core.language_models.base import BaseLanguageModel
from langchain_core.runnables import RunnableConfig, ensure_config

from nbcache.cache.call import Call, call_around, running
from nbcache.cache.modes import OFF, checked_mode
from nbcache.cache.notebook_cache import NotebookCache, cache_of
from nbcache.concurrency.strands import calling
from nbcache.integrations.langchain import rate_limits, stream_wrappers
from nbcache.integrations.langchain.chunk_listeners import is_listened_to
from nbcache.integrations.langchain.early_hits import EarlyHits, remembered_models, written_prompts
from nbcache.integrations.langchain.early_streams import EarlyStreams
from nbcache.integrations.langchain.models_with_cache_false import UncachedCall
from nbcache.integrations.langchain.overrides import watch_classes
from nbcache.integrations.langchain.retries import watch_retries
from nbcache.integrations.patching import Wrapper, Wrapping
from nbcache.keys.request import options_of

_NATIVE_EVENTS = ("_stream_chat_model_events", "_astream_chat_model_events")  # make events without chunks
_PAST_US = "isn't looked up, since the model has `cache=False`"
_REPLACED = "isn't looked up, since another cache has been set; `%llmcache on` takes it back"
_Begun = Callable[[Any, Any, Any], Call | UncachedCall | None]


class ModeError(ValueError):
    """A call asks for a mode that doesn't exist."""


class Instrument:
    """The wrapped entry points; `remove` puts back exactly what was there."""

    def __init__(self, cache_now: Callable[[], NotebookCache | None]) -> None:
        self._wrapping = Wrapping(cache_now)
        # One prompt of a chat model is one call. The method is private to LangChain. If a release no longer has it, the
        # public entry point is wrapped instead, and identical calls don't wait for each other.
        early = EarlyHits(self._wrapping)
        if callable(BaseChatModel.__dict__.get("_generate_with_cache")):
            self._wrap(BaseChatModel, "_generate_with_cache", _sync, _message_call, early.before_lookup)
            as_async = partial(_message_call, async_api=True)
            self._wrap(BaseChatModel, "_agenerate_with_cache", _async, as_async, early.before_lookup_async)
            self._wrapping.wrap(BaseChatModel, "agenerate", partial(_calling, self._wrapping))
            self._wrapping.wrap(BaseChatModel, "invoke", early.before_run)
            self._wrapping.wrap(BaseChatModel, "ainvoke", early.before_run_async)
            self._write_less()
        else:
            self._wrap(BaseChatModel, "generate", _sync, _batch_call)
            self._wrap(BaseChatModel, "agenerate", _async, _batch_call)
        self._wrap(BaseLLM, "generate", _sync, _batch_call)
        self._wrap(BaseLLM, "agenerate", _async, _batch_call)
        self._wrap(BaseLLM, "stream", _stream, _stream_call)
        self._wrap(BaseLLM, "astream", _astream, _stream_call)
        streams = EarlyStreams(early)
        self._wrap(BaseChatModel, "stream", _stream, _stream_call, streams.before_run)
        self._wrap(BaseChatModel, "astream", _astream, _stream_call, streams.before_run_async)
        early.note_methods()
        for name, wrapper in (("_iter_v2_events", _stream), ("_aiter_v2_events", _astream)):
            if callable(BaseChatModel.__dict__.get(name)):  # `stream_events`, since core 1.2
                self._wrap(BaseChatModel, name, wrapper, _events_call)
        watch_classes(self._wrapping)
        watch_retries(self._wrapping)

    def remove(self) -> None:
        """Put the originals back. If somebody has wrapped ours since, ours stays in place and does nothing."""
        self._wrapping.remove()

    def _write_less(self) -> None:
        """Wrap what LangChain writes for a cache. Where a release has these no longer, it writes all of it."""
        if callable(vars(chat_models).get("dumps")):
            self._wrapping.wrap(chat_models, "dumps", written_prompts)
        if callable(vars(BaseChatModel).get("_get_llm_string")):
            self._wrapping.wrap(BaseChatModel, "_get_llm_string", remembered_models)

    def _wrap(
        self,
        owner: type,
        name: str,
        wrapper: Callable[..., Any],
        make: Callable[..., Call | None],
        outer: Wrapper = lambda wrapped: wrapped,
    ) -> None:
        begun = partial(_begun, self._wrapping, make)
        self._wrapping.wrap(owner, name, lambda original: outer(wrapper(begun, original)))


def _begun(
    wrapping: Wrapping, make: Callable[..., Call | None], model: Any, args: Any, kwargs: Any
) -> Call | UncachedCall | None:
    """The call that begins here. None if an outer call has already begun it, or the cache doesn't handle it.

    Raises ReplayMiss in mode `replay` if the model doesn't ask a cache of ours, and ValueError if the call asks for a mode
    that doesn't exist.
    """
    if not wrapping.active:
        return None
    try:
        return _call_of(wrapping, make, model, args, kwargs)
    except ModeError:
        raise
    except Exception as error:  # noqa: BLE001 - a class of the user's own, whatever its fields are
        return _unclear(wrapping, model, error)


def _unclear(wrapping: Wrapping, model: Any, error: Exception) -> Call | None:
    """A call that can't be read, as of a class of the user's own: it is made, and is not cached. Raises ReplayMiss."""
    cache = wrapping.cache_now()
    if cache is None:
        return None
    call = Call(model, is_chat=isinstance(model, BaseChatModel), outer=call_around())
    cache.forbid_in_replay(call, f"can't be looked up: {error!r}")
    cache.failed(f"tell what a call of {type(model).__qualname__} is", error)
    call.mode = OFF
    return call


def _call_of(
    wrapping: Wrapping, make: Callable[..., Call | None], model: Any, args: Any, kwargs: Any
) -> Call | UncachedCall | None:
    call = make(model, args, kwargs)
    cache = cache_of(model)
    if cache is None and call is not None and (ours := wrapping.cache_now()) is not None:
        ours.forbid_in_replay(call, _PAST_US if model.cache is False else _REPLACED)
    if model.cache is False:
        ours = wrapping.cache_now()
        return None if call is None or ours is None else UncachedCall.of(ours, call, args)
    if call is not None and make is _events_call and any(hasattr(model, name) for name in _NATIVE_EVENTS):
        if cache is not None:
            cache.count_uncached(call, "not cacheable")
        return None
    if type(model) not in wrapping.finished:
        stream_wrappers.wrap_chunks(wrapping, model)
    if model.__dict__.get("rate_limiter") is not None:
        rate_limits.wrap_limiter(wrapping, model)
    return call


def _sync(begun: _Begun, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def wrapper(model: Any, /, *args: Any, **kwargs: Any) -> Any:
        call = begun(model, args, kwargs)
        if call is None:
            return original(model, *args, **kwargs)
        if isinstance(call, UncachedCall):
            with running(call.call):
                return call.answered(original(model, *args, **kwargs))
        with running(call):
            return original(model, *args, **kwargs)

    return wrapper


def _async(begun: _Begun, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    async def wrapper(model: Any, /, *args: Any, **kwargs: Any) -> Any:
        call = begun(model, args, kwargs)
        if call is None:
            return await original(model, *args, **kwargs)
        if isinstance(call, UncachedCall):
            with running(call.call):
                return call.answered(await original(model, *args, **kwargs))
        call.is_async = True
        with running(call):
            return await original(model, *args, **kwargs)

    return wrapper


def _calling(wrapping: Wrapping, original: Callable[..., Any]) -> Callable[..., Any]:
    """`agenerate` makes its calls in separate tasks. This marks the code that asked for them."""

    @wraps(original)
    async def wrapper(model: Any, /, *args: Any, **kwargs: Any) -> Any:
        if not wrapping.active:
            return await original(model, *args, **kwargs)
        with calling():
            return await original(model, *args, **kwargs)

    return wrapper


def _stream(begun: _Begun, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def wrapper(model: Any, /, *args: Any, **kwargs: Any) -> Any:
        call = begun(model, args, kwargs)
        items = original(model, *args, **kwargs)
        if isinstance(call, UncachedCall):
            items, call = call.stepped(items), call.call
        yield from items if call is None else stream_wrappers.stepped(call, items)

    return wrapper


def _astream(begun: _Begun, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    async def wrapper(model: Any, /, *args: Any, **kwargs: Any) -> Any:
        call = begun(model, args, kwargs)
        items = original(model, *args, **kwargs)
        if isinstance(call, UncachedCall):
            items, call = call.astepped(items), call.call
        if call is not None:
            call.is_async = True
        async for item in items if call is None else stream_wrappers.astepped(call, items):
            yield item

    return wrapper


def _message_call(
    model: BaseLanguageModel[Any], args: Sequence[Any], kwargs: Mapping[str, Any], *, async_api: bool = False
) -> Call:
    """A call of `_generate_with_cache(messages, stop, run_manager, **options)`."""
    stop = args[1] if len(args) > 1 else kwargs.get("stop")
    run = args[2] if len(args) > 2 else kwargs.get("run_manager")
    return Call(
        model,
        stop,
        options_of(kwargs),
        mode=None if run is None else _mode(run.metadata),
        outer=call_around(),
        labels=() if run is None else run.tags,
        parent=None if run is None else run.parent_run_id,
        shares=True,
        messages=args[0] if args else kwargs.get("messages"),
        streams=partial(is_listened_to, model, run, kwargs, async_api) if run and run.handlers else None,
    )


def _batch_call(model: BaseLanguageModel[Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
    """A call of `generate(prompts, stop, callbacks, **options)`, which looks up all prompts before it makes any call."""
    prompts = args[0] if args else kwargs.get("prompts")
    callbacks = args[2] if len(args) > 2 else kwargs.get("callbacks")
    first = callbacks[0] if isinstance(callbacks, list) and callbacks else callbacks
    return Call(
        model,
        args[1] if len(args) > 1 else kwargs.get("stop"),
        options_of(kwargs),
        is_chat=isinstance(model, BaseChatModel),
        mode=_mode(kwargs.get("metadata")) or _mode(model.metadata),
        outer=call_around(),
        labels=(*_flat(model.tags), *_flat(kwargs.get("tags"))),
        parent=getattr(first, "parent_run_id", None),
        shares=isinstance(model, BaseLLM) and isinstance(prompts, list) and len(prompts) == 1,
    )


def _stream_call(model: BaseLanguageModel[Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
    """A call of `stream(input, config, *, stop, **options)`."""
    config = ensure_config(args[1] if len(args) > 1 else kwargs.get("config"))
    return call_with_config(model, config, kwargs.get("stop"), kwargs, is_stream=True)


def call_with_config(  # noqa: PLR0913 - the arguments of `stream`, and what kind of call it is
    model: BaseLanguageModel[Any],
    config: RunnableConfig,
    stop: Any,
    kwargs: Mapping[str, Any],
    *,
    is_async: bool = False,
    is_stream: bool = False,
) -> Call:
    """A call of `invoke` or `stream` with this config. Raises ModeError for a wrong mode in it."""
    return Call(
        model,
        stop,
        options_of(kwargs),
        is_chat=isinstance(model, BaseChatModel),
        mode=_mode(config.get("metadata")) or _mode(model.metadata),
        outer=call_around(),
        labels=(*_flat(model.tags), *(config.get("tags") or ())),
        parent=getattr(config.get("callbacks"), "parent_run_id", None),
        is_async=is_async,
        is_stream=is_stream,
    )


def _events_call(model: BaseLanguageModel[Any], _: Sequence[Any], kwargs: Mapping[str, Any]) -> Call | None:
    """A call of `_iter_v2_events(messages, *, run_manager, stream, stop, **options)`."""
    outer, run = call_around(), kwargs["run_manager"]
    if outer is not None and outer.model is model:
        return None  # within `invoke`, which has looked up already
    return Call(
        model,
        kwargs.get("stop"),
        options_of(kwargs),
        mode=_mode(run.metadata),
        outer=outer,
        labels=run.tags,
        parent=run.parent_run_id,
        is_stream=True,
    )


def _flat(tags: Any) -> list[str]:
    """The tags of a call, or of all calls of a batch. A user's own class may give something else, which has no tags."""
    if isinstance(tags, str):
        return [tags]
    return [tag for each in tags for tag in _flat(each)] if isinstance(tags, list | tuple | set | frozenset) else []


def _mode(metadata: Any) -> str | None:
    """The mode that a call asks for by `config={"metadata": {"nbcache": "off"}}`. Raises ValueError."""
    if not metadata or (type(metadata) is dict and "nbcache" not in metadata):
        return None
    parts = metadata if isinstance(metadata, list | tuple) else [metadata]
    modes = [part.get("nbcache") if isinstance(part, Mapping) else None for part in parts]
    if any(mode != modes[0] for mode in modes):
        raise ModeError(f"one batch has one mode, not {modes}: call the model for each")
    if modes[0] is None:
        return None
    try:
        return checked_mode(modes[0])
    except ValueError as error:
        raise ModeError(f'config={{"metadata": {{"nbcache": {modes[0]!r}}}}}: {error}') from None
