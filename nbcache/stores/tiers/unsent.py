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
HIDE = "hide"  # nothing: it stays there, and is not answered from there until it is stored anew

_FILE = "unsent.db"
_MOST = 10_000  # of all tiers; copies are forgotten first
_TIMEOUT = 2.0  # seconds that a change waits for another process
_TABLE = "CREATE TABLE IF NOT EXISTS job (tier, key, kind, owner, noted, PRIMARY KEY (tier, key, owner)) WITHOUT ROWID"
_ADD, _REMOVE = (
    "INSERT OR REPLACE INTO job VALUES (?, ?, ?, ?, ?)",
    "DELETE FROM job WHERE tier = ? AND key = ? AND owner = ?",
)
_HIDING = {DELETE, CLEAR, HIDE}


class Job(NamedTuple):
    """What a tier is still to be told of an entry, and when that was noted (seconds since the epoch)."""

    tier: str
    key: str
    kind: str
    owner: str  # who gives the entry up; empty for a job that is nobody's own
    noted: float

    @property
    def place(self) -> tuple[str, str, str]:
        """There is one job of an entry for each owner, and one that is nobody's own."""
        return self.tier, self.key, self.owner


class Unsent:
    """The jobs that are still to be done. Safe to use from any thread and from several processes."""

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / _FILE
        self._jobs: dict[tuple[str, str, str], Job] = {}
        self._hidden: set[tuple[str, str]] = set()
        self._stamp: object = None
        self._lock = Lock()
        self._read()

    def add(self, tier: str, keys: Iterable[str], kind: str, owner: str | None = None) -> None:
        """Note a job for each of these entries, in place of an earlier one that is nobody's own, or this owner's.

        A copy of what was to be deleted takes its place there also if it is gone by then.
        """
        with self._lock:
            self._read()
            new = [Job(tier, key, self._after(tier, key, kind), owner or "", time.time()) for key in keys]
            for job in new:
                self._jobs.pop(job.place, None)
                self._jobs[job.place] = job
            forgotten = self._forget()
            self._hide()
            self._write(_ADD, new, makes=True)
            self._write(_REMOVE, [job.place for job in forgotten])

    def _after(self, tier: str, key: str, kind: str) -> str:
        earlier = self._jobs.get((tier, key, ""))
        return REPLACE if kind == COPY and earlier is not None and earlier.kind != COPY else kind

    def done(self, tier: str, keys: Iterable[str], owner: str | None = None) -> None:
        """Forget the jobs of these entries that are this owner's, or nobody's own."""
        with self._lock:
            self._read()
            places = [(tier, key, owner or "") for key in keys]
            gone = [place for place in places if self._jobs.pop(place, None) is not None]
            self._hide()
            self._write(_REMOVE, gone)

    def of(self, tier: str) -> list[Job]:
        """The jobs of a tier, the oldest first."""
        with self._lock:
            self._read()
            return [job for job in self._jobs.values() if job.tier == tier and job.kind != HIDE]

    def hides(self, tier: str, key: str) -> bool:
        """Whether this entry is still to be deleted in the tier: then it must not be answered from there.

        A call of the user asks this. It does not wait while the file is being changed.
        """
        if not self._lock.is_held:
            with self._lock:
                self._read(0)
        return (tier, key) in self._hidden

    def _hide(self) -> None:
        self._hidden = {(job.tier, job.key) for job in self._jobs.values() if job.kind in _HIDING}

    def _forget(self) -> list[Job]:
        """Forget what exceeds the bound: copies first, since what is to be deleted must not come back."""
        excess = len(self._jobs) - _MOST
        if excess <= 0:
            return []
        forgotten = sorted(self._jobs.values(), key=lambda job: (job.kind != COPY, job.noted))[:excess]
        for job in forgotten:
            del self._jobs[job.place]
        return forgotten

    def _read(self, timeout: float = _TIMEOUT) -> None:
        """Read the file, if another process has changed it, and is no longer changing it within `timeout` seconds."""
        stamp = _stamp(self._path)
        if self._path is None or stamp == self._stamp:
            return
        try:
            with self._opened(timeout) as connection:
                rows = connection.execute("SELECT tier, key, kind, owner, noted FROM job ORDER BY noted").fetchall()
        except sqlite3.OperationalError as error:
            if _is_busy(error):
                return  # it is read when it is free
        except sqlite3.Error:
            pass  # it is damaged, and replaced by what is noted next
        else:
            jobs = [Job(tier, key, kind, owner or "", noted) for tier, key, kind, owner, noted in rows]
            self._jobs = {job.place: job for job in jobs}
            self._hide()
        self._stamp = stamp

    def _write(self, statement: str, rows: Sequence[Sequence[object]], *, makes: bool = False) -> None:
        """Change the file. What fails is in memory all the same, for this process."""
        if self._path is None or not rows or not (makes or self._path.exists()):
            return
        with contextlib.suppress(sqlite3.Error, OSError):
            try:
                self._change(statement, rows, makes=makes)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:  # the file is damaged
                self._path.unlink()
                self._path.with_name(f"{_FILE}-journal").unlink(missing_ok=True)
                self._change(_ADD, list(self._jobs.values()), makes=True)

    def _change(self, statement: str, rows: Sequence[Sequence[object]], *, makes: bool) -> None:
        with self._opened(_TIMEOUT) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")  # otherwise two that read first would fail, not wait
            is_known = self._stamp == _stamp(self._path)  # else another process has changed it since it was read
            if makes:
                connection.execute(_TABLE)
            connection.executemany(statement, rows)
        self._stamp = _stamp(self._path) if is_known else None

    def _opened(self, timeout: float) -> "contextlib.closing[sqlite3.Connection]":
        return contextlib.closing(sqlite3.connect(str(self._path), timeout=timeout))


def _is_busy(error: sqlite3.Error) -> bool:
    return error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _stamp(path: Path | None) -> object:
    """A value that changes with the file. None if there is none."""
    if path is None:
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
