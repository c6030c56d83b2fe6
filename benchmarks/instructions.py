"""Machine instructions of a piece of work, counted by valgrind's callgrind: a noisy machine can't change them.

A virtual machine rarely lets `perf stat` count. Callgrind counts everywhere; a program must say where counting begins and
ends, by an instruction sequence that only valgrind understands and that does nothing elsewhere.
"""

import ctypes
import mmap
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from .processes import output_of

# rax points to the request and its five arguments: rol rdi 3, 13, 61, 51; xchg rbx, rbx. From valgrind.h, for amd64.
_REQUEST = bytes.fromhex("4889f8 4889f2 48c1c703 48c1c70d 48c1c73d 48c1c733 4887db 4889d0 c3".replace(" ", ""))
_DUMP_AT, _ZERO, _START, _STOP = (0x43540000 + number for number in (3, 1, 4, 5))  # from callgrind.h


def missing() -> str:
    """What isn't there of all that counting needs; nothing if all of it is."""
    if platform.machine() != "x86_64":
        return "a processor of the kind x86-64"
    return "" if shutil.which("valgrind") else "valgrind"


def of_program(program: list[str], folder: Path) -> dict[str, dict[str, float]]:
    """Run `program` under callgrind. Instructions of each call, by row and column, as its labels say: `row|column|calls`.

    Of several counts with the same label the last one is taken, which is the warmest. Nothing is counted outside `counted`.
    """
    options = ["--instr-atstart=no", "--separate-threads=yes", f"--callgrind-out-file={folder}/counts"]
    output_of(["valgrind", "--tool=callgrind", "--quiet", *options, *program], folder)
    found: dict[str, dict[str, float]] = {}
    for label, total in _counts(folder):
        row, column, calls = label.split("|")
        found.setdefault(row, {})[column] = total / int(calls)
    return found


@contextmanager
def counted(label: str) -> Iterator[None]:
    """Count the instructions of the main thread within.

    Other threads wake after a time, so that it would be chance how much of their work is in it.
    """
    text = ctypes.create_string_buffer(label.encode())
    _ask(_START)
    _ask(_ZERO)
    try:
        yield
    finally:
        _ask(_DUMP_AT, ctypes.addressof(text))
        _ask(_STOP)


def _counts(folder: Path) -> list[tuple[str, int]]:
    """The labels and counts that a program has left in `folder`, in their order."""
    found = []
    for file in sorted(folder.glob("counts.*-01"), key=lambda path: int(path.suffix[1:-3])):
        label, total = "", 0
        with file.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("desc: Trigger: Client Request: "):
                    label = line.rpartition(": ")[2].strip()
                elif line.startswith(("totals: ", "summary: ")):
                    total = int(line.split()[1])
        found.append((label, total))
    return [(label, total) for label, total in found if label]


def _ask(request: int, argument: int = 0) -> None:
    words = (ctypes.c_uint64 * 6)(request, argument)
    function, _ = _function()
    function(ctypes.addressof(words), 0)


@cache
def _function() -> tuple[Any, mmap.mmap]:
    """The request as a function, and the memory that it lies in, which must not be freed."""
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(_REQUEST)
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    return ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64)(address), code
