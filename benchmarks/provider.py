"""An OpenAI-shaped server on loopback for the calls that fill the caches: real client, real HTTP, requests counted."""

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .replies import reply
from .workload import answer, question


class Provider(ThreadingHTTPServer):
    """Answers the questions it was given, and nothing else."""

    def __init__(self, positions: Iterable[int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.known = {str(question(i)[-1].content): i for i in positions}
        self.requests = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


@contextmanager
def provider(positions: Iterable[int]) -> Iterator[Provider]:
    """A running server for these positions of the workload."""
    with Provider(positions) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Provider

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["messages"][-1]["content"]
        self.server.requests += 1
        i = self.server.known[asked]
        body = json.dumps(reply(i, answer(i))).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """A request log would drown the bench's table."""
