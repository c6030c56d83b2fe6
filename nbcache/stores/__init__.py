"""Where entries are kept: the protocol of a store, and the stores."""

from typing import TYPE_CHECKING

from nbcache._names import handed_on

if TYPE_CHECKING:
    from nbcache.stores.base import Store, open_store
    from nbcache.stores.memory import MemoryStore
    from nbcache.stores.sqlite.store import DiskStore

__all__ = ["DiskStore", "MemoryStore", "Store", "open_store"]
__getattr__ = handed_on(
    "nbcache.stores", {"Store": "base", "open_store": "base", "MemoryStore": "memory", "DiskStore": "sqlite.store"}
)
