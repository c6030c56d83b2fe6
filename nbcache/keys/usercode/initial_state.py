"""What a thing that calls use up, or add to, held when it was first seen: that counts, and what calls made of it doesn't.

Such are an iterator, a random generator, a list of answers or of earlier messages.
"""

import random
import types
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

_MOST_KEPT = 512
_seeds: OrderedDict[int, tuple[Any, str]] = OrderedDict()


def seed_of(thing: Any, digest: Callable[[Any], str]) -> str:
    """The digest of what `thing` held when it was first seen; empty where it held nothing, or nothing that can be told."""
    known = _seeds.get(id(thing))
    if known is None:
        known = _seeds[id(thing)] = thing, _first(thing, digest)  # it is kept, so that its address isn't used again
        while len(_seeds) > _MOST_KEPT:
            _seeds.popitem(last=False)
    return known[1]


def _first(thing: Any, digest: Callable[[Any], str]) -> str:
    try:
        held = _held(thing)
        return digest(held) if held is not None else ""
    except Exception:  # noqa: BLE001 - what has no canonical form, and iterators, of which each says so in its own way
        return ""


def _held(thing: Any) -> Any:
    """What is in `thing`; None where that is nothing."""
    if isinstance(thing, random.Random):
        return thing.getstate()
    if isinstance(thing, types.GeneratorType):
        return (thing.gi_code, [*(thing.gi_frame.f_locals if thing.gi_frame else {}).items()])
    if type(thing).__module__.startswith("numpy.random"):
        return getattr(thing, "bit_generator", thing).state if hasattr(thing, "bit_generator") else thing.get_state()
    if hasattr(thing, "__next__"):
        return thing.__reduce__()
    return thing or None
