"""`nbcache.memoize`: a function of the user's own, for the cache that is on when it is called."""

import sys
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from nbcache import public_in
from nbcache.concurrency import worker_joining
from nbcache.integrations.functions.decorator import memoized
from nbcache.integrations.functions.options import checked_options
from nbcache.integrations.functions.signatures import MemoizedClassMethod, MemoizedFunction

if TYPE_CHECKING:
    from nbcache.cache.notebook_cache import NotebookCache

_P = ParamSpec("_P")
_R = TypeVar("_R")
_C = TypeVar("_C", bound=type)
_OWNER = TypeVar("_OWNER")
_NOTHING: Any = object()
_INSTALLATION = "nbcache.session.installation"


class _Decorator(Protocol):
    """What `memoize` with options returns."""

    @overload  # mypy takes these decorators away first, pyright does not
    def __call__(self, function: "staticmethod[_P, _R]", /) -> "staticmethod[_P, _R]": ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, function: "classmethod[_OWNER, _P, _R]", /) -> "classmethod[_OWNER, _P, _R]": ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[_C, _P], _R], /
    ) -> MemoizedClassMethod[Concatenate[_C, _P], _R]: ...
    @overload
    def __call__(self, function: Callable[_P, _R], /) -> MemoizedFunction[_P, _R]: ...


@overload
def memoize(function: "staticmethod[_P, _R]", /) -> "staticmethod[_P, _R]": ...  # type: ignore[overload-overlap]
@overload
def memoize(function: "classmethod[_OWNER, _P, _R]", /) -> "classmethod[_OWNER, _P, _R]": ...
@overload
def memoize(function: Callable[Concatenate[_C, _P], _R], /) -> MemoizedClassMethod[Concatenate[_C, _P], _R]: ...
@overload
def memoize(function: Callable[_P, _R], /) -> MemoizedFunction[_P, _R]: ...
@overload
def memoize(
    *,
    ttl: float | str | timedelta | None = None,
    tags: str | Iterable[str] = (),
    ignore: str | Iterable[str] = (),
    version: str | None = None,
) -> _Decorator: ...
@public_in("nbcache")
def memoize(
    function: Any = _NOTHING,
    /,
    *,
    ttl: float | str | timedelta | None = None,
    tags: str | Iterable[str] = (),
    ignore: str | Iterable[str] = (),
    version: str | None = None,
) -> Any:
    """Cache the calls of a function: `@nbcache.memoize`, or `@nbcache.memoize(ttl="7d", tags="eval", ignore=("client",))`.

    Each call asks the cache that is on at that time, and is an ordinary call while none is on. It runs again if its arguments
    are others, or if its code is, or the user's own code that it uses. What it prints or displays isn't recorded.

    The function may be async, a generator (stored if it is read to its end) or a method. Like a function of
    `functools.lru_cache` it has `__wrapped__`, `cache_info()` and `cache_clear()`; and `cache_key(…)`, the key of a call.

    Args:
        function: the function.
        ttl: how long a value is good: seconds, a timedelta, text such as `7d`, or `none` for good. It comes before the
            setting `ttl_rules`, a mode's and the store's.
        tags: a tag or several, which each entry gets besides those of the mode.
        ignore: names of parameters, or of what the code uses, that don't count.
        version: counts in place of the code: a new one makes every call run again, an edit none.

    Raises:
        TypeError: for what is no function, with what to decorate instead.
        ValueError: for an option that is wrong.
    """
    options = checked_options(ttl, tags, ignore, version)
    if function is _NOTHING:
        return partial(memoized, options=options, cache_now=cache_now)
    return memoized(function, options, cache_now)


def cache_now() -> "NotebookCache | None":
    """The cache that is on. A worker process joins that of its parent first. Without one nothing is loaded."""
    installation: Any = sys.modules.get(_INSTALLATION)
    if installation is None and worker_joining.is_waiting():
        worker_joining.join()
        installation = sys.modules.get(_INSTALLATION)
    session = getattr(installation, "_session", None)  # while it is being imported, nothing is on yet
    return None if session is None else session.cache
