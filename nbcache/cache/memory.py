"""Decoded answers kept in memory, so that a hit need neither read nor decode again."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple

from langchain_core.outputs import Generation
from pydantic import BaseModel

from nbcache import codec
from nbcache.codec.messages import copies_of

_LARGE = 100_000  # bytes of a payload that is not kept
_LONG = 1_000_000  # bytes of a payload that holds up an event loop, even if only its checksum is computed


def holds_up(payload: bytes) -> bool:
    """Whether decoding this payload would hold up an event loop. What it has besides the answer is not decoded."""
    return len(payload) > _LARGE and (len(payload) > _LONG or codec.answer_length(payload) > _LARGE)


class CachedAnswer:
    """The answer of an entry: its payload, and when it was recorded (seconds since the epoch)."""

    __slots__ = ("_make", "created", "payload")

    def __init__(self, payload: bytes, created: float, make: Callable[[], list[Generation]]) -> None:
        self.payload = payload
        self.created = created
        self._make = make

    def generations(self) -> list[Generation]:
        """Its generations, made for whoever asks first. A stream that is played doesn't need them."""
        return self._make()


class _MemoryEntry(NamedTuple):
    """An answer: its bytes, the same read, and the store's change token when they were read.

    The token is None for an entry that expires: that happens without a write. What copies the answer is made when it
    is a hit for the second time: most are hits once in a session, and those of the first time are handed out.
    """

    payload: bytes
    token: object
    whole: codec.Payload
    copies: Callable[[], list[Generation]] | None = None


class MemoryTier:
    """The `capacity` answers that were decoded last, its `entries` by their keys. Each is handed out as new objects."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self.entries: OrderedDict[str, _MemoryEntry] = OrderedDict()

    def unchanged(self, key: str, token: object) -> CachedAnswer | None:
        """The answer, if nobody has written to the store since it was read."""
        entry = self.entries.get(key)
        if entry is None or token is None or entry.token != token:
            return None
        return self._again(key, entry)

    def decode(
        self, key: str, payload: bytes, token: object, classes: Iterable[type[BaseModel]]
    ) -> CachedAnswer | None:
        """The answer in `payload`. None if it may not be handed out again.

        The payload has just been read from the store: if another kernel has replaced the entry, its bytes differ from those
        in memory, and it is decoded anew. Raises DamagedError or NotStorableError.
        """
        entry = self.entries.get(key)
        if entry is not None and entry.payload == payload:
            entry = self.entries[key] = entry._replace(token=None if entry.whole.expires else token)
            return self._again(key, entry)
        whole = codec.read(payload, key)
        if not whole.reusable:
            return None
        generations = whole.generations(classes)
        # Objects of the caller's class are made anew: the class may be another by the next call.
        if self._capacity and not whole.holds_objects and len(payload) <= _LARGE:
            token = None if whole.expires else token
            self._keep(key, _MemoryEntry(payload, token, whole))
        return CachedAnswer(payload, whole.created, lambda: generations)

    def _again(self, key: str, entry: _MemoryEntry) -> CachedAnswer:
        """The answer of an entry that was a hit before."""
        copies = entry.copies
        if copies is None:
            generations = entry.whole.generations()
            self.entries[key] = entry._replace(copies=copies_of(generations))
            copies = lambda: generations  # noqa: E731 - they are new, and the copies share nothing with them
        return CachedAnswer(entry.payload, entry.whole.created, copies)

    def _keep(self, key: str, decoded: _MemoryEntry) -> None:
        self.entries[key] = decoded
        while len(self.entries) > self._capacity:
            with suppress(KeyError):  # another thread was faster
                self.entries.popitem(last=False)
