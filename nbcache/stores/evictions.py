"""Who is told of the entries that the bounds of a store have evicted. A store reads their rows only while somebody is."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbcache.entry.records import EntryMeta


class report:  # noqa: N801 - a place for one function
    """Set `to` to the function that is called with a store and the rows that it has evicted, after they are gone."""

    to: "Callable[[object, list[EntryMeta]], None] | None" = None


@runtime_checkable
class KeepsInAnother(Protocol):
    """A store that keeps its entries in the store `inner`, with other rows than it lists."""

    inner: object

    def evicted(self, rows: "list[EntryMeta]") -> "list[EntryMeta]":
        """The rows that it lists for those that `inner` has evicted."""


def kept_in(store: object) -> object:
    """The store that evicts the entries of `store`."""
    return store.inner if isinstance(store, KeepsInAnother) else store


def as_listed(store: object, rows: "list[EntryMeta]") -> "list[EntryMeta]":
    """Rows that were evicted, as `store` lists them."""
    return store.evicted(rows) if isinstance(store, KeepsInAnother) else rows
