"""A store in a folder: payloads, a table of metadata beside them and a search index, in one SQLite file."""

import math
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from nbcache import entry, public_in
from nbcache.concurrency.locks import Lock
from nbcache.concurrency.timer import Timer
from nbcache.entry.durations_and_sizes import count, size
from nbcache.entry.filter import Filter
from nbcache.errors import StoreBusyError, StoreError, StoreReadOnlyError, warn_once
from nbcache.stores import sqlite
from nbcache.stores.progress import Progress
from nbcache.stores.sqlite.background_indexing import Indexing
from nbcache.stores.sqlite.changes import UNNOTICED, Changes
from nbcache.stores.sqlite.connection_pool import own_writes
from nbcache.stores.sqlite.database import LONG, Database
from nbcache.stores.sqlite.eviction import Bounds
from nbcache.stores.sqlite.late_answers import LateAnswer, LateAnswers, end_of, is_temporary
from nbcache.stores.sqlite.page_starts import PageStarts
from nbcache.stores.sqlite.stored_ledger import StoredLedger
from nbcache.stores.sqlite.value_sets import ValueSets

if TYPE_CHECKING:
    from nbcache.entry.edit import Edit
    from nbcache.entry.records import Cleared, EntryMeta, Facets, Totals, Touch
    from nbcache.stores.selection import Search, Selection
    from nbcache.stores.sqlite.check import Read
    from nbcache.stores.sqlite.diskcache_file import CacheFile
    from nbcache.stores.sqlite.entry_stream import EntryStream
    from nbcache.stores.sqlite.large_payloads import Read as ReadBlob
    from nbcache.stores.sqlite.sql import Execute

_READ_TIMEOUT = 0.5  # seconds to wait for another process before a lookup counts as a miss
_WRITE_TIMEOUT = 2.0
_CATCH_UP_TIMEOUT = 0.3  # for answers that are late, at the end of a cell
_LAST_TIMEOUT = 3.0  # the same at the end of the process
_LATER = 0.5  # seconds after which it is tried again to write them
_T = TypeVar("_T")
_Operation = Callable[["CacheFile"], _T]


@public_in("nbcache.stores")
class DiskStore(StoredLedger):
    """Entries in the folder `folder`, kept until cleared, or least recently used first within bounds.

    Opened at first use. A damaged database is set aside under a new name in the folder, and a new one is begun. Another
    program's file, or one of a newer nbcache, is left alone (StoreRefusedError). With `read_only`, nothing is made or changed
    in the folder: writing raises StoreReadOnlyError, and where there is no store, reading raises StoreError.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        max_bytes: int | None = None,
        max_entries: int | None = None,
        read_only: bool = False,
    ) -> None:
        self.folder = Path(folder).expanduser().absolute()
        if os.path.exists(self.folder) and not os.path.isdir(self.folder):  # noqa: PTH110, PTH112 - pathlib's may raise
            raise ValueError(f"store={str(folder)!r} is a file: write a folder")
        self.read_only = read_only
        self._database: Database[CacheFile] = Database(
            self.folder, lambda: sqlite.diskcache_file.CacheFile, read_only=read_only
        )
        self._writes = Lock()  # so that threads of this process don't wait for each other in SQLite
        self._late = LateAnswers()
        self._changes = Changes(self._database, self._late)
        self.payload_token = self._changes.payload_token
        self._timer = Timer(self._catches_up, _LATER)
        self._indexing = Indexing()
        self._page_starts, self._value_sets = PageStarts(), ValueSets()
        self.bound(max_bytes, max_entries)

    @property
    def url(self) -> str:
        """`disk://` and the folder's path."""
        return f"disk://{quote(str(self.folder))}"

    def get(self, key: str, *, wait: bool = True, include_expired: bool = False) -> bytes | None:
        """The payload of `key`, or None. Without `wait`, raises StoreBusyError sooner than take its time."""
        payload = self._get(key, wait=wait, include_expired=include_expired)
        return bytes(payload) if type(payload) is memoryview else payload

    def get_owned(self, key: str, *, wait: bool = True) -> bytes | memoryview | None:
        """As `get`. Many bytes are in memory that can be written to and that nobody else has."""
        if getattr(self.get, "__func__", None) is not _own_get:  # a subclass has its own
            return self.get(key, wait=wait)
        return self._get(key, wait=wait, include_expired=False, read=sqlite.large_payloads.read_owned)

    def _get(self, key: str, *, wait: bool, include_expired: bool, **how: "ReadBlob") -> bytes | memoryview | None:
        if self._late.answers and (late := self._late.get(key, include_expired=include_expired)) is not None:
            return late
        file = self._database.file
        if file is not None and not file.pool.moved(UNNOTICED):
            try:
                connection = file.pool.acquire()
                try:
                    return file.payload_of(connection, key, include_expired=include_expired, **how)
                finally:
                    file.pool.release(connection)
            except (sqlite3.Error, UnicodeDecodeError):  # busy or damaged: `Database.run` below finds out
                pass
        if not wait:
            raise StoreBusyError(f"{self.folder} has to be opened or waited for")
        return self._query(lambda file: file.payload_of(file.pool.held, key, include_expired=include_expired, **how))

    def change_token(self) -> object:
        """A value that is equal only while no process has written. None if that isn't known now."""
        return self._changes.token()

    def put(self, key: str, payload: bytes, meta: "EntryMeta", ttl: float | None = None) -> None:
        """Keep `payload` for `ttl` seconds, or for good. Raises TooLargeError if it is larger than the bound.

        If another process or a full disk keeps it from being written, it is kept in memory and written later.
        """
        if type(payload) is not bytes:
            raise TypeError(f"a payload is bytes, not {type(payload).__name__}")
        self._bounds.check(payload)
        answer = LateAnswer(key, payload, meta, end_of(ttl))
        if self._put_new(answer):
            return
        try:
            if self._late.answers:
                self._catch_up()
            self._write(partial(self._put, answers=[answer]))
        except StoreError as error:
            if not is_temporary(error) or not self._late.add(answer):
                raise
            self._timer.wake()
            warn_once(
                f"{type(error).__name__} {self.url}",
                f"nbcache can't write to its store now: {error}. Answers are kept in memory until it can",
            )

    def _put_new(self, answer: LateAnswer) -> bool:
        """Commit a new entry by one statement. Returns whether that was all that there was to do, and could be done."""
        file = self._database.file
        if file is None or self._late.answers or self._bounds.are_set or file.has_to_be_tidied() or file.pool.moved():
            return False
        try:
            with self._writes:
                rowid = file.commit(answer)
        finally:
            own_writes.count += 1
        self._indexing.stored([] if rowid is None else [rowid])
        return rowid is not None

    def _put(self, cache: "CacheFile", answers: Sequence[LateAnswer]) -> None:
        """Write these answers, of which some may replace others, and do what is due."""
        with self._bounds.keeping(self, cache, spare=answers[-1].key), cache.transaction():
            sqlite.new_rows.move(cache.execute)
            cache.delete_expired()
            rowids = [sqlite.rows.put(cache.execute, *answer) for answer in answers]
            self._bounds.keep(cache, spare=answers[-1].key)
        self._indexing.stored(rowids)

    def _catch_up(self, timeout: float = 0.0) -> None:
        """Write the answers that could not be written when they came. Raises StoreError if they still can't be."""
        while some := self._late.some():
            self._write(partial(self._put, answers=some), timeout)
            self._late.done(some)

    def _catches_up(self, _: Timer) -> bool:
        """Try to write late answers. Returns whether some are left."""
        with suppress(StoreError):
            self._catch_up()
        return bool(self._late.answers)

    def put_all(self, entries: "Iterable[tuple[str, bytes, EntryMeta]]") -> None:
        """Keep all of these for good, in one transaction."""
        if answers := [LateAnswer(*entry, None) for entry in entries]:
            self._write(partial(self._put, answers=answers), _WRITE_TIMEOUT)

    def touch(self, touches: "Iterable[Touch]") -> None:
        """Update rows: last hit, hits, owners, costs. Late answers are written, too."""
        touches = list(touches)
        self._database.recover()
        with suppress(StoreError):
            self._catch_up(_CATCH_UP_TIMEOUT)
        self._move_own_rows()

        def write(sql: "Execute") -> None:
            sqlite.new_rows.move(sql)
            for touched in touches:
                sqlite.rows.touch(sql, touched, time.time())

        if touches:
            self._note(write)

    def delete(self, key: str) -> bool:
        """Delete the entry for good. Returns whether there was one."""
        return self._delete(sqlite.clearing.Deletion([key], why="evicted by hand")).deleted > 0

    def page(
        self,
        which: Filter = Filter(),  # noqa: B008 - frozen
        *,
        sort: str = "created",
        descending: bool = True,
        limit: int | None = None,
        offset: int = 0,
    ) -> "list[EntryMeta]":
        """The rows that `which` selects, in this order."""
        self._move_rows(which)
        select, token, starts = sqlite.pages.select, self.change_token(), self._page_starts
        part = sqlite.pages.Part(sort, descending, limit, offset)
        return self._of_one_state(lambda sql: select(sql, which, time.time(), part, starts=starts, token=token))

    def stream(self, which: Filter, keys: Collection[str] | None = None) -> "EntryStream[EntryMeta]":
        """The entries that `which` selects now, or those of them among `keys`, each with its payload; the newest first."""
        self._move_rows(which)
        ids = self._look(lambda cache: sqlite.pages.ids(cache.execute, which, time.time(), keys))
        read = sqlite.pages.with_payloads
        return sqlite.entry_stream.EntryStream(self._look, ids, read, include_expired=which.include_expired)

    def select(self, which: Filter, search: "Search | None" = None, progress: Progress | None = None) -> "Selection":
        """The rows that `which` selects now, the newest first; with `search` those of entries with its text."""
        self._move_rows(which)
        return sqlite.selection.select(self._look, which, search, progress)

    def columns(self, which: Filter = Filter()) -> dict[str, list[Any]]:  # noqa: B008 - frozen
        """The fields of EntryMeta, each with its values in the order of the rows, the newest first."""
        self._move_rows(which)
        return self._look(lambda cache: sqlite.columns.columns(cache, which))

    def totals(self, which: Filter = Filter()) -> "Totals":  # noqa: B008 - frozen
        """How many entries `which` selects, and how many bytes."""
        return self._read(lambda sql: entry.Totals(*sqlite.counts.count(sql, which, time.time())), which)

    def number(self, which: Filter) -> int:
        """How many entries `which` selects."""
        self._move_rows(which)
        token = self.change_token()  # not before: rows that can't be moved now would come in under it later
        return self._of_one_state(lambda sql: sqlite.counts.number(sql, which, time.time(), self._value_sets, token))

    def facets(self, notebook: str | None = None) -> "Facets":
        """The values that the entries have."""
        return self._read(lambda sql: sqlite.counts.facets(sql, notebook, time.time()))

    def _read(self, read: "Callable[[Execute], _T]", which: Filter = Filter()) -> _T:  # noqa: B008 - frozen
        """What `read` returns, after the rows that updates have left are written."""
        self._move_rows(which)
        return self._of_one_state(read)

    def _of_one_state(self, read: "Callable[[Execute], _T]") -> _T:
        """What `read` returns, with several statements on one state of the file."""
        return self._query(lambda cache: cache.of_one_state(read))

    def index(self, words_of: Callable[[bytes, str], Iterable[str]], at_most: int = 100) -> bool:
        """Index at most so many entries, those of this process first; as many are listed. Returns whether some are left."""
        self._move_rows()
        return self._indexing.step(self._query, self._write_beside, words_of, at_most)

    def _move_rows(self, which: Filter = Filter()) -> None:  # noqa: B008 - frozen
        """Write the rows that updates have left, of this process or another. Where that can't be done now, they are missing."""
        with suppress(StoreError):
            file = sqlite.diskcache_file.CacheFile
            while self._query(file.has_waiting_rows) and self._write_beside(file.move_rows, _CATCH_UP_TIMEOUT):
                time.sleep(sqlite.check.PAUSE)
            self._indexing.describe(which, self._query, self._write)

    def _move_own_rows(self) -> None:
        """As `_move_rows`, if the file is open: else this process has left none."""
        if (file := self._database.file) is not None and not file.pool.moved():
            self._move_rows()

    def similar(self, words: Sequence[str], limit: int) -> list[str]:
        """The keys of indexed entries that have most of these words, the most similar first."""
        return self._query(lambda cache: sqlite.rows.similar(cache.execute, words, limit))

    def tombstone(self, key: str, when: float, *, keep: bool = False) -> tuple[str, float] | None:
        """Why and when the entry `key`, which missed at `when`, was removed; without `keep` only once."""
        # Most misses are of calls that were never made before: this is found out by reading only.
        reason = self._query(lambda cache: sqlite.tombstones.look_up(cache, key, when))
        if reason is True:
            return self._write_beside(lambda cache: sqlite.tombstones.take(cache, key, when, keep=keep))
        return reason or None

    def clear(self, keys: Sequence[str], *, owner: str | None = None, progress: Progress | None = None) -> "Cleared":
        """Delete these entries; with an `owner`, remove its ownership and delete entries without another owner.

        A few at a time, so that other kernels need not wait. Deleted text is overwritten, and removed from the search
        index and from SQLite's log: once no other process has the store open, it is in no file of the folder.
        """
        return self._delete(sqlite.clearing.Deletion([*dict.fromkeys(keys)], owner), progress)

    def edit(self, keys: Sequence[str], change: "Edit", progress: Progress | None = None) -> int:
        """Change these entries, as far as they are there, a few at a time. Returns how many were changed."""
        self._catch_up(_WRITE_TIMEOUT)
        changed = sqlite.editing.edit(self._write_waiting, keys, change, progress)
        self._indexing.stored(changed)  # whoever was indexing them meanwhile has passed over them
        return len(changed)

    def _delete(self, deletion: "sqlite.clearing.Deletion", progress: Progress | None = None) -> "Cleared":
        parts: list[Cleared] = []

        def clear(store: DiskStore) -> bool:
            store._catch_up(_WRITE_TIMEOUT)
            return sqlite.clearing.delete(store._write_waiting, deletion, parts, progress)

        is_empty = sqlite.full_disk.done_here_or_in_copy(self, clear, self._database.close)
        sqlite.damaged_files.forget_set_aside(self.folder, everything=is_empty)
        return sum(parts, entry.Cleared())

    def bound(self, max_bytes: int | None, max_entries: int | None) -> None:
        """From the next `put` on, evict what exceeds these bounds. Raises ValueError if one is below 1."""
        self._bounds = Bounds(size(max_bytes), count(max_entries))

    def check(self, *, fix: bool = False, read: "Read | None" = None, progress: Progress | None = None) -> list[str]:
        """What is wrong with the store, a line each. With `fix`, repair it: damaged entries are deleted.

        A damaged database file is set aside by opening it, with or without `fix`, as at any use.
        """
        self._move_rows()
        if not fix and self._query(lambda file: file.is_read_only):
            return sqlite.check.check_copy(self, read, progress)
        problems = sqlite.check.check(self._look, self._write_waiting, read, progress, fix=fix)
        aside = sqlite.damaged_files.forget_aside(self.folder) if fix else []
        return problems + [f"{name}, which had been set aside as damaged, is deleted" for name in aside]

    def _query(self, operation: "_Operation[_T]") -> _T:
        return self._database.run(operation, _READ_TIMEOUT)

    def _look(self, operation: "_Operation[_T]") -> _T:
        return self._database.run(operation, _READ_TIMEOUT, math.inf)

    def _write_waiting(self, operation: "_Operation[_T]") -> _T:
        return self._write(operation, _WRITE_TIMEOUT, math.inf)

    def _note(self, note: "Callable[[Execute], None]") -> bool:

        def write(cache: "CacheFile") -> None:
            with cache.transaction():
                cache.delete_expired()
                note(cache.execute)

        try:
            self._write_beside(write)
        except StoreReadOnlyError:
            return False
        return True

    def _write_beside(self, operation: "_Operation[_T]", timeout: float | None = None) -> _T:
        """As `_write`, of what changes and deletes no payload, unless it has expired."""
        return self._write(operation, timeout, beside=True)

    def _write(
        self, operation: "_Operation[_T]", timeout: float | None = None, limit: float = LONG, *, beside: bool = False
    ) -> _T:
        """Run `operation`; wait for other processes `timeout` seconds, by default not at all while answers are late."""

        def write(cache: "CacheFile") -> _T:
            if cache.is_read_only:
                raise StoreReadOnlyError(f"{self.folder} can only be read here: nothing in it is changed")
            done = operation(cache)
            cache.go_on()
            return done

        try:
            with self._writes, nullcontext() if beside else self._changes:
                if timeout is None:
                    timeout = 0.0 if self._late.answers else _WRITE_TIMEOUT
                return self._database.run(write, timeout, limit, writes=True)
        finally:
            own_writes.count += 1

    def close(self) -> None:
        """Close the files; the last process to do so moves SQLite's log into the database."""
        timer, self._timer = self._timer, Timer(self._catches_up, _LATER)
        timer.stop()
        try:
            self._catch_up(_LAST_TIMEOUT)
        except StoreError as error:
            warn_once(
                f"lost {self.folder}",
                f"nbcache could not write all answers until the end: {error}. {len(self._late.answers)} will be paid again",
            )
        self._move_own_rows()
        self._database.close()


_own_get = DiskStore.get
