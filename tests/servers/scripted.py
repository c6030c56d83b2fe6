"""A server on loopback whose answers a test writes itself: any status, any headers, and a body in pieces."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.servers.loopback import Handler, Loopback


@dataclass
class Sent:
    """A request that came in. `path` is the whole URL if it came by a proxy."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """An answer. Its pieces are sent one by one; without a length the connection ends the body, or `chunked` does."""

    pieces: Iterable[bytes]
    kind: str = "application/json"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Scripted(Loopback):
    """The running server, as a context manager. `reply` makes each answer."""

    def __init__(self, reply: Callable[[Sent], Reply]) -> None:
        self.reply = reply
        self.requests: list[Sent] = []
        self.connections: set[Any] = set()
        super().__init__(_Handler)


class _Handler(Handler):
    protocol_version = "HTTP/1.1"

    def body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return super().body()
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def respond(self) -> None:
        sent = Sent(self.path, {name.lower(): value for name, value in self.headers.items()}, self.body())
        owner: Scripted = self.server.owner
        owner.requests.append(sent)
        owner.connections.add(self.client_address)
        reply = owner.reply(sent)
        self.send_response(reply.status)
        for name, value in {"Content-Type": reply.kind, "Transfer-Encoding": "chunked", **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        for piece in reply.pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")
