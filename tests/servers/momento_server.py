"""A server on loopback that speaks Momento's protocol, by the services of the SDK's own wire types. It is not Momento itself.

`MomentoServer` runs in threads of this process. gRPC needs a clock that goes: a test that stops time gives the server a clock of its
own, and leaves `time.time` alone. `MomentoProcess` is one of its own, to be killed and
frozen.
"""

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

import grpc
from momento import CredentialProvider
from momento_wire_types import cacheclient_pb2 as data
from momento_wire_types import cacheclient_pb2_grpc as data_service
from momento_wire_types import controlclient_pb2 as control
from momento_wire_types import controlclient_pb2_grpc as control_service

from tests.support.paths import ROOT

_OPTIONS = [("grpc.max_receive_message_length", 20_000_000), ("grpc.max_send_message_length", 20_000_000)]
_LONGEST = 86_400.0  # seconds
_ITEM = 1_000_000  # bytes, until the service's support allows for more
_Cache = dict[bytes, tuple[bytes, float]]  # payloads, and when they expire


@dataclass
class State:
    """What the server keeps, and how it behaves. `keys` are the API keys that it takes, all if there are none."""

    max_item: int = _ITEM
    keys: set[str] = field(default_factory=set)
    delay: float = 0.0  # seconds before each answer
    clock: Callable[[], float] = time.time
    fails: grpc.StatusCode | None = None  # what each request ends with
    caches: dict[str, _Cache] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    ttls: list[float] = field(default_factory=list)  # seconds, of each item that was set
    lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, name: str, context: Any) -> dict[str, str]:
        """Count a request. Returns its metadata."""
        with self.lock:
            self.requests[name] += 1
        if self.delay:
            time.sleep(self.delay)
        if self.fails is not None:
            context.abort(self.fails, f"{self.fails.name} by the test")
        metadata: dict[str, str] = dict(context.invocation_metadata())
        if self.keys and metadata.get("authorization") not in self.keys:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "the key is not valid")
        return metadata

    def cache(self, name: str, context: Any) -> _Cache:
        cache = self.caches.get(self.enter(name, context).get("cache", ""))
        if cache is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "there is no such cache")
            raise AssertionError("abort raises")
        return cache


class _Data(data_service.ScsServicer):
    def __init__(self, state: State) -> None:
        self.state = state

    def Get(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        item = self.state.cache("Get", context).get(request.cache_key)
        if item is None or item[1] <= self.state.clock():
            return data._GetResponse(result=data.Miss)
        return data._GetResponse(result=data.Hit, cache_body=item[0])

    def Set(self, request: Any, context: Any) -> Any:  # noqa: N802
        cache = self.state.cache("Set", context)
        seconds = request.ttl_milliseconds / 1000
        if not seconds:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the TTL must be positive")
        if len(request.cache_body) > self.state.max_item:
            context.set_trailing_metadata([("err", "item_size_limit_exceeded")])
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "item size limit exceeded")
        with self.state.lock:
            self.state.ttls.append(seconds)
            cache[request.cache_key] = request.cache_body, self.state.clock() + min(seconds, _LONGEST)
        return data._SetResponse(result=data.Ok)

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.state.cache("Delete", context).pop(request.cache_key, None)
        return data._DeleteResponse()


class _Control(control_service.ScsControlServicer):
    def __init__(self, state: State) -> None:
        self.state = state

    def CreateCache(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.state.enter("CreateCache", context)
        with self.state.lock:
            if request.cache_name in self.state.caches:
                context.abort(grpc.StatusCode.ALREADY_EXISTS, "the cache exists")
            self.state.caches[request.cache_name] = {}
        return control._CreateCacheResponse()


def _server(state: State) -> grpc.Server:
    server = grpc.server(ThreadPoolExecutor(8), options=_OPTIONS)
    data_service.add_ScsServicer_to_server(_Data(state), server)  # type: ignore[no-untyped-call]
    control_service.add_ScsControlServicer_to_server(_Control(state), server)  # type: ignore[no-untyped-call]
    return server


def credentials(port: int, key: str = "") -> CredentialProvider:
    """Credentials for a server on this port of loopback."""
    host = "127.0.0.1"
    return CredentialProvider(key, host, host, host, port)


class MomentoServer:
    """The server in threads of this process, as a context manager."""

    def __init__(self, **settings: Any) -> None:
        self.state = State(**settings)
        self._server = _server(self.state)
        self.port = 0

    def __enter__(self) -> Self:
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()

    def credentials(self, key: str = "") -> CredentialProvider:
        return credentials(self.port, key)


class MomentoProcess:
    """The server in a process of its own, as a context manager. What it keeps is gone when it is killed."""

    def __init__(self) -> None:
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, at the same port as before."""
        command = [sys.executable, "-m", "tests.servers.momento_server", str(self.port)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def credentials(self, key: str = "") -> CredentialProvider:
        return credentials(self.port, key)


def _main() -> None:
    server = _server(State())
    print(server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}"), flush=True)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    _main()
