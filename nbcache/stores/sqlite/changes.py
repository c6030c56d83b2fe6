"""Whether a store has changed, and whether its payloads have. While they have not, an answer in memory still holds."""

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbcache.stores.sqlite.connection_pool import Tokens
    from nbcache.stores.sqlite.database import Database
    from nbcache.stores.sqlite.diskcache_file import CacheFile
    from nbcache.stores.sqlite.late_answers import LateAnswers

UNNOTICED = 0.1  # seconds in which a lookup may not notice that the folder was deleted


class Changes:
    """The change tokens of a store. A write that may change or delete payloads runs within `with`; others needn't."""

    def __init__(self, database: "Database[CacheFile]", late: "LateAnswers") -> None:
        self._database, self._late = database, late
        self._number = 0
        # An interrupt may leave it true until the next such write. Until then no answer comes from memory.
        self._is_under_way = False

    def __enter__(self) -> None:
        self._is_under_way = True

    def __exit__(self, *_: object) -> None:
        self._number += 1
        self._is_under_way = False

    def token(self) -> object:
        """A value that is equal only while nobody has written. None if that isn't known now."""
        tokens = self._tokens()
        return None if tokens is None else self._with_late(tokens.changes)

    def payload_token(self) -> object:
        """A value that is equal only while no payload was changed or deleted. None if that isn't known now.

        What else this process writes leaves it equal. Of other processes that isn't known: all that they write changes it.
        """
        number = self._number
        if self._is_under_way:
            return None
        tokens = self._tokens()
        if tokens is None or tokens.foreign is None:
            return None
        return self._with_late((tokens.foreign, number))

    def _tokens(self) -> "Tokens | None":
        file = self._database.file
        if file is None or file.pool.moved(UNNOTICED):
            return None
        try:
            return file.pool.tokens()
        except sqlite3.Error:
            return None

    def _with_late(self, token: object) -> object:
        return (token, self._late.changes) if self._late.answers else token
