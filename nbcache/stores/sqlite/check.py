"""Checks a store and repairs it: a few entries at a time, so that other kernels need not wait to write."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from nbcache.entry.records import EntryMeta
from nbcache.errors import DamagedError
from nbcache.stores.progress import Progress
from nbcache.stores.sqlite import row_repair
from nbcache.stores.sqlite.diskcache_file import CacheFile
from nbcache.stores.sqlite.opening_modes import copied

if TYPE_CHECKING:
    from nbcache.stores.sqlite.store import DiskStore

PAUSE = 0.005  # seconds between two transactions, for others
_AT_ONCE = 200  # entries looked at in one piece
_MOST_BYTES = 4_000_000  # of their payloads
_T = TypeVar("_T")
Read = Callable[[bytes, str], EntryMeta]


class Run(Protocol):
    """Runs an operation on the database's file."""

    def __call__(self, operation: Callable[[CacheFile], _T], /) -> _T:
        """What `operation` returns. Raises StoreError."""


class _Stored(NamedTuple):
    """A row of diskcache's table. Anybody may have written it."""

    rowid: int
    key: object
    raw: object
    mode: int
    value: object
    expires: float | None


class _Problem(NamedTuple):
    """What is wrong with an entry. A repair deletes it, unless `keep`; with a `row`, it writes the missing row."""

    stored: _Stored
    text: str
    meta: EntryMeta | None = None
    keep: bool = False


def check(look: Run, write: Run, read: Read | None, progress: Progress | None, *, fix: bool) -> list[str]:
    """What is wrong, a line each; with `fix` it is repaired. `look` runs what only reads, for which nobody has to wait."""
    problems = look(_structure)
    if problems and fix:
        write(_reindex)
    done, entries, last = 0, look(_count), 0
    while some := look(partial(_after, rowid=last)):
        wrong = look(partial(_problems, some=some, read=read))
        problems += [problem.text for problem in wrong]
        if wrong and fix:
            write(partial(_repair, problems=wrong))
            time.sleep(PAUSE)
        done, last = done + len(some), some[-1].rowid
        if progress is not None:
            progress(done, max(done, entries))
    return problems + write(partial(_tables, fix=fix))


def check_copy(store: "DiskStore", read: Read | None, progress: Progress | None) -> list[str]:
    """What is wrong with a store that can only be read, a line each: a check tries what it would repair, in a copy here."""
    access = store._query(lambda cache: copied(cache.access))  # noqa: SLF001 - one of us
    try:
        with closing(type(store)(access.database.parent)) as copy:
            return copy.check(read=read, progress=progress)
    finally:
        access.release()


def _structure(cache: CacheFile) -> list[str]:
    return [str(line) for (line,) in cache.execute("PRAGMA integrity_check") if line != "ok"]


def _reindex(cache: CacheFile) -> None:
    cache.execute("REINDEX")
    if problems := _structure(cache):
        raise sqlite3.DatabaseError(f"malformed: {problems[0]}")


def _count(cache: CacheFile) -> int:
    return int(cache.execute("SELECT count(*) FROM Cache").fetchone()[0])


def _after(cache: CacheFile, rowid: int) -> list[_Stored]:
    some: list[_Stored] = []
    size = 0
    for row in cache.execute(
        "SELECT rowid, key, raw, mode, value, expire_time FROM Cache WHERE rowid > ? ORDER BY rowid LIMIT ?",
        (rowid, _AT_ONCE),
    ):
        some.append(_Stored(*row))
        size += len(row[4]) if isinstance(row[4], bytes | str) else 0
        if size > _MOST_BYTES:
            break
    return some


def _problems(cache: CacheFile, some: list[_Stored], read: Read | None) -> list[_Problem]:
    return [problem for stored in some if (problem := _problem(cache, stored, read)) is not None]


def _problem(cache: CacheFile, stored: _Stored, read: Read | None) -> _Problem | None:
    try:
        key, payload = cache.key_and_payload(stored.key, stored.raw, stored.mode, stored.value)
        meta = None if read is None else read(payload, key)
    except DamagedError as error:
        return _Problem(stored, str(error), keep=error.newer)
    if meta is None or (is_sound := row_repair.is_sound(cache.execute, stored.rowid)):
        return None
    what = "no row" if is_sound is None else "a row with values of wrong types"
    return _Problem(stored, f"entry {key[:8]} had {what}", meta)


def _repair(cache: CacheFile, problems: list[_Problem]) -> None:
    """Repair these entries, unless they were changed meanwhile."""
    with cache.transaction():
        for stored, _, meta, keep in problems:
            now = cache.execute("SELECT value FROM Cache WHERE rowid = ?", (stored.rowid,)).fetchone()
            if keep or now is None or now[0] != stored.value:
                continue
            if meta is None:
                cache.execute("DELETE FROM Cache WHERE rowid = ?", (stored.rowid,))
            else:
                row_repair.rebuild(cache.execute, stored.rowid, replace(meta, expires=stored.expires), len(now[0]))


def _tables(cache: CacheFile, *, fix: bool) -> list[str]:
    with cache.transaction(undo=not fix):
        return row_repair.repair(cache.execute)
