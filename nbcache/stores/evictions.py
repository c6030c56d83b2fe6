"""Who is told of the entries that the bounds of a store have evicted. A store reads their rows only while somebody is."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbcache.entry.records import EntryMeta


class report:  # noqa: N801 - a place for one function
    """Set `to` to the function that is called with a store and the rows that it has evicted, after they are gone."""

    to: "Callable[[object, list[EntryMeta]], None] | None" = None
