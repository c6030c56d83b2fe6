"""The digests of classes, functions and other values of the user's, remembered until something in them changes."""

from dataclasses import dataclass
from functools import partial
from types import FunctionType
from typing import Any

from nbcache.keys.usercode.call_state import State, state_of
from nbcache.keys.usercode.change_detection import Check
from nbcache.keys.usercode.initial_state import seed_of
from nbcache.keys.usercode.refusal_cache import unless_refused
from nbcache.keys.usercode.walk import Walk
from nbcache.keys.usercode.wrappers_and_containers import write_node

_MOST_PIECES = 512
_pieces: dict[int, "Piece"] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A class or function as it is now.

    Attributes:
        reads: the names of the attributes that its code reads.
        state: what its calls change, and what is therefore not a setting.
    """

    thing: Any
    digest: str
    check: Check
    reads: frozenset[str]
    state: State

    def is_current(self) -> bool:
        """Whether the code, and all that it refers to, is still the same."""
        return self.check.holds()


def piece_of(thing: Any) -> Piece:
    """The digest of a class or function, with what it was made from. Raises NotCanonicalError if it has none."""
    cached = _pieces.get(id(thing))
    if cached is not None and cached.thing is thing and cached.check.holds():
        return cached
    return unless_refused(thing, "", partial(_make_piece, thing))


def _make_piece(thing: Any) -> Piece:
    state = state_of(thing)
    walk = Walk(write_node, state, path=getattr(thing, "__qualname__", ""))
    digest = walk.digest(thing)
    if isinstance(thing, FunctionType):
        walk.watch.attributes(thing, ("__doc__",), [thing.__doc__])  # it is sent if the function is a tool
    piece = Piece(thing, digest, walk.watch.frozen(), frozenset(walk.reads), state)
    if len(_pieces) >= _MOST_PIECES:
        _pieces.clear()
    _pieces[id(thing)] = piece
    return piece


def seed_digest(value: Any, label: str = "") -> str:
    """The digest of what a container held when it was first seen. Empty if it held nothing, or has no digest."""
    return seed_of(value, lambda content: digest_of(content, label))


def digest_of(value: Any, label: str = "") -> str:
    """The digest of any value, equal only for an equal value of the same type. Raises NotCanonicalError."""
    if type(value) is FunctionType or isinstance(value, type):
        return piece_of(value).digest
    walk = Walk(write_node, State(), path=label, piece_of=piece_of)
    return unless_refused(value, label, partial(walk.digest, value))
