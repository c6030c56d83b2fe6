"""Opens the store at the place that a user writes: a folder, a URL, a store object, or several of them as tiers."""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from nbcache.stores.base import Bounded, Store
from nbcache.stores.location import SECRET, store_folder, user_folder
from nbcache.stores.sqlite.store import DiskStore
from nbcache.stores.tiers.read_only import ReadOnly

OneStore = str | Path | Store | ReadOnly
Place = OneStore | Sequence[OneStore]

_OWN, _USERS, _READ_ONLY = "disk", "user", ":ro"
_BETWEEN = re.compile(r",\s+")
_OF_CODE = {"langchain": "LangChainStore", "momento": "MomentoStore"}  # their names look like places
_ON_A_SERVER = {"redis", "rediss", "valkey", "unix"}  # each may have `+sentinel` or `+cluster` behind it
# As a folder, a server that is misspelt would be shared with nobody.
_MISSPELT = re.compile(r"(?:rediss?|valkeys?|unix|memory|disk)(?:\+\w+)?(?::|//)|[^/\\]+:\d+(?:/.*)?$", re.IGNORECASE)
_QUOTES = ("'", '"')
_HOW = "write a folder, disk:///path or memory://"
_EXAMPLE = 'such as "disk, redis://host:6379/0"'


def open_store(
    place: Place,
    *,
    max_bytes: int | None = None,
    max_entries: int | None = None,
    own_folder: Callable[[], Path] = store_folder,
) -> Store:
    """The store at `place`: a folder's path, `disk:///path`, `memory://`, `redis://host:6379/0?prefix=team`, or a store.

    Several places are tiers: a list, or one text with a comma and a space between them. `disk` is the notebook's own folder,
    which `own_folder` returns. A place that ends in `:ro` is only read.

    With `NBCACHE_SECRET`, a store keeps its entries sealed. Of tiers this holds for all but a first one in a folder or in memory.

    Raises ValueError for a place that can't be one, and for bounds of a store that has none, and MissingPackageError.
    Nothing is made on disk or sent to a server before it is used.
    """
    tiers = [_tier(each, own_folder) for each in places(place)]
    tiers = _sealed(tiers) if os.environ.get(SECRET) else tiers
    first = tiers[0]
    if len(tiers) == 1 and not isinstance(first, ReadOnly):
        store = first
    else:
        from nbcache.stores.tiers.store import TieredStore  # noqa: PLC0415 - most stores have one tier

        store = TieredStore(tiers)
    if max_bytes is not None or max_entries is not None:
        if not isinstance(store, Bounded):
            raise ValueError(f"max_bytes, max_entries: the store {store.url} can't be bounded; leave them out")
        store.bound(max_bytes, max_entries)
    return store


def places(place: object) -> list[OneStore]:
    """The places of the tiers, one by one. Raises ValueError if there is none, or what is no place."""
    if isinstance(place, str) and "," in place:
        found: list[Any] = _BETWEEN.split(place.strip())
        if any(each == "" or each.endswith(",") or each.startswith(f"{_OWN},") for each in found):
            raise ValueError(
                f"store={shown(place)!r}: write the tiers with a comma and a space between them, {_EXAMPLE}"
            )
    else:
        found = list(place) if isinstance(place, list | tuple) else [place]
    if not found:
        raise ValueError(f"store={place!r}: {_HOW}, or a list of them")
    for each in found:
        if (fault := _fault_of(each.place if isinstance(each, ReadOnly) else each)) is not None:
            raise ValueError(f"store={each!r}: {fault}")
    return found


def _fault_of(place: object) -> str | None:
    """What to write instead of something that is no place. None if it is one."""
    if isinstance(place, type):
        return f"this is the class; give a store, such as {place.__name__}(…)"
    if isinstance(place, Path | Store | ReadOnly) or (isinstance(place, str) and place.strip()):
        return None
    if isinstance(place, list | tuple) and place:
        return "write all tiers in one list"
    from langchain_core.caches import BaseCache  # noqa: PLC0415 - what is right doesn't come here

    return "write nbcache.stores.LangChainStore(cache)" if isinstance(place, BaseCache) else _HOW


def shown(place: str) -> str:
    """`place` as it can be printed: no tier has a password."""
    from nbcache.stores.redis.address import without_password  # noqa: PLC0415 - few places are printed

    return ", ".join(map(without_password, _BETWEEN.split(place)))


def with_users_folder(place: object) -> object:
    """`place` with the folder of the user's own store where it says `user`."""
    if not isinstance(place, str | list | tuple):
        return place
    found = places(place)
    for at, each in enumerate(found):
        if each == _USERS:
            found[at] = user_folder()
        elif each == f"{_USERS}{_READ_ONLY}":
            found[at] = ReadOnly(user_folder())
    return found[0] if len(found) == 1 else found


def _sealed(tiers: Sequence[Store | ReadOnly]) -> list[Store | ReadOnly]:
    """The same tiers with their entries sealed: but for a first one of this machine, whose previews and search work on."""
    from nbcache.stores.memory import MemoryStore  # noqa: PLC0415 - as in `_of_text`
    from nbcache.stores.sealed.store import sealed  # noqa: PLC0415 - few stores are sealed
    from nbcache.stores.tiers.store import TieredStore  # noqa: PLC0415 - as in `open_store`

    if isinstance(whole := tiers[0], TieredStore) and len(tiers) == 1:
        tiers = [tier if at in whole.writable else ReadOnly(tier) for at, tier in enumerate(whole.tiers)]
    kept = 1 if len(tiers) > 1 and isinstance(_store_in(tiers[0]), DiskStore | MemoryStore) else 0
    others = (
        ReadOnly(sealed(_store_in(tier))) if isinstance(tier, ReadOnly) else sealed(tier) for tier in tiers[kept:]
    )
    return [*tiers[:kept], *others]


def _store_in(tier: Any) -> Any:
    return tier.place if isinstance(tier, ReadOnly) else tier


def _tier(place: OneStore, own_folder: Callable[[], Path], *, read_only: bool = False) -> Store | ReadOnly:
    if isinstance(place, ReadOnly):
        opened = _tier(place.place, own_folder, read_only=True)
        return opened if isinstance(opened, ReadOnly) else ReadOnly(opened)
    if isinstance(place, Store):
        from nbcache.stores.earlier_names import has_earlier_names, with_todays_names  # noqa: PLC0415 - few give one

        store: Store = with_todays_names(place) if has_earlier_names(place) else place
        return store
    if isinstance(place, str) and place.strip().endswith(_READ_ONLY):
        return ReadOnly(_of_text(place.strip().removesuffix(_READ_ONLY), own_folder, read_only=True))
    if isinstance(place, Path):
        return DiskStore(place, read_only=read_only)
    return _of_text(place, own_folder, read_only=read_only)


def _refuse_misspelt(place: str) -> None:
    """Raise ValueError for a text that would be taken for a folder, and is hardly meant as one."""
    if not place:
        raise ValueError(f"store={place!r}: {_HOW}")
    if place.startswith(_QUOTES) or place.endswith(_QUOTES):
        raise ValueError(f"store={shown(place)!r}: leave out the quotation marks around it")
    if "://" in place:
        if re.search(r"\s", place.partition("://")[0]):
            raise ValueError(f"store={shown(place)!r}: write a comma and a space between the tiers, {_EXAMPLE}")
    elif _MISSPELT.match(place):
        name = re.sub(r".*@", "…@", place)  # what stands before it may be a password
        raise ValueError(
            f"store={name!r}: write a server as redis://host:6379/0, and a folder of this name as ./{name}"
        )


def _of_text(place: str, own_folder: Callable[[], Path], *, read_only: bool) -> Store:
    place = place.strip()
    if place == _OWN:
        return DiskStore(own_folder(), read_only=read_only)
    _refuse_misspelt(place)
    if "://" not in place:
        return DiskStore(Path(place), read_only=read_only)
    parts = urlsplit(place)
    if parts.scheme == "memory" and not parts.netloc and parts.path in {"", "/"}:
        from nbcache.stores.memory import MemoryStore  # noqa: PLC0415 - most stores are in a folder

        return MemoryStore()
    if parts.scheme == "disk" and not parts.netloc and parts.path not in {"", "/"}:
        return DiskStore(Path(unquote(parts.path)), read_only=read_only)
    if parts.scheme.partition("+")[0] in _ON_A_SERVER:
        from nbcache.stores.redis.store import RedisStore  # noqa: PLC0415 - few stores are on a server

        return RedisStore(place)
    if parts.scheme in _OF_CODE:
        raise ValueError(
            f"store={shown(place)!r}: this store is made in code: nbcache.install(nbcache.stores.{_OF_CODE[parts.scheme]}(…))"
        )
    raise ValueError(
        f"store={shown(place)!r}: write a folder, disk:///absolute/path (three slashes), memory:// or redis://host:6379/0"
    )
