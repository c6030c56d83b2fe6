"""Every test begins with the cache off, in an empty folder, whatever the machine's environment says."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from hypothesis import settings
from langchain_core.globals import set_llm_cache

import nbcache
from nbcache.cache.misses.swallowed import take_swallowed
from nbcache.errors import forget_warnings
from nbcache.session import installation
from tests.servers.provider import Provider
from tests.support.clock import Clock
from tests.support.paths import ROOT

# The same examples on every machine, however slow it is, and no folder of Hypothesis's own.
settings.register_profile("nbcache", deadline=None, database=None, derandomize=True)
settings.load_profile("nbcache")

# Clients trust one authority, whose key is thrown away, in place of the 140 or so that the machine does: reading those is
# most of what a client takes to make, and all servers of the tests speak plain HTTP.
os.environ["SSL_CERT_FILE"] = str(ROOT / "tests/servers/authority.pem")

_ENVIRONMENT = ("NBCACHE_", "OPENAI_", "ANTHROPIC_", "OLLAMA_", "LANGCHAIN_", "LANGSMITH_")


@pytest.fixture(autouse=True)
def clean_slate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in os.environ:
        if name.startswith(_ENVIRONMENT):
            monkeypatch.delenv(name)
    for name in ("JPY_SESSION_NAME", "JPY_PARENT_PID", "MPLBACKEND"):  # a notebook may run the tests
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    forget_warnings()
    take_swallowed()
    yield
    installation.end()
    set_llm_cache(None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The folder of a store that is on."""
    folder = tmp_path / "store"
    nbcache.install(folder)
    return folder


@pytest.fixture
def client(provider: Provider, store: Path) -> Any:
    """OpenAI's own client, wrapped."""
    return nbcache.wrap(openai.OpenAI(**provider.openai, max_retries=0))
