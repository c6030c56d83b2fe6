"""Where messages came from, for `nbcache.info`."""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, Generation

if TYPE_CHECKING:
    from nbcache.entry.records import Info


_CAPACITY = 10_000  # messages


class Origins:
    """The origin of the last messages, by their ids."""

    def __init__(self) -> None:
        self._origins: OrderedDict[str, tuple[bool, str, float]] = OrderedDict()

    def note(self, generations: Iterable[Generation], *, hit: bool, key: str, created: float) -> None:
        """Note where the messages of `generations` came from."""
        for generation in generations:
            if isinstance(generation, ChatGeneration):
                self.note_message(generation.message, hit=hit, key=key, created=created)

    def note_message(self, message: BaseMessage, *, hit: bool, key: str, created: float) -> None:
        """Note where `message` came from."""
        if message.id:
            self._origins[message.id] = (hit, key, created)
            if len(self._origins) > _CAPACITY:
                self._origins.popitem(last=False)

    def info(self, message: BaseMessage) -> "Info | None":
        """Where `message` came from. None if that is not known, or no longer known."""
        origin = self._origins.get(getattr(message, "id", None) or "")
        if origin is None:
            return None
        from nbcache.entry.records import Info  # noqa: PLC0415 - few ask

        hit, key, recorded = origin
        return Info(hit, key, datetime.fromtimestamp(recorded, UTC))
