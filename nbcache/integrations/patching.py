"""Wrapping methods of other people's classes, and putting them back."""

import contextlib
import functools
import weakref
from collections.abc import Callable, Collection, Mapping
from functools import partial
from types import MethodType, ModuleType
from typing import Any

from nbcache.cache.notebook_cache import NotebookCache
from nbcache.concurrency.locks import Lock
from nbcache.keys.canonical import is_users_code
from nbcache.keys.usercode.origin import ORIGINAL

_NOTHING = object()
Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]


class Wrapping:
    """The methods that are wrapped. While `active` is false, their wrappers do nothing. `remove` restores the originals.

    `cache_now` returns the cache that is on.
    """

    def __init__(self, cache_now: Callable[[], NotebookCache | None] = lambda: None) -> None:
        self.active = True
        self.cache_now = cache_now
        self._wrapped: dict[
            tuple[type | ModuleType, str], tuple[Any, Any]
        ] = {}  # the original, and what is in its place
        self._methods: weakref.WeakKeyDictionary[type, list[tuple[type, str, Any]]] = weakref.WeakKeyDictionary()
        self.finished: weakref.WeakSet[type] = (
            weakref.WeakSet()
        )  # wrapped by `wrap_all`, and none of their code is edited
        self._lock = Lock()

    def wrap(self, owner: type | ModuleType, name: str, wrapper: Wrapper) -> None:
        """Replace a class's own method, or a module's function, by `wrapper` of it, unless that has been done."""
        original = owner.__dict__[name]
        if (owner, name) in self._wrapped and self._wrapped[owner, name][1] is original:
            return
        is_static = isinstance(original, staticmethod)
        method = original.__func__ if is_static else original
        ours: Any = wrapper(method if callable(method) else _bound(method))
        if is_static:
            ours = staticmethod(ours)
        elif isinstance(owner, type) and is_users_code(owner):
            ours = _Method(ours)
        setattr(ours, ORIGINAL, original)
        setattr(owner, name, ours)
        self._wrapped[owner, name] = original, ours

    def add(self, owner: type, name: str, ours: Any) -> None:
        """Add an attribute to a class that doesn't have it."""
        setattr(owner, name, ours)
        self._wrapped[owner, name] = _NOTHING, ours

    def watch(self, base: Any, look_at: Callable[[type], None]) -> None:
        """Let `look_at` see each class that is derived from `base`, a pydantic class, from now on."""

        def __pydantic_init_subclass__(cls: Any, /, **kwargs: Any) -> None:  # noqa: N807 - as pydantic calls it
            super(base, cls).__pydantic_init_subclass__(**kwargs)  # type: ignore[misc]  # `base` is a pydantic class
            if self.active:
                look_at(cls)

        self.add(base, "__pydantic_init_subclass__", classmethod(__pydantic_init_subclass__))

    def wrap_first(self, cls: type, wrappers: Mapping[str, Callable[..., Any]]) -> None:
        """Wrap these methods of `cls` when it is first seen: its own, or those that it inherits.

        Each wrapper gets this object and the original. What has no such methods, or can't be changed, stays as it is.
        """
        if cls in self._methods:
            return
        with self._lock:
            for name, wrapper in wrappers.items():
                owner = next((base for base in cls.__mro__ if name in base.__dict__), None)
                if owner is not None and callable(owner.__dict__[name]):
                    with contextlib.suppress(TypeError, AttributeError):  # a class written in C
                        self.wrap(owner, name, partial(wrapper, self))
            self._methods[cls] = []

    def wrap_all(self, cls: type, wrappers: Mapping[str, Callable[..., Any]], but: Collection[type]) -> bool:
        """Wrap these methods of `cls` and of all its bases, except the methods of `but`. False if that had been done.

        The user's own classes may be edited while they are in use (`%autoreload`), so they are checked each time. Each
        wrapper gets this object, the class that owns the method, and the original.
        """
        methods = self._methods.get(cls)
        if methods is not None and all(owner.__dict__.get(name) is method for owner, name, method in methods):
            return False
        with self._lock:
            for name, wrapper in wrappers.items():
                untouched = [base.__dict__.get(name) for base in but]
                for owner in cls.__mro__:
                    if name in owner.__dict__ and not any(owner.__dict__[name] is each for each in untouched):
                        self.wrap(owner, name, partial(wrapper, self, owner))
            edited = [owner for owner in cls.__mro__ if is_users_code(owner)]
            self._methods[cls] = [(owner, name, owner.__dict__.get(name)) for owner in edited for name in wrappers]
            if not edited:
                self.finished.add(cls)
        return True

    def remove(self) -> None:
        """Put the originals back. If somebody has wrapped ours since, ours stays in place and checks `active`."""
        self.active = False
        with self._lock:
            for (owner, name), (original, ours) in reversed(self._wrapped.items()):
                if owner.__dict__.get(name) is not ours:
                    continue
                if original is _NOTHING:
                    delattr(owner, name)
                else:
                    setattr(owner, name, original)
            self._wrapped.clear()
            self._methods.clear()
            self.finished.clear()


class _Method:
    """A wrapper that is not a function. `%autoreload` writes the code of an edited method into the function that it finds."""

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self._function = function

    def __get__(self, owner: Any, cls: type | None = None) -> Any:
        return self if owner is None else MethodType(self._function, owner)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)


def _bound(method: Any) -> Callable[..., Any]:
    """A function for a descriptor that can't be called itself, such as a `partialmethod`."""

    @functools.wraps(method)
    def call(owner: Any, /, *args: Any, **kwargs: Any) -> Any:
        return method.__get__(owner, type(owner))(*args, **kwargs)

    return call
