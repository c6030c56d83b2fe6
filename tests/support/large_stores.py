"""Works on a large store in a process of its own, and prints the most memory that it took, in kilobytes.

`python -m tests.support.large_stores OPERATION FOLDER FILE [COUNT]`: with a count, it prints a line when so many entries are
done, and waits there for good.
"""

import json
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration

from nbcache import codec
from nbcache.codec.entry_description import header_of, row_of
from nbcache.entry.records import EntryMeta, Touch, Usage
from nbcache.keys.key import call_key
from nbcache.replay.cassette_export import export_entries
from nbcache.replay.cassette_import import import_entries
from nbcache.replay.secrets.scrubber import Scrubber
from nbcache.stores import DiskStore
from nbcache.stores.progress import Progress
from nbcache.stores.view import Contents

_LLM = json.dumps({"id": ["tests", "large"], "kwargs": {"model": "large-1"}})
_AT_ONCE = 200
Operation = Callable[[Contents, Path, Progress], Any]
OPERATIONS: dict[str, Operation] = {
    "export": lambda contents, file, progress: export_entries(contents, file, scrubber=Scrubber(), progress=progress),
    "import": lambda contents, file, progress: import_entries(contents, file, progress=progress),
    "store": lambda contents, file, progress: import_entries(_Watched(contents.store, progress=progress), file),
    "match": lambda contents, _, progress: contents.clear(match="at midnight", dry_run=True, progress=progress),
    "clear": lambda contents, _, progress: contents.clear(match="at noon", progress=progress),
    "delete": lambda contents, _, progress: _delete_in_small_parts(contents, progress),
    "check": lambda contents, _, progress: contents.check(progress=progress),
}


def _delete_in_small_parts(contents: Contents, progress: Progress) -> None:
    """A part is what is deleted in some time. Here none is left, so that each part is one statement on any machine."""
    with patch("nbcache.stores.sqlite.clearing._AT_ONCE", 0.0):
        contents.clear(deleted=progress)


@dataclass(frozen=True)
class _Watched(Contents):
    """Calls `progress` after each part that is stored."""

    progress: Progress = lambda _, __: None

    def put_all(self, entries: Sequence[tuple[str, bytes, EntryMeta]], touches: Sequence[Touch]) -> None:
        super().put_all(entries, touches)
        self.progress(len(entries), 0)


def fill(folder: Path, count: int, characters: int = 20_000) -> None:
    """Make a store of so many entries, whose answers have so many characters."""
    store = DiskStore(folder)
    for start in range(0, count, _AT_ONCE):
        store.put_all(_entry(number, characters) for number in range(start, min(start + _AT_ONCE, count)))
    store.close()


def _entry(number: int, characters: int) -> tuple[str, bytes, EntryMeta]:
    call = call_key(f"question {number}", _LLM)
    text = f"The answer to question {number} is at noon. "
    answer = ChatGeneration(message=AIMessage((text * (characters // len(text) + 1))[:characters]))
    row = row_of(call, [answer], Usage(), status="ok", created=time.time() - 10, notebook=None)
    return call.key, codec.encode([answer], header_of(call, row, None), reusable=True), row


def _shown(count: int | None) -> Progress:
    def show(done: int, _: int) -> None:
        if count is not None and done >= count:
            print("here", flush=True)
            threading.Event().wait()

    return show


def main(operation: str, folder: str, file: str, count: str | None = None) -> None:
    """Carry out the operation."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started the tests may have it ignored
    contents = Contents(DiskStore(folder))
    OPERATIONS[operation](contents, Path(file), _shown(None if count is None else int(count)))
    contents.store.close()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    main(*sys.argv[1:])
