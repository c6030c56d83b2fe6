"""The caches that are compared, each behind the same few calls."""

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diskcache import Cache
from langchain_core.caches import BaseCache, InMemoryCache
from langchain_core.load import dumps

from nbcache import NotebookCache

from .workload import Entry

if TYPE_CHECKING:
    from langchain_community.cache import SQLiteCache

IN_MEMORY, SQLITE, DISKCACHE = "InMemoryCache", "SQLiteCache", "bare diskcache"
NBCACHE, FROM_DISK = "nbcache", "nbcache, memory=0"


@dataclass(frozen=True)
class Contender:
    """A cache, taken apart so that the timed loop calls nothing but the cache's own methods."""

    get: Callable[..., Any]
    put: Callable[..., Any]
    key: Callable[[Entry], tuple[Any, ...]]
    """The arguments of `get`; with `value` added, those of `put`."""
    value: Callable[[Entry], Any]
    right: Callable[[Entry, Any], bool]
    """Whether what `get` returned is what was put."""
    close: Callable[[], object]
    settle: Callable[[], object] | None = None
    """Do now what calls leave for later, so that it is not done in another's time."""


def of_cache(cache: BaseCache, close: Callable[[], object] = lambda: None) -> Contender:
    return Contender(
        get=cache.lookup,
        put=cache.update,
        key=lambda entry: (entry.prompt, entry.llm_string),
        value=lambda entry: entry.generations,
        right=Entry.is_answered_by,
        close=close,
    )


def in_memory() -> Contender:
    return of_cache(InMemoryCache())


def nbcache_from_disk(folder: Path) -> Contender:
    """Without its tier of decoded answers: every hit is read from the file."""
    return _of_nbcache(NotebookCache(folder, memory=0))


def nbcache_as_users_get_it(folder: Path) -> Contender:
    return _of_nbcache(NotebookCache(folder))


def _of_nbcache(cache: NotebookCache) -> Contender:
    def settle() -> None:
        cache.flush()
        cache.ledger.index()

    return replace(of_cache(cache, cache.close), settle=settle)


def sqlite_cache(file: Path) -> "SQLiteCache":
    """langchain-community's, which is installed for the bench only."""
    from langchain_community.cache import SQLiteCache

    return SQLiteCache(str(file))


def sqlite(file: Path) -> Contender:
    cache = sqlite_cache(file)
    return of_cache(cache, cache.engine.dispose)


def fill_sqlite(file: Path, entries: Iterable[Entry]) -> None:
    """The rows that SQLiteCache's `update` would write, into the table it made, in one transaction for all."""
    sqlite_cache(file).engine.dispose()
    connection = sqlite3.connect(file)
    with connection:
        connection.executemany(
            "INSERT INTO full_llm_cache (prompt, llm, idx, response) VALUES (?, ?, ?, ?)",
            (
                (entry.prompt, entry.llm_string, position, dumps(each))
                for entry in entries
                for position, each in enumerate(entry.generations)
            ),
        )
    connection.close()


def bare_diskcache(folder: Path) -> Contender:
    """What the disk alone costs: a ready key, 2 kB of bytes, nothing decoded."""
    cache = Cache(str(folder))
    return Contender(
        get=cache.get,
        put=cache.set,
        key=lambda entry: (sha256(f"{entry.llm_string}\0{entry.prompt}".encode()).hexdigest(),),
        value=lambda entry: entry.answer.encode(),
        right=lambda entry, found: bool(found == entry.answer.encode()),
        close=cache.close,
    )
