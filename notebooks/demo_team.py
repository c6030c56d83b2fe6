"""A team on this machine, for the notebook of teams: a server, and people who each have a kernel and a folder of their own.

    team = Team("ann", "bob")

Then `%%ann` runs a cell in ann's kernel, `%%bob` in bob's, and `%%everybody` in all kernels at once.
"""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from demo_server import DemoServer
from IPython.core.getipython import get_ipython
from jupyter_client.manager import start_new_kernel

from nbcache.stores import RedisStore

_PROGRAMS = ("redis-server", "valkey-server")
_READY = "eady to accept connections"
_SECONDS = 60.0  # that a cell of a colleague may take


class Server:
    """A Redis or Valkey server on a socket of this machine. It keeps what it has in a file, so that it can be stopped and started."""

    def __init__(self, folder: Path) -> None:
        """Raises RuntimeError if no server is installed."""
        program = next((name for name in _PROGRAMS if shutil.which(name)), None)
        if program is None:
            raise RuntimeError("This notebook starts a server, and finds none: install redis-server or valkey-server.")
        self.socket = str(folder / "server.sock")
        self.url = f"unix://{self.socket}?prefix=course"
        self.store = RedisStore(self.url)
        self._command = [program, "--port", "0", "--unixsocket", self.socket, "--dir", str(folder)]
        self._command += ["--save", "", "--appendonly", "yes", "--appendfsync", "always"]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(  # noqa: S603 - what it runs is in `_PROGRAMS`
            self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self._process.stdout is not None
        if not any(_READY in line for line in self._process.stdout):
            raise RuntimeError("The server did not start.")

    def wait_for_entries(self, number: int) -> None:
        """Wait until it has so many entries."""
        while self.store.totals().entries < number:
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop it, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


class Person:
    """Somebody with a kernel and a folder: the store is the folder's, and behind it the server's."""

    def __init__(self, name: str, folder: Path, server: Server, demo: DemoServer) -> None:
        folder.mkdir()
        environment = {key: value for key, value in os.environ.items() if not key.startswith("NBCACHE_")}
        environment |= {
            "NBCACHE_OWNER": name,
            "NBCACHE_NOTEBOOK": str(folder / "analysis.ipynb"),
            "NBCACHE_STORE": f"disk, {server.url}",
            "NBCACHE_DEMO_URL": demo.url,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]),
        }
        self.name, self._server = name, server
        self._kernel, self._client = start_new_kernel(
            cwd=str(folder), env=environment, extra_arguments=["--log-level=ERROR"]
        )

    def run(self, cell: str) -> str:
        """Run a cell in this kernel. Returns what it printed and its value, as text. Raises RuntimeError if it fails."""
        outputs: list[str] = []
        reply = self._client.execute_interactive(
            cell, timeout=_SECONDS, output_hook=lambda message: outputs.extend(_texts(message))
        )
        if reply["content"]["status"] != "ok":
            raise RuntimeError(f"{self.name}: {reply['content']['ename']}: {reply['content']['evalue']}")
        return "".join(outputs).replace(self._server.store.url, "the server").replace(self._server.socket, "its socket")

    def leave(self) -> None:
        """End the kernel."""
        self._client.stop_channels()
        self._kernel.shutdown_kernel(now=True)


class Team:
    """The server and the people. All of it ends with this kernel, and leaves nothing behind."""

    def __init__(self, *names: str) -> None:
        """Raises RuntimeError if no Redis or Valkey server is installed."""
        folder = Path(tempfile.mkdtemp(prefix="team-"))  # short: the path of a socket has at most 108 bytes
        atexit.register(self.end)
        self._folder, self._demo, self._people = folder, DemoServer(), list[Person]()
        self.server = Server(folder)
        self.server.start()
        for name in names:
            person = Person(name, folder / name, self.server, self._demo)
            self._people.append(person)
            _cell_magic(name, [person])
        _cell_magic("everybody", self._people)

    @property
    def requests(self) -> int:
        """How many requests have reached the provider, of all people together."""
        return self._demo.requests

    def end(self) -> None:
        """End the kernels and the server, and remove their folder."""
        for person in self._people:
            person.leave()
        self.server.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def _cell_magic(name: str, people: list[Person]) -> None:
    """Let `%%name` run a cell in the kernels of these people, at once, and print what each of them shows."""

    def run(_: str, cell: str) -> None:
        with ThreadPoolExecutor() as pool:
            outputs = list(pool.map(lambda person: person.run(cell), people))
        for person, output in zip(people, outputs, strict=True):
            print(f"{person.name}:", output, sep="\n" if len(people) == 1 else " ", end="")

    shell = get_ipython()
    assert shell is not None, "a team needs a notebook"
    shell.magics_manager.register_function(run, "cell", name)


def _texts(message: dict[str, Any]) -> list[str]:
    content = message["content"]
    match message["msg_type"]:
        case "stream" if content["name"] == "stderr":
            return [
                line.partition("Warning: ")[2] + "\n" for line in content["text"].splitlines() if "Warning: " in line
            ]
        case "stream":
            return [content["text"]]
        case "execute_result" | "display_data":
            return [content["data"].get("text/plain", "") + "\n"]
    return []
