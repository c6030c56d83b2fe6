"""diskcache on a pool of connections, with our tables in its file.

What is not used of diskcache: pickle (CVE-2025-69872: a planted pickle must never
run), a connection for every thread (0.3 ms at each thread's first call, and hundreds of open files),
statistics and recency written on every read, waiting a minute for a lock.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import diskcache

from nbcache.errors import DamagedError
from nbcache.stores.sqlite import deleted_text, expiry, new_rows, schema, upgrade
from nbcache.stores.sqlite.connection import CACHE
from nbcache.stores.sqlite.connection_pool import Pool
from nbcache.stores.sqlite.file_kinds import newer, refuse_others
from nbcache.stores.sqlite.folder import APPLICATION_ID, DATABASE, STORE_VERSION, is_newer
from nbcache.stores.sqlite.foreign_tables import inspect
from nbcache.stores.sqlite.large_payloads import LARGE, Read
from nbcache.stores.sqlite.late_answers import LateAnswer
from nbcache.stores.sqlite.opening_modes import access_to, copied, leave_log, warn_of
from nbcache.stores.sqlite.sql import Execute

_T = TypeVar("_T")
_SETTINGS = {"statistics": 0, "eviction_policy": "none", "cull_limit": 0}
_ROWS_AT_ONCE = 500  # in about ten milliseconds: others may be waiting to write
_TRIED_AFTER = 0.5  # seconds between two attempts to empty a log that somebody reads

_LARGE_CACHE = 32_000  # kB of pages, while many entries are changed or deleted: as much as the indexes of 100,000 have
_VALID = "FROM Cache WHERE key = ? AND raw = 1 AND (expire_time IS NULL OR expire_time > ?)"
_READ = f"SELECT mode, value {_VALID}"
_READ_SMALL = f"SELECT mode, CASE WHEN length(value) <= {LARGE} THEN value END, length(value) > {LARGE} {_VALID}"
_FIND_LARGE = f"SELECT rowid {_VALID} AND mode = {diskcache.core.MODE_RAW} AND typeof(value) = 'blob'"


class _Bytes(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
    """str keys and bytes values, all in the database. Nothing is ever pickled or unpickled."""

    def put(self, key: object) -> tuple[str, bool]:
        if type(key) is not str:
            raise TypeError(f"a key is a str, not {type(key).__name__}")
        return key, True

    def get(self, key: object, raw: object) -> str:
        if type(key) is not str or not raw:
            raise DamagedError("a key that nbcache did not write")
        return key

    def remove(self, file_path: object) -> None:
        """Delete nothing: no payload is in a file, and the database could name any file of the user's."""

    def store(self, value: object, read: object, key: object = None) -> tuple[int, int, None, object]:  # noqa: ARG002
        if type(value) is not bytes:
            raise TypeError(f"a payload is bytes, not {type(value).__name__}")
        return 0, diskcache.core.MODE_RAW, None, value

    def fetch(self, mode: int, filename: object, value: object, read: object) -> bytes:  # noqa: ARG002
        return payload_in(mode, value)


def payload_in(mode: int, value: object) -> bytes:
    """The payload in a row of diskcache's table. Raises DamagedError where nbcache did not write it."""
    if mode != diskcache.core.MODE_RAW or type(value) is not bytes:
        raise DamagedError("a payload that nbcache did not write")
    return value


def _large_payload(connection: sqlite3.Connection, values: tuple[str, float], read: Read) -> bytes | memoryview | None:
    """A payload that is read as a blob, within one transaction, so that it is that of its key. None if there is none."""
    begins = not connection.in_transaction
    if begins:
        connection.execute("BEGIN")
    try:
        row = connection.execute(_FIND_LARGE, values).fetchone()
        if row is None:
            return None
        with connection.blobopen("Cache", "value", row[0], readonly=True) as blob:
            return read(blob)
    finally:
        if begins:
            connection.execute("COMMIT")


class CacheFile(diskcache.Cache):  # type: ignore[misc]
    """The database in a folder."""

    _txn_id: int | None
    _tried = 0.0
    _last_clock: float | None = None
    _has_traces = False

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        refuse_others(folder / DATABASE)
        self.access = access_to(folder, read_only=read_only)
        warn_of(self.access, read_only=read_only)
        if not self.is_read_only and self.access.network is not None:
            leave_log(self.access.database)
        if not self._begin():  # it is read-only, and of an earlier nbcache
            self.access = copied(self.access)
            self._begin()

    @property
    def is_read_only(self) -> bool:
        """Whether nothing can be written."""
        return self.access.is_read_only

    @property
    def _is_alone(self) -> bool:
        """Whether nobody else may read while this one writes."""
        return self.access.network is not None and not self.is_read_only

    def _begin(self) -> bool:
        """Open, make or upgrade the file. Returns whether it can be used where it is."""
        self.pool = Pool(self.access)
        is_fixed = self.is_read_only and self.access.copy is None
        try:
            with self.pool.hold(writes=self._is_alone):
                self._adopt()
                self._claim(is_fixed=is_fixed)
                inspect(self.execute, self.pool.database)
                is_new = schema.version(self.execute) == STORE_VERSION
                if is_fixed and (not is_new or upgrade.is_left(self.execute)):
                    self.pool.close()
                    return False
                if not is_new:
                    self._make_tables()
        except BaseException:
            self.pool.close()
            raise
        return True

    def bound(self, seconds: float) -> None:
        """Limit what is done on the held connection from now on to so many seconds."""
        self.pool.held.ends[0] = time.monotonic() + seconds

    def finish(self) -> None:
        """Finish an upgrade, in turns with other processes: it may take a second for ten thousand entries."""
        if self.is_read_only and self.access.copy is None:
            return
        with self.pool.hold(writes=self._is_alone):
            upgrade.finish(self.execute, self.transaction)
            if self.is_read_only:  # in this copy
                self.move_rows(at_most=None)
            if deleted_text.are_left(self.execute):
                self.fold()

    def tidy(self) -> None:
        """The last thing that is done before the file is closed."""
        if not self.is_read_only:
            with self.pool.hold(writes=self._is_alone):
                deleted_text.remove_copies(self.execute)

    @property
    def _con(self) -> sqlite3.Connection:
        return self.pool.held

    @property
    def _sql_retry(self) -> Execute:
        """As `execute`: diskcache would wait a minute for each statement of its start. Here the store waits, and less."""
        return self.execute

    @property
    def execute(self) -> Execute:
        """Run a statement on the connection that this thread holds."""
        return self.pool.held.execute

    def close(self) -> None:
        """Diskcache closes and reopens while it starts; the pool is closed by its store."""

    @contextmanager
    def transaction(self, *, undo: bool = False) -> Iterator[None]:
        """Write all of the block or nothing; with `undo` nothing, to see what it would have done.

        diskcache's own methods run within it, since `_txn_id` is set. That is reset before the end: afterwards another
        thread may begin.
        """
        connection = self.pool.held
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._txn_id = threading.get_ident()
            yield
            self._txn_id = None
            connection.execute("ROLLBACK" if undo else "COMMIT")
        except BaseException:
            if connection.in_transaction:
                self._txn_id = None
                connection.execute("ROLLBACK")
            raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read all of the block from one state of the file, whatever others write meanwhile."""
        self.execute("BEGIN")
        try:
            yield
        finally:
            if self.pool.held.in_transaction:
                self.execute("COMMIT")

    def of_one_state(self, read: Callable[[Execute], _T]) -> _T:
        """What `read` returns: see `snapshot`."""
        with self.snapshot():
            return read(self.execute)

    @staticmethod
    def payload_of(
        connection: sqlite3.Connection, key: str, *, include_expired: bool, read: Read = sqlite3.Blob.read
    ) -> bytes | memoryview | None:
        """The payload of `key`, or None; a large one as `read` reads it. Raises DamagedError, or sqlite3.Error."""
        values = key, 0 if include_expired else time.time()
        row = connection.execute(_READ_SMALL, values).fetchone()
        if row is None:
            return None
        mode, payload, is_large = row
        if is_large:
            payload = _large_payload(connection, values, read)
            if type(payload) is memoryview:
                return payload
            if payload is None:  # it was just deleted, or is no payload
                row = connection.execute(_READ, values).fetchone()
                return None if row is None else payload_in(*row)
        return payload_in(mode, payload)

    def commit(self, answer: LateAnswer) -> int | None:
        """Commit a new entry by one statement, as `new_rows` says. Returns its rowid, or None if that is not possible."""
        return new_rows.commit(self.pool, answer)

    def has_waiting_rows(self) -> bool:
        """Whether updates have left rows, as `new_rows` says."""
        return new_rows.are_left(self.execute)

    def move_rows(self, at_most: int | None = _ROWS_AT_ONCE) -> bool:
        """Write the rows that updates have left, or the first of them. Returns whether there may be more."""
        with self.transaction():
            return new_rows.move(self.execute, at_most) == at_most

    def read_many_pages(self) -> None:
        """Let the held connection keep more of the file in memory, until `read_few_pages`: entries are all over the indexes."""
        self.execute(f"PRAGMA cache_size = {-_LARGE_CACHE}")

    def read_few_pages(self) -> None:
        """Give that memory back."""
        self.execute(f"PRAGMA cache_size = {-CACHE}")

    def delete_expired(self) -> None:
        """Delete some expired entries, as `expiry` says. What is left is for the next who writes."""
        now = time.time()
        if expiry.is_due(self._last_clock, now) and not expiry.delete_expired(self.execute, now):
            self._last_clock = now

    def has_to_be_tidied(self) -> bool:
        """Whether the next who writes has more to do than that, or may not write."""
        return self.is_read_only or self._has_traces or expiry.is_due(self._last_clock, time.time())

    def fold(self) -> None:
        """Remove deleted text from SQLite's log, now or as soon as no other process reads it."""
        self._tried = time.monotonic()
        self._has_traces = not deleted_text.fold(self.execute)

    def go_on(self) -> None:
        """Try `fold` again, if another process kept it from that."""
        if self._has_traces and time.monotonic() > self._tried + _TRIED_AFTER:
            self.fold()

    def key_and_payload(self, key: object, raw: object, mode: int, value: object) -> tuple[str, bytes]:
        """The key and the payload in a row of diskcache's table. Raises DamagedError."""
        return self._disk.get(key, raw), self._disk.fetch(mode, None, value, read=False)

    def _claim(self, *, is_fixed: bool) -> None:
        """Mark the new file as ours, before it has a log: so the mark is in the file itself."""
        ((version,),) = self.execute("PRAGMA user_version")
        if is_newer(version):  # a newer nbcache has it open: its header doesn't tell yet
            raise newer(self.pool.database)
        if is_fixed:
            return
        if not self.execute("PRAGMA application_id").fetchone()[0]:
            self.execute("PRAGMA auto_vacuum = INCREMENTAL")  # room is given back by a clear, some at a time
            self.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self.execute(f"PRAGMA user_version = {STORE_VERSION}")
        if self.access.network is None:
            self.execute("PRAGMA journal_mode = WAL").fetchall()

    def _adopt(self) -> None:
        """Set what diskcache's `__init__` sets, without writing its settings each time."""
        self._directory, self._timeout, self._txn_id, self._local = "/", 0, None, threading.local()
        self._disk = _Bytes("/")
        for name, value in {**diskcache.core.DEFAULT_SETTINGS, **_SETTINGS}.items():
            setattr(self, name, value)

    def _make_tables(self) -> None:
        with self.transaction():
            schema.make(self.execute)
        self.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # an earlier nbcache looks at the file's header
