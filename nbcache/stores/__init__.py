"""Where entries are kept: the protocol of a store, and the stores.

`base.py` is the protocol, and `opening.py` opens the store at the place that a user writes: `memory.py` in this process,
`sqlite/` in a folder, `redis/` on a server, or several of them as `tiers/`. `langchain_cache.py` keeps entries in any LangChain
cache, `momento_cache.py` in one of the service Momento. `sealed/` encrypts what any of them keeps. `circuit_breaker.py` says when
what failed is tried again. `owners.py` names the owners of entries. `location.py` finds the folder for this notebook,
`nearby_folders.py` the other stores near it. `view.py` is the store as commands use it: the entries of all notebooks, or of one.

Beside these: `entry_costs.py` reads what an entry cost from its payload, `index_words.py` the words by which it is found,
`inner_entries.py` finds the functions around a call, `text_search.py` looks for a text in an entry, `entry_filters.py` has the filters that users write, `selection.py` entries that
were selected, `unknown_values.py` says which values of a filter no entry has, `evictions.py` says who is told of evicted
entries, `progress.py` reports the progress of long work, and `earlier_names.py` adapts a user's own store that was written for
nbcache 0.4.
"""

from typing import TYPE_CHECKING

from nbcache import handed_on

if TYPE_CHECKING:
    from nbcache.stores.base import Store
    from nbcache.stores.langchain_cache import LangChainStore
    from nbcache.stores.memory import MemoryStore
    from nbcache.stores.momento_cache import MomentoStore
    from nbcache.stores.opening import open_store
    from nbcache.stores.redis.store import RedisStore
    from nbcache.stores.sqlite.store import DiskStore
    from nbcache.stores.tiers.read_only import ReadOnly
    from nbcache.stores.tiers.store import TieredStore

__all__ = [
    "DiskStore",
    "LangChainStore",
    "MemoryStore",
    "MomentoStore",
    "ReadOnly",
    "RedisStore",
    "Store",
    "TieredStore",
    "open_store",
]
__getattr__ = handed_on(
    "nbcache.stores",
    {
        "Store": "base",
        "open_store": "opening",
        "MemoryStore": "memory",
        "DiskStore": "sqlite.store",
        "LangChainStore": "langchain_cache",
        "MomentoStore": "momento_cache",
        "RedisStore": "redis.store",
        "ReadOnly": "tiers.read_only",
        "TieredStore": "tiers.store",
    },
)
