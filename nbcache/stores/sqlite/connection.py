"""A connection with our settings of SQLite, and with limits, since somebody else may have written the database."""

import functools
import math
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

CACHE = 2_000  # kB of pages
_LONGEST = 256 * 1024 * 1024  # bytes of a value: more than any answer has
_LONGEST_STATEMENT = 1_000_000
_STEPS = 200_000  # of SQLite's machine between two looks at the clock: a few milliseconds
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: _LONGEST,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: _LONGEST_STATEMENT,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 10,
}
_PRAGMAS = (
    "synchronous = NORMAL",  # in WAL mode a killed process loses nothing
    "secure_delete = ON",  # what is deleted is overwritten
    "mmap_size = 0",  # an error in a mapped file is no exception, but a signal
    f"cache_size = {-CACHE}",  # of each connection, and a process may have dozens: the system keeps the file's pages, too
    "wal_autocheckpoint = 4000",  # pages: folding the log in costs more than writing it
    "cell_size_check = ON",
)


class Connection(sqlite3.Connection):
    """A connection that ends a statement that takes too long: SQLite then reports an interrupt.

    SQLite looks at the clock through C functions alone: a KeyboardInterrupt in a Python function would be lost there.
    """

    ends: list[float]  # one time, on the clock `monotonic`
    lock: int | None = None  # of `network_locks`, held until this is closed

    def close(self) -> None:
        """Close it, and then release its lock."""
        try:
            super().close()
        finally:
            lock, self.lock = self.lock, None
            if lock is not None:
                os.close(lock)

    def bound(self) -> None:
        """Start to check the clock."""
        self.ends = [math.inf]
        ends: Iterator[float] = iter(functools.partial(self.ends.__getitem__, 0), None)
        is_over = map(float.__lt__, ends, iter(time.monotonic, None))
        self.set_progress_handler(functools.partial(next, is_over), _STEPS)


def connect(database: Path, options: str = "", pragmas: Iterable[str] = ()) -> Connection:
    """A new connection, which any thread may use. Raises sqlite3.Error.

    `options` are those of SQLite's URIs, and `pragmas` are settings besides those that all connections have.
    """
    name = f"{database.as_uri()}?{options}" if options else database
    connection = sqlite3.connect(
        *(name, 0),  # no timeout: the store has its own
        isolation_level=None,
        check_same_thread=False,
        factory=Connection,
        uri=bool(options),
    )
    try:
        for limit, most in _LIMITS.items():
            connection.setlimit(limit, most)
        connection.bound()
        connection.text_factory = _text
        for pragma in (*_PRAGMAS, *pragmas):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def _text(data: bytes) -> str:
    """`data` as text; damaged bytes are replaced."""
    return data.decode(errors="surrogateescape")
