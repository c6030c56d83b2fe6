"""What each provider's real client does is paid once: a second run, in a new process, asks nobody and gets the same.

All scenarios of a provider run in one process, twice, against a server on loopback that speaks its wire format.
"""

import difflib
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import nbcache
from tests.integrations.providers.providers import PROVIDERS, scenarios_of
from tests.servers.provider import Provider
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

_IGNORED = (
    "Pydantic serializer warnings:UserWarning",  # langchain-openai's own, where it streams what it parses
    "Inheritance class AiohttpClientSession:DeprecationWarning",  # aiohttp's, of google-genai's session
)
_WARNINGS = ("-W", "error", *(part for each in _IGNORED for part in ("-W", f"ignore:{each}")))


@dataclass(frozen=True)
class Run:
    """What a process got, and how many requests it made; both by the marks of the scenarios."""

    outcomes: dict[str, dict[str, Any]]
    requests: Counter[str]


def run(provider: str, server: Provider, folder: Path, **environment: str) -> Run:
    before = len(server.requests)
    of_this = {name: os.environ[name] for name in ("PATH", "SSL_CERT_FILE")}
    clean = {**of_this, "HOME": str(folder), "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
    ran = subprocess.run(
        [
            sys.executable,
            *_WARNINGS,
            "-m",
            "tests.integrations.providers.run",
            provider,
            server.url,
            str(folder / "store"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=clean | environment,
        timeout=100,
    )
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    outcomes = json.loads(ran.stdout)
    bodies = [json.dumps(request.body) for request in server.requests[before:]]
    return Run(outcomes, Counter(next((mark for mark in outcomes if mark in body), body) for body in bodies))


def runs(provider: str, folder: Path, **environment: str) -> tuple[Run, Run]:
    with Provider() as server:
        return run(provider, server, folder, **environment), run(provider, server, folder, **environment)


def difference(one: Any, other: Any) -> str:
    first, second = (json.dumps(outcome, indent=1).splitlines() for outcome in (one, other))
    return "\n".join(difflib.unified_diff(first, second, "first run", "second run", n=2, lineterm=""))


@pytest.fixture(scope="module", params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(provider: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the runs have their store."""
    return tmp_path_factory.mktemp(provider)


@pytest.fixture(scope="module")
def provider_and_runs(provider: str, folder: Path) -> tuple[str, Run, Run]:
    return provider, *runs(provider, folder)


def test_every_scenario_works_and_asks_as_often_as_it_has_questions(provider_and_runs: tuple[str, Run, Run]) -> None:
    provider, first, _ = provider_and_runs
    failed = [f"{mark}\n{outcome['error']}" for mark, outcome in first.outcomes.items() if "error" in outcome]
    assert not failed, "\n".join(failed)
    assert first.requests == {mark: scenario.requests for mark, _, scenario in scenarios_of(provider)}


def test_a_new_process_makes_no_request(provider_and_runs: tuple[str, Run, Run]) -> None:
    _, _, again = provider_and_runs
    assert again.requests == {}


def test_a_new_process_gets_equal_answers(provider_and_runs: tuple[str, Run, Run]) -> None:
    _, first, again = provider_and_runs
    assert first.outcomes.keys() == again.outcomes.keys()
    differ = [mark for mark, outcome in first.outcomes.items() if outcome != again.outcomes[mark]]
    told = [f"{mark}\n{difference(first.outcomes[mark], again.outcomes[mark])}" for mark in differ]
    assert not told, "\n".join(told)


@pytest.mark.usefixtures("provider_and_runs")
def test_every_answer_goes_into_a_cassette_and_comes_back_from_it(folder: Path, tmp_path: Path) -> None:
    nbcache.install(folder / "store", scope="folder")
    done = nbcache.export_cassette(tmp_path / "one.jsonl")
    assert (done.entries, done.left_out, done.scrubbed) == (nbcache.stats().entries, {}, {})
    nbcache.install(tmp_path / "elsewhere", scope="folder")
    assert nbcache.import_cassette(tmp_path / "one.jsonl").new == done.entries
    nbcache.export_cassette(tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()


def test_without_the_cache_a_new_process_asks_everything_again(tmp_path: Path) -> None:
    """The reason to believe the tests above: nobody but nbcache keeps the answers."""
    first, again = runs("mistral", tmp_path, NBCACHE_MODE="off")
    assert again.requests == first.requests
    assert again.outcomes["[ChatMistralAI: batch]"] == first.outcomes["[ChatMistralAI: batch]"]
