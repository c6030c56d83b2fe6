"""Real Redis or Valkey servers, each in a folder of its own, that live as long as a block: one, with a Sentinel, or a cluster."""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from tests.servers.certificates import Certificate

PROGRAMS = {"redis": "redis-server", "valkey": "valkey-server"}
ONLY = "NBCACHE_TEST_SERVER"  # the path of the server to test with, instead of those that are found
_READY = ("eady to accept connections", "Sentinel ID is")
_SLOTS = 16384


def programs() -> dict[str, str]:
    """The servers that can be run here, by name. None where redis-py is missing."""
    if importlib.util.find_spec("redis") is None:
        return {}
    if only := os.environ.get(ONLY):
        return {"valkey" if "valkey" in Path(only).name else "redis": only}
    return {name: program for name, program in PROGRAMS.items() if shutil.which(program)}


def program() -> str:
    """A server that can be run here. The test is skipped, or fails in CI, where there is none."""
    import pytest  # the bench, which starts servers too, has none

    found = programs()
    if not found:
        text = "no Redis: install redis-server or valkey-server, and redis-py"
        if os.environ.get("CI"):
            pytest.fail(text)
        pytest.skip(text)
    return next(iter(found.values()))


class RedisServer:
    """The running server, as a context manager. It listens on a socket, and on a port of loopback too if that is asked for.

    It can be stopped and started again at the same address; what it held is gone then, if no option says otherwise.
    With a certificate, the port speaks TLS.
    """

    def __init__(
        self, program: str = "redis-server", *options: str, tcp: bool = False, tls: "Certificate | None" = None
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="nbcache-"))  # short: the path of a socket has at most 108 bytes
        self._socket, self.port = self.folder / "redis.sock", free_port() if tcp or tls else 0
        self._scheme = "rediss" if tls else "redis"
        address: tuple[str, ...] = ("--bind", "127.0.0.1", "--unixsocket", str(self._socket))
        if tls:
            files = ("--tls-cert-file", str(tls.certificate), "--tls-key-file", str(tls.key))
            address += ("--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no", *files)
        else:
            address += ("--port", str(self.port))
        quiet = (
            "--repl-diskless-sync-delay",
            "0",
            "--save",
            "",
            "--appendonly",
            "no",
            "--daemonize",
            "no",
            "--logfile",
            "",
        )
        self._command = [program, *address, *quiet, "--dir", str(self.folder), *options]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, prefix: str = "nbcache") -> str:
        """The URL of a store on this server."""
        if self.port:
            return f"{self._scheme}://127.0.0.1:{self.port}/0?prefix={prefix}"
        return f"unix://{self._socket}?prefix={prefix}"

    @property
    def client(self) -> Any:
        """redis-py's own client, to look at the server and to set it."""
        import redis

        return redis.Redis(unix_socket_path=str(self._socket), protocol=2)

    def start(self, *options: str, waits: bool = True) -> None:
        """Start it, with further options for this time. Without `waits` it may not be ready then."""
        self._process = subprocess.Popen(
            [*self._command, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if not waits:
            return
        assert self._process.stdout is not None
        log = []
        for line in self._process.stdout:
            log.append(line)
            if any(ready in line for ready in _READY):
                return
        raise AssertionError("the server did not start:\n" + "".join(log))

    def stop(self) -> None:
        """Kill it, as a machine that fails does."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def freeze(self) -> None:
        """Let it answer nothing more, and keep its connections."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            os.kill(self._process.pid, number)


class Sentinel(RedisServer):
    """A Sentinel that watches one server, which it calls `main`, and lets its replica follow when that fails."""

    def __init__(self, program: str, watched: RedisServer, *options: str) -> None:
        super().__init__(program, tcp=True)
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f"dir {self.folder}",
            f"unixsocket {self._socket}",
            f"sentinel monitor main 127.0.0.1 {watched.port} 1",
            "sentinel down-after-milliseconds main 300",
            "sentinel failover-timeout main 2000",
            *options,
        ]
        settings = self.folder / "sentinel.conf"
        settings.write_text("\n".join(lines) + "\n")
        self._command = [program, str(settings), "--sentinel"]

    def url(self, prefix: str = "nbcache") -> str:
        return f"redis+sentinel://127.0.0.1:{self.port}/main/0?prefix={prefix}"


class Cluster:
    """Three servers that share the slots; and a fourth, a replica of the one that has a store's keys, if that is asked for."""

    def __init__(
        self, program: str, *options: str, replica_for: str | None = None, tls: "Certificate | None" = None
    ) -> None:
        self._replica_for = replica_for
        self._scheme = "rediss" if tls else "redis"
        self.nodes = [
            RedisServer(
                program,
                *("--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--cluster-node-timeout", "500"),
                *options,
                tcp=True,
                tls=tls,
            )
            for _ in range(3 if replica_for is None else 4)
        ]
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            for node in self.nodes:
                stack.enter_context(node)
            self._join()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def url(self, prefix: str = "nbcache") -> str:
        """The URL of a store on this cluster."""
        return f"{self._scheme}+cluster://127.0.0.1:{self.nodes[0].port},127.0.0.1:{self.nodes[1].port}?prefix={prefix}"

    def node_of(self, prefix: str) -> RedisServer:
        """The node that has the keys of a store."""
        from redis.crc import key_slot

        return self.nodes[min(key_slot(f"{{{prefix}}}".encode()) * 3 // _SLOTS, 2)]

    def _join(self) -> None:
        masters = self.nodes[:3]
        for number, node in enumerate(masters):
            first, last = (-(-_SLOTS * each // 3) for each in (number, number + 1))
            node.client.execute_command("CLUSTER ADDSLOTSRANGE", first, last - 1)
        for node in self.nodes[1:]:
            port = node.client.config_get("cluster-port")["cluster-port"]
            self.nodes[0].client.execute_command("CLUSTER MEET", "127.0.0.1", node.port, port)
        until(lambda: all(self._known_by(node) == len(self.nodes) for node in self.nodes))
        if self._replica_for is not None:
            master = self.node_of(self._replica_for).client.execute_command("CLUSTER MYID").decode()
            until(lambda: self._follows(master))
        until(lambda: all(b"cluster_state:ok" in self._info(node) for node in self.nodes))

    def _follows(self, master: str) -> bool:
        replica = self.nodes[3].client
        with contextlib.suppress(Exception):
            replica.execute_command("CLUSTER REPLICATE", master)
        return bool(replica.info("replication").get("master_link_status") == "up")

    def _info(self, node: RedisServer) -> bytes:
        import redis

        client: Any = redis.Redis(connection_pool=node.client.connection_pool)
        client.response_callbacks.pop("CLUSTER INFO", None)
        found: bytes | str = client.execute_command("CLUSTER INFO")
        return found if isinstance(found, bytes) else found.encode()

    def _known_by(self, node: RedisServer) -> int:
        import redis

        client: Any = redis.Redis(connection_pool=node.client.connection_pool)
        client.response_callbacks.pop("CLUSTER NODES", None)
        text: bytes = client.execute_command("CLUSTER NODES")
        return sum(b"connected" in line and b"handshake" not in line for line in text.splitlines())


@contextlib.contextmanager
def replicated(program: str, *options: str) -> Iterator[tuple[RedisServer, RedisServer, Sentinel]]:
    """A server, its replica, and a Sentinel that watches them."""
    with RedisServer(program, *options, tcp=True) as main, RedisServer(program, *options, tcp=True) as replica:
        replica.client.replicaof("127.0.0.1", str(main.port))
        until(lambda: replica.client.info("replication")["master_link_status"] == "up")
        with Sentinel(program, main) as sentinel:
            until(lambda: sentinel.client.execute_command("SENTINEL MASTER", "main")["num-slaves"] == 1)
            yield main, replica, sentinel


def until(is_so: Callable[[], Any], seconds: float = 60) -> None:
    """Wait until something is so that no event tells."""
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends, "it did not come to be so"
        time.sleep(0.02)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
