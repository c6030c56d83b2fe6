"""The names of owners in a store: notebooks in a folder, and users with their notebooks on a server."""

from pathlib import Path

from nbcache.stores.base import Remote, Store, home_of, tiers_of
from nbcache.stores.evictions import kept_in
from nbcache.stores.location import home_folder, notebook_name, team_owner
from nbcache.stores.sqlite.store import DiskStore


def owner_in(store: Store, notebook: Path | None) -> str | None:
    """The name of the owner of what `notebook` stores. None if nobody is known.

    If there are tiers, it is the name in the one that is listed. Where the notebook isn't known, and a server is among them, it is
    the user, as on the server.
    """
    home = home_of(store)
    if isinstance(home, Remote) or (notebook is None and any(isinstance(tier, Remote) for tier in tiers_of(store))):
        return team_owner(notebook)
    return notebook_name(notebook, folder_of(home))


def translated(owner: str, of: Store, to: Store) -> str | None:
    """The name in the store `to` of an owner that the store `of` has. None if `to` has no name for it: it is somebody else."""
    if owner == team_owner(None) or (isinstance(of, Remote) and isinstance(to, Remote)):
        return owner
    path = notebook_of(owner, of)
    if path is None:
        return None
    return team_owner(path) if isinstance(to, Remote) else notebook_name(path, folder_of(to))


def notebook_of(owner: str, store: Store) -> Path | None:
    """The path of the notebook that the store names `owner`. None if it is another user's, or no notebook's."""
    if not isinstance(store, Remote):
        folder = folder_of(store)
        return Path(owner) if folder is None else folder.parent / owner
    mine = f"{team_owner(None)}:"
    if not owner.startswith(mine):
        return None
    return (home_folder() or Path()) / owner.removeprefix(mine)


def folder_of(store: Store) -> Path | None:
    """The folder in which a store keeps its entries, sealed or not. None if it is elsewhere."""
    inner = kept_in(store)
    return inner.folder if isinstance(inner, DiskStore) else None
