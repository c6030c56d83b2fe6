"""What a type checker sees of a memoized function: its own signature, and what a cache adds."""

from typing import TYPE_CHECKING, Any, Concatenate, Generic, NamedTuple, ParamSpec, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_Q = ParamSpec("_Q")
_R_co = TypeVar("_R_co", covariant=True)
_S = TypeVar("_S")
_T = TypeVar("_T")


class CacheInfo(NamedTuple):
    """As of `functools.lru_cache`: the hits and misses of this process, no bound, and how many entries the function has."""

    hits: int
    misses: int
    maxsize: int | None
    currsize: int


class MemoizedFunction(Generic[_P, _R_co]):
    """A function whose calls are cached, as a type checker sees it. What there is, is a function, or a `Method`."""

    __name__: str
    __qualname__: str

    @property
    def __wrapped__(self) -> "Callable[..., Any]":
        """The function itself, which is not cached."""
        raise NotImplementedError

    def __call__(self, /, *args: _P.args, **kwargs: _P.kwargs) -> _R_co:
        """Call the function, or return what this call returned before."""
        raise NotImplementedError

    @overload
    def __get__(self, instance: None, owner: Any = None, /) -> "MemoizedFunction[_P, _R_co]": ...
    @overload
    def __get__(
        self: "MemoizedFunction[Concatenate[_S, _Q], _T]", instance: _S, owner: Any = None, /
    ) -> "MemoizedFunction[_Q, _T]": ...
    def __get__(self, instance: Any, owner: Any = None, /) -> Any:
        """The method of an object."""
        raise NotImplementedError

    def cache_key(self, /, *args: _P.args, **kwargs: _P.kwargs) -> str:
        """The key of this call, as `nbcache.entries()` shows it. Raises UnstableIdentityError if it has none."""
        raise NotImplementedError

    def cache_info(self) -> CacheInfo:
        """Hits and misses of this process, and the entries of the function."""
        raise NotImplementedError

    def cache_clear(self) -> None:
        """Delete the function's entries."""
        raise NotImplementedError


class MemoizedClassMethod(MemoizedFunction[_P, _R_co]):
    """A function whose first parameter is a class: in a class, it is bound to that."""

    def __get__(
        self: "MemoizedClassMethod[Concatenate[_S, _Q], _T]", instance: object, owner: Any = None, /
    ) -> "MemoizedFunction[_Q, _T]":
        """The method of the class."""
        raise NotImplementedError
