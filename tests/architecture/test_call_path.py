"""How far a reader has to go: the modules that one call of a model enters."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from langchain_openai import ChatOpenAI

import nbcache
from tests.servers.provider import Provider

_PACKAGE = str(Path(nbcache.__file__).parent)
_SPINE = [
    "integrations/langchain/models.py",
    "cache/notebook_cache.py",
    "cache/lookup.py",
    "keys/key.py",
    "keys/identity.py",
    "stores/sqlite/store.py",
    "costs/ledger.py",
    "codec/payload.py",
]


def entered(call: Callable[[], Any]) -> list[str]:
    """The modules of nbcache's that `call` runs code of in this thread, in the order in which they are first entered."""
    files: dict[str, None] = {}

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(_PACKAGE):
            files[frame.f_code.co_filename.removeprefix(_PACKAGE + "/")] = None

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
    return list(files)


@pytest.mark.usefixtures("store")
def test_a_warm_hit_enters_eighteen_modules_and_follows_eight(provider: Provider) -> None:
    """A hit enters three more once in a while: after a millisecond it asks SQLite whether another process has written,
    and after a second it wakes the thread that writes the ledger down. So the shortest of some hits counts."""
    model = ChatOpenAI(model="gpt-5-nano", **provider.openai)
    model.invoke("Which moon is the largest?")
    paths = [entered(lambda: model.invoke("Which moon is the largest?")) for _ in range(50)]
    shortest = min(paths, key=len)
    assert len(shortest) <= 18, shortest
    assert [name for name in shortest if name in _SPINE] == _SPINE
    assert len(provider.requests) == 1


def test_a_first_hit_reads_the_store_and_nothing_of_the_way_of_a_miss(provider: Provider, store: Path) -> None:
    model = ChatOpenAI(model="gpt-5-nano", **provider.openai)
    model.invoke("Which moon is the largest?")
    nbcache.install(store)  # the answers in memory go with the cache of before
    path = entered(lambda: model.invoke("Which moon is the largest?"))
    assert {"stores/sqlite/store.py", "codec/payload.py"} <= set(path)
    assert not {"cache/save.py", "cache/misses/log.py", "entry/usage.py", "codec/new_entry.py"} & set(path), path
    assert len(provider.requests) == 1
