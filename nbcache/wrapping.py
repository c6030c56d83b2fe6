"""Wrapping methods of other people's classes, and putting them back."""

import weakref
from collections.abc import Callable
from typing import Any


class Wrapping:
    """What was wrapped. `remove` puts back the very objects that were there."""

    def __init__(self) -> None:
        self.active = True
        self._wrapped: list[tuple[type, str, Any, Any]] = []
        self._known: weakref.WeakSet[type] = weakref.WeakSet()

    def __contains__(self, method: tuple[type, str]) -> bool:
        return any((owner, name) == method for owner, name, _, _ in self._wrapped)

    def knows(self, cls: type) -> bool:
        """Whether `cls` has been asked about before."""
        if cls in self._known:
            return True
        self._known.add(cls)
        return False

    def wrap(self, owner: type, name: str, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        """Put `wrapper` of a class's own method into its place."""
        original = owner.__dict__[name]
        is_static = isinstance(original, staticmethod)
        ours: Any = wrapper(original.__func__ if is_static else original)
        if is_static:
            ours = staticmethod(ours)
        setattr(owner, name, ours)
        self._wrapped.append((owner, name, original, ours))

    def remove(self) -> None:
        """Put the originals back. Where somebody has wrapped ours since, ours stays and does nothing more."""
        self.active = False
        for owner, name, original, ours in reversed(self._wrapped):
            if owner.__dict__.get(name) is ours:
                setattr(owner, name, original)
        self._wrapped.clear()
