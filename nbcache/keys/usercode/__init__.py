"""The digest of a piece of the user's own code, which changes when the code, or something that it refers to, changes.

A class or function counts by its bytecode and by all that its names mean: helpers, constants, modules, closures. At each
call the pieces are compared with what they were (`change_detection.py`), and digested again only after a change.

`pieces.py` remembers the digests, and `walk.py` makes them. What it writes of each value is in `wrappers_and_containers.py`,
`functions.py`, `classes.py`, `objects.py`, `clients.py`, `type_hints.py`, `annotations.py` and `environment_variables.py`.
`bytecode_names.py` reads the names from compiled code, `module_sources.py` finds modules that are not imported yet, and
`origin.py` says whether code is the user's or a library's. What calls themselves change is found by `call_state.py`, and counts
as it was at first (`initial_state.py`). `refusal_cache.py` remembers what has no digest, which raises the error in
`not_canonical.py`.
"""

from typing import TYPE_CHECKING

from nbcache import handed_on
from nbcache.keys.usercode.not_canonical import NotCanonicalError
from nbcache.keys.usercode.origin import is_users_code

if TYPE_CHECKING:
    from nbcache.keys.usercode.annotations import annotations_of
    from nbcache.keys.usercode.call_state import stores_attribute
    from nbcache.keys.usercode.pieces import Piece, digest_of, piece_of, seed_digest

__all__ = [
    "NotCanonicalError",
    "Piece",
    "annotations_of",
    "digest_of",
    "is_users_code",
    "piece_of",
    "seed_digest",
    "stores_attribute",
]

# Most notebooks have no model class or tool of their own, and need none of these.
__getattr__ = handed_on(
    "nbcache.keys.usercode",
    {
        "annotations_of": "annotations",
        "stores_attribute": "call_state",
        **dict.fromkeys(("Piece", "digest_of", "piece_of", "seed_digest"), "pieces"),
    },
)
