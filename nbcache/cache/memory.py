"""Decoded answers kept in memory, so that a hit need neither read nor decode again."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from langchain_core.outputs import ChatGeneration, Generation
from pydantic import BaseModel

from nbcache import codec
from nbcache.codec.buffers import Raw
from nbcache.codec.messages import copies_of
from nbcache.errors import DamagedError

if TYPE_CHECKING:
    from nbcache.codec.sdk_response import HTTPResponse

LARGE = 100_000  # bytes of a payload that is not kept
_LONG = 1_000_000  # bytes of a payload that holds up an event loop, even if only its checksum is computed


def holds_up(payload: Raw) -> bool:
    """Whether decoding this payload would hold up an event loop. What it has besides the answer is not decoded."""
    return len(payload) > LARGE and (len(payload) > _LONG or codec.answer_length(payload) > LARGE)


class CachedAnswer:
    """The answer of an entry: its payload, and when it was recorded (seconds since the epoch).

    A payload that is no `bytes` may be in the memory of the objects that were made of it.
    """

    __slots__ = ("_content", "created", "payload")

    def __init__(self, payload: Raw, created: float, content: "Content") -> None:
        self.payload = payload
        self.created = created
        self._content = content

    def generations(self) -> list[Generation]:
        """Its generations, made for whoever asks first. A stream that is played doesn't need them."""
        return self._content.generations()

    def response(self) -> "HTTPResponse":
        """The response that an SDK got. Raises LookupError, TypeError or ValueError if it holds none."""
        return self._content.response()


class Content(Protocol):
    """What an answer contains."""

    def generations(self) -> list[Generation]:
        """The generations, which the caller may change."""

    def response(self) -> "HTTPResponse":
        """As `CachedAnswer.response`. It is shared."""


class DecodedContent:
    """What was decoded for one call."""

    __slots__ = ("_generations",)

    def __init__(self, generations: list[Generation]) -> None:
        self._generations = generations

    def generations(self) -> list[Generation]:
        """As `Content`."""
        return self._generations

    def response(self) -> "HTTPResponse":
        """As `Content`."""
        return _response_in(self._generations)


class _MemoryEntry:
    """An answer: its bytes, the same read, and the store's change token when they were read.

    The token is None for an entry that expires: that happens without a write. What copies the answer is made when it
    is a hit for the second time: most are hits once in a session, and those of the first time are handed out.
    """

    __slots__ = ("_copies", "_response", "payload", "token", "whole")

    def __init__(self, payload: bytes, token: object, whole: codec.Payload) -> None:
        self.payload = payload
        self.token = token
        self.whole = whole
        self._copies: Callable[[], list[Generation]] | None = None
        self._response: HTTPResponse | None = None

    def generations(self) -> list[Generation]:
        """As `Content`."""
        if self._copies is not None:
            return self._copies()
        generations = self.whole.generations()
        self._copies = copies_of(generations)  # they share nothing with those that are handed out now
        return generations

    def response(self) -> "HTTPResponse":
        """As `Content`."""
        if self._response is None:
            self._response = _response_in(self.whole.generations())
        return self._response


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
        return CachedAnswer(entry.payload, entry.whole.created, entry)

    def decode(
        self,
        key: str,
        payload: Raw,
        token: object,
        classes: Iterable[type[BaseModel]],
        is_chat: bool | None = None,  # noqa: FBT001 - as the others
    ) -> CachedAnswer | None:
        """The answer in `payload`, of a chat model or not, if that is known. None if it may not be handed out again.

        The payload has just been read from the store: if another kernel has replaced the entry, its bytes differ from those
        in memory, and it is decoded anew. Raises DamagedError or NotStorableError.
        """
        entry = self.entries.get(key)
        if entry is not None and entry.payload == payload:
            entry.token = None if entry.whole.expires else token
            return CachedAnswer(payload, entry.whole.created, entry)
        whole = codec.read(payload, key)
        if not whole.reusable:
            return None
        generations = whole.generations(classes)
        if not generations or (is_chat and not all(isinstance(each, ChatGeneration) for each in generations)):
            raise DamagedError(f"entry {key[:8]} holds no answer of {'a chat model' if is_chat else 'a model'}")
        # Objects of the caller's class are made anew: the class may be another by the next call.
        if self._capacity and not whole.holds_objects and len(payload) <= LARGE and type(payload) is bytes:
            token = None if whole.expires else token
            self._keep(key, _MemoryEntry(payload, token, whole))
        return CachedAnswer(payload, whole.created, DecodedContent(generations))

    def _keep(self, key: str, decoded: _MemoryEntry) -> None:
        self.entries[key] = decoded
        while len(self.entries) > self._capacity:
            with suppress(KeyError):  # another thread was faster
                self.entries.popitem(last=False)


def _response_in(generations: list[Generation]) -> "HTTPResponse":
    from nbcache.codec.sdk_response import response_in  # noqa: PLC0415 - many sessions call models by LangChain alone

    return response_in(generations)
