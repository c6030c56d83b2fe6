"""Follows a notebook that is renamed while its kernel runs, if its new name is certain."""

import json
from pathlib import Path

from nbcache.errors import one_line, warn_once
from nbcache.session import installation
from nbcache.stores.base import LedgerStore, Listable, Store
from nbcache.stores.location import cassette_path, from_here

_LONGEST = 50_000_000  # bytes of a notebook that is read


class Follower:
    """Remembers the ids of the cells that ran, which the notebook's file has too."""

    def __init__(self) -> None:
        self._cells: set[str] = set()
        self._path: Path | None = None  # where the notebook's file was last

    def follow(self, named: Path | None, cell_id: str | None) -> None:
        """Before a cell: if the notebook's file has moved, go on under its new name, or warn once if it can't be found.

        `named` is the path that the page gives to the kernel. Never raises.
        """
        if cell_id:
            self._cells.add(cell_id)
        if not installation.is_installed() or (old := installation.installed().path) is None:
            return
        try:
            if old.exists():
                self._path = old
            elif self._path == old:  # otherwise it was never saved
                self._look_for(old, named)
        except Exception as error:  # noqa: BLE001 - the cell runs on, under the old name
            self._say_lost(old, f": {error}")

    def _look_for(self, old: Path, named: Path | None) -> None:
        notebooks = [named] if named is not None and named.exists() else self._with_these_cells(old.parent)
        if len(notebooks) == 1:
            rename(old, notebooks[0])
            self._path = notebooks[0]
        else:
            self._say_lost(old)

    def _with_these_cells(self, folder: Path) -> list[Path]:
        return [path for path in folder.glob("*.ipynb") if self._cells & _ids(path)]

    @staticmethod
    def _say_lost(old: Path, why: str = "") -> None:
        warn_once(
            f"gone {old}",
            f"nbcache: the notebook {one_line(old.name)} isn't where it was{why}; entries and exports go on under that name. "
            "Type `%env NBCACHE_NOTEBOOK=` with its new path",
        )


def rename(old: Path, new: Path) -> None:
    """Go on as the notebook `new`, which gets the entries and payments of `old`. Raises StoreError."""
    before = installation.installed()
    cassette = before.recordings.path
    changes = {"cassette": None} if cassette == cassette_path(old) else {}
    cache = installation.reinstall(notebook=new, **changes)
    if before.notebook is not None and cache.notebook is not None and before.notebook != cache.notebook:
        _take_over(cache.store, before.notebook, cache.notebook)
    warn_once(
        f"renamed {new}", f"nbcache: this notebook is {one_line(str(from_here(new)))} now, and goes on under that name"
    )


def _take_over(store: Store, old: str, new: str) -> None:
    """Let `new` own what `old` owned, as far as the store keeps that."""
    from nbcache.entry.records import Filter, Touch  # noqa: PLC0415 - few notebooks are renamed while they run

    if isinstance(store, Listable):
        keys = [meta.key for meta in store.page(Filter(notebook=old))]
        store.touch(Touch(key, new, 0, 0.0) for key in keys)
        store.clear(keys, owner=old)
    if isinstance(store, LedgerStore):
        store.rename(old, new)


def _ids(path: Path) -> set[str]:
    """The ids of a notebook's cells; empty if the file is no readable notebook."""
    try:
        if path.stat().st_size > _LONGEST:
            return set()
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return {str(cell["id"]) for cell in cells if "id" in cell}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return set()
