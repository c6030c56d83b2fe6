"""One memoized function: what its wrapper and its methods share."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any

from nbcache.integrations.functions.options import Options
from nbcache.integrations.functions.signatures import CacheInfo

if TYPE_CHECKING:
    from nbcache.cache.notebook_cache import NotebookCache
    from nbcache.integrations.functions.call_course import MemoizedCall
    from nbcache.keys.functions import FunctionKey


class MISSING:
    """Stands for a value where none was found. A class: in a pickle that takes the wrappers along it stays the same one."""


class Memoized:
    """A function of the user's own, how its calls are cached, and its hits and misses in this process."""

    def __init__(
        self, function: FunctionType, options: Options, cache_now: "Callable[[], NotebookCache | None]"
    ) -> None:
        self.function = function
        self.options = options
        self.cache_now = cache_now
        self.labels = tuple(dict.fromkeys((function.__qualname__, function.__name__)))
        self.hits = self.misses = 0
        self._key: FunctionKey | None = None
        # The call that begins. None if it is not looked up: then it is made as it is.
        self.begin: Callable[..., MemoizedCall | None] = self._load_and_begin

    @property
    def is_generator(self) -> bool:
        """Whether its calls yield items."""
        return inspect.isgeneratorfunction(self.function) or inspect.isasyncgenfunction(self.function)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.function, self.options, self.cache_now)

    @property
    def key(self) -> "FunctionKey":
        """Makes the identity of each call."""
        if self._key is None:
            from nbcache.keys.functions import FunctionKey, FunctionRules  # noqa: PLC0415 - a decorator is to be light

            self._key = FunctionKey(self.function, FunctionRules(self.options.ignore, self.options.version))
        return self._key

    def _load_and_begin(
        self, cache: "NotebookCache", args: tuple[Any, ...], kwargs: Mapping[str, Any], **how: bool
    ) -> "MemoizedCall | None":
        from nbcache.integrations.functions.call_course import begin  # noqa: PLC0415 - it loads LangChain

        self.begin = partial(begin, self)
        return self.begin(cache, args, kwargs, **how)

    def cache_key(self, /, *args: Any, **kwargs: Any) -> str:
        """The key of this call, as `nbcache.entries()` shows it. Raises UnstableIdentityError if it has none."""
        from nbcache.integrations.functions.call_course import key_of  # noqa: PLC0415 - as above

        return key_of(self, args, kwargs)

    def cache_info(self) -> CacheInfo:
        """Hits and misses of this process since `cache_clear`, and how many entries the function has in the store."""
        cache, entries = self.cache_now(), 0
        if cache is not None:
            from nbcache.integrations.functions.entries import count  # noqa: PLC0415 - no call needs it

            entries = count(cache, self)
        return CacheInfo(self.hits, self.misses, None, entries)

    def cache_clear(self) -> None:
        """Delete the function's entries, and begin to count anew. Raises StoreError."""
        cache = self.cache_now()
        if cache is not None:
            from nbcache.integrations.functions.entries import clear  # noqa: PLC0415 - as above

            clear(cache, self)
        self.hits = self.misses = 0
