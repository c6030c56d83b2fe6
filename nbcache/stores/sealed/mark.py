"""The tag that each sealed row has: it says that the row is sealed, and with which secret."""

import contextlib
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from nbcache.entry.records import EntryMeta
from nbcache.errors import StoreError, warn_once
from nbcache.stores.location import SECRET

_SEALED = "sealed:"


def mark_of(secret_id: bytes) -> str:
    """The tag of rows that are sealed with the secret of this id."""
    return _SEALED + secret_id.hex()


def warned_of(rows: list[EntryMeta]) -> list[EntryMeta]:
    """The same rows. Warns once if some are sealed: the store was opened without the secret."""
    if any(_is_sealed(row.tags) for row in rows):
        warn_once(
            "sealed",
            f"nbcache: entries of this store are sealed, and are no hits here: set {SECRET} to the secret of those who stored "
            "them, and restart the kernel",
        )
    return rows


@runtime_checkable
class HasOthers(Protocol):
    """A sealed store that can count what it can't open."""

    def others(self) -> int:
        """How many entries are not sealed with this secret."""


def not_opened(store: object) -> list[str]:
    """A line that says how many entries a sealed store has that can't be opened, if there are some. Never raises."""
    number = 0
    with contextlib.suppress(StoreError):  # the server doesn't answer
        number = store.others() if isinstance(store, HasOthers) else 0
    return (
        [f"not sealed with this {SECRET}: {number} {'entry' if number == 1 else 'entries'}, never a hit"]
        if number
        else []
    )


def _is_sealed(tags: Sequence[str]) -> bool:
    return any(tag.startswith(_SEALED) for tag in tags)
