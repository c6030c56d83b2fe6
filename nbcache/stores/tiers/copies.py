"""Entries as they are copied from one tier to another."""

import time
from collections.abc import Collection, Iterator
from dataclasses import replace

from nbcache.entry.filter import Filter
from nbcache.entry.records import EntryMeta
from nbcache.errors import DamagedError
from nbcache.stores.base import Copyable, Listable, Remote, Store, Streamable
from nbcache.stores.location import team_owner
from nbcache.stores.owners import translated


def entries_in(store: Store, keys: Collection[str]) -> Iterator[tuple[EntryMeta, bytes]]:
    """Those of these entries that are there and have not expired, each with its payload.

    Of a store without rows, an entry that expires is left out: nobody knows when.
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
            if payload is not None and (described := _described(payload, key)) is not None:
                yield described, payload


def row_in(tier: Store, row: EntryMeta, of: Store) -> EntryMeta:
    """The row of an entry of the store `of`, with the names that its owners have in `tier`."""
    names = [name for owner in row.notebooks if (name := translated(owner, of, tier)) is not None]
    if not names and isinstance(tier, Remote):
        names = [team_owner(None)]
    return replace(row, notebooks=tuple(dict.fromkeys(names)))


def seconds_left(row: EntryMeta) -> float | None:
    """For how long the entry is still kept. None if it is kept for good; zero or less if it has expired."""
    return None if row.expires is None else row.expires - time.time()


def _described(payload: bytes, key: str) -> EntryMeta | None:
    """The row in a payload. None if it expires, or can't be read."""
    from nbcache import codec  # noqa: PLC0415 - few stores have no rows
    from nbcache.codec.entry_description import row_in as row_in_payload  # noqa: PLC0415

    try:
        read = codec.read(payload, key)
        return None if read.expires else row_in_payload(read)
    except DamagedError:
        return None
