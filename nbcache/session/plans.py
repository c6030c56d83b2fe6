"""What the calls of a session would cost if they were made again now."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from nbcache import codec, public_in
from nbcache.cache import modes
from nbcache.cache.misses.log import NEWER
from nbcache.entry.records import EXACT, STATUSES, SessionCall
from nbcache.entry.stats import known
from nbcache.errors import DamagedError
from nbcache.stores.base import Store, Tombstones

_NO_KEY = "not cached"  # off, excluded, not cacheable, or the answer could not be stored


@public_in("nbcache")
@dataclass(frozen=True, slots=True)
class PlannedMiss:
    """The calls of one key that would be made: why, and what they cost in all (US dollars), if known."""

    key: str
    model: str
    why: str
    calls: int
    usd: Decimal | None
    estimated: bool


@public_in("nbcache")
@dataclass(frozen=True, slots=True)
class Plan:
    """What the calls of a session would cost if they were made again now. `session` is `this` or the `last`.

    `hits` would be answered from the store, and `misses` would be made and paid. This holds in mode `on`; in mode
    `replay` no call is made. Money is in US dollars, at what the session's own calls cost. `unpriced` calls have no known
    price, and the tokens of `estimated` ones were estimated.
    """

    session: str
    hits: int
    misses: tuple[PlannedMiss, ...]
    mode: str = modes.ON

    @property
    def calls(self) -> int:
        """The calls that would be made."""
        return sum(miss.calls for miss in self.misses)

    @property
    def usd(self) -> Decimal | None:
        """What they would cost, without the unpriced ones. None if all are unpriced."""
        paid = Decimal(0)
        for miss in self.misses:
            paid = EXACT.add(paid, miss.usd or 0)
        return known(paid, self.calls, self.unpriced)

    @property
    def unpriced(self) -> int:
        """Calls whose price isn't known."""
        return sum(miss.calls for miss in self.misses if miss.usd is None)

    @property
    def estimated(self) -> int:
        """Calls whose tokens were estimated."""
        return sum(miss.calls for miss in self.misses if miss.estimated and miss.usd is not None)


def planned(session: str, calls: Sequence[SessionCall], store: Store, now: float) -> Plan:
    """Which of `calls` would be hits at `now` (seconds since the epoch), and which would be paid. Raises StoreError."""
    hits, misses = 0, []
    for call in calls:
        why = _why(call.key, store, now)
        if why is None:
            hits += call.calls
            continue
        # Only the first is paid, since its answer is stored for the others; all of them, if no answer can be stored.
        made = call.calls if why in {_NO_KEY, *STATUSES} else 1
        hits += call.calls - made
        if call.unpriced:  # calls without a key may be unpriced in part
            misses.append(PlannedMiss(call.key, call.model, why, call.unpriced, None, estimated=False))
            made -= call.unpriced
        if made:
            usd = call.usd if call.usd is None or not call.key else EXACT.multiply(call.usd, made)
            misses.append(PlannedMiss(call.key, call.model, why, made, usd, call.estimated))
    return Plan(session, hits, tuple(misses))


def _why(key: str, store: Store, now: float) -> str | None:
    """Why this call would miss. None if it would be a hit."""
    if not key:
        return _NO_KEY
    payload = store.get(key)
    if payload is None:
        tombstone = store.tombstone(key, now, keep=True) if isinstance(store, Tombstones) else None
        return tombstone[0] if tombstone is not None else "not there"
    try:
        whole = codec.read(payload, key)
        return None if whole.reusable else whole.header().meta.status
    except DamagedError as error:
        return NEWER if error.newer else "damaged"
