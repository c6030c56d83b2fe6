"""Answers that could not be written when they came: kept in memory, and written as soon as they can be."""

import time
from typing import TYPE_CHECKING, NamedTuple

from nbcache.concurrency.locks import Lock
from nbcache.errors import StoreBusyError, StoreError

if TYPE_CHECKING:
    from nbcache.entry.records import EntryMeta

_MOST = 100_000_000  # bytes kept in memory
_AT_ONCE = 100  # answers written in one transaction
_FOR_GOOD = 1e11  # seconds, three thousand years
_PASSES = ("full", "disk I/O error")  # what SQLite says of a full disk, which may have room again


class LateAnswer(NamedTuple):
    """An answer with its row, and when it expires (seconds since the epoch), if it does."""

    key: str
    payload: bytes
    meta: "EntryMeta"
    expires: float | None


def end_of(ttl: float | None) -> float | None:
    """When an entry that is stored now expires. None if it is kept for good, or longer than clocks can tell."""
    return None if ttl is None or ttl > _FOR_GOOD else time.time() + ttl


class LateAnswers:
    """The answers still to be written, in order; the last one of each key. Safe to use from any thread."""

    def __init__(self) -> None:
        self.answers: dict[str, LateAnswer] = {}  # changed by these methods alone; mostly empty
        self._bytes = 0
        self._lock = Lock()
        self.changes = 0  # counts the answers that were added or written

    def add(self, answer: LateAnswer) -> bool:
        """Keep `answer`; False if that would be more than fits."""
        with self._lock:
            old = self.answers.get(answer.key)
            size = self._bytes + len(answer.payload) - (0 if old is None else len(old.payload))
            if size > _MOST:
                return False
            self.answers.pop(answer.key, None)
            self.answers[answer.key] = answer
            self._bytes = size
            self.changes += 1
            return True

    def get(self, key: str, *, include_expired: bool) -> bytes | None:
        """The payload of `key`, if it is here; with `include_expired` also an expired one."""
        answer = self.answers.get(key)
        if answer is None or not (include_expired or answer.expires is None or answer.expires > time.time()):
            return None
        return answer.payload

    def some(self) -> list[LateAnswer]:
        """The answers to write next."""
        with self._lock:
            return list(self.answers.values())[:_AT_ONCE]

    def done(self, answers: list[LateAnswer]) -> None:
        """Remove answers that are written. A later one of the same key stays."""
        with self._lock:
            for answer in answers:
                if self.answers.get(answer.key) is answer:
                    del self.answers[answer.key]
                    self._bytes -= len(answer.payload)
            self.changes += 1


def is_temporary(error: StoreError) -> bool:
    """Whether this error may be over soon: another process writes, or the disk is full."""
    return isinstance(error, StoreBusyError) or any(sign in str(error.__cause__) for sign in _PASSES)
