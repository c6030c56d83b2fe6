"""Tables in a temporary file, for what may be more than fits in memory."""

import contextlib
import sqlite3
from collections.abc import Iterator

_CACHE = 8_000  # kilobytes of memory


@contextlib.contextmanager
def temporary_tables(*statements: str) -> Iterator[sqlite3.Connection]:
    """A database with the tables that `statements` make. Its file has no name, and is gone with the block.

    Raises OSError where the disk is full, or can't be written.
    """
    with contextlib.closing(sqlite3.connect("", isolation_level=None)) as database:
        try:
            for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE}", "temp_store = FILE"):
                database.execute(f"PRAGMA {pragma}").fetchall()
            for statement in statements:
                database.execute(statement)
            database.execute("BEGIN")
            yield database
        except sqlite3.Error as error:
            raise OSError(f"a temporary file can't be used: {error}") from error
