"""The events of a session for callbacks, made from the notes of its ledger."""

import time
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from nbcache import public_in
from nbcache.costs.events import Gone, Kept

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbcache.costs.callbacks import Callback
    from nbcache.entry.records import CallRecord

HIT, MISS, STORE, EVICT = EVENTS = ("hit", "miss", "store", "evict")


@public_in("nbcache")
@dataclass(frozen=True, slots=True)
class Event:
    """What happened: the record that callbacks get.

    `key` is the call's or the entry's; a call that was not looked up has none. `tags` are those that the entry was stored with.
    `seconds` and `usd` (US dollars) are what a hit saved, what a miss took and paid, and what a stored or an evicted answer took
    and cost; None if that isn't known. `why` is why a call missed, or why an entry is gone: `evicted`, `cleared`, `expired` or
    `bound`.
    """

    key: str | None
    model: str
    tags: tuple[str, ...] = ()
    seconds: float | None = None
    usd: Decimal | None = None
    why: str = ""


class Happened(NamedTuple):
    """An event, and the callbacks from whose own calls it comes: these are not called for it."""

    name: str
    event: Event
    causes: "tuple[Callback, ...]"


class Unanswered(Enum):
    """Which calls are events although no answer came: those that are over, even if they may be tried again; or all."""

    OVER = "over"
    ALL = "all"


class SessionEvents:
    """The events of one ledger, until they are taken. A call that missed is one once it was answered or has failed."""

    def __init__(self) -> None:
        self._events: list[Happened] = []
        self._unanswered: dict[int, tuple[CallRecord, tuple[Callback, ...]]] = {}
        self.causes: tuple[Callback, ...] = ()  # of the notes that follow

    def hit(self, call: "CallRecord", tags: tuple[str, ...]) -> None:
        """A call was answered by an entry with these tags."""
        self._add(HIT, Event(call.key, call.model, tags, call.seconds, call.usd))

    def missed(self, call: "CallRecord") -> None:
        """A call missed. Its answer is still to come, unless it has failed already or isn't made."""
        self._unanswered[id(call)] = (call, self.causes)
        if call.given_up == 0:
            self._end(call)

    def answered(self, call: "CallRecord", *, stored: bool, usd: Decimal | None) -> None:
        """A call that missed was answered. Its entry cost `usd`: what a function paid for the calls inside is theirs."""
        self._end(call)
        if stored:
            self._add(STORE, Event(call.key, call.model, call.tags, call.seconds, usd))

    def note(self, note: Gone | Kept) -> None:
        """An entry is gone, or came without a call."""
        self._add(EVICT if isinstance(note, Gone) else STORE, Event(*note))

    def take(self, unanswered: Unanswered | None) -> list[Happened]:
        """The events since this was last called, with those of calls that are surely over, and of these `unanswered` ones."""
        for call in list(self._over(unanswered)):
            self._end(call)
        events, self._events = self._events, []
        return events

    def _over(self, unanswered: Unanswered | None) -> "Iterator[CallRecord]":
        now = time.monotonic()
        for call, _ in self._unanswered.values():
            is_over = call.given_up is not None and (unanswered is Unanswered.OVER or call.given_up <= now)
            if is_over or unanswered is Unanswered.ALL:
                yield call

    def _end(self, call: "CallRecord") -> None:
        _, causes = self._unanswered.pop(id(call), (call, None))
        if causes is not None:
            event = Event(call.key, call.model, call.tags, call.seconds, call.usd, call.why)
            self._events.append(Happened(MISS, event, causes))

    def _add(self, name: str, event: Event) -> None:
        self._events.append(Happened(name, event, self.causes))
