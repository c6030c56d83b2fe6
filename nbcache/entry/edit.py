"""A change of entries that exist: other tags, or another time at which they expire."""

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from nbcache import public_in
from nbcache.entry.exact_sums import EXACT

if TYPE_CHECKING:
    from nbcache.entry.records import EntryMeta


@dataclass(frozen=True, slots=True)
class Edit:
    """What to change. With `sets_expiry`, entries expire at `expires` (seconds since the epoch), or never if it is None.

    `payload` changes a payload with its row, if `codec.edited` can't read it; it takes the same arguments.
    """

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    sets_expiry: bool = False
    expires: float | None = None
    payload: "Callable[..., bytes] | None" = field(default=None, repr=False, compare=False)

    def tags_of(self, tags: Sequence[str]) -> tuple[str, ...]:
        """The tags afterwards of an entry that has these."""
        return tuple(dict.fromkeys([*(tag for tag in tags if tag not in self.remove), *self.add]))

    def expiry_of(self, expires: float | None) -> float | None:
        """The time afterwards at which an entry expires that expires at this time."""
        return self.expires if self.sets_expiry else expires

    def changes(self, tags: Sequence[str], expires: float | None) -> bool:
        """Whether something is another afterwards of an entry that has these tags and expires at this time."""
        return {*self.tags_of(tags)} != {*tags} or self.expiry_of(expires) != expires


@public_in("nbcache")
@dataclass(frozen=True, slots=True)
class Changed:
    """What `tag`, `untag` or `expire` has changed, or would change in a dry run: how many entries, and which.

    `usd` is what their answers would cost to pay again, in US dollars, as far as that is known; None if it is known of none.
    """

    changed: int = 0
    usd: Decimal | None = Decimal(0)
    entries: Sequence["EntryMeta"] = field(default=(), repr=False)

    @classmethod
    def of(cls, rows: Sequence["EntryMeta"], costs: "Iterable[Decimal | None]") -> "Changed":
        """The same for these entries, of which `costs` says what each cost."""
        known = [cost for cost in costs if cost is not None]
        usd = functools.reduce(EXACT.add, known, Decimal(0))
        return cls(len(rows), usd if known or not rows else None, rows)
