"""The memory that SQLite shares between the processes that have a database open: a file beside it, mapped.

Where something cuts that file short (a program that synchronises folders, say), the next look into the memory would be
the end of the process, by a signal. SQLite works its content out anew wherever it finds zeros.
"""

import os
from contextlib import suppress
from pathlib import Path

_MOST = 4 * 1024 * 1024  # bytes: enough for a log of two gigabytes


class SharedMemory:
    """The file, whose size is looked at before each use of the database."""

    def __init__(self, database: Path) -> None:
        self._path = f"{database}-shm"
        self._inode = self._size = 0

    def mend(self) -> None:
        """Give the file its size back, if it was cut short since it was looked at last."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 - on the path of every hit
        except OSError:
            return
        if found.st_ino == self._inode and found.st_size < self._size:
            with suppress(OSError):
                os.truncate(self._path, 0)  # what is left of an index must not be believed
                os.truncate(self._path, _MOST)
        self._inode, self._size = found.st_ino, max(found.st_size, self._size if found.st_ino == self._inode else 0)
