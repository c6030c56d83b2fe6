"""The store of a command line: found as the library finds it, and opened only if it exists."""

import contextlib
import os
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nbcache.errors import NbcacheError, NbcacheWarning, StoreError
from nbcache.session.environment import warn_of_misspelt
from nbcache.stores.base import LedgerStore, Listable, Remote, Store, home_of, tiers_of
from nbcache.stores.location import (
    CASSETTE_SUFFIX,
    REDIS_PASSWORD,
    checked_path,
    notebook_path,
    store_folder,
)
from nbcache.stores.memory import MemoryStore
from nbcache.stores.opening import open_store, shown, with_users_folder
from nbcache.stores.owners import owner_in
from nbcache.stores.sqlite.file_kinds import Kind, kind_of
from nbcache.stores.sqlite.folder import DATABASE
from nbcache.stores.sqlite.store import DiskStore
from nbcache.stores.tiers.store import TieredStore
from nbcache.ui.printing import complain

if TYPE_CHECKING:
    from nbcache.stores.view import Contents


class NothingError(NbcacheError):
    """The store or the notebook of the command line doesn't exist."""


def find_store(place: str | None, *, only_reads: bool) -> Store:
    """The store at `place`, else the one that the environment names, else the one that the library finds from here.

    Of tiers that are all only read it is the one that is listed, if the command `only_reads` entries.
    Raises ValueError if `place` can't be a store's, or has a password, and MissingPackageError.
    """
    _refuse_password(place)
    place = place if place is not None else os.environ.get("NBCACHE_STORE") or None
    with shown_warnings():
        warn_of_misspelt()
        store = open_store(
            store_folder(notebook_path()) if place is None else with_users_folder(place),  # type: ignore[arg-type]
            own_folder=lambda: store_folder(notebook_path()),
        )
    home = home_of(store)
    if isinstance(home, MemoryStore):
        raise ValueError(  # noqa: TRY004 - a setting
            f"{store.url} is in the memory of one process: write a folder, disk:///path, a server's URL or user"
        )
    is_to_read = isinstance(store, TieredStore) and not store.writable and (isinstance(home, DiskStore) or only_reads)
    return home if is_to_read else store  # read by itself it tells more, such as its ledger


def reach(store: Store) -> None:
    """Ask the servers of `store` once. One that doesn't have the entries that are listed may be silent.

    Raises ValueError if one refuses the password, and StoreError if the entries are on one that doesn't answer.
    """
    for at, tier in enumerate(tiers_of(store)):
        try:
            if isinstance(tier, Remote):
                tier.connect()
        except StoreError as error:
            if tier is home_of(store):
                raise
            is_written = isinstance(store, TieredStore) and at in store.writable
            then = "what is changed is changed there later" if is_written else "the other tiers are used"
            complain(f"{str(error).rstrip('.')}: {then}")


def exists(store: Store) -> bool:
    """Whether the store's file exists, whatever it holds. A server is there. Raises StoreError if the folder may not be read."""
    return _kind(store) is not Kind.NEW


def is_damaged(store: Store) -> bool:
    """Whether the store's file exists and is no database. Raises StoreError if the folder may not be read."""
    return _kind(store) is Kind.DAMAGED


def open_contents(store: Store, notebook: str | None, *, fix: bool) -> "Contents":
    """The entries of `notebook` in `store`, or all entries. No store is created. Only with `fix` a damaged file is set aside.

    Raises NothingError or StoreError.
    """
    home = home_of(store)
    if isinstance(home, DiskStore):
        if not exists(store):
            raise NothingError(f"there is no store in {home.folder}: `--store` names another folder")
        if is_damaged(store) and not fix:  # it may be another program's
            raise StoreError(
                f"{home.folder / DATABASE} is damaged, or no store: `nbcache check --fix` sets it aside and begins anew"
            )
    owner = None if notebook is None else _stored_name(store, notebook)
    from nbcache.stores.view import Contents  # noqa: PLC0415 - it imports LangChain, which takes half a second

    return Contents(store, owner)


def own_contents(store: Store) -> "Contents":
    """What the user owns in a store on a server, where nobody else's is meant: of the notebook if it is known."""
    owner = owner_in(store, notebook_path())
    complain(
        f"this is about what {owner} owns: `--notebook` names a notebook, and `--scope store` means everybody's entries"
    )
    from nbcache.stores.view import Contents  # noqa: PLC0415 - as above

    return Contents(store, owner)


def contents_to_fill(store: Store, notebook: str | None, *, dry_run: bool) -> "Contents":
    """The same for an import: store and notebook may be new. Raises StoreError."""
    if exists(store):
        open_contents(store, None, fix=False)
    from nbcache.stores.view import Contents  # noqa: PLC0415 - as above

    return Contents(MemoryStore() if dry_run and not exists(store) else store, notebook)


def owner_of_import(store: Store, file: str, notebook: str | None) -> str | None:
    """Who owns the imported entries: `notebook` if it is given, else the notebook beside `file`, if there is one.

    Else nobody does, and on a server the user.
    """
    if notebook is not None:
        path = checked_path("--notebook", notebook)
        return owner_in(store, path) if path.exists() else notebook
    path = checked_path("file", file)
    path = path.with_name(path.name.removesuffix(CASSETTE_SUFFIX) + ".ipynb")
    return owner_in(store, path if path.exists() else None)


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


def _refuse_password(place: str | None) -> None:
    if place is not None and shown(place) != place:
        raise ValueError(
            f"{shown(place)} has a password, which your shell would save: leave it out, and set {REDIS_PASSWORD} in the "
            "environment"
        )


def _kind(store: Store) -> Kind | None:
    """What the file of the store is. None if it is on a server."""
    home = home_of(store)
    return kind_of(home.folder / DATABASE) if isinstance(home, DiskStore) else None


def _stored_name(store: Store, notebook: str) -> str:
    """The name of a notebook in the store. `notebook` is its path from here, or the name itself.

    Raises NothingError if the store has no such notebook.
    """
    names = _notebooks(store)
    for name in (owner_in(store, checked_path("--notebook", notebook)), notebook):
        if name in names:
            return str(name)
    home = home_of(store)
    place = home.folder if isinstance(home, DiskStore) else store.url
    raise NothingError(f"no notebook {notebook!r} in {place}: there are {', '.join(names) or 'none'}")


def _notebooks(store: Store) -> list[str]:
    """The owners of entries, and those who have paid for some."""
    owners = set(store.facets().notebook) if isinstance(store, Listable) else set()
    if isinstance(store, LedgerStore):
        owners |= {row.notebook for row in store.spendings() if row.notebook}
    return sorted(owners)
