"""Stores that can do little: the example that `nbcache.stores.base` shows, and one that lists and no more."""

import re
import time
from typing import Any

from nbcache.stores import MemoryStore, Store, base


def _example() -> type[Store]:
    """The class in the docstring, as a reader copies it."""
    code = re.search(r"^    import time\n.*?(?=^    nbcache\.install)", base.__doc__ or "", re.DOTALL | re.MULTILINE)
    assert code is not None
    names: dict[str, type[Store]] = {}
    exec(re.sub("^    ", "", code[0], flags=re.MULTILINE), names)
    return names["DictStore"]


DictStore = _example()


def _of_memory(name: str) -> Any:
    return lambda self, *args, **options: getattr(self.memory, name)(*args, **options)


class ListedStore:
    """Lists its entries, and neither searches them, nor keeps a ledger, tombstones or bounds."""

    url = "listed://"

    def __init__(self) -> None:
        self.memory = MemoryStore(clock=lambda: time.time())  # noqa: PLW0108 - looked up anew each time

    get, put, close, delete = map(_of_memory, ("get", "put", "close", "delete"))
    touch, page, totals, facets, clear = map(_of_memory, ("touch", "page", "totals", "facets", "clear"))
