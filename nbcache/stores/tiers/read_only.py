"""A mark for a tier that is only read."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbcache import public_in

if TYPE_CHECKING:
    from pathlib import Path

    from nbcache.stores.base import Store


@public_in("nbcache.stores")
@dataclass(frozen=True, slots=True)
class ReadOnly:
    """A store, or the place of one, that is only read: `nbcache.install(store=["disk", nbcache.stores.ReadOnly(store)])`.

    As text, `:ro` at the end of a place says the same: `"disk, /srv/course/.nbcache:ro"`.
    """

    place: "str | Path | Store"
