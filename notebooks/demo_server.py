"""A small OpenAI-compatible server for the examples: no key, no network, no model; every answer says it is a demo.

    from demo_server import client_options
    llm = ChatOpenAI(**client_options())

With `OPENAI_API_KEY` in the environment the same two lines talk to the provider.
"""

import functools
import json
import os
import re
import sys
import threading
import time
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, Self
from urllib.parse import urlsplit

from openai import DefaultAsyncHttpxClient, DefaultHttpxClient

# The endpoint is part of a call's cache key, so it must not name the port that happened to be free. The clients are
# told this address, which never resolves, and reach the server as their HTTP proxy.
BASE_URL = "http://demo.nbcache.invalid/v1"
MODEL = "demo-model"
MARK = "[demo answer]"
ANSWERS = {
    "what is a monad?": "A way to chain steps that each return a value in a wrapper: a list, an optional, a promise.",
    "explain it to a cook.": "Each station passes a covered tray: it lifts the cover, does its work, and covers again.",
    "and in one line of python?": "bind = lambda xs, f: [y for x in xs for y in f(x)]",
    "what is a closure?": "A function that remembers the variables of the place where it was defined.",
    "what is a decorator?": "A function that takes a function and returns another to be used in its place.",
    "what is a generator?": "A function that hands out its values one at a time, pausing in between.",
    "what is a cache?": "A place for answers to questions already asked, so that asking again costs nothing.",
    "what is nbcache?": "It keeps the answers of a notebook's LLM calls on disk: run it twice, pay once.",
    "what is langchain?": "A Python framework that gives the models of many providers one interface.",
    "what is the capital of france?": "Paris.",
    "why is the sky blue?": "Air scatters short wavelengths more than long ones, so blue comes from everywhere.",
    "who are you?": "A small server that comes with nbcache's examples. I know a dozen answers by heart.",
}
FALLBACK = "I am not a model and know only a dozen answers. Set OPENAI_API_KEY to ask a real one."


@dataclass(frozen=True)
class Completion:
    """One request, understood, and the answer it gets."""

    answer: str
    prompt_tokens: int
    n: int
    stream: bool

    @classmethod
    def of(cls, body: bytes) -> Self:
        """Read a request's JSON; `ValueError` says what is wrong with it."""
        request = json.loads(body)
        messages = request.get("messages") if isinstance(request, dict) else None
        if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) for m in messages):
            raise ValueError("'messages' must be a list of at least one message")
        n = request.get("n") or 1
        if not isinstance(n, int) or not 1 <= n <= 128:
            raise ValueError("'n' must be an integer from 1 to 128")
        texts = [str(message.get("content")) for message in messages]
        question = " ".join(texts[-1].lower().split())
        return cls(
            answer=f"{MARK} {ANSWERS.get(question, FALLBACK)}",
            prompt_tokens=3 + sum(4 + _tokens(text) for text in texts),
            n=n,
            stream=bool(request.get("stream")),
        )

    @property
    def usage(self) -> dict[str, Any]:
        """The tokens, as the provider reports them: the prompt's once, the answer's for each of the n choices."""
        asked, answered = self.prompt_tokens, self.n * _tokens(self.answer)
        details = {"prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0}}
        return details | {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}

    def choices(self, finish_reason: str | None, **content: object) -> list[dict[str, Any]]:
        """The same content n times: who knows one answer can't draw samples."""
        return [{"index": i, "finish_reason": finish_reason, "logprobs": None, **content} for i in range(self.n)]


def _tokens(text: str) -> int:
    return -(-len(text) // 4)


class DemoServer(ThreadingTCPServer):  # not HTTPServer, which looks its own name up and may wait seconds for the DNS
    """Serves on a free loopback port from the moment it is made. `latency` scales the waiting: 0 answers at once."""

    daemon_threads = True
    request_queue_size = 128  # a batch connects many times at once

    def __init__(self, latency: float = 1.0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.latency = latency
        self.requests = 0
        self.counting = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.05,), name="nbcache-demo-server", daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def seconds(self, completion: Completion) -> float:
        """How long the answer takes: about what a small model would need."""
        return self.latency * min(0.3 + 0.01 * _tokens(completion.answer), 0.9)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report errors, but not a client that went away: an interrupted cell does that."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: DemoServer
    protocol_version = "HTTP/1.1"  # connections are kept alive, as the provider does
    disable_nagle_algorithm = True  # or every answer would wait 40 ms for the client's delayed acknowledgement

    def do_POST(self) -> None:
        with self.server.counting:
            self.server.requests += 1
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path  # who uses us as a proxy sends the whole URL, who calls us directly the path
        if path != "/v1/chat/completions":
            return self._refuse(HTTPStatus.NOT_FOUND, f"the demo server has /v1/chat/completions only, not {path}")
        try:
            completion = Completion.of(body)
        except ValueError as error:
            return self._refuse(HTTPStatus.BAD_REQUEST, f"the request could not be read: {error}")
        return self._stream(completion) if completion.stream else self._answer(completion)

    def _answer(self, completion: Completion) -> None:
        time.sleep(self.server.seconds(completion))
        choices = completion.choices("stop", message={"role": "assistant", "content": completion.answer})
        self._send(HTTPStatus.OK, _label("chat.completion") | {"choices": choices, "usage": completion.usage})

    def _stream(self, completion: Completion) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")  # its length is not known, so it ends where the connection does
        self.end_headers()
        words = re.findall(r"\s*\S+", completion.answer)
        deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in words)]
        chunks: list[dict[str, Any]] = [{"choices": completion.choices(None, delta=delta)} for delta in deltas]
        chunks.append({"choices": completion.choices("stop", delta={})})
        chunks.append({"choices": [], "usage": completion.usage})
        label = _label("chat.completion.chunk")
        for chunk in chunks:
            self.wfile.write(b"data: %s\n\n" % json.dumps(label | chunk).encode())
            time.sleep(self.server.seconds(completion) / len(chunks))
        self.wfile.write(b"data: [DONE]\n\n")

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
        self._send(status, {"error": error})

    def _send(self, status: HTTPStatus, payload: dict[str, Any]) -> None:
        body = json.dumps(payload).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the notebook quiet: the default prints a line for each request."""


def _label(kind: str) -> dict[str, Any]:
    identity = {"id": f"chatcmpl-demo-{uuid.uuid4().hex}", "object": kind, "created": int(time.time())}
    return identity | {"model": MODEL, "system_fingerprint": "nbcache-demo"}


@functools.cache  # or a cell that is run again and again would pile up connections
def demo_options(server_url: str) -> dict[str, Any]:
    """What `ChatOpenAI` needs to talk to the demo server at that address."""
    options = {"model": MODEL, "base_url": BASE_URL, "api_key": "none-needed"}
    return options | {
        "http_client": DefaultHttpxClient(proxy=server_url),
        "http_async_client": DefaultAsyncHttpxClient(proxy=server_url),
    }


_kernels_server = functools.cache(DemoServer)  # likewise: one for the kernel


def client_options() -> dict[str, Any]:
    """What to give to `ChatOpenAI`: with `OPENAI_API_KEY` set, a model of the provider; else the demo server."""
    if os.environ.get("OPENAI_API_KEY"):
        print("OPENAI_API_KEY is set: the provider answers.")
        return {"model": "gpt-4o-mini"}
    print("OPENAI_API_KEY is not set: a demo server on this machine answers, from a fixed set of answers.")
    return demo_options(os.environ.get("NBCACHE_DEMO_URL") or _kernels_server().url)
