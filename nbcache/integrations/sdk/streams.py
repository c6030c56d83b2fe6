"""The bodies of responses: one on its way, which is recorded as it is read, and one that was."""

import functools
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from nbcache.errors import warn_once
from nbcache.integrations.sdk.exchange import Exchange
from nbcache.integrations.sdk.sse import Recorder


@functools.cache
def for_httpx(kind: Any, family: Any) -> Any:
    """One of the classes below, as the streams of this family of httpx (the module) have to be."""
    return type(kind.__name__, (kind, family.SyncByteStream, family.AsyncByteStream), {})


class ReplayedBody:
    """A body that was recorded, piece by piece."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = iter(pieces)

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


class _Stream:
    """A body on its way, recorded as it is read; kept when the event is taken with which the answer is whole."""

    def __init__(self, response: Any, exchange: Exchange) -> None:
        self._response = response
        self._exchange = exchange
        self._recorder = Recorder(exchange.dialect.ends)
        self._handed_out: float | None = None

    def _asked_for_more(self) -> None:
        """Whoever reads comes back: the time until now was theirs, not the model's."""
        if self._handed_out is not None:
            self._exchange.call.idle += time.perf_counter() - self._handed_out

    def _take(self) -> tuple[bytes | None, bool]:
        """The next piece, if it is there, and whether the answer is whole with it."""
        ended = self._recorder.ended
        piece = self._recorder.take()
        return piece, self._recorder.ended and not ended

    def _answer(self) -> tuple[int, Any, bytes]:
        return self._response.status_code, self._response.headers, bytes(self._recorder.recorded)

    def _no_more(self) -> None:
        if not self._recorder.ended:
            path = self._exchange.dialect.path
            warn_once(f"stream {path}", f"nbcache: a stream from {path} is not cached: it ended before it was complete")


class SyncStream(_Stream):
    """In place of an `httpx.SyncByteStream`."""

    def __init__(self, response: Any, exchange: Exchange) -> None:
        super().__init__(response, exchange)
        self._chunks = response.iter_bytes()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._asked_for_more()
        piece, is_whole = self._take()
        while piece is None:
            try:
                self._recorder.feed(next(self._chunks))
            except StopIteration:
                self._no_more()
                raise
            piece, is_whole = self._take()
        if is_whole:
            self._exchange.keep(*self._answer())
        self._handed_out = time.perf_counter()
        return piece

    def close(self) -> None:
        """End the call, and let go of the connection."""
        self._exchange.call.end()
        self._response.close()


class AsyncStream(_Stream):
    """In place of an `httpx.AsyncByteStream`."""

    def __init__(self, response: Any, exchange: Exchange) -> None:
        super().__init__(response, exchange)
        self._chunks = response.aiter_bytes()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self._asked_for_more()
        piece, is_whole = self._take()
        while piece is None:
            try:
                self._recorder.feed(await anext(self._chunks))
            except StopAsyncIteration:
                self._no_more()
                raise
            piece, is_whole = self._take()
        if is_whole:
            await self._exchange.akeep(*self._answer())
        self._handed_out = time.perf_counter()
        return piece

    async def aclose(self) -> None:
        """As `SyncStream.close`."""
        self._exchange.call.end()
        await self._response.aclose()
