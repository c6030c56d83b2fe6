"""What the calls of a session would cost if they were made again now."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from nbcache import codec
from nbcache._names import public_in
from nbcache.cache import settings as modes
from nbcache.entry.models import EXACT, SessionCall, known
from nbcache.entry.status import STATUSES
from nbcache.errors import DamagedError
from nbcache.stores.base import Store, Tombstones

_NO_KEY = "not cached"  # off, excluded, not cacheable, or answered by what can't be kept


@public_in("nbcache")
@dataclass(frozen=True, slots=True)
class PlannedMiss:
    """Calls that would be made, of one key: why, and what they cost together (US dollars), if known."""

    key: str
    model: str
    why: str
    calls: int
    usd: Decimal | None
    estimated: bool


@public_in("nbcache")
@dataclass(frozen=True, slots=True)
class Plan:
    """What would be hits, and what would be paid: `session` is `this` or the `last`, whose calls they are.

    That is in mode `on`; in `mode` `replay` none of them would be made. Money is in US dollars, as the
    session's own calls cost; of `unpriced` calls that isn't known, of `estimated` ones the tokens weren't. `usd` is
    None where no price is known.
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
        """What they would cost, without the unpriced ones; None where these are all."""
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
    """What of `calls` the store would answer at `now` (seconds since the epoch). Raises StoreError."""
    hits, misses = 0, []
    for call in calls:
        why = _why(call.key, store, now)
        if why is None:
            hits += call.calls
            continue
        # The answer to the first of them will be there for the others, unless none can be kept.
        made = call.calls if why in {_NO_KEY, *STATUSES} else 1
        hits += call.calls - made
        if call.unpriced:  # of calls without a key, some
            misses.append(PlannedMiss(call.key, call.model, why, call.unpriced, None, estimated=False))
            made -= call.unpriced
        if made:
            usd = call.usd if call.usd is None or not call.key else EXACT.multiply(call.usd, made)
            misses.append(PlannedMiss(call.key, call.model, why, made, usd, call.estimated))
    return Plan(session, hits, tuple(misses))


def _why(key: str, store: Store, now: float) -> str | None:
    """Why this call would be no hit; None where it would be one."""
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
        return "newer" if error.newer else "damaged"
