"""The store that consists of several: a lookup goes down, and an answer goes to all that may be written."""

import pickle
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nbcache import public_in
from nbcache.entry.edit import Edit
from nbcache.entry.records import Cleared, EntryMeta, Touch
from nbcache.errors import StoreBusyError, StoreError, StoreReadOnlyError, TooLargeError, UnsupportedError, warn_once
from nbcache.stores import base
from nbcache.stores.base import Deletable, Editable, Leasing, Listable, Owning, Remote, Store, Streamable
from nbcache.stores.memory import MemoryStore
from nbcache.stores.progress import Progress
from nbcache.stores.sqlite.store import DiskStore
from nbcache.stores.tiers.read_only import ReadOnly
from nbcache.stores.tiers.transfers import Transfers
from nbcache.stores.tiers.unsent import CLEAR, DELETE, REPLACE, Unsent

_READS: dict[type, tuple[str, ...]] = {  # what the home answers for all tiers
    base.Listable: ("page", "totals", "facets"),
    base.Columnar: ("columns",),
    base.Streamable: ("stream",),
    base.Selecting: ("select", "number"),
    base.ChangeTracking: ("change_token",),
    base.PayloadTracking: ("payload_token",),
}
_WRITES: dict[type, tuple[str, ...]] = {  # the same, if it may be written
    base.Searchable: ("index", "similar"),
    base.LedgerStore: ("record", "spendings", "record_calls", "last_calls", "rename"),
    base.Tombstones: ("tombstone",),
    base.Bounded: ("bound",),
    base.Checkable: ("check",),
}
_OWN: dict[type, tuple[str, ...]] = {  # what goes to all tiers
    base.Deletable: ("delete",),
    base.Listable: ("touch", "clear"),
    base.Editable: ("edit",),
    base.Bulk: ("put_all",),
}
_NOTED = 10_000  # answers of lower tiers
_AT_THE_END = 2.0  # seconds that the end of the process waits for what is still to be sent


@public_in("nbcache.stores")
class TieredStore:
    """Stores in tiers, the nearest first: `TieredStore([DiskStore(folder), RedisStore(url), ReadOnly(other)])`.

    A lookup goes down until a tier has the entry. A hit fills the tiers above. An answer is committed to the first tier that
    may be written when `put` returns, and sent to the others in the background. If one of these fails, it is sent later, also by
    another process. What is deleted, cleared or edited is so in all of them.

    Entries are listed, searched, counted and checked in the `home`: the first tier that may be written, else the first that can
    list. Raises TypeError for what is no store, and ValueError for none, for a tier that is there twice or that has tiers itself.
    """

    def __init__(self, tiers: Sequence[Store | ReadOnly]) -> None:
        self.tiers: tuple[Store, ...] = tuple(map(_opened, tiers))
        self.writable = frozenset(at for at, tier in enumerate(tiers) if not isinstance(tier, ReadOnly))
        _check_tiers(self.tiers)
        # The name of each tier, with `:ro` after those that are only read.
        self.names = tuple(tier.url if at in self.writable else f"{tier.url}:ro" for at, tier in enumerate(self.tiers))
        self._answers: dict[str, tuple[int, int]] = {}
        listed = [at for at, tier in enumerate(self.tiers) if isinstance(tier, Listable)]
        self._home_at = min(self.writable, default=listed[0] if listed else 0)
        self.home = self.tiers[self._home_at]
        folder = self.home.folder if isinstance(self.home, DiskStore) and self.writable else None
        self._transfers = Transfers(self.tiers, self.writable, self._home_at, Unsent(folder), self._failed)
        self._first: Callable[..., Any] = self.tiers[0].get
        self._offer()

    def _offer(self) -> None:
        """Have the methods of what the home can do, and no others: a capability is asked for by its methods."""
        mine = [(_READS, self.home), (_OWN, None)] + ([(_WRITES, self.home)] if self.writable else [])
        for capabilities, of in mine:
            for capability, names in capabilities.items():
                if isinstance(self.home, capability):
                    for name in names:
                        setattr(self, name, getattr(of or self, name if of else f"_{name}"))
        if isinstance(self.tiers[0], Owning):
            self._first, self.get_owned = self.tiers[0].get_owned, self._get_owned
        if any(isinstance(tier, Remote) for tier in self.tiers):
            self.connect = self._connect
        for at in sorted(self.writable):
            tier = self.tiers[at]
            if isinstance(tier, Leasing):
                self.lease, self.put_leased = partial(self._lease, at, tier), self._put_leased
                self.renew, self.release = tier.renew, tier.release
                self._leasing_at = at
                break

    @property
    def url(self) -> str:
        """The names of the tiers. Without passwords."""
        return ", ".join(self.names)

    def __reduce__(self) -> tuple[Any, ...]:
        """A worker process gets stores of its own at the same places, but for those that are of this process."""
        places = []
        for at, tier in enumerate(self.tiers):
            if _is_of_one_process(tier):
                text = f"nbcache: worker processes that are started afresh go on without {tier.url}, which is of one process"
                warn_once(f"workers {tier.url}", text)
            else:
                place = tier.folder if isinstance(tier, DiskStore) else None if isinstance(tier, MemoryStore) else tier
                places.append((place, at in self.writable))
        return _made, (places,)

    def get(self, key: str, *, wait: bool = True, include_expired: bool = False) -> bytes | None:
        """The payload of `key` in the first tier that has it.

        Without `wait`, raises StoreBusyError if a tier has to be asked that can't answer at once. A tier that fails is passed over,
        with one warning.
        """
        error: StoreError | None = None
        try:
            payload = self.tiers[0].get(key, wait=wait, include_expired=include_expired)
            if payload is not None:
                self._answers.pop(key, None)  # of another tier, earlier
                return payload
        except StoreError as failed:
            error = failed
        return self._below(key, error, wait=wait, include_expired=include_expired)

    def _get_owned(self, key: str, *, wait: bool = True) -> bytes | memoryview | None:
        error: StoreError | None = None
        try:
            payload: bytes | memoryview | None = self._first(key, wait=wait)
            if payload is not None:
                self._answers.pop(key, None)  # of another tier, earlier
                return payload
        except StoreError as failed:
            error = failed
        return self._below(key, error, wait=wait, include_expired=False)

    def _below(self, key: str, error: StoreError | None, *, wait: bool, include_expired: bool) -> bytes | None:
        """The payload in a tier below the first, of which the others are filled then. Raises `error`, the first one's, if none has it."""
        if error is not None and not wait:
            raise error
        for at, tier in enumerate(self.tiers[1:], start=1):
            if self._transfers.hides(at, key):
                continue
            try:
                payload = tier.get(key, wait=wait, include_expired=include_expired)
            except StoreBusyError:
                if not wait:
                    raise
                continue
            except StoreError as failed:
                self._failed(tier, failed)
                continue
            if payload is not None:
                self._transfers.fill(key, at)
                self._note(key, payload, at)
                return payload
        if error is not None:
            raise error
        return None

    def _note(self, key: str, payload: bytes, at: int) -> None:
        """Note which tier answered. The payload is told by its identity: the others have equal ones."""
        if len(self._answers) >= _NOTED:
            self._answers.clear()
        self._answers[key] = id(payload), at

    def tier_of(self, key: str, payload: object) -> str:
        """The name of the tier that answered `key` with this object. It is the first one, where nothing else is known."""
        identity, at = self._answers.get(key, (0, 0))
        return self.names[at if identity == id(payload) else 0]

    def put(self, key: str, payload: bytes, meta: EntryMeta, ttl: float | None = None) -> None:
        """Commit `payload` to the first tier that may be written, and can be; the others get it in the background."""
        self._put(key, payload, meta, ttl, None)

    def _put(self, key: str, payload: bytes, meta: EntryMeta, ttl: float | None, lease: tuple[int, str] | None) -> None:
        """As `put`, for a call that has a `lease`: at which tier, and its token."""
        error: StoreError = StoreReadOnlyError(f"{self.url} can only be read: nothing new is kept")
        for at in sorted(self.writable):
            tier, row = self.tiers[at], self._transfers.row_for(at, meta)
            try:
                if lease is not None and lease[0] == at and isinstance(tier, Leasing):
                    tier.put_leased(key, payload, row, ttl, lease[1])
                else:
                    tier.put(key, payload, row, ttl)
            except TooLargeError:  # for the bounds that the user has set
                raise
            except StoreError as failed:
                error = failed if at == self._home_at else error
                continue
            return self._transfers.stored(key, at, lease)
        raise error

    def _lease(self, at: int, tier: Leasing, key: str, token: str, seconds: float) -> bytes | bool | None:
        if self._transfers.hides(at, key):
            return None
        try:
            payload = tier.lease(key, token, seconds)
        except StoreError as error:
            self._failed(tier, error)
            return None
        if isinstance(payload, bytes):
            self._transfers.fill(key, at)
            self._note(key, payload, at)
        return payload

    def _put_leased(self, key: str, payload: bytes, meta: EntryMeta, ttl: float | None, token: str) -> None:
        self._put(key, payload, meta, ttl, (self._leasing_at, token))  # the lease ends when it reaches its tier

    def _put_all(self, entries: Iterable[tuple[str, bytes, EntryMeta]]) -> None:
        whole = list(entries)
        self._changing().put_all(whole)
        for key, _, _ in whole:
            self._transfers.stored(key, self._home_at)

    def _touch(self, touches: Iterable[Touch]) -> None:
        if self.writable:
            whole = list(touches)
            self._transfers.fill_now()  # a touch of an entry that isn't there is lost
            self._changing().touch(whole)
            self._transfers.touched(whole)

    def _delete(self, key: str) -> bool:
        self._changing()

        def delete(tier: Store) -> bool:
            return isinstance(tier, Deletable) and tier.delete(key)

        return any(self._transfers.at_once(delete, [key], DELETE))

    def _clear(self, keys: Sequence[str], *, owner: str | None = None, progress: Progress | None = None) -> Cleared:
        home = self._changing()
        options = {"progress": progress} if isinstance(home, Streamable) else {}

        def clear(tier: Any) -> Cleared:
            if tier is not home:
                self._transfers.give_up(tier, keys, owner)
                return Cleared()
            done: Cleared = home.clear(keys, owner=owner, **options)
            return done

        return self._transfers.at_once(clear, keys, CLEAR, owner)[0]

    def _edit(self, keys: Sequence[str], change: Edit, progress: Progress | None = None) -> int:
        home = self._changing()

        def edit(tier: Store) -> int:
            if not isinstance(tier, Editable):
                raise UnsupportedError(f"{tier.url} gets what was changed whole")
            return tier.edit(keys, change, progress if tier is home else None)

        return self._transfers.at_once(edit, keys, REPLACE)[0]

    def flush(self, within: float) -> None:
        """Wait until what is to be sent is sent, or can't be, for at most `within` seconds."""
        self._transfers.flush(within)

    def close(self) -> None:
        """Send what can be sent in two seconds, note what is left for later, and close the tiers."""
        self._transfers.close(_AT_THE_END)
        for tier in self.tiers:
            tier.close()

    def _connect(self) -> None:
        error: StoreError | None = None
        for tier in self.tiers:
            try:
                if isinstance(tier, Remote):
                    tier.connect()
            except StoreError as failed:
                error = failed
        if error is not None:
            raise error

    def _changing(self) -> Any:
        """The home, to be changed."""
        if not self.writable:
            raise StoreReadOnlyError(f"{self.url} can only be read")
        return self.home

    def _failed(self, tier: Store, error: StoreError) -> None:
        """Warn once that a tier fails. The cache that has these tiers says nothing more of the same kind."""
        is_sent_to = tier is not self.home and self.tiers.index(tier) in self.writable
        later = ". It gets what it misses when it works again" if is_sent_to else ""
        text = f"nbcache: {str(error).rstrip('.')}: calls go on with the other tiers{later}"
        warn_once(f"{type(error).__name__} {self.url}", text)


def _check_tiers(tiers: Sequence[Store]) -> None:
    if not tiers:
        raise ValueError("TieredStore([]): give at least one store")
    names = [tier.url if isinstance(tier, DiskStore | Remote) else id(tier) for tier in tiers]
    for tier, name in zip(tiers, names, strict=True):
        if isinstance(tier, TieredStore):
            raise ValueError(f"store: {tier.url} has tiers itself; write all tiers in one list")  # noqa: TRY004 - it is a store
        if names.count(name) > 1:
            raise ValueError(f"store: the tier {tier.url} is there twice; leave one out")


def _opened(tier: Store | ReadOnly) -> Store:
    """The store of a tier. A folder that is only read is opened so that nothing in it changes."""
    store: Any = tier.place if isinstance(tier, ReadOnly) else tier
    if isinstance(store, type) or not isinstance(store, Store):
        raise TypeError(f"TieredStore([{store!r}]): give stores, or ReadOnly(store)")
    return DiskStore(store.folder, read_only=True) if isinstance(tier, ReadOnly) and type(store) is DiskStore else store


def _is_of_one_process(tier: Store) -> bool:
    try:
        pickle.dumps(None if isinstance(tier, DiskStore | MemoryStore) else tier)
    except Exception:  # noqa: BLE001 - pickling runs the tier's own code
        return True
    return False


def _made(places: Sequence[tuple[Any, bool]]) -> TieredStore:
    """The same tiers in another process. One in memory begins empty."""
    return TieredStore([_at(place) if is_written else ReadOnly(_at(place)) for place, is_written in places])


def _at(place: Any) -> Store:
    if place is None:
        return MemoryStore()
    return DiskStore(place) if isinstance(place, Path) else place
