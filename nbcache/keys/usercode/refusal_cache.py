"""What took long to refuse is not looked at again at each call: that would take as long each time.

A call that isn't cached is right, whatever was edited meanwhile. So a refusal may hold for a while longer than its reason.
"""

import weakref
from collections.abc import Callable
from time import monotonic
from typing import Any, TypeVar

from nbcache.keys.usercode.walk import NotCanonicalError

_SHORT = 0.02  # seconds of a look that may be had at each call
_TIMES = 30  # as long as it took, it isn't looked again: that costs a thirtieth of the time at most
_LONGEST = 60.0  # seconds
_MOST_KEPT = 512
_T = TypeVar("_T")
_refused: dict[object, tuple[Callable[[], Any] | None, float, NotCanonicalError]] = {}


def looked_at(thing: Any, label: str, look: Callable[[], _T]) -> _T:
    """What `look` finds of `thing`. Raises NotCanonicalError as it does, or at once where it took long to raise that lately.

    `label` is what messages call it. It isn't kept alive.
    """
    which = id(thing), type(thing), label
    known = _refused.get(which)
    if known is not None:
        same, until, refusal = known
        if (same is None or same() is thing) and monotonic() < until:
            raise refusal.with_traceback(None)
        _refused.pop(which, None)
    began = monotonic()
    try:
        return look()
    except NotCanonicalError as error:
        seconds = monotonic() - began
        if seconds > _SHORT:
            if len(_refused) >= _MOST_KEPT:
                _refused.clear()
            _refused[which] = _reference(thing), monotonic() + min(_TIMES * seconds, _LONGEST), error
        raise


def _reference(thing: Any) -> Callable[[], Any] | None:
    """Leads to `thing` while it lives. Of a list there is none: what comes to stand at its address is taken for it."""
    try:
        return weakref.ref(thing)
    except TypeError:
        return None
