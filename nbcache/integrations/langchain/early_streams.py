"""Streams whose chunks are played before LangChain sets up a run, where nobody listens.

LangChain does more for each chunk than to hand it on: it makes a chunk of its own around it, tells handlers, and keeps it to join
them all at the end. Nobody sees that of a call to which nobody listens. The chunks that the reader gets are the same.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing, nullcontext
from functools import wraps
from itertools import chain
from typing import Any

from langchain_core.messages import AIMessageChunk, BaseMessage

from nbcache import codec
from nbcache.cache.absent import Absent
from nbcache.cache.memory import CachedAnswer
from nbcache.cache.notebook_cache import NotebookCache
from nbcache.codec.chunk_copies import handed_out
from nbcache.codec.chunks import as_chunk
from nbcache.codec.messages import new_id
from nbcache.concurrency.loop_turns import take_turn
from nbcache.errors import logger
from nbcache.integrations.langchain.early_hits import ASYNC_STREAM, STREAM, EarlyHits, Known
from nbcache.integrations.langchain.recorded_stream import has_choices, whole_if_unreadable

_NO_CHUNK: Any = object()


class EarlyStreams:
    """Plays streams of chat models early."""

    def __init__(self, early: EarlyHits) -> None:
        self._early = early

    def before_run(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For `stream(input, config, *, stop, **options)`."""

        @wraps(original)
        def wrapper(model: Any, /, *args: Any, **kwargs: Any) -> Iterator[Any]:
            known = self._known(model, args, kwargs)
            messages = None if known is None else _messages(known, on_loop=False)
            if isinstance(messages, Iterator):
                yield from messages
                return
            with closing(original(model, *args, **kwargs)) as items:
                with messages or nullcontext():  # the call is looked up before its first chunk comes
                    first = next(items, _NO_CHUNK)
                if first is not _NO_CHUNK:
                    yield first
                    yield from items

        return wrapper

    def before_run_async(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """As `before_run`, awaited."""

        @wraps(original)
        async def wrapper(model: Any, /, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            await take_turn()  # before its key is worked out: a thousand keys at once would hold up the loop
            known = self._known(model, args, kwargs, is_async=True)
            messages = None if known is None else _messages(known, on_loop=True)
            if isinstance(messages, Iterator):
                for message in messages:
                    yield message
                return
            async with aclosing(original(model, *args, **kwargs)) as items:
                with messages or nullcontext():  # as above
                    first = await anext(items, _NO_CHUNK)
                if first is not _NO_CHUNK:
                    yield first
                    async for item in items:
                        yield item

        return wrapper

    def _known(
        self, model: Any, args: Sequence[Any], kwargs: Mapping[str, Any], *, is_async: bool = False
    ) -> Known | None:
        """A call of which LangChain would stream the chunks as they are, if nobody listens."""
        try:
            known = self._early.unheard(model, args, kwargs, ASYNC_STREAM if is_async else STREAM, is_async=is_async)
            if known is None or has_choices(model, kwargs) or model.output_version == "v1":
                return None
            streams = model._should_stream(async_api=is_async, **{**kwargs, "stream": True})  # noqa: SLF001 - as LangChain does
        except Exception as error:  # noqa: BLE001 - the long way says what is wrong
            logger.debug("nbcache: a stream could not be played early: %r", error)
            return None
        return known if streams else None


def _messages(known: Known, *, on_loop: bool) -> Iterator[BaseMessage] | Absent | None:
    """The chunks of a known call, as LangChain hands them out. Something else if the call is not a hit."""
    cache, call, is_heard = known
    try:
        answer = cache.find_known_stream(call, is_heard, on_loop=on_loop)
        return _played(cache, call.key, answer) if isinstance(answer, CachedAnswer) else answer
    except Exception as error:  # noqa: BLE001 - as above
        logger.debug("nbcache: a stream could not be played early: %r", error)
        return None


def _played(cache: NotebookCache, key: str, answer: CachedAnswer) -> Iterator[BaseMessage]:
    message_id, first = new_id(), None
    messages: Iterator[BaseMessage] = iter(())
    with whole_if_unreadable(key):
        messages = codec.read(answer.payload, key).messages(message_id)
        first = next(messages, None)
    first = first or handed_out(as_chunk(answer.generations()[0]), message_id)
    cache.origins.note_hit(first, answer)
    return _ended(chain((first,), messages), message_id)


def _ended(messages: Iterable[BaseMessage], message_id: str) -> Iterator[BaseMessage]:
    """All messages, and an empty one as LangChain adds it where the last doesn't say that it is the last."""
    for message in messages:
        yield message
    if isinstance(message, AIMessageChunk) and not message.chunk_position:
        content: Any = "" if isinstance(message.content, str) else []
        yield AIMessageChunk(content=content, chunk_position="last", id=message_id)
