"""The store of a command line: found as the library finds it, and opened only if it exists."""

import contextlib
import os
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nbcache.errors import NbcacheError, NbcacheWarning, StoreError
from nbcache.session.environment import warn_of_misspelt
from nbcache.stores.base import Remote, home_of
from nbcache.stores.location import (
    CASSETTE_SUFFIX,
    checked_path,
    notebook_name,
    notebook_path,
    store_folder,
    user_folder,
)
from nbcache.stores.memory import MemoryStore
from nbcache.stores.opening import open_store
from nbcache.stores.sqlite.file_kinds import Kind, kind_of
from nbcache.stores.sqlite.folder import DATABASE
from nbcache.stores.sqlite.store import DiskStore
from nbcache.ui.printing import complain

if TYPE_CHECKING:
    from nbcache.stores.view import Contents


class NothingError(NbcacheError):
    """The store or the notebook of the command line doesn't exist."""


def find_store(place: str | None) -> DiskStore:
    """The store at `place`, else the one that the environment names, else the one that the library finds from here.

    Raises ValueError if `place` can't be a store's.
    """
    place = place if place is not None else os.environ.get("NBCACHE_STORE") or None
    with shown_warnings():
        warn_of_misspelt()
        store = open_store(
            store_folder(notebook_path()) if place is None else user_folder() if place == "user" else place
        )
    if isinstance(home := home_of(store), DiskStore):
        if home is not store:
            complain(f"of the tiers {store.url} a command in a terminal reads and changes {home.folder} alone")
        return home
    why = (
        "is on a server, and opens in a notebook only"
        if isinstance(store, Remote)
        else "is in the memory of one process"
    )
    raise ValueError(f"{store.url} {why}: write a folder, disk:///path or user")


def exists(store: DiskStore) -> bool:
    """Whether the store's file exists, whatever it holds. Raises StoreError if the folder may not be read."""
    return kind_of(store.folder / DATABASE) is not Kind.NEW


def is_damaged(store: DiskStore) -> bool:
    """Whether the store's file exists and is no database. Raises StoreError if the folder may not be read."""
    return kind_of(store.folder / DATABASE) is Kind.DAMAGED


def open_contents(store: DiskStore, notebook: str | None, *, fix: bool) -> "Contents":
    """The entries of `notebook` in `store`, or all entries. No store is created. Only with `fix` a damaged file is set aside.

    Raises NothingError or StoreError.
    """
    if not exists(store):
        raise NothingError(f"there is no store in {store.folder}: `--store` names another folder")
    database = store.folder / DATABASE
    if kind_of(database) is Kind.DAMAGED and not fix:  # it may be another program's
        raise StoreError(f"{database} is damaged, or no store: `nbcache check --fix` sets it aside and begins anew")
    owner = None if notebook is None else _stored_name(store, notebook)
    from nbcache.stores.view import Contents  # noqa: PLC0415 - it imports LangChain, which takes half a second

    return Contents(store, owner)


def contents_to_fill(store: DiskStore, notebook: str | None, *, dry_run: bool) -> "Contents":
    """The same for an import: store and notebook may be new. Raises StoreError."""
    if exists(store):
        open_contents(store, None, fix=False)
    from nbcache.stores.view import Contents  # noqa: PLC0415 - as above

    return Contents(MemoryStore() if dry_run and not exists(store) else store, notebook)


def owner_of_import(store: DiskStore, file: str, notebook: str | None) -> str | None:
    """Who owns the imported entries: `notebook` if it is given, else the notebook beside `file`, if there is one."""
    if notebook is not None:
        path = checked_path("--notebook", notebook)
        return notebook_name(path, store.folder) if path.exists() else notebook
    path = checked_path("file", file)
    path = path.with_name(path.name.removesuffix(CASSETTE_SUFFIX) + ".ipynb")
    return notebook_name(path, store.folder) if path.exists() else None


@contextlib.contextmanager
def shown_warnings() -> Iterator[list[str]]:
    """Collect nbcache's warnings in the block and print them on stderr at its end; warnings of other libraries are dropped."""
    messages: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NbcacheWarning)
        try:
            yield messages
        finally:
            messages += [str(warning.message) for warning in caught if issubclass(warning.category, NbcacheWarning)]
            for message in messages:
                complain(message)


def _stored_name(store: DiskStore, notebook: str) -> str:
    """The name of a notebook in the store. `notebook` is its path from here, or the name itself.

    Raises NothingError if the store has no such notebook.
    """
    names = _notebooks(store)
    for name in (notebook_name(checked_path("--notebook", notebook), store.folder), notebook):
        if name in names:
            return str(name)
    raise NothingError(f"no notebook {notebook!r} in {store.folder}: there are {', '.join(names) or 'none'}")


def _notebooks(store: DiskStore) -> list[str]:
    """The notebooks that own entries, or have paid for some."""
    return sorted({*store.facets().notebook, *(row.notebook for row in store.spendings() if row.notebook)})
