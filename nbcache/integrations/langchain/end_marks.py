"""Whether a provider's stream came to its end: a connection that breaks off looks like one that is done.

Most streams end with a finish reason, or with a last chunk that holds nothing but usage. Some servers send neither, and only
the mark that ends a stream in their protocol. Only the SDK below LangChain sees that mark.
"""

import functools
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from langchain_core.outputs import Generation

from nbcache.cache.call import Call, current_model_call
from nbcache.entry.status import shows_end
from nbcache.integrations.patching import Wrapping

_SDKS = ("openai", "anthropic", "groq")
_MARKS = frozenset({"message_stop", "response.completed", "response.incomplete"})  # names of events
_DONE = "[DONE]"


class End:
    """The end of one stream that a provider's client makes for `call`."""

    def __init__(self, wrapping: Wrapping, call: Call) -> None:
        _wrap_sdks(wrapping)
        self._call = call
        self._came = False
        self._chunks = 0
        self._has_usage = False
        call.marked = False

    def look_at(self, chunk: Generation) -> None:
        """A chunk has come; nobody has changed it yet."""
        if self._came:
            return
        message = getattr(chunk, "message", None)
        self._came = shows_end(chunk) or getattr(message, "chunk_position", None) == "last"
        if getattr(message, "usage_metadata", None):  # some report usage in each chunk, or in the first
            self._came = self._came or (self._chunks > 0 and not self._has_usage and not _says_something(message))
            self._has_usage = True
        self._chunks += 1

    def close(self) -> None:
        """No more chunks come. If this stream showed no end of its own, keep what the inner streams have reported."""
        call = self._call
        if self._came or call.marked:
            call.ended = True
        elif call.ended is None:
            call.ended = False
        outer = call.outer
        while call.ended is False and outer is not None:  # an answer that is made of half an answer
            outer.ended, outer = False, outer.outer


def _says_something(message: Any) -> bool:
    return bool(message.content or message.additional_kwargs or getattr(message, "tool_call_chunks", None))


def _wrap_sdks(wrapping: Wrapping) -> None:
    """Watch the events of the SDKs that are imported, once each. An SDK that no longer has such a method isn't watched."""
    for name in _SDKS:
        module = sys.modules.get(f"{name}._streaming")
        for cls, wrapper in (("Stream", _events), ("AsyncStream", _aevents)):
            stream = getattr(module, cls, None)
            if isinstance(stream, type) and callable(vars(stream).get("_iter_events")):
                wrapping.wrap_first(stream, {"_iter_events": wrapper})


def _events(_: Wrapping, original: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    @functools.wraps(original)
    def wrapper(stream: Any, /) -> Iterator[Any]:
        for event in original(stream):
            _note_mark(event)
            yield event

    return wrapper


def _aevents(_: Wrapping, original: Callable[..., AsyncIterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
    @functools.wraps(original)
    async def wrapper(stream: Any, /) -> AsyncIterator[Any]:
        async for event in original(stream):
            _note_mark(event)
            yield event

    return wrapper


def _note_mark(event: Any) -> None:
    if getattr(event, "event", None) in _MARKS or str(getattr(event, "data", "")).startswith(_DONE):
        call = current_model_call()
        if call is not None:
            call.marked = True
