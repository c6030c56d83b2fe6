"""What a piece of the user's own code is: told by what it refers to now, at each call.

A class or function counts by its bytecode and by all that its names mean: helpers, constants, modules, closures. What has
been digested once is only looked at again (see `watch`), and digested anew when something of it has changed.
"""

from dataclasses import dataclass
from functools import partial
from types import FunctionType
from typing import Any

from nbcache.keys.usercode.annotations import annotations_of
from nbcache.keys.usercode.call_state import State, state_of, stores_attribute
from nbcache.keys.usercode.change_detection import Check
from nbcache.keys.usercode.initial_state import seed_of
from nbcache.keys.usercode.nodes import write_node
from nbcache.keys.usercode.origin import is_users_code
from nbcache.keys.usercode.refusal_cache import looked_at
from nbcache.keys.usercode.walk import NotCanonicalError, Walk

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

_MOST_KEPT = 512  # classes and functions
_pieces: dict[int, "Piece"] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A class or function as it is now. `reads` are the names of the attributes that its code reads.

    `state` is what its calls write themselves, and so is no setting.
    """

    thing: Any
    digest: str
    check: Check
    reads: frozenset[str]
    state: State

    def is_current(self) -> bool:
        """Whether nothing that it refers to has changed since."""
        return self.check.holds()


def piece_of(thing: Any) -> Piece:
    """The piece of code that a class or function is. Raises NotCanonicalError where that can't be told."""
    known = _pieces.get(id(thing))
    if known is not None and known.thing is thing and known.check.holds():
        return known
    return looked_at(thing, "", partial(_made, thing))


def _made(thing: Any) -> Piece:
    state = state_of(thing)
    walk = Walk(write_node, state, path=getattr(thing, "__qualname__", ""))
    digest = walk.digest(thing)
    if isinstance(thing, FunctionType):
        walk.watch.attributes(thing, ("__doc__",), [thing.__doc__])  # which is sent of one that is a tool
    piece = Piece(thing, digest, walk.watch.frozen(), frozenset(walk.reads), state)
    if len(_pieces) >= _MOST_KEPT:
        _pieces.clear()
    _pieces[id(thing)] = piece
    return piece


def seed_digest(value: Any, label: str = "") -> str:
    """The digest of what a container held when it was first seen; empty where that was nothing, or can't be told."""
    return seed_of(value, lambda held: digest_of(held, label))


def digest_of(value: Any, label: str = "") -> str:
    """The digest of any value, which differs for what differs in value or type. Raises NotCanonicalError."""
    if type(value) is FunctionType or isinstance(value, type):
        return piece_of(value).digest
    walk = Walk(write_node, State(), path=label, piece_of=piece_of)
    return looked_at(value, label, partial(walk.digest, value))
