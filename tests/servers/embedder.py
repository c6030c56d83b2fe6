"""A server of embeddings on loopback, which speaks OpenAI's language and notes every text that it is sent."""

import base64
import hashlib
import json
import struct
import threading
from dataclasses import dataclass, field
from typing import Any

from tests.servers.loopback import Handler, Loopback

_PATIENCE = 30  # seconds that a held answer waits at most


@dataclass
class Embedder(Loopback):
    """The running server, as a context manager. `requests` are the bodies that came in.

    Of the next requests as many as `failures` has fail, each with its status; `leave_out` vectors are missing in each
    answer. While `open` is not set no answer leaves.
    """

    requests: list[dict[str, Any]] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    leave_out: int = 0

    def __post_init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.lock = threading.Lock()
        self._came = threading.Condition()
        super().__init__(_Handler)

    def let_go(self) -> None:
        self.open.set()

    @property
    def texts(self) -> list[str]:
        """Every text that was sent, in this order."""
        return [text for request in self.requests for text in request["input"]]

    def wait_for(self, count: int) -> None:
        """Wait until `count` requests have come in. Raises TimeoutError."""
        with self._came:
            if not self._came.wait_for(lambda: len(self.requests) >= count, _PATIENCE):
                raise TimeoutError(f"{len(self.requests)} requests came in, not {count}")

    def receive(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The status and the answer to a request."""
        if isinstance(body["input"], str):
            body["input"] = [body["input"]]
        with self._came:
            self.requests.append(body)
            failure = self.failures.pop(0) if self.failures else None
            self._came.notify_all()
        self.open.wait(_PATIENCE)
        if failure is not None:
            return failure, {"error": {"message": f"status {failure}"}}
        texts = body["input"][: len(body["input"]) - self.leave_out]
        data = [
            {"object": "embedding", "index": i, "embedding": sent_vector(body, text)} for i, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return 200, {"object": "list", "model": body["model"], "data": data, "usage": usage}


def vector_of(text: str, model: str = "text-embedding-3-small", dimensions: int = 8) -> list[float]:
    """The vector that the server has for a text: its numbers need all of their 64 bits."""
    seed = hashlib.shake_256(f"{model} {dimensions} {text}".encode(errors="surrogatepass")).digest(dimensions * 4)
    return [number / 2**31 - 1 for number in struct.unpack(f"<{dimensions}I", seed)]


def in_32_bits(vector: list[float]) -> list[float]:
    """The vector as OpenAI sends it where the client leaves that to it."""
    return list(struct.unpack(f"<{len(vector)}f", struct.pack(f"<{len(vector)}f", *vector)))


def bits(vectors: list[list[float]]) -> list[bytes]:
    """The numbers as bytes: no two different ones are the same there, not even 0.0 and -0.0."""
    return [struct.pack(f"<{len(vector)}d", *vector) for vector in vectors]


def sent_vector(body: dict[str, Any], text: str) -> Any:
    """The vector of a text in the form that a request of OpenAI's asks for."""
    vector = vector_of(text, body["model"], body.get("dimensions") or 8)
    if body.get("encoding_format") == "base64":
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    return vector


class _Handler(Handler):
    def respond(self) -> None:
        status, answer = self.server.owner.receive(json.loads(self.body()))
        self.send(status, "application/json", json.dumps(answer).encode())
