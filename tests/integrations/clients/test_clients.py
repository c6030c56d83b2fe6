"""Each client, by its users' code as it is: a second run, in a new process, makes no request and gets equal answers.

The rows of a client run in one process, twice, against a server on loopback that speaks the wire formats of all of them.
"""

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.clients.clients import CLIENTS, clients_of, mark
from tests.integrations.clients.server import ClientsProvider
from tests.support.paths import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HERE = tuple(clients_of(version("openai")))


@dataclass(frozen=True)
class Run:
    """What a process got, and how many requests it made; both by the rows of the table."""

    outcomes: dict[str, dict[str, Any]]
    requests: Counter[str]


class Runs:
    """Two runs of each client, in processes of their own, one after the other."""

    def __init__(self, folder: Path, server: ClientsProvider) -> None:
        self._folder = folder
        self._server = server
        self.of = functools.cache(self._of)

    def _of(self, client: str) -> tuple[Run, Run]:
        return self._run(client, "FIRST"), self._run(client, "AGAIN")

    def _run(self, client: str, turn: str) -> Run:
        folder = self._folder / client
        folder.mkdir(exist_ok=True)
        before = len(self._server.requests)
        ran = subprocess.run(
            [sys.executable, "-m", "tests.integrations.clients.run", client, turn],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env=self._environment(folder, turn),
            timeout=140,
        )
        assert ran.returncode == 0, ran.stderr
        outcomes = json.loads(ran.stdout.splitlines()[-1])
        bodies = [json.dumps(request.body, ensure_ascii=False) for request in self._server.requests[before:]]
        found = (next((row for row in outcomes if mark(client, row) in body), body) for body in bodies)
        return Run(outcomes, Counter(found))

    def _environment(self, folder: Path, turn: str) -> dict[str, str]:
        of_this = {name: os.environ[name] for name in ("PATH", "SSL_CERT_FILE")}
        return {
            **of_this,
            **self._server.environment,
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "NO_PROXY": "127.0.0.1",
            "NBCACHE_DIR": str(folder / "store"),
            "DSPY_CACHEDIR": str(folder / turn),  # its own cache is empty in each run
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # or it is fetched from the network
            "OPENAI_AGENTS_DISABLE_TRACING": "1",  # traces are sent to OpenAI
        }


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        yield Runs(Path(folder), stack.enter_context(ClientsProvider()))


@pytest.mark.parametrize(("client", "row"), [(client, row) for client in HERE for row in CLIENTS[client].rows])
def test_a_second_run_is_free_and_gets_equal_answers(client: str, row: str, runs: Runs) -> None:
    first, again = runs.of(client)
    assert "error" not in first.outcomes[row], first.outcomes[row]["error"]
    assert "error" not in again.outcomes[row], again.outcomes[row]["error"]
    assert first.requests[row] > 0
    assert again.requests[row] == (first.requests[row] if row == "error" else 0)  # errors are never kept
    assert again.outcomes[row] == first.outcomes[row]


@pytest.mark.parametrize("client", HERE)
def test_every_request_belongs_to_a_row(client: str, runs: Runs) -> None:
    first, again = runs.of(client)
    assert {*first.requests, *again.requests} <= {*CLIENTS[client].rows}
