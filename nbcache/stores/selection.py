"""Entries that were selected: in memory, or read from the store when they are needed."""

import time
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Protocol, overload, runtime_checkable

from nbcache.entry.edit import Edit
from nbcache.entry.records import Cleared, EntryMeta


class Shown(Protocol):
    """What a list shows of an entry."""

    @property
    def key(self) -> str:
        """Its key."""

    @property
    def prompt(self) -> str:
        """The beginning of its prompt."""

    @property
    def answer(self) -> str:
        """The beginning of its answer."""


class Search(Protocol):
    """A search for a text in the prompts and the answers of entries."""

    @property
    def text(self) -> str:
        """The text, in lower case."""

    @property
    def needs_more(self) -> bool:
        """Whether an entry with the text has to be looked at all the same."""

    def is_in(self, row: Shown, payload: bytes) -> bool:
        """Whether the text is in this entry."""


@runtime_checkable
class Selection(Protocol):
    """Rows in an order. What is read of them has one method each, so that a million of them don't have to fit in memory."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[EntryMeta]: ...
    @overload
    def __getitem__(self, at: int) -> EntryMeta: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[EntryMeta]: ...

    def keys(self) -> list[str]:
        """Their keys."""

    def costs(self) -> Iterable["Decimal | None"]:
        """What each of them cost, in US dollars; None where that isn't known."""

    def clearing(self, owner: str | None) -> Cleared:
        """What it would do to clear them for `owner`, as far as they have not expired."""

    def changed_by(self, change: Edit) -> "Selection":
        """Those of them of which a change makes something another."""


class SelectedRows(tuple[EntryMeta, ...]):
    """A selection in memory."""

    __slots__ = ()

    def keys(self) -> list[str]:
        """Their keys."""
        return [row.key for row in self]

    def costs(self) -> Iterator[Decimal | None]:
        """What each of them cost, in US dollars; None where that isn't known."""
        return (row.cost_usd for row in self)

    def changed_by(self, change: Edit) -> "SelectedRows":
        """Those of them of which a change makes something another."""
        return SelectedRows(row for row in self if change.changes(row.tags, row.expires))

    def clearing(self, owner: str | None) -> Cleared:
        """What it would do to clear them for `owner`, as far as they have not expired."""
        now = time.time()
        live = [row for row in self if row.expires is None or row.expires > now]
        going = SelectedRows(row for row in live if owner is None or not set(row.notebooks) - {owner})
        return Cleared(len(going), sum(row.size_bytes for row in going), len(live) - len(going), going)
