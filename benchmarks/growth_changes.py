"""Changes of a tenth of a store's entries by a filter: tags, an expiry, a clear. Each on a copy, since the next run needs the store."""

import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import nbcache

from . import BenchError
from .figures import Figures

_PART = 10
_MODELS = "[ml]*"  # of `big_store`: those that a tenth of the entries have, which are all over the store


def measure(folder: Path, column: str, figures: Figures) -> None:
    """Measure the store in `folder`, by the functions that a user calls."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        copy = Path(place) / "store"
        shutil.copytree(folder, copy)
        nbcache.install(copy, scope="folder")
        try:
            for row, change in _changes().items():
                figures.add(row, column, _seconds(change))
        finally:
            nbcache.uninstall()


def _changes() -> dict[str, Callable[[], int]]:
    """What is done, in this order; each returns of how many entries."""
    created = sorted(nbcache.entries()["created"])
    oldest: dict[str, Any] = {"older_than": time.time() - created[len(created) // _PART].timestamp()}
    tag: Callable[..., int] = lambda *tags, **which: nbcache.tag(*tags, **which).changed  # noqa: E731
    expire: Callable[..., int] = lambda **which: nbcache.expire("30d", **which).changed  # noqa: E731
    clear: Callable[..., int] = lambda **which: nbcache.clear(**which).deleted  # noqa: E731
    return {
        "tag, dry run": partial(tag, "bench", model=_MODELS, dry_run=True),
        "tag": partial(tag, "bench", model=_MODELS),
        "tag, oldest": partial(tag, "old", **oldest),
        "expire": partial(expire, model=_MODELS),
        "expire, oldest": partial(expire, **oldest),
        "clear, dry run": partial(clear, model=_MODELS, dry_run=True),
        "clear": partial(clear, model=_MODELS),
        "clear, oldest": partial(clear, **oldest),
    }


def _seconds(change: Callable[[], int]) -> float:
    start = perf_counter()
    changed = change()
    seconds = perf_counter() - start
    if not changed:
        raise BenchError("a filter has selected no entry")
    return seconds
