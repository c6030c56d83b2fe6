"""The caches that are compared without a model."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.caches import BaseCache, InMemoryCache
from langchain_core.load import dumps

from nbcache import NotebookCache

from . import columns, other_libraries
from .contender import Contender
from .workload import Entry

if TYPE_CHECKING:
    from langchain_community.cache import SQLiteCache


def all_of_them(folder: Path) -> dict[str, Contender]:
    """Every cache that is installed here, each in a place of its own."""
    made = {
        columns.NBCACHE: _nbcache,
        columns.IN_MEMORY: lambda _: _of_langchain(InMemoryCache()),
        columns.SQLITE: _sqlite_cache,
        columns.LANGGRAPH: other_libraries.langgraph,
        columns.DSPY: other_libraries.dspy,
        columns.JOBLIB: other_libraries.joblib,
        columns.DISKCACHE: other_libraries.diskcache,
        columns.SQLITE3: other_libraries.bare_sqlite3,
    }
    contenders: dict[str, Contender] = {}
    lacking = columns.missing()
    for name, make in made.items():
        if name not in lacking:
            place = folder / name
            place.mkdir()
            contenders[name] = make(place)
    return contenders


def _of_langchain(cache: BaseCache, **options: Any) -> Contender:
    return Contender(
        get=cache.lookup,
        put=cache.update,
        key=lambda entry: (entry.prompt, entry.llm_string),
        value=lambda entry: entry.generations,
        right=Entry.is_answered_by,
        **options,
    )


def _nbcache(folder: Path) -> Contender:
    cache = NotebookCache(folder)

    def settle() -> None:
        cache.flush()
        cache.ledger.index()

    return _of_langchain(cache, close=cache.close, settle=settle)


def sqlite_cache(file: Path) -> "SQLiteCache":
    """langchain-community's."""
    from langchain_community.cache import SQLiteCache

    return SQLiteCache(str(file))


def _sqlite_cache(folder: Path) -> Contender:
    cache = sqlite_cache(folder / "langchain.db")
    return _of_langchain(cache, close=cache.engine.dispose)


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
