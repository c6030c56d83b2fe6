"""The first content of objects that calls change: it counts, and the changes by calls don't.

Such objects are iterators, random generators, lists of answers or of earlier messages.
"""

import random
import types
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

_MOST_SEEDS = 512
_seeds: OrderedDict[int, tuple[Any, str]] = OrderedDict()


def seed_of(thing: Any, digest: Callable[[Any], str]) -> str:
    """The digest of the content of `thing` when it was first seen. Empty if it had none, or none with a digest."""
    cached = _seeds.get(id(thing))
    if cached is None:
        cached = _seeds[id(thing)] = thing, _seed(thing, digest)  # referenced, so that its address isn't used again
        while len(_seeds) > _MOST_SEEDS:
            _seeds.popitem(last=False)
    return cached[1]


def _seed(thing: Any, digest: Callable[[Any], str]) -> str:
    try:
        content = _content(thing)
        return digest(content) if content is not None else ""
    except Exception:  # noqa: BLE001 - a content without a digest; iterators raise exceptions of their own
        return ""


def _content(thing: Any) -> Any:
    """The content of `thing`. None if it is empty."""
    if isinstance(thing, random.Random):
        return thing.getstate()
    if isinstance(thing, types.GeneratorType):
        return (thing.gi_code, [*(thing.gi_frame.f_locals if thing.gi_frame else {}).items()])
    if type(thing).__module__.startswith("numpy.random"):
        return getattr(thing, "bit_generator", thing).state if hasattr(thing, "bit_generator") else thing.get_state()
    if hasattr(thing, "__next__"):
        return thing.__reduce__()
    return thing or None
