"""The bodies of responses: a stream that is recorded while it is read, and a recorded one that is replayed."""

import functools
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from nbcache.errors import warn_once
from nbcache.integrations.http.apis.recorder import Recorder
from nbcache.integrations.http.exchange import Exchange


@functools.cache
def for_httpx(kind: Any, family: Any) -> Any:
    """One of the classes below as a stream of `family`, the module httpx or httpx2."""
    return type(kind.__name__, (kind, family.SyncByteStream, family.AsyncByteStream), {})


class ReplayedBody:
    """A recorded body, piece by piece."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = iter(pieces)

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


class _Stream:
    """A body that is recorded while it is read, and stored when its reader takes the last event of the answer."""

    def __init__(self, response: Any, exchange: Exchange) -> None:
        self._response = response
        self._exchange = exchange
        self._recorder = Recorder(exchange.endpoint.framing, exchange.endpoint.end)
        self._taken_at: float | None = None

    def _resume(self) -> None:
        """The reader wants the next piece: the time since the last one was the reader's, not the model's."""
        if self._taken_at is not None:
            self._exchange.call.idle += time.perf_counter() - self._taken_at

    def _take(self) -> tuple[bytes | None, bool]:
        """The next piece, if it has come, and whether the answer is complete with it."""
        ended = self._recorder.ended
        piece = self._recorder.take()
        return piece, self._recorder.ended and not ended

    def _answer(self) -> tuple[int, Any, bytes]:
        return self._response.status_code, self._response.headers, bytes(self._recorder.recorded)

    def _close(self) -> bool:
        """No more will come. Returns whether that is what makes the answer complete."""
        ended = self._recorder.ended
        self._recorder.close()
        if not self._recorder.ended:
            path = self._exchange.endpoint.name
            warn_once(f"stream {path}", f"nbcache: a stream from {path} is not cached: it ended before it was complete")
        return self._recorder.ended and not ended


class SyncStream(_Stream):
    """The sync form of a recorded stream, an `httpx.SyncByteStream`."""

    def __init__(self, response: Any, exchange: Exchange) -> None:
        super().__init__(response, exchange)
        self._chunks = response.iter_bytes()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._resume()
        piece, is_complete = self._take()
        while piece is None:
            try:
                self._recorder.feed(next(self._chunks))
            except StopIteration:
                if self._close():
                    self._exchange.save(*self._answer())
                raise
            piece, is_complete = self._take()
        if is_complete:
            self._exchange.save(*self._answer())
        self._taken_at = time.perf_counter()
        return piece

    def close(self) -> None:
        """End the call, and close the response."""
        self._exchange.call.end()
        self._response.close()


class AsyncStream(_Stream):
    """The async form of a recorded stream, an `httpx.AsyncByteStream`."""

    def __init__(self, response: Any, exchange: Exchange) -> None:
        super().__init__(response, exchange)
        self._chunks = response.aiter_bytes()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self._resume()
        piece, is_complete = self._take()
        while piece is None:
            try:
                self._recorder.feed(await anext(self._chunks))
            except StopAsyncIteration:
                if self._close():
                    await self._exchange.asave(*self._answer())
                raise
            piece, is_complete = self._take()
        if is_complete:
            await self._exchange.asave(*self._answer())
        self._taken_at = time.perf_counter()
        return piece

    async def aclose(self) -> None:
        """As `SyncStream.close`."""
        self._exchange.call.end()
        await self._response.aclose()
