"""The lifetime ledger of a store and its sessions' calls: in its file, or in memory if the file can only be read."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeVar

from nbcache.stores import sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nbcache.entry.records import SessionCall, Spending
    from nbcache.stores.memory import MemoryStore
    from nbcache.stores.sqlite.diskcache_file import CacheFile
    from nbcache.stores.sqlite.sql import Execute

_T = TypeVar("_T")


class StoredLedger(ABC):
    """What a store does for the ledger. What can't be written is known to this process alone."""

    _unwritten: "MemoryStore | None" = None

    @abstractmethod
    def _query(self, operation: "Callable[[CacheFile], _T]") -> _T:
        """Run what only reads."""

    @abstractmethod
    def _write_waiting(self, operation: "Callable[[CacheFile], _T]") -> _T:
        """Run what writes, however long it takes."""

    @abstractmethod
    def _note(self, note: "Callable[[Execute], None]") -> bool:
        """Write what is useful and not needed. Returns whether the file can be written."""

    def record(self, rows: "Iterable[Spending]") -> None:
        """Add rows to the lifetime ledger, which nothing clears."""
        if (new := list(rows)) and not self._note(lambda sql: sqlite.lifetime_ledger.record(sql, new)):
            self._in_memory().record(new)

    def spendings(self, notebook: str | None = None) -> "list[Spending]":
        """The lifetime ledger: a row for each model in each execution of a cell, oldest first."""
        written = self._query(lambda cache: sqlite.lifetime_ledger.read(cache.execute, notebook))
        return written if self._unwritten is None else written + self._unwritten.spendings(notebook)

    def record_calls(self, session: str, notebook: str | None, calls: "Iterable[SessionCall]") -> None:
        """Record what a session of a notebook called."""
        new = list(calls)
        if new and not self._note(lambda sql: sqlite.session_calls.record(sql, session, notebook, new)):
            self._in_memory().record_calls(session, notebook, new)

    def last_calls(self, notebook: str | None, but: str | None = None) -> "list[SessionCall]":
        """What the last session of a notebook called, other than the session `but`, in the order of the calls."""
        unwritten = [] if self._unwritten is None else self._unwritten.last_calls(notebook, but)
        return unwritten or self._query(lambda cache: sqlite.session_calls.read(cache.execute, notebook, but))

    def rename(self, notebook: str, new: str) -> None:
        """Move a notebook's rows and calls to its new name."""
        if self._unwritten is not None:
            self._unwritten.rename(notebook, new)
        self._write_waiting(lambda cache: sqlite.lifetime_ledger.rename(cache, notebook, new))

    def _in_memory(self) -> "MemoryStore":
        if self._unwritten is None:
            from nbcache.stores.memory import MemoryStore  # noqa: PLC0415 - few stores can only be read

            self._unwritten = MemoryStore()
        return self._unwritten
