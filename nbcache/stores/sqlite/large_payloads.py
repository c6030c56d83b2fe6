"""Large payloads, which SQLite reads as blobs."""

import sqlite3
from collections.abc import Callable
from contextlib import suppress

LARGE = 200_000  # bytes of a payload that SQLite reads as a blob in a third of the time
_OWNED = 1_000_000  # bytes of a payload that is read into memory of its own
_HUGE = 2 * 1024 * 1024  # bytes of a huge page
_PIECE = 64 * 1024  # bytes that are read at once: they stay in the processor's cache

Read = Callable[[sqlite3.Blob], bytes | memoryview]


def read_owned(blob: sqlite3.Blob) -> bytes | memoryview:
    """The bytes in a blob. Many of them are in memory that can be written to and that nobody else has."""
    length = len(blob)
    if length < _OWNED:
        return blob.read()
    memory = _new_memory(length)
    for start in range(0, length, _PIECE):
        piece = blob.read(_PIECE)
        memory[start : start + len(piece)] = piece
    return memory


def _new_memory(length: int) -> memoryview:
    """So many bytes, in huge pages where the system has them: new memory in pages of 4 kB takes longer than all else of a hit."""
    import mmap  # noqa: PLC0415 - few payloads are so large

    size = -(-length // _HUGE) * _HUGE
    if not hasattr(mmap, "MAP_ANONYMOUS"):
        return memoryview(mmap.mmap(-1, size))[:length]
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # not shared with forked processes
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # of a kernel without them
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(memory)[:length]
