"""What an import will write, before anything is written: the whole file has to be right first."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from enum import IntEnum

import orjson

from nbcache.entry.records import EntryMeta
from nbcache.keys.json_text import parsed

TABLES = ("CREATE TABLE entry (key TEXT PRIMARY KEY, line INTEGER, state INTEGER, payload BLOB, row BLOB)",)
_AT_ONCE = 500  # entries in one transaction of the store
_MOST_BYTES = 4_000_000  # of their payloads


class State(IntEnum):
    """How a recording compares with the store."""

    NEW = 1
    SAME = 2
    CONFLICTING = 3


@dataclass(slots=True)
class Part:
    """A part of an import: the entries to store, and the keys of those that are there already."""

    entries: list[tuple[str, bytes, EntryMeta]]
    known: list[str]
    size_bytes: int = 0


class ImportDraft:
    """The entries of an import. `database` has the `TABLES`: they may be more than fit in memory."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._sql = database.execute

    def __len__(self) -> int:
        """The number of recordings."""
        return int(self._sql("SELECT count(*) FROM entry").fetchone()[0])

    def add(self, key: str, line: int, state: State, entry: tuple[bytes, EntryMeta] | None) -> bool:
        """Add a recording, with the entry if that is to be stored. Returns False if there is one of the same call."""
        payload, row = (None, None) if entry is None else (entry[0], _written(entry[1]))
        values = (key, line, state, payload, row)
        return bool(self._sql("INSERT OR IGNORE INTO entry VALUES (?, ?, ?, ?, ?)", values).rowcount)

    def line_of(self, key: str) -> int:
        """The line that records the call with this key."""
        return int(self._sql("SELECT line FROM entry WHERE key = ?", (key,)).fetchone()[0])

    def replace(self, key: str, line: int, state: State, entry: tuple[bytes, EntryMeta] | None) -> None:
        """Put a recording in the place of another one of the same call."""
        payload, row = (None, None) if entry is None else (entry[0], _written(entry[1]))
        values = (line, state, payload, row, key)
        self._sql("UPDATE entry SET line = ?, state = ?, payload = ?, row = ? WHERE key = ?", values)

    def count(self, state: State) -> int:
        """How many recordings have this state."""
        return int(self._sql("SELECT count(*) FROM entry WHERE state = ?", (state,)).fetchone()[0])

    def keys(self, state: State) -> tuple[str, ...]:
        """The keys of the recordings with this state, in the file's order."""
        return tuple(key for (key,) in self._sql("SELECT key FROM entry WHERE state = ? ORDER BY rowid", (state,)))

    def parts(self) -> Iterator[Part]:
        """All of it in parts, each for one transaction."""
        part = Part([], [])
        for key, payload, row in self._sql("SELECT key, payload, row FROM entry ORDER BY rowid"):
            if payload is None:
                part.known.append(key)
            else:
                part.entries.append((key, payload, _read(row)))
                part.size_bytes += len(payload)
            if len(part.entries) + len(part.known) >= _AT_ONCE or part.size_bytes >= _MOST_BYTES:
                yield part
                part = Part([], [])
        yield part


def _written(row: EntryMeta) -> bytes:
    try:
        return orjson.dumps(row, default=str)
    except TypeError:  # half of an emoji
        return json.dumps(asdict(row), default=str).encode()


def _read(written: bytes) -> EntryMeta:
    values = parsed(written)
    values |= {name: tuple(values[name]) for name in ("tags", "notebooks")}
    if values["cost_usd"] is not None:
        values["cost_usd"] = Decimal(values["cost_usd"])
    return EntryMeta(**values)
