"""A cache that is set by hand: LangChain looks up and updates, and no call is known."""

from pathlib import Path

import pytest
from langchain_core.outputs import Generation

from nbcache import NotebookCache
from nbcache.stores import DiskStore


def test_an_update_reads_nothing_that_its_lookup_has_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = NotebookCache(tmp_path / "s")
    seen: list[str] = []
    get = DiskStore.get

    def spy(self: DiskStore, key: str, *, wait: bool = True, include_expired: bool = False) -> bytes | None:
        seen.append(key)
        return get(self, key, wait=wait, include_expired=include_expired)

    monkeypatch.setattr(DiskStore, "get", spy)
    llm_string = '{"model": "m"}'
    assert cache.lookup("q", llm_string) is None
    cache.update("q", llm_string, [Generation(text="a")])
    assert len(seen) == 1
    cache.update("q", llm_string, [Generation(text="b")])  # which nothing was looked up for
    assert len(seen) == 2
    for _ in range(3):
        found = cache.lookup("q", llm_string)
        assert found is not None
        assert found[0].text == "b"
        found[0].text = "changed by who was given it"
    cache.close()
