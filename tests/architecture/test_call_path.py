"""How far a reader has to go: the modules that one call of a model enters."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.servers.provider import Provider
from tests.support.call_path import QUESTION, model
from tests.support.paths import ROOT

_EARLY = [
    "integrations/langchain/early_hits.py",
    "cache/notebook_cache.py",
    "keys/known_keys.py",
    "keys/identity.py",
    "cache/lookup.py",
    "stores/sqlite/changes.py",
    "costs/ledger.py",
    "codec/messages.py",
]
_LOOKED_UP = [
    "cache/notebook_cache.py",  # could the key be told early?
    "integrations/langchain/models.py",
    "cache/lookup.py",
    "keys/key.py",
    "keys/identity.py",
    "stores/sqlite/changes.py",
    "costs/ledger.py",
    "codec/payload.py",
]


@pytest.fixture
def paths(provider: Provider, store: Path) -> Any:
    """The modules of a first hit, of fifty warm ones, and of fifty that LangChain looks up."""
    url = provider.openai["base_url"]
    model(url).invoke(QUESTION)
    program = [sys.executable, "-m", "tests.support.call_path", url, str(store)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(provider.requests) == 1
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("number", "most", "spine"), [(1, 18, _EARLY), (2, 20, _LOOKED_UP)], ids=["early", "looked up"]
)
def test_a_warm_hit_enters_few_modules_and_follows_eight(number: int, most: int, spine: list[str], paths: Any) -> None:
    """A hit enters three more once in a while: after a millisecond it asks SQLite whether another process has written,
    and after a second it wakes the thread that writes the ledger down. So the shortest of some hits counts."""
    shortest = min(paths[number], key=len)
    assert len(shortest) <= most, shortest
    assert [name for name in shortest if name in spine] == spine


def test_a_first_hit_reads_the_store_and_nothing_of_the_way_of_a_miss(paths: Any) -> None:
    first = set(paths[0])
    assert {"stores/sqlite/store.py", "codec/payload.py"} <= first
    missing = {"cache/save.py", "cache/misses/log.py", "entry/usage/usage_of_call.py", "codec/entry_description.py"}
    assert not (missing | {"entry/records.py"}) & first, first
