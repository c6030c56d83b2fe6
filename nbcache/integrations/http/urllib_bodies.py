"""The bodies of responses of urllib3, from which `requests` and botocore read. Nothing is imported."""

import io
import sys
from collections.abc import Iterator, Mapping
from typing import Any


def urllib_response(status: int, headers: Mapping[str, str], body: bytes = b"") -> Any:
    """A response of urllib3 that has been received."""
    return sys.modules["urllib3"].HTTPResponse(
        io.BytesIO(body), headers=headers, status=status, reason="OK", preload_content=False, decode_content=False
    )


class UrllibBody:
    """What `requests` and botocore read a response's body from: urllib3's response, with other bytes, which are decoded."""

    def __init__(self, raw: Any, pieces: Iterator[bytes], close: Any) -> None:
        self._raw = raw
        self._pieces = pieces
        self._close = close
        self._rest = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, amt: int | None = None, decode_content: bool | None = None) -> Iterator[bytes]:  # noqa: ARG002, FBT001 - urllib3's
        """The bytes as they come, in pieces of at most `amt`."""
        while piece := self._rest or next(self._pieces, b""):
            size = amt or len(piece)
            self._rest = piece[size:]
            yield piece[:size]

    def read(self, amt: int | None = None, decode_content: bool | None = None, **_: Any) -> bytes:  # noqa: ARG002, FBT001 - as above
        """All bytes, or the next `amt` of them."""
        got = bytearray()
        while amt is None or len(got) < amt:
            piece = next(self.stream(None if amt is None else amt - len(got)), b"")
            if not piece:
                break
            got += piece
        return bytes(got)

    def __iter__(self) -> Iterator[bytes]:
        return self.stream()

    def close(self) -> None:
        """Close the connection."""
        self._close()
