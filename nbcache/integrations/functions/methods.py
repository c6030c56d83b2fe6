"""A memoized function in a class: its methods know the object that they are of."""

import functools
import inspect
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

from nbcache.integrations.functions.memoized import Memoized
from nbcache.integrations.functions.signatures import CacheInfo

_BY_VALUE = frozenset({"cloudpickle", "dill"})  # picklers that take a script's and a notebook's own code along


def is_in_class(function: FunctionType) -> bool:
    """Whether a function is defined in the body of a class, by its qualified name."""
    around = function.__qualname__.rpartition(".")[0]
    return bool(around) and not around.endswith("<locals>")


class Method:
    """A memoized function that is an attribute of a class. It looks like the function, as for `inspect`."""

    __name__: str
    __qualname__: str

    def __init__(self, memoized: Memoized, wrapper: Callable[..., Any]) -> None:
        functools.update_wrapper(self, wrapper)
        self.__wrapped__: Callable[..., Any] = memoized.function
        self.memoized = memoized
        self._call = wrapper

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call it with the object as the first argument."""
        __tracebackhide__ = True
        return self._call(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> "Method | BoundMethod":
        return self if instance is None else BoundMethod(self, instance)

    def __repr__(self) -> str:
        return f"<memoized {self.memoized.function!r}>"

    def __reduce_ex__(self, protocol: Any) -> str | tuple[Any, ...]:
        if self.__module__ == "__main__" and _is_by_value(sys._getframe(1)):  # noqa: SLF001 - who pickles it
            return _again, (self.memoized,)
        return self.__qualname__

    @property
    def __code__(self) -> Any:
        return self.memoized.function.__code__

    @property
    def __defaults__(self) -> Any:
        return self.memoized.function.__defaults__

    @property
    def __kwdefaults__(self) -> Any:
        return self.memoized.function.__kwdefaults__

    @property
    def __globals__(self) -> Any:
        return self.memoized.function.__globals__

    def cache_key(self, /, *args: Any, **kwargs: Any) -> str:
        """As `Memoized.cache_key`, with the object as the first argument."""
        return self.memoized.cache_key(*args, **kwargs)

    def cache_info(self) -> CacheInfo:
        """As `Memoized.cache_info`."""
        return self.memoized.cache_info()

    def cache_clear(self) -> None:
        """As `Memoized.cache_clear`."""
        self.memoized.cache_clear()


class BoundMethod:
    """A `Method` of an object. What it has no attribute for, it has from its method."""

    __slots__ = ("__func__", "__self__", "__weakref__")

    def __init__(self, method: Method, instance: object) -> None:
        self.__func__ = method
        self.__self__ = instance

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the method."""
        __tracebackhide__ = True
        return self.__func__._call(self.__self__, *args, **kwargs)  # noqa: SLF001 - one of us

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__func__, name)

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]  # as of a method
        return self.__func__.__doc__

    @property
    def __signature__(self) -> inspect.Signature:
        signature = inspect.signature(self.__func__)
        return signature.replace(parameters=[*signature.parameters.values()][1:])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BoundMethod):
            return NotImplemented
        return self.__self__ is other.__self__ and self.__func__ is other.__func__

    def __hash__(self) -> int:
        return hash((id(self.__self__), id(self.__func__)))

    def __repr__(self) -> str:
        return f"<memoized method {self.__func__.__qualname__} of {self.__self__!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.__self__, self.__func__.__name__)

    def cache_key(self, /, *args: Any, **kwargs: Any) -> str:
        """As `Memoized.cache_key`."""
        return self.__func__.cache_key(self.__self__, *args, **kwargs)


def _again(memoized: Memoized) -> Method:
    from nbcache.integrations.functions.wrappers import wrapper_of  # noqa: PLC0415 - only where it is unpickled

    return Method(memoized, wrapper_of(memoized))


def _is_by_value(frame: Any) -> bool:
    """Whether the pickler that runs in this frame, or just around it, takes code along."""
    for _ in range(3):
        if frame is None:
            return False
        if not _BY_VALUE.isdisjoint(frame.f_globals.get("__name__", "").split(".")):
            return True
        frame = frame.f_back
    return False
