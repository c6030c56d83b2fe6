"""The bodies of responses: a stream that is recorded while it is read, and a recorded one that is replayed."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

from nbcache.codec.sdk_response import HTTPResponse
from nbcache.errors import warn_once
from nbcache.integrations.http.apis.framing import framing_of
from nbcache.integrations.http.apis.recorder import Recorder
from nbcache.integrations.http.apis.response import framing_in
from nbcache.integrations.http.exchange import Exchange


class ReplayedBody:
    """A recorded body. A stream comes in the parts in which it was cut."""

    def __init__(self, recorded: HTTPResponse) -> None:
        framing, body = framing_of(recorded.headers.get("content-type", "")), recorded.body
        self._pieces = iter([body] if framing is None else framing.split(body))

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


class _RecordedBody:
    """A body that is recorded while it is read, and stored when its reader takes the last part of the answer."""

    def __init__(self, exchange: Exchange, status: int, headers: Mapping[str, str]) -> None:
        self._exchange = exchange
        self._status, self._headers = status, headers
        self._recorder = Recorder(framing_in(headers, exchange.endpoint), exchange.endpoint.end)
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

    def _answer(self) -> tuple[int, Mapping[str, str], bytes]:
        return self._status, self._headers, bytes(self._recorder.recorded)

    def _close(self) -> bool:
        """No more will come. Returns whether that is what makes the answer complete."""
        ended = self._recorder.ended
        self._recorder.close()
        if not self._recorder.ended:
            name = self._exchange.endpoint.name
            warn_once(f"stream {name}", f"nbcache: a stream from {name} is not cached: it ended before it was complete")
        return self._recorder.ended and not ended


class RecordedBody(_RecordedBody):
    """The sync form: an iterator of `chunks`. `close_response` closes where they come from."""

    def __init__(
        self,
        exchange: Exchange,
        status: int,
        headers: Mapping[str, str],
        chunks: Iterator[bytes],
        close_response: Callable[[], object],
    ) -> None:
        super().__init__(exchange, status, headers)
        self._chunks = chunks
        self._close_response = close_response

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
        if is_complete or (self._recorder.at_closing and self._read_end()):
            self._exchange.save(*self._answer())
        self._taken_at = time.perf_counter()
        return piece

    def _read_end(self) -> bool:
        """Read on to the formal end, since the reader may leave before it. Returns whether the answer is complete with it."""
        try:
            while not self._recorder.end_has_come:
                self._recorder.feed(next(self._chunks))
        except StopIteration:
            return False
        except Exception as error:  # noqa: BLE001 - the reader gets it, if it goes on
            self._chunks = _failing(error)
            return False
        self._recorder.complete()
        return True

    def close(self) -> None:
        """End the call, and close the response."""
        self._exchange.call.end()
        self._close_response()


class AsyncRecordedBody(_RecordedBody):
    """As `RecordedBody`."""

    def __init__(
        self,
        exchange: Exchange,
        status: int,
        headers: Mapping[str, str],
        chunks: AsyncIterator[bytes],
        close_response: Callable[[], Awaitable[object]],
    ) -> None:
        super().__init__(exchange, status, headers)
        self._chunks = chunks
        self._close_response = close_response

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
        if is_complete or (self._recorder.at_closing and await self._read_end()):
            await self._exchange.asave(*self._answer())
        self._taken_at = time.perf_counter()
        return piece

    async def _read_end(self) -> bool:
        """As `RecordedBody._read_end`."""
        try:
            while not self._recorder.end_has_come:
                self._recorder.feed(await anext(self._chunks))
        except StopAsyncIteration:
            return False
        except Exception as error:  # noqa: BLE001 - as above
            self._chunks = _afailing(error)
            return False
        self._recorder.complete()
        return True

    async def aclose(self) -> None:
        """As `RecordedBody.close`."""
        self._exchange.call.end()
        await self._close_response()


async def one_piece(piece: bytes) -> AsyncIterator[bytes]:
    """A body that has come whole."""
    yield piece


def _failing(error: Exception) -> Iterator[bytes]:
    raise error
    yield b""


async def _afailing(error: Exception) -> AsyncIterator[bytes]:
    raise error
    yield b""
