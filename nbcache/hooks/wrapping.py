"""Wrapping methods of other people's classes, and putting them back."""

import weakref
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from nbcache.locks import Lock

Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]


class Wrapping:
    """What was wrapped, and whether it is to do anything. `remove` puts back the very objects that were there."""

    def __init__(self) -> None:
        self.active = True
        self._wrapped: list[tuple[type, str, Any, Any]] = []
        self._known: weakref.WeakSet[type] = weakref.WeakSet()
        self._lock = Lock()

    def wrap(self, owner: type, name: str, wrapper: Wrapper) -> None:
        """Put `wrapper` of a class's own method into its place."""
        original = owner.__dict__[name]
        is_static = isinstance(original, staticmethod)
        ours: Any = wrapper(original.__func__ if is_static else original)
        if is_static:
            ours = staticmethod(ours)
        setattr(owner, name, ours)
        self._wrapped.append((owner, name, original, ours))

    def wrap_first(self, cls: type, wrappers: Mapping[str, Callable[..., Any]]) -> None:
        """Wrap these methods of `cls` when it is first seen: its own, or those that it inherits.

        Each wrapper gets this object and the original.
        """
        if cls in self._known:
            return
        with self._lock:
            for name, wrapper in wrappers.items():
                owner = next(base for base in cls.__mro__ if name in base.__dict__)
                self._wrap_once(owner, name, partial(wrapper, self))
            self._known.add(cls)

    def wrap_all(self, cls: type, wrappers: Mapping[str, Callable[..., Any]], but: Collection[type]) -> None:
        """Wrap these methods of `cls` and of all its bases, when it is first seen, but not the methods of `but`.

        Each wrapper gets this object, the class that owns the method, and the original.
        """
        with self._lock:
            for name, wrapper in wrappers.items():
                untouched = [base.__dict__.get(name) for base in but]
                for owner in cls.__mro__:
                    if name in owner.__dict__ and not any(owner.__dict__[name] is each for each in untouched):
                        self._wrap_once(owner, name, partial(wrapper, self, owner))
            self._known.add(cls)

    def knows(self, cls: type) -> bool:
        """Whether what is to be wrapped of `cls` is."""
        return cls in self._known

    def _wrap_once(self, owner: type, name: str, wrapper: Wrapper) -> None:
        if (owner, name) not in {(each, method) for each, method, _, _ in self._wrapped}:
            self.wrap(owner, name, wrapper)

    def remove(self) -> None:
        """Put the originals back. Where somebody has wrapped ours since, ours stays and asks `active`."""
        self.active = False
        with self._lock:
            for owner, name, original, ours in reversed(self._wrapped):
                if owner.__dict__.get(name) is ours:
                    setattr(owner, name, original)
            self._wrapped.clear()
            self._known.clear()
