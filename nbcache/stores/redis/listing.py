"""Lists of entries: the slots that a filter selects, in an order, their rows, and what they have in common."""

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nbcache.entry.globs import matches
from nbcache.entry.records import EntryMeta, Filter
from nbcache.keys.digests import KEY_LENGTH
from nbcache.stores.redis import rows, searches
from nbcache.stores.redis.columns import KEY_BYTES, NUMBERS, OF_ROW, digest
from nbcache.stores.redis.scripts import run

if TYPE_CHECKING:
    import numpy.typing as npt

    from nbcache.stores.redis.store import RedisStore

    Array = npt.NDArray[Any]

AT_ONCE = 500  # rows that one script reads
_NUMBERS = {*NUMBERS, "expires", "last_hit", "hits", "size_bytes"}
_COUNTS, _MOST = {"hits", "size_bytes"}, 2.0**53
_EQUAL = ("model", "cell", "status", "prompt", "client", "kind")  # to a value of the row
_ODD = {"created": 0x9E3779B97F4A7C15, "size_bytes": 0xC2B2AE3D27D4EB4F}  # by which they are multiplied in an id
_HEXADECIMAL = set("0123456789abcdef")


class Order(NamedTuple):
    """A column to sort by."""

    sort: str
    descending: bool


class Listing:
    """The columns that are needed of a store, as they all were at one moment."""

    def __init__(self, store: "RedisStore", names: Sequence[str]) -> None:
        self._store, self._ahead = store, store.server.ahead()
        wanted = list(dict.fromkeys(["created", "expires", *names]))
        with store.server.listing.pipeline(transaction=True) as together:
            for name in wanted:
                together.get(f"{store.root}c:{name}")
            data = dict(zip(wanted, together.execute(), strict=True))
        self._length = min(len(data[name] or b"") // _width(name) for name in wanted)
        self._columns = {name: self._array(name, data[name] or b"") for name in wanted}

    def select(self, which: Filter, now: float) -> "Array":
        """The slots of the entries that `which` selects."""
        mask = ~np.isnan(self._columns["created"])
        if not which.include_expired:
            mask &= self._columns["expires"] > now
        for name in _EQUAL:
            if (value := getattr(which, name)) is not None:
                mask &= self._columns[name] == _code(value)
        mask &= self._in_range(which)
        if which.key:
            mask &= self._begin_with(which.key)
        for name, is_meant in _tests(which):
            mask &= self._of_values(name, mask, is_meant)
        return np.flatnonzero(mask)

    def ordered(self, slots: "Array", order: Order, end: int | None = None) -> "Array":
        """The slots by a column, as far as `end`; those without a value last if it descends, and else first.

        Entries with the same value stand by their age.
        """
        slots = slots[::-1] if order.descending else slots
        column = self._columns[order.sort][slots] if order.sort in _NUMBERS else self._ranks(order.sort, slots)
        column = np.where(np.isnan(column) | np.isinf(column), -np.inf, column)
        age = self._columns["created"][slots]
        if order.descending:
            column, age = -column, -age
        if end is not None and 0 < end < len(slots):  # to sort all takes much longer than to find those that come first
            among = np.flatnonzero(column <= np.partition(column, end - 1)[end - 1])
            slots, column, age = slots[among], column[among], age[among]
        return np.asarray(slots[np.lexsort((age, column))][:end])

    def slots(self) -> "Array":
        """The slots of all entries, expired ones too."""
        return np.flatnonzero(~np.isnan(self._columns["created"]))

    def packed(self, slot: int) -> bytes:
        """The values at a slot as `columns.packed` makes them."""
        return b"".join(self._columns[name][slot].tobytes() for name in OF_ROW)

    def expiry_and_size(self, slot: int) -> tuple[float, float]:
        """When the entry at a slot expires (seconds since the epoch, or infinity), and the bytes of its payload."""
        return float(self._columns["expires"][slot]), float(self._columns["size_bytes"][slot])

    def keys(self, slots: "Array") -> list[str]:
        """The keys at these slots."""
        return [bytes(key).hex() for key in self._columns["key"][slots]]

    def sizes(self, slots: "Array") -> "Array":
        """The bytes of the payloads at these slots."""
        return np.asarray(self._columns["size_bytes"][slots])

    def ids(self, slots: "Array") -> "Array":
        """A number for each entry at these slots, which it has until it is replaced."""
        parts = [np.ascontiguousarray(self._columns["key"][:, :8]).view("<u8")[:, 0], self._columns["prompt"]]
        parts += [self._columns[name].view("<u8") * np.uint64(odd) for name, odd in _ODD.items()]
        return np.asarray(np.bitwise_xor.reduce([part[slots] for part in parts]))

    def common(self, slots: "Array", signature: int) -> "Array":
        """How many bits of a signature of words each entry at these slots has."""
        bits = self._columns["words"][slots] & np.uint64(signature)
        return np.asarray(np.unpackbits(bits.view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1, dtype=np.int64))

    def among(self, slots: "Array", name: str, values: Collection[str]) -> "Array":
        """Those of the slots that have one of these values in a column."""
        return np.asarray(slots[np.isin(self._columns[name][slots], np.array([*map(_code, values)], np.uint64))])

    def total(self, name: str, slots: "Array") -> float:
        """The sum of a column."""
        return float(self._columns[name][slots].sum())

    def values(self, name: str, slots: "Array") -> dict[int, EntryMeta]:
        """For each value of a column at these slots the row of one of the entries that have it."""
        codes, first = np.unique(self._columns[name][slots], return_index=True)
        return self._rows_of(codes, slots[first])

    def _rows_of(self, codes: "Array", slots: "Array") -> dict[int, EntryMeta]:
        there = zip(codes.tolist(), rows_at(self._store, slots.tolist()), strict=True)
        return {code: row for code, row in there if row is not None}

    def _in_range(self, which: Filter) -> "Array":
        """Where the numbers are those that `which` asks for."""
        mask = np.ones(self._length, bool)
        if which.before is not None:
            mask &= self._columns["created"] < which.before + self._ahead
        if which.unused:
            mask &= self._columns["hits"] == 0
        if which.idle_since is not None:
            last = self._columns["last_hit"]
            mask &= np.where(np.isnan(last), self._columns["created"], last) < which.idle_since + self._ahead
        if which.larger_than is not None:
            mask &= self._columns["size_bytes"] > which.larger_than
        if which.cheaper_than is not None:
            mask &= self._columns["cost_usd"] < float(which.cheaper_than)
        return mask

    def _array(self, name: str, data: bytes) -> "Array":
        if name == "key":
            return np.frombuffer(data, np.uint8)[: self._length * KEY_BYTES].reshape(-1, KEY_BYTES)
        if name not in _NUMBERS:
            return np.frombuffer(data, "<u8")[: self._length]
        column = np.frombuffer(data, "<f8")[: self._length]
        if name == "expires":
            return column
        return np.where(
            np.abs(column) < _MOST, column, 0.0 if name in _COUNTS else np.nan
        )  # the scripts write no others

    def _begin_with(self, prefix: str) -> "Array":
        if set(prefix) - _HEXADECIMAL or len(prefix) > KEY_LENGTH:
            return np.zeros(self._length, bool)
        keys = self._columns["key"]
        whole = bytes.fromhex(prefix[: len(prefix) // 2 * 2])
        mask = (keys[:, : len(whole)] == np.frombuffer(whole, np.uint8)).all(axis=1)
        if len(prefix) % 2:
            mask &= keys[:, len(whole)] >> 4 == int(prefix[-1], 16)
        return np.asarray(mask)

    def _of_values(self, name: str, mask: "Array", is_meant: Callable[[EntryMeta], bool]) -> "Array":
        there = self.values(name, np.flatnonzero(mask))
        return np.isin(self._columns[name], np.array([code for code, row in there.items() if is_meant(row)], np.uint64))

    def _ranks(self, name: str, slots: "Array") -> "Array":
        """Numbers in the order of the texts of a column; not a number where there is none."""
        codes, first, inverse = np.unique(self._columns[name][slots], return_index=True, return_inverse=True)
        texts = {code: getattr(row, name) for code, row in self._rows_of(codes, slots[first]).items()}
        known = sorted((text, code) for code, text in texts.items() if text is not None)
        ranks = {code: float(rank) for rank, (_, code) in enumerate(known)}
        return np.asarray([ranks.get(code, np.nan) for code in codes.tolist()])[inverse]


def rows_at(store: "RedisStore", slots: Sequence[int]) -> list[EntryMeta | None]:
    """The rows at these slots; None where the entry has gone meanwhile, or is damaged."""
    found: list[EntryMeta | None] = []
    ahead = store.server.ahead()
    for start in range(0, len(slots), AT_ONCE):
        there = run(store.server.listing, store.root, "rows", slots[start : start + AT_ONCE])
        found += [None if parts is None else rows.read_or_none(parts, ahead) for parts in there]
    return found


def columns_of(which: Filter) -> list[str]:
    """The columns that have to be read for a filter."""
    needed = {
        **{name: getattr(which, name) is not None for name in _EQUAL},
        "hits": which.unused,
        "last_hit": which.idle_since is not None,
        "size_bytes": which.larger_than is not None,
        "cost_usd": which.cheaper_than is not None,
        "key": bool(which.key),
    }
    of_words = searches.NEEDED if which.words else ()
    return [*(name for name, is_needed in needed.items() if is_needed), *(name for name, _ in _tests(which)), *of_words]


def _tests(which: Filter) -> list[tuple[str, Callable[[EntryMeta], bool]]]:
    """The columns of which all values have to be looked at, and how."""
    tests: list[tuple[str, Callable[[EntryMeta], bool]]] = []
    if which.notebook is not None:
        tests.append(("notebooks", lambda row: which.notebook in row.notebooks))
    if which.tag is not None:
        tests.append(("tags", lambda row: which.tag in row.tags))
    if which.models is not None:
        tests.append(("model", lambda row: matches(str(which.models), row.model)))
    if which.functions is not None:
        tests.append(("function", lambda row: row.function is not None and matches(str(which.functions), row.function)))
    return tests


def _code(text: str) -> int:
    return int.from_bytes(digest(text), "little")


def _width(name: str) -> int:
    return KEY_BYTES if name == "key" else 8
