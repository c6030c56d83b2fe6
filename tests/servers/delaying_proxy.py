"""A place on loopback that passes on to a server what it is sent, each piece later than it came."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class DelayingProxy:
    """The running proxy, as a context manager. `delay` (seconds) can be changed at any time; it ends with the block."""

    def __init__(self, port: int, delay: float = 0) -> None:
        self._to, self.delay = port, delay
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)  # as little as a network holds
        self.port: int = self._listening.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._ends = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.set()
        for each in (self._listening, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                self._sockets += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if self._ends.wait(self.delay):
                    return
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
