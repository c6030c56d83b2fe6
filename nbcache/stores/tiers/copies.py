"""Entries as they are copied from one tier to another."""

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from nbcache.entry.filter import Filter
from nbcache.entry.records import EntryMeta
from nbcache.errors import DamagedError, StoreError, TooLargeError
from nbcache.stores.base import Copyable, Expiring, Leasing, Listable, Remote, Store, Streamable
from nbcache.stores.location import team_owner
from nbcache.stores.owners import translated

_REFUSED = 3  # entries that a store refuses in a row until no more are tried


class Copied(NamedTuple):
    """What became of copies: the keys that are left to do, and of those that never fit; why, and which store failed."""

    left: list[str]
    too_large: list[str]
    error: StoreError | None = None
    failed: Store | None = None


def copy(
    keys: Collection[str], source: Store, target: Store, tokens: Mapping[str, str], *, replaces: bool = True
) -> Copied:
    """Copy these entries with their rows and expiry. What the source no longer has is done.

    Among those that are left, the ones that the target refused come first. An answer whose call had a lease at the target comes
    with its token. What the target has by now stays there unless the copy `replaces` it.
    """
    unseen, refused, too_large = dict.fromkeys(keys), list[str](), list[str]()
    error: StoreError | None = None
    in_a_row = 0
    try:
        for row, payload in entries_in(source, keys):
            unseen.pop(row.key, None)
            try:
                if replaces or not _has(target, row.key):
                    _put(target, row_in(target, row, source), payload, tokens.get(row.key))
                in_a_row = 0
            except TooLargeError:
                too_large.append(row.key)
            except StoreError as failed:
                error, in_a_row = failed, in_a_row + 1
                refused.append(row.key)
            if in_a_row == _REFUSED:  # it is not the entry, but the store
                return Copied([*refused, *unseen], too_large, error, target)
    except StoreError as failed:
        return Copied([*refused, *unseen], too_large, failed, source)
    return Copied(refused, too_large, error, target)


def _has(store: Store, key: str) -> bool:
    with suppress(StoreError):  # what can't be read is replaced
        return store.get(key) is not None
    return False


def _put(target: Store, row: EntryMeta, payload: bytes, token: str | None) -> None:
    ttl = None if row.expires is None else row.expires - time.time()
    if ttl is not None and ttl <= 0:
        return
    if token is not None and isinstance(target, Leasing):
        target.put_leased(row.key, payload, row, ttl, token)
    else:
        target.put(row.key, payload, row, ttl)


def entries_in(store: Store, keys: Collection[str]) -> Iterator[tuple[EntryMeta, bytes]]:
    """Those of these entries that are there and have not expired, each with its payload.

    Of a store without rows, an entry that expires is left out if the store does not say when.
    """
    if isinstance(store, Copyable):
        yield from store.entries(keys)
    elif isinstance(store, Streamable):
        yield from store.stream(Filter(), keys)
    elif isinstance(store, Listable):
        for key in keys:
            for row in store.page(Filter(key=key), limit=1):
                if (payload := store.get(key)) is not None:
                    yield row, payload
    else:
        for key in keys:
            payload = store.get(key)
            if payload is not None and (described := _described(store, payload, key)) is not None:
                yield described, payload


def row_in(tier: Store, row: EntryMeta, of: Store) -> EntryMeta:
    """The row of an entry of the store `of`, with the names that its owners have in `tier`."""
    names = [name for owner in row.notebooks if (name := translated(owner, of, tier)) is not None]
    if not names and isinstance(tier, Remote):
        names = [team_owner(None)]
    return replace(row, notebooks=tuple(dict.fromkeys(names)))


def _described(store: Store, payload: bytes, key: str) -> EntryMeta | None:
    """The row in a payload. None if it expires, and the store does not say when, or if it can't be read."""
    from nbcache import codec  # noqa: PLC0415 - few stores have no rows
    from nbcache.codec.entry_description import row_in as row_in_payload  # noqa: PLC0415

    try:
        read = codec.read(payload, key)
        row = row_in_payload(read)
    except DamagedError:
        return None
    if not read.expires:
        return row
    expires = store.expiry(key) if isinstance(store, Expiring) else None
    return None if expires is None else replace(row, expires=expires)
