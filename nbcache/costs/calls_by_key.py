"""The calls of a session by their keys: how often each was made, and what one costs.

They are objects in memory. Rows of a database took a fifth of it, but each of its statements hands the interpreter's lock to
a busy main thread, and may wait for milliseconds to get it back: the sums were not done before the cell was.
"""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from nbcache.entry.records import EXACT, CallRecord, SessionCall


class SessionCalls:
    """How often each key was called in this session, and what one such call costs."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str, str], SessionCall] = {}
        self._unwritten: set[tuple[str, str]] = set()
        self._used: set[str] = set()  # keys of entries that were hit or stored
        self._unkept: set[str] = set()  # keys whose answers can't be kept, or aren't wanted

    def note(self, call: CallRecord) -> None:
        """One more call."""
        self._note(call.key or "", call.model, call.when)

    def _note(self, key: str, model: str, when: float) -> None:
        made = self._calls.get(of := (key, model)) or SessionCall(key, model, 0, when=when)
        unpriced = made.unpriced + (not key)  # until `price` says what it cost
        self._calls[of] = replace(made, calls=made.calls + 1, when=max(made.when, when), unpriced=unpriced)
        self._unwritten.add(of)

    def price(self, call: CallRecord, usd: Decimal | None, *, estimated: bool, unkept: bool = False) -> None:
        """Note what a call of this key costs: the last one counts. If it is `unkept`, it counts as a call without a key."""
        of = (call.key or "", call.model)
        if unkept and call.key and (before := self._calls.get(of)) is not None and before.calls:
            self._unkept.add(call.key)
            self._calls[of] = replace(before, calls=before.calls - 1)
            self._unwritten.add(of)
            self._note("", call.model, call.when)
            of = ("", call.model)
        if of not in self._calls:
            return
        row = self._calls[of]
        if not row.key:  # all of them together
            if usd is None:
                return
            row = replace(row, unpriced=row.unpriced - 1)
            usd = EXACT.add(row.usd or 0, usd)
            estimated = estimated or row.estimated
        self._calls[of] = replace(row, usd=usd, estimated=estimated)
        self._unwritten.add(of)

    def use(self, key: str) -> None:
        """Note that the entry of this key was hit or stored."""
        self._used.add(key)

    def used(self) -> set[str]:
        """The keys of entries that were hit or stored."""
        return set(self._used)

    def is_unkept(self, key: str) -> bool:
        """Whether the answers of this key can't be kept, or aren't wanted."""
        return key in self._unkept

    def all(self) -> list[SessionCall]:
        """One for each key."""
        return [call for call in self._calls.values() if call.calls]

    def take(self) -> list[SessionCall]:
        """The calls that have changed since this was last called."""
        changed, self._unwritten = self._unwritten, set()
        return [self._calls[of] for of in changed]

    def put_back(self, calls: Iterable[SessionCall]) -> None:
        """Let `take` return these calls again: they could not be written down."""
        self._unwritten |= {(call.key, call.model) for call in calls}
