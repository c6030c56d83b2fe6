"""What is added up, as hits and money: each batch is applied once, though it may be sent twice.

A server that was silent may apply what was sent to it when nobody waits for the answer any longer. Whoever wrote it writes it
again, since it may as well be lost. So the server remembers the ids of the last batches, for each store object. The protocols
of stores have no place for an id, and a retry is told by its content: the ledger writes what has failed again just as it was.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nbcache.stores.redis.scripts import Argument, run

if TYPE_CHECKING:
    from nbcache.stores.redis.store import RedisStore

_AT_ONCE = 200  # rows that one script writes: the server does nothing else meanwhile
_FAILED = 100  # batches that are remembered here


@dataclass(slots=True)
class _Batch:
    id: str = field(default_factory=lambda: secrets.token_hex(6))
    written: int = 0  # how many of its rows the server has acknowledged


class Batches:
    """Writes the batches of one store."""

    def __init__(self, store: "RedisStore") -> None:
        self._store = store
        self._writer = secrets.token_hex(8)
        self._failed: dict[bytes, _Batch] = {}  # by a digest of the content

    def write(self, script: str, rows: Sequence[Sequence[Argument]], *first: Argument) -> None:
        """Run a script with these rows, some at a time. What was applied of a batch that has failed is left out.

        The script gets the writer, the id of what it is to apply, the arguments `first`, and the rows. Raises StoreError.
        """
        content = hashlib.sha256(repr((script, rows)).encode()).digest()
        batch = self._failed.pop(content, None) or _Batch()
        try:
            while batch.written < len(rows):
                some = rows[batch.written : batch.written + _AT_ONCE]
                which = f"{batch.id}:{batch.written}"
                with self._store.server.request():
                    run(
                        self._store.server.calls,
                        self._store.root,
                        script,
                        [self._writer, which, *first, *(value for row in some for value in row)],
                    )
                batch.written += len(some)
        finally:
            if batch.written < len(rows):
                self._failed[content] = batch
                for oldest in list(self._failed)[:-_FAILED]:
                    self._failed.pop(oldest, None)
