"""Streams: chunks pass through, and are stored when the last one has come. On a hit they are played again.

LangChain's `stream` adds callbacks, ids and events. So what is recorded and played are the chunks of `_stream` and `_astream`
of the model's class, below it. The public entry points only say which call it is.
"""

import functools
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel, BaseLLM
from langchain_core.language_models.base import BaseLanguageModel

from nbcache.cache.call import Call, current_call, current_model_call, running
from nbcache.codec.new_chunks import Chunk
from nbcache.entry.langchain_clients import is_clients_own
from nbcache.integrations.langchain import rate_limits as limiters
from nbcache.integrations.langchain.calls_past_langchain import count_bypass
from nbcache.integrations.langchain.recorded_stream import Recording
from nbcache.integrations.patching import Wrapping

if TYPE_CHECKING:
    from nbcache.integrations.langchain.end_marks import End


def wrap_chunks(wrapping: Wrapping, model: BaseLanguageModel[Any]) -> None:
    """Wrap the methods that make chunks, of a model's class and of the models within it, once for each class.

    These are the class's own methods and those that it inherits.
    """
    if wrap_class(wrapping, type(model)):
        for inner in list(vars(model).values()):
            if issubclass(type(inner), BaseChatModel | BaseLLM):  # to ask the object itself may run its own code
                wrap_chunks(wrapping, inner)


def wrap_class(wrapping: Wrapping, cls: type) -> bool:
    """Wrap the methods of this class that make chunks. False if that had been done."""
    return wrapping.wrap_all(cls, {"_stream": _stream, "_astream": _astream}, but=(BaseChatModel, BaseLLM))


def stepped(call: Call, items: Iterator[Any]) -> Iterator[Any]:
    """`items`, with `call` as the current one while each is made: a generator runs in the context of its reader."""
    call.frame = sys._getframe()  # noqa: SLF001 - this is the one that makes the call
    try:
        while True:
            token = call.token = current_call.set(call)
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                current_call.reset(token)
            yield item
    finally:
        with running(call):
            _close(items)


async def astepped(call: Call, items: Any) -> AsyncIterator[Any]:
    """As `stepped`, awaited."""
    call.frame = sys._getframe()  # noqa: SLF001 - as above
    try:
        while True:
            token = call.token = current_call.set(call)
            try:
                item = await anext(items)
            except StopAsyncIteration:
                return
            finally:
                current_call.reset(token)
            yield item
    finally:
        with running(call):
            await _aclose(items)


def _stream(
    wrapping: Wrapping, owner: type, original: Callable[..., Iterator[Chunk]]
) -> Callable[..., Iterator[Chunk]]:
    @functools.wraps(original)
    def wrapper(model: Any, /, *args: Any, **kwargs: Any) -> Iterator[Chunk]:
        call = current_model_call()
        stream = Recording.of(call, model, args, kwargs) if wrapping.active else None
        answer = None if stream is None else stream.find()
        if stream is not None and answer is not None:
            yield from stream.played(answer)
            return
        if stream is None and wrapping.active and (bypass := _refuse(wrapping, model, call, "_stream")) is not None:
            yield from stepped(bypass, original(model, *args, **kwargs))
            return
        limiters.wait(call, model)
        chunks = original(model, *args, **kwargs)
        end = _end(wrapping, owner, call)
        if stream is None and end is None:
            yield from chunks
            return
        try:
            for chunk in chunks:
                _record(stream, end, chunk)
                yield chunk
                if stream is not None:
                    stream.go_on()
        finally:
            _close(chunks)
        if end is not None:
            end.close()
        if stream is not None:
            stream.save()

    return wrapper


def _astream(
    wrapping: Wrapping, owner: type, original: Callable[..., AsyncIterator[Chunk]]
) -> Callable[..., AsyncIterator[Chunk]]:
    @functools.wraps(original)
    async def wrapper(model: Any, /, *args: Any, **kwargs: Any) -> AsyncIterator[Chunk]:
        call = current_model_call()
        stream = Recording.of(call, model, args, kwargs) if wrapping.active else None
        answer = None if stream is None else await stream.afind()
        if stream is not None and answer is not None:
            for chunk in stream.played(answer):
                yield chunk
            return
        if stream is None and wrapping.active and (bypass := _refuse(wrapping, model, call, "_astream")) is not None:
            async for chunk in astepped(bypass, original(model, *args, **kwargs)):
                yield chunk
            return
        await limiters.await_(call, model)
        chunks = original(model, *args, **kwargs)
        end = _end(wrapping, owner, call)
        try:
            async for chunk in chunks:
                _record(stream, end, chunk)
                yield chunk
                if stream is not None:
                    stream.go_on()
        finally:
            await _aclose(chunks)
        if end is not None:
            end.close()
        if stream is not None:
            await stream.asave()

    return wrapper


def _refuse(wrapping: Wrapping, model: Any, call: Call | None, name: str) -> Call | None:
    """Raise ReplayMiss in mode `replay`: these chunks were not looked up. Else, if no call is known, count an uncached one.

    Returns the one that was counted here: what is called within it is no further call.
    """
    cache = wrapping.cache_now()
    if call is None:
        return count_bypass(cache, model, name)
    if cache is not None:
        cache.forbid_in_replay(call, "isn't looked up")
    return None


def _end(wrapping: Wrapping, owner: type, call: Call | None) -> "End | None":
    """Watches for the end of a stream of `owner`. None if that is no provider's client: its last chunk is the end."""
    if call is None or not wrapping.active or not is_clients_own(owner):
        return None
    from nbcache.integrations.langchain.end_marks import End  # noqa: PLC0415 - only a stream that is made needs it

    return End(wrapping, call)


def _record(stream: Recording | None, end: "End | None", chunk: Chunk) -> None:
    """Note a chunk before its reader, who may change it, gets it."""
    is_repeated = stream is not None and stream.add(chunk)
    if end is not None and not is_repeated:  # the one before has shown no end, or all that comes after it is one
        end.look_at(chunk)


def _close(items: Any) -> None:
    """Close an iterator that isn't read to its end, if it can be closed."""
    if (close := getattr(items, "close", None)) is not None:
        close()


async def _aclose(items: Any) -> None:
    if (close := getattr(items, "aclose", None)) is not None:
        await close()
