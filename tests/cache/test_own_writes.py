"""What a kernel writes itself doesn't make it read again what it has in memory."""

from pathlib import Path

import pytest
from langchain_core.outputs import Generation

from nbcache import NotebookCache
from nbcache.stores import DiskStore

MODEL = "{'model': 'm'}"


def test_hits_after_a_cell_are_answered_from_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = NotebookCache(tmp_path / "store")
    for number in range(3):
        earlier.update(f"prompt {number}", MODEL, [Generation(text=f"answer {number}")])
    earlier.close()
    cache = NotebookCache(tmp_path / "store")
    reads: list[str] = []
    get = DiskStore.get

    def counted(store: DiskStore, key: str, **options: bool) -> bytes | None:
        reads.append(key)
        return get(store, key, **options)

    monkeypatch.setattr(DiskStore, "get", counted)

    def hits() -> int:
        before = len(reads)
        for number in range(3):
            answer = cache.lookup(f"prompt {number}", MODEL)
            assert answer is not None
            assert answer[0].text == f"answer {number}"
        return len(reads) - before

    hits()
    cache.enter_cell("a")
    assert hits() <= 3  # the first had no token: the file was not open
    cache.leave_cell()
    cache.ledger.index()
    assert hits() == 0
    cache.update("new", MODEL, [Generation(text="new")])
    hits()  # what is due once an hour was done with it
    cache.update("newer", MODEL, [Generation(text="newer")])
    assert hits() == 0
    cache.close()
