"""What could not be sent to a tier, until it can be: keys, and what is to be done with each.

It is kept in a small file beside the first tier's database, for the next process, or in memory if that tier is no folder.
"""

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from nbcache.concurrency.locks import Lock

COPY = "copy"  # the entry is to be copied, if it is still there
REPLACE = "replace"  # the same of an entry that was edited: if it is gone, it is to be deleted
DELETE = "delete"
CLEAR = "clear"  # its owner gives it up, or all owners do

_FILE = "unsent.db"
_MOST = 10_000  # of all tiers; copies are forgotten first
_TIMEOUT = 2.0  # seconds to wait for another process
_TABLE = "CREATE TABLE IF NOT EXISTS job (tier, key, kind, owner, noted, PRIMARY KEY (tier, key)) WITHOUT ROWID"
_HIDING = {DELETE, CLEAR}


class Job(NamedTuple):
    """What a tier is still to be told of an entry, and when that was noted (seconds since the epoch)."""

    tier: str
    key: str
    kind: str
    owner: str | None
    noted: float


class Unsent:
    """The jobs that are still to be done. Safe to use from any thread and from several processes."""

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / _FILE
        self._jobs: dict[tuple[str, str], Job] = {}
        self._stamp: object = None
        self._lock = Lock()

    def add(self, tier: str, keys: Iterable[str], kind: str, owner: str | None = None) -> None:
        """Note a job for each of these entries, in place of an earlier one."""
        new = [Job(tier, key, kind, owner, time.time()) for key in keys]
        with self._lock:
            self._read()
            for job in new:
                self._jobs.pop((tier, job.key), None)
                self._jobs[tier, job.key] = job
            forgotten = self._forget()
            self._write("INSERT OR REPLACE INTO job VALUES (?, ?, ?, ?, ?)", new, makes=True)
            self._write("DELETE FROM job WHERE tier = ? AND key = ?", [job[:2] for job in forgotten])

    def done(self, tier: str, keys: Iterable[str]) -> None:
        """Forget the jobs of these entries."""
        with self._lock:
            self._read()
            gone = [(tier, key) for key in keys if self._jobs.pop((tier, key), None) is not None]
            self._write("DELETE FROM job WHERE tier = ? AND key = ?", gone)

    def of(self, tier: str) -> list[Job]:
        """The jobs of a tier, the oldest first."""
        with self._lock:
            self._read()
            return [job for job in self._jobs.values() if job.tier == tier]

    def hides(self, tier: str, key: str) -> bool:
        """Whether this entry is still to be deleted in the tier: then it must not be answered from there."""
        with self._lock:
            self._read()
            job = self._jobs.get((tier, key))
        return job is not None and job.kind in _HIDING

    def _forget(self) -> list[Job]:
        """Forget what exceeds the bound: copies first, since what is to be deleted must not come back."""
        excess = len(self._jobs) - _MOST
        if excess <= 0:
            return []
        forgotten = sorted(self._jobs.values(), key=lambda job: (job.kind != COPY, job.noted))[:excess]
        for job in forgotten:
            del self._jobs[job[:2]]
        return forgotten

    def _read(self) -> None:
        """Read the file, if another process has changed it."""
        stamp = _stamp(self._path)
        if self._path is None or stamp == self._stamp:
            return
        with contextlib.suppress(sqlite3.Error), self._opened() as connection:
            rows = connection.execute("SELECT tier, key, kind, owner, noted FROM job ORDER BY noted")
            self._jobs = {(row[0], row[1]): Job(*row) for row in rows}
        self._stamp = stamp

    def _write(self, statement: str, rows: Sequence[Sequence[object]], *, makes: bool = False) -> None:
        """Change the file. What fails is in memory all the same, for this process."""
        if self._path is None or not rows or not (makes or self._path.exists()):
            return
        with contextlib.suppress(sqlite3.Error), self._opened() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")  # otherwise two that read first would fail, not wait
            if makes:
                connection.execute(_TABLE)
            connection.executemany(statement, rows)
        self._stamp = _stamp(self._path)

    def _opened(self) -> "contextlib.closing[sqlite3.Connection]":
        return contextlib.closing(sqlite3.connect(str(self._path), timeout=_TIMEOUT))


def _stamp(path: Path | None) -> object:
    """A value that changes with the file. None if there is none."""
    if path is None:
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
