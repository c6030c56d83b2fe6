"""The store on a Redis or Valkey server, for many people and machines.

`store.py` is the store, and `server.py` the connection to it: what fails raises StoreError, of which `failures.py` has the words,
and the server is left alone for a while. `address.py` reads a URL, `topology.py` asks Sentinels or a
cluster where the keys are, and `connections.py` keeps all that within time. `clock.py` is the server's clock. `scripts.py` runs the scripts in the folder `lua`
on the server, each as one transaction.

An entry is one string, `e:<key>`: its expiry, its row (`rows.py`), its owners and its payload. A hit is one command. Rows are listed by columns (`columns.py`): a string for each field that can be sorted or filtered by, with eight bytes
for each entry at its slot. `listing.py` reads the few columns that `pages.py` needs for a list, and then its rows; `selection.py`
is what it selects without all rows in memory. `rebuilding.py` mends the lists after the server has evicted entries or columns. `searches.py` reads payloads, to find words and texts in them. `editing.py`
changes entries, `check.py` compares entries and columns, and `ledger.py` keeps the accounts. `batches.py` has what is added up
applied once. A lease (`leases.py`) is the string
`l:<key>`: the token of the call that is being made, or empty if an answer was not stored a moment ago.

The names of all keys begin with `{prefix}:2:`, where 2 is the version of all this. The braces make a cluster keep them on one node.
"""

from typing import TYPE_CHECKING

from nbcache import modules_when_used

if TYPE_CHECKING:
    from nbcache.stores.redis import check, editing, leases, ledger, listing, pages, searches

__all__ = ["check", "editing", "leases", "ledger", "listing", "pages", "searches"]  # a hit doesn't need them, nor numpy
__getattr__ = modules_when_used("nbcache.stores.redis", __all__)
