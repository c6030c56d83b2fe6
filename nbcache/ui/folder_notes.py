"""What there is to say of the folders of a store: whether they can only be read, and how they are kept."""

from nbcache.errors import one_line
from nbcache.stores.base import Store, tiers_of
from nbcache.stores.sqlite.store import DiskStore


def notes_on_store(store: Store) -> list[str]:
    """A line for each note on a folder."""
    from nbcache.stores.sqlite.opening_modes import notes_on  # noqa: PLC0415 - it copies files, and imports what does

    return [
        f"  {one_line(str(tier.folder))} is {note}"
        for tier in tiers_of(store)
        if isinstance(tier, DiskStore)
        for note in notes_on(tier.folder, read_only=tier.read_only)
    ]
