"""Decoded answers kept in memory, so that a hit need neither read nor decode again."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from langchain_core.outputs import Generation
from pydantic import BaseModel

from nbcache import codec
from nbcache.codec.messages import fresh
from nbcache.concurrency.locks import Lock

LARGE = 100_000  # bytes of a payload that is not kept, and whose decoding would hold up an event loop


class Answer:
    """The answer of an entry: its payload, and when it was recorded (seconds since the epoch)."""

    __slots__ = ("_make", "created", "payload")

    def __init__(self, payload: bytes, created: float, make: Callable[[], list[Generation]]) -> None:
        self.payload = payload
        self.created = created
        self._make = make

    def generations(self) -> list[Generation]:
        """Its generations, made for whoever asks first. A stream that is played doesn't need them."""
        return self._make()


class _Decoded(NamedTuple):
    """An answer, the bytes that it came from, and the store's version then, if known.

    What expires does so without a write: then the version tells nothing.
    """

    payload: bytes
    version: object
    expires: bool
    created: float
    generations: list[Generation]

    def answer(self) -> Answer:
        """It, to hand out."""
        return Answer(self.payload, self.created, partial(fresh, self.generations))


class DecodedAnswers:
    """The `capacity` answers that were decoded last. Each is handed out as new objects."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._answers: OrderedDict[str, _Decoded] = OrderedDict()
        self._lock = Lock()

    def version(self, told: Callable[[], object]) -> object:
        """The store's version as `told` by it; None where nothing is kept, and it need not be asked."""
        return told() if self._capacity else None

    def unchanged(self, key: str, version: object) -> Answer | None:
        """The answer, if nobody has written to the store since it was read."""
        kept = self._answers.get(key)
        if kept is None or version is None or kept.version != version:
            return None
        return kept.answer()

    def decode(self, key: str, payload: bytes, version: object, classes: Iterable[type[BaseModel]]) -> Answer | None:
        """The answer in `payload`; None where it may not be handed out again.

        What another kernel has evicted never gets this far, and what it has replaced has other bytes than
        those kept. Raises DamagedError or NotStorableError.
        """
        kept = self._answers.get(key)
        if kept is not None and kept.payload == payload:
            self._answers[key] = kept._replace(version=None if kept.expires else version)
            return kept.answer()
        whole = codec.read(payload, key)
        if not whole.reusable:
            return None
        generations = whole.generations(classes)
        # Objects of the caller's class are made anew: the class may be another by the next call.
        if self._capacity and not whole.holds_objects and len(payload) <= LARGE:
            version = None if whole.expires else version
            self._keep(key, _Decoded(payload, version, whole.expires, whole.created, fresh(generations)))
        return Answer(payload, whole.created, lambda: generations)

    def _keep(self, key: str, decoded: _Decoded) -> None:
        with self._lock:
            self._answers[key] = decoded
            while len(self._answers) > self._capacity:
                self._answers.popitem(last=False)
