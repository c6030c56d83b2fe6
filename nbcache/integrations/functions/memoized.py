"""One memoized function: what its wrapper and its methods share. A tool is cached by the same rules."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any

from nbcache.entry.filter import FUNCTION
from nbcache.integrations.functions.options import Options
from nbcache.integrations.functions.signatures import CacheInfo

if TYPE_CHECKING:
    from nbcache.cache.notebook_cache import NotebookCache
    from nbcache.integrations.functions.call_course import MemoizedCall
    from nbcache.keys.functions import FunctionKey


class MISSING:
    """Stands for a value where none was found. A class: in a pickle that takes the wrappers along it stays the same one."""


class Cached:
    """What of the user's own is cached call by call: a memoized function, or a wrapped tool.

    Attributes:
        kind: one of `entry.filter.FUNCTIONS`; the first of `labels` is its name.
        function: what a call runs. The classes of its value may be found by its annotations.
        begin: the call that begins. None if it is not looked up: then it is made as it is.
    """

    kind: str
    function: Any
    begin: "Callable[..., MemoizedCall | None]"

    def __init__(
        self, labels: tuple[str, ...], options: Options, cache_now: "Callable[[], NotebookCache | None]"
    ) -> None:
        self.labels = labels
        self.options = options
        self.cache_now = cache_now
        self.hits = self.misses = 0

    @property
    def key(self) -> "FunctionKey":
        """Makes the identity of each call. Raises UnstableIdentityError if there is none for any."""
        raise NotImplementedError

    def takes(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        """Whether it takes these arguments. If not, to call it raises what is wrong."""
        try:
            inspect.signature(self.function, follow_wrapped=False).bind(*args, **kwargs)
        except TypeError:
            return False
        return True

    def refusal(self, value: Any) -> str | None:
        """Why a value that was returned is not kept, whatever it is. None if it may be."""
        del value
        return None


class Memoized(Cached):
    """A function of the user's own, how its calls are cached, and its hits and misses in this process."""

    kind = FUNCTION

    def __init__(
        self, function: FunctionType, options: Options, cache_now: "Callable[[], NotebookCache | None]"
    ) -> None:
        super().__init__(tuple(dict.fromkeys((function.__qualname__, function.__name__))), options, cache_now)
        self.function = function
        self._key: FunctionKey | None = None
        self.begin = self._load_and_begin

    @property
    def is_generator(self) -> bool:
        """Whether its calls yield items."""
        return inspect.isgeneratorfunction(self.function) or inspect.isasyncgenfunction(self.function)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.function, self.options, self.cache_now)

    @property
    def key(self) -> "FunctionKey":
        """As of all that is cached."""
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
