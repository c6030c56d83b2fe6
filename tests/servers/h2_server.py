"""A server on loopback that speaks HTTP/2 without TLS, as a client does that knows it beforehand: one answer for each request."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class H2Server:
    """Answers each request with `pieces`, each in a frame of its own. `requests` are the paths that came."""

    def __init__(self, content_type: str, pieces: list[bytes], headers: dict[str, str]) -> None:
        self.requests: list[str] = []
        self._content_type, self._pieces, self._headers = content_type, pieces, headers
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def serve(self) -> None:
        with suppress(OSError):  # it is closed
            while True:
                connection, _ = self._listening.accept()
                self._connections.append(connection)
                threading.Thread(target=self._speak, args=(connection,), daemon=True).start()

    def close(self) -> None:
        for each in (self._listening, *self._connections):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _speak(self, connection: socket.socket) -> None:
        import h2.config
        import h2.connection
        import h2.events

        protocol = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        protocol.initiate_connection()
        paths: dict[int, str] = {}
        with suppress(OSError):
            connection.sendall(protocol.data_to_send())
            while data := connection.recv(65_536):
                for event in protocol.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        paths[event.stream_id] = _text(
                            dict(event.headers).get(b":path") or dict(event.headers)[":path"]
                        )
                    elif isinstance(event, h2.events.DataReceived):
                        protocol.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    elif isinstance(event, h2.events.StreamEnded):
                        self.requests.append(paths[event.stream_id])
                        self._answer(protocol, event.stream_id)
                connection.sendall(protocol.data_to_send())

    def _answer(self, protocol: Any, stream: int) -> None:
        head = {":status": "200", "content-type": self._content_type, **self._headers}
        protocol.send_headers(stream, list(head.items()))
        for number, piece in enumerate(self._pieces, 1):
            protocol.send_data(stream, piece, end_stream=number == len(self._pieces))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@contextmanager
def serving(content_type: str, pieces: list[bytes], **headers: str) -> Iterator[H2Server]:
    """A server, in a thread, that gives this answer to each request."""
    server = H2Server(content_type, pieces, headers)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()
