"""What people read of the tiers of a store: where they are, and which of them answered."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nbcache.errors import one_line
from nbcache.stores.base import Store, names_of, tiers_of
from nbcache.stores.location import from_here
from nbcache.stores.sqlite.store import DiskStore


def place_text(store: Store) -> str:
    """The store's folder as a path from here, or its URL; of tiers each."""
    return ", ".join(_names(store, lambda folder: str(from_here(folder))))


def store_text(store: Store) -> str:
    """The store's folder, or its URL; of tiers each."""
    return ", ".join(_names(store, str))


def read_only_text(store: Store) -> str:
    """The tiers that are only read. Empty if there are none."""
    names = _names(store, lambda folder: str(from_here(folder)))
    return " and ".join(name for name in names if name.endswith(":ro"))


def hits_text(hits: Mapping[str, int], store: Store) -> str:
    """How many hits each tier answered: `.nbcache (12), redis://cache.lab:6379/0 (3)`. Empty if there is one tier."""
    names = zip(names_of(store), _names(store, lambda folder: str(from_here(folder))), strict=True)
    return ", ".join(f"{shown} ({hits[name]:,})" for name, shown in names if name in hits)


def _names(store: Store, folder_text: Callable[[Path], str]) -> Sequence[str]:
    return [
        name.replace(tier.url, one_line(folder_text(tier.folder))) if isinstance(tier, DiskStore) else name
        for tier, name in zip(tiers_of(store), names_of(store), strict=True)
    ]
