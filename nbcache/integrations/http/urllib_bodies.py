"""The bodies of responses of urllib3, from which `requests` and botocore read. Nothing is imported."""

import http.client
import io
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from nbcache.integrations.http.exchange import Exchange
from nbcache.integrations.http.recorded_bodies import RecordedBody


class UrllibForm:
    """What `requests` and botocore have in common of `call_course.Form`: the body of a response is urllib3's, in `raw`."""

    def head(self, response: Any) -> tuple[int, Mapping[str, str]]:
        """The status and the headers of a response."""
        return response.status_code, response.headers

    def read(self, response: Any) -> Any:
        """Read and close a response. Returns its decoded body."""
        return response.content

    def streamed(self, response: Any, exchange: Exchange) -> Any:
        """The response for the caller, whose body is recorded while it is read."""
        raw = response.raw
        body = RecordedBody(exchange, *self.head(response), bytes_as_they_come(raw), raw.close)
        response.raw = UrllibBody(raw, body, body.close)
        return response


def urllib_response(status: int, headers: Mapping[str, str], body: bytes = b"") -> Any:
    """A response of urllib3 that has been received."""
    return sys.modules["urllib3"].HTTPResponse(
        io.BytesIO(body), headers=headers, status=status, reason="OK", preload_content=False, decode_content=False
    )


def bytes_as_they_come(raw: Any) -> Iterator[bytes]:
    """The decoded bytes of the body of urllib3's response, none of them later than they came."""
    is_from_network = isinstance(getattr(raw, "_original_response", None), http.client.HTTPResponse)
    if raw.chunked or not is_from_network or not hasattr(raw, "read1"):
        pieces: Iterator[bytes] = raw.stream(None, decode_content=True)
        return pieces
    return iter(lambda: raw.read1(2**16, decode_content=True), b"")  # without chunks, `stream` would wait for all of it


class UrllibBody:
    """What `requests` and botocore read a response's body from: urllib3's response, with other bytes, which are decoded.

    It has each method by which urllib3's response is read. All other attributes are those of that response.
    """

    def __init__(self, raw: Any, pieces: Iterator[bytes], close: Any) -> None:
        self._raw = raw
        self._pieces = pieces
        self._close = close
        self._rest = b""
        self._all: bytes | None = None
        self.closed = False  # as urllib3 has it: also once all is read

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, amt: int | None = None, decode_content: bool | None = None) -> Iterator[bytes]:  # noqa: ARG002, FBT001 - urllib3's
        """The bytes as they come, in pieces of at most `amt`."""
        while piece := self._rest or next(self._pieces, b""):
            size = amt or len(piece)
            self._rest = piece[size:]
            yield piece[:size]
        self.closed = True

    read_chunked = stream

    def read(self, amt: int | None = None, decode_content: bool | None = None, **_: Any) -> bytes:  # noqa: ARG002, FBT001 - as above
        """All bytes, or the next `amt` of them."""
        got = bytearray()
        while amt is None or amt < 0 or len(got) < amt:
            piece = self.read1(None if amt is None or amt < 0 else amt - len(got))
            if not piece:
                break
            got += piece
        return bytes(got)

    def read1(self, amt: int | None = None, decode_content: bool | None = None) -> bytes:  # noqa: ARG002, FBT001 - as above
        """The bytes that come next, at most `amt` of them."""
        return b"" if amt == 0 else next(self.stream(None if amt is None or amt < 0 else amt), b"")

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` as far as there are bytes. Returns how many there were."""
        got = self.read(len(buffer))
        buffer[: len(got)] = got
        return len(got)

    def readline(self, size: int | None = -1) -> bytes:
        """The next line with its break, or the first `size` bytes of it."""
        line, most = bytearray(), None if size is None or size < 0 else size
        while not line.endswith(b"\n") and (most is None or len(line) < most):
            piece = self.read1(None if most is None else most - len(line))
            if not piece:
                break
            end = piece.find(b"\n") + 1 or len(piece)
            self._rest = piece[end:] + self._rest
            line += piece[:end]
        return bytes(line)

    def readlines(self, hint: int = -1) -> list[bytes]:  # noqa: ARG002 - urllib3's
        """The lines."""
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    @property
    def data(self) -> bytes:
        """All bytes, as often as they are asked for."""
        if self._all is None:
            self._all = self.read()
        return self._all

    def json(self) -> Any:
        """The JSON in the body."""
        return json.loads(self.data)

    def close(self) -> None:
        """Close the connection."""
        self.closed = True
        self._close()
