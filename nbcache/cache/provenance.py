"""Where messages and responses of SDKs came from, for `nbcache.info`."""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, Generation

from nbcache.cache.memory import CachedAnswer
from nbcache.codec.payload import key_of
from nbcache.stores.base import Listable, Store

if TYPE_CHECKING:
    from nbcache.cache.response_origins import ResponseOrigins
    from nbcache.entry.records import Info


_CAPACITY = 10_000  # messages


class Origins:
    """The origin of the last messages, by their ids."""

    def __init__(self) -> None:
        self._origins: OrderedDict[str, tuple[bool, str, float]] = OrderedDict()
        self._tiers: OrderedDict[str, str] = OrderedDict()  # by key
        self._responses: ResponseOrigins | None = None

    @property
    def responses(self) -> "ResponseOrigins":
        """The origins of the responses of SDKs."""
        if self._responses is None:
            from nbcache.cache.response_origins import ResponseOrigins  # noqa: PLC0415 - not all use SDKs

            self._responses = ResponseOrigins()
        return self._responses

    def note_tier(self, key: str, tier: str) -> None:
        """Note which tier of the store answered a hit."""
        self._tiers[key] = tier
        if len(self._tiers) > _CAPACITY:
            self._tiers.popitem(last=False)

    def note_hit(self, message: BaseMessage, answer: CachedAnswer) -> None:
        """Note that `message`, with an id that LangChain has given it, is a part of `answer`."""
        self.note_message(message, hit=True, key=key_of(answer.payload), created=answer.created)

    def note_response(self, answer: CachedAnswer, *, is_stored: bool) -> None:
        """Note that an SDK got `answer`. It `is_stored` unless a cassette had it."""
        payload = None if is_stored else bytes(answer.payload)
        self.responses.note(key_of(answer.payload), hit=True, created=answer.created, payload=payload)

    def note(self, generations: Iterable[Generation], *, hit: bool, key: str, created: float) -> None:
        """Note where the messages of `generations` came from."""
        for generation in generations:
            if isinstance(generation, ChatGeneration):
                self.note_message(generation.message, hit=hit, key=key, created=created)
            if "http" in (generation.generation_info or ()):
                self.responses.note(key, hit=hit, created=created)

    def note_message(self, message: BaseMessage, *, hit: bool, key: str, created: float) -> None:
        """Note where `message` came from."""
        if message.id:
            self._origins[message.id] = (hit, key, created)
            if len(self._origins) > _CAPACITY:
                self._origins.popitem(last=False)

    def info(self, answer: Any, store: Store) -> "Info | None":
        """Where a message, or a response of an SDK, came from. None if that is not known, or no longer known."""
        if isinstance(answer, BaseMessage):
            origin = self._origins.get(answer.id or "")
        else:
            origin = None if self._responses is None else self._responses.find(answer, store)
        if origin is None:
            return None
        from nbcache.entry.records import Filter, Info  # noqa: PLC0415 - few ask

        hit, key, recorded = origin
        rows = store.page(Filter(key=key), limit=1) if isinstance(store, Listable) else ()
        cost = next((row.cost_usd for row in rows), None)
        return Info(hit, key, datetime.fromtimestamp(recorded, UTC), cost, self._tiers.get(key) if hit else None)
