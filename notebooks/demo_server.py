"""A small server for the examples, in place of a provider: no key, no network, no model; every answer says it is a demo.

    from demo_server import client_options, embedding_options
    llm = ChatOpenAI(**client_options())
    embeddings = OpenAIEmbeddings(**embedding_options())

With `OPENAI_API_KEY` in the environment the same lines talk to the provider. `prepare_clients` is for clients that take
endpoint and key from the environment.
"""

import functools
import json
import os
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any
from urllib.parse import urlsplit

from demo_answers import Repertoire
from demo_chat import CHAT_MODEL, Completion
from demo_providers import ENDPOINTS, Answer, AnthropicMessage, GoogleContent
from demo_vectors import EMBEDDING_MODEL, Embedding
from openai import DefaultAsyncHttpxClient, DefaultHttpxClient

# The endpoint is part of a call's cache key, so it must not name the port that happened to be free. The clients are
# told this address, which never resolves, and reach the server as their HTTP proxy.
HOST_URL = "http://demo.nbcache.invalid"
BASE_URL = f"{HOST_URL}/v1"
_NO_KEY = {"", "none-needed-in-replay"}  # in `replay` nbcache sets the second, since a client can't be made without one


class DemoServer(ThreadingTCPServer):  # not HTTPServer, which looks its own name up and may wait seconds for the DNS
    """Serves on a free loopback port from the moment it is made. `latency` scales the waiting: 0 answers at once."""

    daemon_threads = True
    request_queue_size = 128  # a batch connects many times at once

    def __init__(self, latency: float = 1.0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.latency = latency
        self.requests = 0
        self.repertoire = Repertoire()
        self.counting = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.05,), name="nbcache-demo-server", daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def wait(self, seconds: float) -> None:
        """Take as long as a model would."""
        time.sleep(self.latency * seconds)

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
        try:
            asked = self._asked(path, body)
        except ValueError as error:
            return self._refuse(HTTPStatus.BAD_REQUEST, f"the request could not be read: {error}")
        if asked is None:
            here = "/v1/chat/completions, /v1/embeddings, /v1/messages and generateContent"
            return self._refuse(HTTPStatus.NOT_FOUND, f"the demo server has {here} only, not {path}")
        if isinstance(asked, Completion) and asked.stream:
            return self._stream(asked)
        self.server.wait(asked.seconds)
        return self._send(HTTPStatus.OK, asked.answer())

    def _asked(self, path: str, body: bytes) -> Answer | None:
        repertoire = self.server.repertoire
        match path:
            case "/v1/chat/completions":
                return Completion.of(body, repertoire)
            case "/v1/embeddings":
                return Embedding.of(body)
            case "/v1/messages":
                return AnthropicMessage.of(body, repertoire)
        return GoogleContent.of(body, repertoire) if path.endswith(":generateContent") else None

    def _stream(self, completion: Completion) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")  # its length is not known, so it ends where the connection does
        self.end_headers()
        chunks = completion.chunks()
        for chunk in chunks:
            self.wfile.write(b"data: %s\n\n" % json.dumps(chunk).encode())
            self.server.wait(completion.seconds / len(chunks))
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


@functools.cache  # or a cell that is run again and again would pile up connections
def demo_options(server_url: str) -> dict[str, Any]:
    """What a client of OpenAI's needs to talk to the demo server at that address."""
    return {
        "base_url": BASE_URL,
        "api_key": "none-needed",
        "http_client": DefaultHttpxClient(proxy=server_url),
        "http_async_client": DefaultAsyncHttpxClient(proxy=server_url),
    }


_kernels_server = functools.cache(DemoServer)  # likewise: one for the kernel


def _demo_url() -> str:
    return os.environ.get("NBCACHE_DEMO_URL") or _kernels_server().url


def _has_key() -> bool:
    """Whether there is a key of the provider's."""
    return os.environ.get("OPENAI_API_KEY", "") not in _NO_KEY


def client_options() -> dict[str, Any]:
    """What to give to `ChatOpenAI`: with `OPENAI_API_KEY` set, a model of the provider; else the demo server."""
    if _has_key():
        print("OPENAI_API_KEY is set: the provider answers.")
        return {"model": "gpt-4o-mini"}
    print("OPENAI_API_KEY is not set: a demo server on this machine answers, from a fixed set of answers.")
    from langchain_openai import ChatOpenAI  # noqa: PLC0415 - not every notebook needs it

    options = {"model": CHAT_MODEL, **demo_options(_demo_url())}
    if "http_socket_options" in ChatOpenAI.model_fields:
        # Our clients come with their proxy. Where the environment names one too, `ChatOpenAI` would warn of it.
        options["http_socket_options"] = ()
    return options


def embedding_options() -> dict[str, Any]:
    """The same for `OpenAIEmbeddings`."""
    if _has_key():
        return {"model": "text-embedding-3-small"}
    # Else it would count tokens first, with a tokenizer that it downloads.
    return {"model": EMBEDDING_MODEL, "check_embedding_ctx_length": False, **demo_options(_demo_url())}


def prepare_clients() -> None:
    """Lead all clients of a provider whose key is not in the environment to the demo server, by the environment alone."""
    for key, variables in ENDPOINTS.items():
        if os.environ.get(key):
            print(f"{key} is set: the provider answers.")
            continue
        print(f"{key} is not set: a demo server on this machine answers, from a fixed set of answers.")
        os.environ[key] = "none-needed"
        os.environ |= {name: HOST_URL + path for name, path in variables.items()}
        os.environ["http_proxy"] = _demo_url()  # the providers' own addresses are https, which this leaves alone
