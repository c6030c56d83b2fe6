"""A store in a folder: diskcache for the payloads, a table of metadata beside them, one SQLite file.

diskcache is used for what it is good at. Without: pickle (CVE-2025-69872: a planted pickle must never
run), a connection for every thread (0.3 ms at each thread's first call, and hundreds of open files),
statistics and recency written on every read, waiting a minute for a lock.
"""

import functools
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import diskcache

from nbcache.entry import Cleared, EntryMeta, Filter, Totals, Touch
from nbcache.errors import DamagedError, StoreBusyError, TooLargeError
from nbcache.stores import rows
from nbcache.stores.database import Database, newer
from nbcache.stores.folder import APPLICATION_ID, DATABASE, STORE_VERSION
from nbcache.stores.pool import Pool

_READ_PATIENCE = 0.5  # seconds to wait for another process before a lookup counts as a miss
_WRITE_PATIENCE = 2.0
_AT_ONCE = 500  # entries deleted in one transaction
_SETTINGS = {"statistics": 0, "eviction_policy": "none", "cull_limit": 0}
_STALE = 0.1  # seconds within which a lookup may not notice that the folder was deleted
_READ = "SELECT mode, filename, value FROM Cache WHERE key = ? AND raw = 1 AND (expire_time IS NULL OR expire_time > ?)"


class DiskStore:
    """Entries in the folder `folder`, kept until cleared, or least recently used first within bounds.

    Opened at first use. A damaged database is set aside under a new name in the folder and a new one
    begun; another program's file, or one of a newer nbcache, is left alone (StoreRefusedError).
    """

    def __init__(self, folder: str | Path, *, max_bytes: int | None = None, max_entries: int | None = None) -> None:
        self.folder = Path(folder).expanduser().absolute()
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"store={str(folder)!r} is a file: write a folder")
        self._database = Database(self.folder, _Cache)
        self.bound(max_bytes, max_entries)

    @property
    def url(self) -> str:
        """`disk://` and the folder's path."""
        return f"disk://{quote(str(self.folder))}"

    def get(self, key: str, *, wait: bool = True) -> bytes | None:
        """The payload of `key`, or None. Without `wait`, raises StoreBusyError sooner than take its time."""
        cache = self._database.opened(within=_STALE)
        if cache is not None:
            try:
                connection = cache.pool.take()
                try:
                    return cache.read(connection, key)
                finally:
                    cache.pool.give_back(connection)
            except (sqlite3.Error, UnicodeDecodeError):  # in the way, or damaged: the way of all others tells
                pass
        if not wait:
            raise StoreBusyError(f"{self.folder} has to be opened or waited for")
        return self._database.run(lambda cache: cache.read(cache.pool.held, key), _READ_PATIENCE)

    def version(self) -> object:
        """What is equal only while no process has written; None where that can't be told."""
        cache = self._database.opened(within=_STALE)
        try:
            return None if cache is None else cache.pool.version()
        except sqlite3.Error:
            return None

    def put(self, key: str, payload: bytes, meta: EntryMeta, ttl: float | None = None) -> None:
        """Keep `payload` for `ttl` seconds, or for good. Raises TooLargeError where it is larger than the bound."""
        if type(payload) is not bytes:
            raise TypeError(f"a payload is bytes, not {type(payload).__name__}")
        if self._max_bytes is not None and len(payload) > self._max_bytes:
            raise TooLargeError(f"an answer of {len(payload)} bytes is larger than max_bytes={self._max_bytes}")

        def write(cache: _Cache) -> None:
            with cache.transaction():
                cache.forget_expired()
                rowid = rows.store(cache.execute, key, payload, None if ttl is None else time.time() + ttl)
                rows.insert(cache.execute, rowid, meta, len(payload))
                rows.evict(cache.execute, self._max_bytes, self._max_entries, spare=key)

        self._database.run(write, _WRITE_PATIENCE)

    def touch(self, touches: Iterable[Touch]) -> None:
        """Write down hits: recency, counts and owners."""
        found = list(touches)

        def write(cache: _Cache) -> None:
            with cache.transaction():
                for touched in found:
                    rows.touch(cache.execute, touched)

        if found:
            self._database.run(write, _WRITE_PATIENCE)

    def delete(self, key: str) -> bool:
        """Delete the entry for good; whether there was one."""
        return self.clear([key]).deleted > 0

    def row(self, key: str) -> EntryMeta | None:
        """The row of one entry."""
        found = [meta for meta in self.page(Filter(key=key), limit=1) if meta.key == key]
        return found[0] if found else None

    def page(self, which: Filter = Filter(), *, limit: int | None = None, offset: int = 0) -> list[EntryMeta]:  # noqa: B008 - frozen
        """The rows that `which` means, newest first."""
        return self._database.run(
            lambda cache: rows.select(cache.execute, which, time.time(), limit, offset), _READ_PATIENCE
        )

    def totals(self, notebook: str | None = None) -> Totals:
        """What the store holds, or what one notebook owns of it."""
        return self._database.run(
            lambda cache: Totals(*rows.totals(cache.execute, notebook, time.time())), _READ_PATIENCE
        )

    def clear(self, keys: Sequence[str], *, owner: str | None = None) -> Cleared:
        """Delete these entries; with an `owner`, take its ownership away and delete what nobody owns any more.

        A few hundred at a time, so that other kernels need not wait. What is deleted is overwritten, and its traces in SQLite's log are cut off: once no other process
        has the store open, the text is in no file of the folder.
        """

        def write(cache: _Cache, some: Sequence[str]) -> Cleared:
            deleted = freed = kept = 0
            with cache.transaction():
                cache.forget_expired()
                for key in some:
                    size = rows.size_of(cache.execute, key)
                    if owner is not None and size is not None and rows.disown(cache.execute, key, owner):
                        kept += 1
                    elif cache.delete(key) and size is not None:
                        deleted, freed = deleted + 1, freed + size
            return Cleared(deleted, freed, kept)

        done = Cleared()
        for start in range(0, max(len(keys), 1), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            done += self._database.run(functools.partial(write, some=some), _WRITE_PATIENCE)
        self._database.run(lambda cache: cache.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall(), _WRITE_PATIENCE)
        return done

    def bound(self, max_bytes: int | None, max_entries: int | None) -> None:
        """Evict what is over these bounds from the next `put` on. Raises ValueError where one is below 1."""
        for name, value in (("max_bytes", max_bytes), ("max_entries", max_entries)):
            if value is not None and value < 1:
                raise ValueError(f"{name}={value!r}: write a number above zero")
        self._max_bytes, self._max_entries = max_bytes, max_entries

    def check(self, *, fix: bool = False, read: Callable[[bytes, str], EntryMeta] | None = None) -> list[str]:
        """What is wrong with the store, a line each. With `fix`, mend it; a damaged entry is deleted.

        A damaged database file is set aside by opening it, with or without `fix`, as at any use.
        """

        def look(cache: _Cache) -> list[str]:
            problems = [str(line) for (line,) in cache.execute("PRAGMA integrity_check") if line != "ok"]
            if problems and fix:
                cache.execute("REINDEX")
                if cache.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
                    raise sqlite3.DatabaseError(f"malformed: {problems[0]}")
            with cache.transaction(undo=not fix):
                return problems + cache.mend_payloads(read) + rows.mend(cache.execute)

        return self._database.run(look, _WRITE_PATIENCE)

    def close(self) -> None:
        """Let go of the files; the last one out folds SQLite's log into the database."""
        self._database.close()


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

    def store(self, value: object, read: object, key: object = None) -> tuple[int, int, None, object]:  # noqa: ARG002
        if type(value) is not bytes:
            raise TypeError(f"a payload is bytes, not {type(value).__name__}")
        return 0, diskcache.core.MODE_RAW, None, value

    def fetch(self, mode: int, filename: object, value: object, read: object) -> bytes:  # noqa: ARG002
        if mode != diskcache.core.MODE_RAW or type(value) is not bytes:
            raise DamagedError("a payload that nbcache did not write")
        return value


class _Cache(diskcache.Cache):  # type: ignore[misc]
    """diskcache on a pool of connections, with our tables in its file."""

    _txn_id: int | None

    def __init__(self, folder: Path) -> None:
        self.pool = Pool(folder / DATABASE)
        with self.pool.hold():
            self._claim()
            if self.execute("SELECT 1 FROM sqlite_master WHERE name = 'total_delete'").fetchone():
                self._adopt()
            else:
                # The folder's name stays with the pool: diskcache would expand "$" and "~" in it.
                super().__init__("/", timeout=0, disk=_Bytes, **_SETTINGS)
                self._make_tables()

    @property
    def _con(self) -> sqlite3.Connection:
        return self.pool.held

    @property
    def _sql_retry(self) -> rows.Execute:
        """Diskcache waits a minute for each statement of its start; here the store waits, and not as long."""
        return self.execute

    @property
    def execute(self) -> rows.Execute:
        """Run a statement on the connection that this thread holds."""
        return self.pool.held.execute

    def close(self) -> None:
        """Diskcache closes and reopens while it starts; the pool is closed by its store."""

    def read(self, connection: sqlite3.Connection, key: str) -> bytes | None:
        """The payload of `key`: as diskcache's `get`, without what it does for other kinds of values."""
        found = connection.execute(_READ, (key, time.time())).fetchone()
        if found is None:
            return None
        mode, filename, value = found
        return self._disk.fetch(mode, filename, value, read=False)

    @contextmanager
    def transaction(self, *, undo: bool = False) -> Iterator[None]:
        """All of the block or nothing; with `undo` nothing, so that one can look what it would have done.

        diskcache's own methods join in: they look at `_txn_id`. It is put back before the end, when another
        thread may already begin.
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

    def forget_expired(self) -> None:
        """Delete what has expired: its owners and hits too, before it is stored anew."""
        self.execute("DELETE FROM Cache WHERE expire_time <= ?", (time.time(),))

    def mend_payloads(self, read: Callable[[bytes, str], EntryMeta] | None) -> list[str]:
        """What of the payloads is damaged, or has no row: deleted, or the row rebuilt from the payload."""
        problems = []
        for rowid, key, raw, mode, value in self.execute("SELECT rowid, key, raw, mode, value FROM Cache").fetchall():
            try:
                payload = self._disk.fetch(mode, None, value, read=False)
                meta = None if read is None else read(payload, self._disk.get(key, raw))
            except DamagedError as error:
                problems.append(str(error))
                if not error.newer:
                    self.execute("DELETE FROM Cache WHERE rowid = ?", (rowid,))
                continue
            known = self.execute("SELECT 1 FROM entry WHERE id = ?", (rowid,)).fetchone()
            if not known and meta is not None:
                problems.append(f"entry {key[:8]} had no row")
                rows.insert(self.execute, rowid, meta, len(payload))
        return problems

    def _claim(self) -> None:
        """Mark the file as ours while it is new: before WAL mode, so that the header is in the file itself."""
        ((version,),) = self.execute("PRAGMA user_version")
        if version > STORE_VERSION:  # a newer nbcache has it open: its header doesn't tell yet
            raise newer(self.pool.database)
        if not self.execute("PRAGMA application_id").fetchone()[0]:
            self.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self.execute(f"PRAGMA user_version = {STORE_VERSION}")

    def _adopt(self) -> None:
        """Open a store that is made already by reading alone; diskcache would write its settings each time."""
        self._directory, self._timeout, self._txn_id, self._local = "/", 0, None, threading.local()
        self._disk = _Bytes("/")
        for name, value in {**diskcache.core.DEFAULT_SETTINGS, **_SETTINGS}.items():
            setattr(self, name, value)

    def _make_tables(self) -> None:
        if self.execute("SELECT 1 FROM sqlite_master WHERE name = 'total_delete'").fetchone():
            return
        with self.transaction():
            for statement in rows.SCHEMA:
                self.execute(statement)
