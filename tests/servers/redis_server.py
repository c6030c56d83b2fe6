"""A real Redis or Valkey server, in a folder of its own, that lives as long as a block."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

PROGRAMS = {"redis": "redis-server", "valkey": "valkey-server"}
_READY = "eady to accept connections"


def programs() -> dict[str, str]:
    """The servers that can be run here, by name. None where redis-py is missing."""
    if importlib.util.find_spec("redis") is None:
        return {}
    return {name: program for name, program in PROGRAMS.items() if shutil.which(program)}


def program() -> str:
    """A server that can be run here. The test is skipped, or fails in CI, where there is none."""
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
    """

    def __init__(self, program: str = "redis-server", *options: str, tcp: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="nbcache-"))  # short: the path of a socket has at most 108 bytes
        self._socket, self.port = self.folder / "redis.sock", _free_port() if tcp else 0
        address = ("--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", str(self._socket))
        quiet = ("--save", "", "--appendonly", "no", "--daemonize", "no", "--logfile", "")
        self._command = (program, *address, *quiet, "--dir", str(self.folder), *options)
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
            return f"redis://127.0.0.1:{self.port}/0?prefix={prefix}"
        return f"unix://{self._socket}?prefix={prefix}"

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self._process.stdout is not None
        log = []
        for line in self._process.stdout:
            log.append(line)
            if _READY in line:
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


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
