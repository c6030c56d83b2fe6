"""The lines of a new cassette, in the order of the file, and those of the file that it will replace."""

import heapq
import sqlite3
from collections.abc import Iterator

TABLES = (
    "CREATE TABLE line (key BLOB PRIMARY KEY, text BLOB)",  # no text where a line of `kept` takes its place
    "CREATE TABLE earlier (key BLOB PRIMARY KEY, text BLOB)",  # no text where it is the same
    "CREATE TABLE kept (key BLOB, text BLOB)",
)


class CassetteDraft:
    """A cassette before it is written. `database` has the `TABLES`: the lines may be more than fit in memory."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._sql = database.execute

    def __len__(self) -> int:
        """The number of recordings."""
        return int(self._sql("SELECT count(*) FROM line").fetchone()[0])

    @property
    def size_bytes(self) -> int:
        """The size of the file."""
        lines = "SELECT text FROM line UNION ALL SELECT text FROM kept"
        return int(self._sql(f"SELECT total(length(text) + 1) FROM ({lines})").fetchone()[0])  # noqa: S608 - our own text

    def add(self, key: str, line: str) -> bool:
        """Add a recording, unless there is one with its key. Returns whether `line` is the one that is there now."""
        text = line.encode()
        added = self._sql("INSERT OR IGNORE INTO line VALUES (?, ?)", (key.encode(), text)).rowcount
        return bool(added) or self.line_of(key.encode()) == text

    def line_of(self, key: bytes) -> bytes | None:
        """The line with this key. None if there is none."""
        row = self._sql("SELECT text FROM line WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def lines(self) -> Iterator[bytes]:
        """All lines, sorted, each with its end. Lines of `line` begin alike up to their keys, which are of one length."""
        new = self._sql("SELECT text FROM line WHERE text IS NOT NULL ORDER BY key")
        kept = self._sql("SELECT text FROM kept ORDER BY text")
        for (text,) in heapq.merge(new, kept):
            yield text + b"\n"

    # The file that is there

    def add_earlier(self, key: bytes, line: bytes | None) -> None:
        """Note a line of the earlier file; None where the new one is the same. Of several with one key the last counts."""
        self._sql("INSERT INTO earlier VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET text = excluded.text", (key, line))

    def keep(self, line: bytes) -> None:
        """Keep a line that is no recording."""
        self._sql("INSERT INTO kept (text) VALUES (?)", (line,))

    def changed(self) -> Iterator[tuple[bytes, bytes, bytes]]:
        """The key, the earlier and the new line of each recording whose line is another."""
        yield from self._sql(
            "SELECT key, earlier.text, line.text FROM earlier JOIN line USING (key) WHERE earlier.text IS NOT NULL"
        )

    def keep_instead(self, key: bytes, line: bytes) -> None:
        """Keep the earlier line of a recording; `place_kept` takes the new one out."""
        self._sql("INSERT INTO kept VALUES (?, ?)", (key, line))

    def place_kept(self) -> None:
        """Take out the lines in whose place earlier ones are kept."""
        self._sql("UPDATE line SET text = NULL WHERE key IN (SELECT key FROM kept WHERE key IS NOT NULL)")

    def gone(self) -> Iterator[tuple[bytes, bytes]]:
        """The keys and the lines of the earlier recordings that are no longer among the new ones, in the file's order."""
        yield from self._sql("SELECT key, text FROM earlier WHERE key NOT IN (SELECT key FROM line) ORDER BY rowid")

    def fresh(self) -> Iterator[tuple[bytes, bytes]]:
        """The keys and the lines of the recordings that the earlier file has not."""
        yield from self._sql("SELECT key, text FROM line WHERE key NOT IN (SELECT key FROM earlier)")
