"""Lists entries anew: those that are in no list, after the server has evicted one of the keys by which they are listed.

A server that evicts entries leaves them in the lists: `prepare` takes them out before anything is listed.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from nbcache.keys.digests import KEY_LENGTH
from nbcache.stores.redis import rows
from nbcache.stores.redis.columns import packed
from nbcache.stores.redis.listing import Listing
from nbcache.stores.redis.scripts import Argument, run

if TYPE_CHECKING:
    from nbcache.stores.redis.store import RedisStore

_T = TypeVar("_T")
_AT_ONCE = 100  # entries
_KEY = re.compile(f"[0-9a-f]{{{KEY_LENGTH}}}")


def prepare(store: "RedisStore") -> None:
    """Make the lists right, if the server has evicted anything since they were looked at in this process."""
    is_listed, evicted = run(store.server.listing, store.root, "state", ())
    if not is_listed:
        run(store.server.listing, store.root, "begin_lists", ())
        for keys in _parts(unlisted(store)):
            list_anew(store, keys)
        store.server.listing.hdel(store.root + "counts", "incomplete")
    if evicted != store.evicted_keys:
        _forget_evicted(store)
        store.evicted_keys = evicted


def unlisted(store: "RedisStore") -> Iterator[str]:
    """The keys of entries that are in no list."""
    beginning = f"{store.root}e:"
    pattern = re.sub(r"([\\*?\[\]])", r"\\\1", beginning) + "*"
    names = (name.decode(errors="replace") for name in store.server.listing.scan_iter(pattern, count=1000))
    for keys in _parts(name.removeprefix(beginning) for name in names):
        yield from (key.decode() for key in run(store.server.listing, store.root, "unlisted", keys))


def list_anew(store: "RedisStore", keys: Sequence[str]) -> None:
    """List entries that are in no list. One that can't be read is deleted. Hits were counted in the lists, and begin anew."""
    client, now = store.server.listing, store.server.now()
    found: Any = client.mget([f"{store.root}e:{key}" for key in keys])
    arguments: list[Argument] = []
    for key, entry in zip(keys, found, strict=True):
        parts = rows.parts_of(key, entry or b"")
        meta = (
            rows.read_or_none(parts) if entry is not None and _KEY.fullmatch(key) else None
        )  # others may have put it there
        if meta is None:
            client.unlink(f"{store.root}e:{key}")
        else:
            expiry = rows.expiry_arguments(meta.expires, now)
            arguments += [key, packed(meta, parts[-1]), *expiry, repr(now)]
    run(client, store.root, "relist", arguments)


def _forget_evicted(store: "RedisStore") -> None:
    """Take entries that the server has evicted out of the lists."""
    listing = Listing(store, ("key",))
    slots = listing.slots()
    for pairs in _parts(zip(listing.keys(slots), slots.tolist(), strict=True)):
        run(store.server.listing, store.root, "forget", [1, *(value for pair in pairs for value in pair)])


def _parts(items: Iterable[_T]) -> Iterator[list[_T]]:
    left = iter(items)
    while some := list(islice(left, _AT_ONCE)):
        yield some
