"""Files that others may have written: opened without waiting, and read within bounds of time and memory."""

import functools
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from nbcache.errors import CassetteError

_LARGEST = 2**30  # bytes of a file
_BLOCK = 2**20  # bytes that are read at once
LONGEST = 2**26  # bytes of a line
MOST_VALUES = 8_000_000  # in dense JSON: Python needs about 70 bytes for each, and a file no more than 2
_DENSE = 6  # bytes a value in the densest JSON that answers have
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\Z)', re.DOTALL)


def opened(path: Path) -> BinaryIO:
    """Open a regular file for reading. Raises CassetteError for anything else, such as a pipe or a device, or OSError."""
    _check(path, path.stat())  # to open a device may have an effect
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    file = os.fdopen(handle, "rb")
    try:
        _check(path, os.fstat(handle))  # it may be another by now
    except CassetteError:
        file.close()
        raise
    return file


class Lines:
    """The lines of a text file, each with its end, one after the other.

    Raises CassetteError, naming the line that is too much, or OSError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[bytes]:
        with opened(self._path) as file:
            yield from _within_bounds(self._path, file)

    def __len__(self) -> int:
        """About how many lines there are."""
        return self._number

    @functools.cached_property
    def _number(self) -> int:
        with opened(self._path) as file:
            return sum(block.count(b"\n") for block in iter(functools.partial(file.read, _BLOCK), b""))


def _check(path: Path, state: os.stat_result) -> None:
    if not stat.S_ISREG(state.st_mode):
        raise CassetteError(f"{path} is no file")
    if state.st_size > _LARGEST:
        raise CassetteError(f"{path} is larger than {_LARGEST >> 20:,} MB")


def _within_bounds(path: Path, file: BinaryIO) -> Iterator[bytes]:
    bounds, number = FileBounds(), 0
    while line := file.readline(LONGEST + 1):
        number += 1
        if excess := bounds.excess(line):  # the file may have grown, or tell no size
            raise CassetteError(f"{path}, line {number} {excess}")
        yield line


class FileBounds:
    """The bounds of one file that is read, or written so that it can be read."""

    def __init__(self) -> None:
        self._size = self._values = 0

    def excess(self, line: bytes) -> str:
        """What is too much with one more line. An empty text if nothing is: then it counts."""
        size, values = self._size + len(line), self._values + dense_values(line)
        if len(line) > LONGEST:
            return f"is longer than {LONGEST >> 20:,} MB"
        if size > _LARGEST:
            return f"makes the file larger than {_LARGEST >> 20:,} MB"
        if values > MOST_VALUES:
            return "has too many values: reading them would take gigabytes"
        self._size, self._values = size, values
        return ""


def dense_values(text: str | bytes) -> int:
    """About how many values a text has if it is dense JSON; 0 if words are most of it."""
    written = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    if _count(written) * _DENSE < len(written):
        return 0
    values = _count(_STRING.sub(b"", written))
    return values if values * _DENSE >= len(written) else 0


def _count(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")
