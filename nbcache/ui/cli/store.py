"""The store that a command line means: found as the library finds it, and opened only if it is there."""

import contextlib
import os
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nbcache.errors import NbcacheError, NbcacheWarning, StoreError
from nbcache.session.environment import warn_of_misspelt
from nbcache.stores.base import DiskStore, MemoryStore, open_store
from nbcache.stores.location import checked_path, notebook_name, notebook_path, store_folder, user_folder
from nbcache.stores.sqlite.folder import DATABASE, Kind, kind_of
from nbcache.ui.terminal import complain

if TYPE_CHECKING:
    from nbcache.stores.view import Contents


class NothingError(NbcacheError):
    """The store or the notebook that was asked about isn't there."""


def named(place: str | None) -> DiskStore:
    """The store at `place`, else the one that the environment names, else the one that the library finds from here.

    Raises ValueError for a place that can't be one.
    """
    place = place if place is not None else os.environ.get("NBCACHE_STORE") or None
    with warnings_told():
        warn_of_misspelt()
        store = open_store(
            store_folder(notebook_path()) if place is None else user_folder() if place == "user" else place
        )
    if isinstance(store, DiskStore):
        return store
    raise ValueError(f"{store.url} is in the memory of one process: write a folder, disk:///path or user")


def exists(store: DiskStore) -> bool:
    """Whether something is there, whatever it is. Raises StoreError where one may not look."""
    return kind_of(store.folder / DATABASE) is not Kind.NEW


def is_damaged(store: DiskStore) -> bool:
    """Whether the file is there and no database. Raises StoreError where one may not look."""
    return kind_of(store.folder / DATABASE) is Kind.DAMAGED


def contents(store: DiskStore, notebook: str | None, *, fix: bool) -> "Contents":
    """What `notebook` owns in `store`, or all of it. None is made, and with `fix` alone a file may be set aside.

    Raises NothingError, or StoreError.
    """
    if not exists(store):
        raise NothingError(f"there is no store in {store.folder}: `--store` names another folder")
    database = store.folder / DATABASE
    if kind_of(database) is Kind.DAMAGED and not fix:  # it may be another program's
        raise StoreError(f"{database} is damaged, or no store: `nbcache check --fix` sets it aside and begins anew")
    owner = None if notebook is None else _known(store, notebook)
    from nbcache.stores.view import Contents  # noqa: PLC0415 - it imports LangChain, which takes half a second

    return Contents(store, owner)


def contents_to_fill(store: DiskStore, notebook: str | None, *, dry_run: bool) -> "Contents":
    """The same to put something in, where the store and the notebook may be new. Raises StoreError."""
    if exists(store):
        contents(store, None, fix=False)
    from nbcache.stores.view import Contents  # noqa: PLC0415 - as above

    return Contents(MemoryStore() if dry_run and not exists(store) else store, notebook)


@contextlib.contextmanager
def warnings_told() -> Iterator[list[str]]:
    """What nbcache warns of in the block, said on stderr at its end; what other libraries do concerns nobody here."""
    messages: list[str] = []
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", NbcacheWarning)
        try:
            yield messages
        finally:
            messages += [str(warning.message) for warning in heard if issubclass(warning.category, NbcacheWarning)]
            for message in messages:
                complain(message)


def _known(store: DiskStore, notebook: str) -> str:
    """The name of a notebook in the store: that of the file at this path from here, else as it was written.

    Raises NothingError where the store has none of that name.
    """
    known = _notebooks(store)
    for name in (notebook_name(checked_path("--notebook", notebook), store.folder), notebook):
        if name in known:
            return str(name)
    raise NothingError(f"no notebook {notebook!r} in {store.folder}: there are {', '.join(known) or 'none'}")


def _notebooks(store: DiskStore) -> list[str]:
    """The notebooks that own entries, or paid for some that are gone."""
    return sorted({*store.facets().notebook, *(row.notebook for row in store.spendings() if row.notebook)})
