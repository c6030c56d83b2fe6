"""One call of a memoized function: its key, its lookup, and its value's way into the store."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_core.outputs import Generation

from nbcache.cache.call import Call, call_around, running
from nbcache.cache.memory import CachedAnswer
from nbcache.cache.modes import OFF, Settings
from nbcache.cache.notebook_cache import NotebookCache
from nbcache.codec.values import as_generation, value_in
from nbcache.concurrency.executor import in_thread
from nbcache.errors import NotStorableError, UnstableIdentityError, warn_once
from nbcache.integrations.functions.memoized import MISSING, Cached
from nbcache.keys.key import call_key

if TYPE_CHECKING:
    from nbcache.integrations.functions.stepping import Source
    from nbcache.keys.functions import FunctionCall


def begin(  # noqa: PLR0913 - all that is known of it
    memoized: Cached,
    cache: NotebookCache,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    is_async: bool = False,
    is_stream: bool = False,
) -> "MemoizedCall | None":
    """The call that begins here. None if it has no key, or its arguments are wrong: then the function is called as it is.

    Raises ReplayMiss in mode `replay` for a call without a key.
    """
    name = memoized.labels[0]
    call = Call(
        kind=memoized.kind,
        function=name,
        own=memoized.options.own,
        is_chat=False,
        is_async=is_async,
        outer=call_around(),
        labels=memoized.labels,
        shares=not is_stream,  # whoever waited for a generator would wait for its reader
        is_stream=is_stream,
    )
    prompt = ""
    settings = cache.pinned_settings(call)
    if settings.mode != OFF:
        identified = _identified(memoized, cache, call, args, kwargs)
        if identified is None:
            return None
        prompt, call.identity = identified.prompt, identified.identity
    return MemoizedCall(memoized, cache, call, prompt, settings)


def key_of(memoized: Cached, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """The key of a call. Raises UnstableIdentityError if it has none, and TypeError for arguments that the function doesn't take."""
    prompt, call = planned_call(memoized, args, kwargs)
    return call_key(prompt, "", call).key


def planned_call(memoized: Cached, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[str, Call]:
    """The prompt of a call and the call, as it would be looked up, without making it. Raises as `key_of`."""
    identified = memoized.key.call(args, kwargs)
    call = Call(
        kind=memoized.kind,
        function=memoized.labels[0],
        own=memoized.options.own,
        is_chat=False,
        identity=identified.identity,
        outer=call_around(),
        labels=memoized.labels,
    )
    return identified.prompt, call


def _identified(
    memoized: Cached, cache: NotebookCache, call: Call, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> "FunctionCall | None":
    """Which call this is. None if that can't be told, which is counted, and warned of once."""
    try:
        return memoized.key.call(args, kwargs)
    except UnstableIdentityError as error:
        cache.count_unidentified(call, error)
    except Exception as error:  # noqa: BLE001 - an object's own code: the call goes on without the cache
        if memoized.takes(args, kwargs):
            failed = UnstableIdentityError(
                f"function {call.function} {error!r}",
                f"nbcache: this call of {call.function} is not cached: its arguments could not be read: {error!r}",
            )
            cache.count_unidentified(call, failed)
    return None


class MemoizedCall(running):
    """A call of a memoized function, within whose block it is the current one: what is called in it knows that."""

    __slots__ = ("_cache", "_settings", "_value", "call", "memoized", "prompt")

    def __init__(self, memoized: Cached, cache: NotebookCache, call: Call, prompt: str, settings: Settings) -> None:
        super().__init__(call)
        self._settings = settings
        self.call = call
        self.prompt = prompt
        self._cache = cache
        self.memoized = memoized
        self._value: Any = MISSING
        call.read = self._read_items if call.is_stream else self._read

    def find(self) -> Any:
        """The value that this call returned before, as a new object, or MISSING: then the function has to run.

        Raises ReplayMiss in mode `replay`, in which no function runs.
        """
        return self._counted(self._cache.find_pinned(self.prompt, self.call, self._settings))

    async def afind(self) -> Any:
        """As `find`, without holding up the event loop."""
        return self._counted(await self._cache.afind_pinned(self.prompt, self.call, self._settings))

    def _read(self, answer: CachedAnswer) -> None:
        self._value = value_in(answer.generations()[0], self.memoized.function)

    def _read_items(self, answer: CachedAnswer) -> None:
        from nbcache.integrations.functions.generators import items_in  # noqa: PLC0415 - as below

        self._value = items_in(answer, self.memoized.function)

    def _counted(self, answer: CachedAnswer | None) -> Any:
        if answer is None:
            self.memoized.misses += 1
            return MISSING
        self.memoized.hits += 1
        return self._value

    def save(self, value: Any) -> None:
        """Store what the function returned. When it returns, the entry is committed."""
        self.keep(partial(as_generation, value, self.memoized.function), self.memoized.refusal(value))

    async def asave(self, value: Any) -> None:
        """As `save`, in a thread if it is stored."""
        if self._cache.wants(self.call):
            await in_thread(partial(self.save, value), writes=True)
        else:
            self._cache.leave(self.prompt, self.call)

    def keep(self, make: Callable[[], Generation], refused: str | None = None) -> None:
        """Store the answer that `make` makes, unless it is `refused` for a reason. What `make` raises is one, too."""
        call, cache = self.call, self._cache
        if not cache.wants(call):
            cache.leave(self.prompt, call)
            return
        generation = None
        if refused is None:
            try:
                generation = make()
            except Exception as error:  # noqa: BLE001 - an object's own code, too: the caller has its value
                refused = lost(error)
        if generation is not None:
            cache.save(self.prompt, "", [generation], call)
            return
        warn_once(
            f"not kept {call.function} {refused}", f"nbcache: what {call.function} returns is not cached: {refused}"
        )
        cache.leave(self.prompt, call)

    def forbid_in_replay(self, why: str) -> None:
        """Raise ReplayMiss in mode `replay`: the function would have to run, and `why`."""
        self._cache.forbid_in_replay(self.call, why)

    def source(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> "Source":
        """What makes the items of a generator. Raises ReplayMiss."""
        from nbcache.integrations.functions.generators import source_of  # noqa: PLC0415 - few functions are generators

        return source_of(self, partial(self.memoized.function, *args, **kwargs))

    async def asource(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> "Source":
        """As `source`, of an async generator."""
        from nbcache.integrations.functions.generators import asource_of  # noqa: PLC0415 - as above

        return await asource_of(self, partial(self.memoized.function, *args, **kwargs))


def lost(error: Exception) -> str:
    """What of a value would not come back, by the error that says so."""
    if isinstance(error, NotStorableError):
        return f"{error} would not come back as it is"
    return f"it can't be read: {error!r}"
