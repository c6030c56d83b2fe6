"""Remembers values without a digest for a while, if it took long to find that out: each call would take as long again.

A call that isn't cached gets a right answer, whatever was edited. So a refusal may outlive its reason.
"""

import weakref
from collections.abc import Callable
from time import monotonic
from typing import Any, TypeVar

from nbcache.keys.usercode.not_canonical import NotCanonicalError

_SHORT = 0.02  # seconds that a refusal may take at each call
_TIMES = (
    30  # a refusal is remembered for so many times as long as it took, so that it costs a thirtieth of the time at most
)
_LONGEST = 60.0  # seconds
_MOST_REFUSALS = 512
_T = TypeVar("_T")
_refused: dict[object, tuple[Callable[[], Any] | None, float, NotCanonicalError]] = {}


def unless_refused(thing: Any, label: str, look: Callable[[], _T]) -> _T:
    """Returns `look()`. Raises its NotCanonicalError, at once if a slow `look` has raised it for this `thing` before.

    `label` is the name of `thing` in messages.
    """
    which = id(thing), type(thing), label
    cached = _refused.get(which)
    if cached is not None:
        reference, until, refusal = cached
        if (reference is None or reference() is thing) and monotonic() < until:
            raise refusal.with_traceback(None)
        _refused.pop(which, None)
    began = monotonic()
    try:
        return look()
    except NotCanonicalError as error:
        seconds = monotonic() - began
        if seconds > _SHORT:
            if len(_refused) >= _MOST_REFUSALS:
                _refused.clear()
            _refused[which] = _reference(thing), monotonic() + min(_TIMES * seconds, _LONGEST), error
        raise


def _reference(thing: Any) -> Callable[[], Any] | None:
    """A weak reference to `thing`. None for a list and others without one: then a later value at its address is refused too."""
    try:
        return weakref.ref(thing)
    except TypeError:
        return None
