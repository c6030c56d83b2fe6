"""Callbacks of the user's own: called after a hit, a miss, a stored answer, and an entry that is gone.

A ledger notes what happened, as it does anyway. A thread turns the notes into events a quarter of a second later, or at the
end of the cell, and calls the callbacks, one after the other.
"""

import atexit
import contextvars
import functools
import inspect
import os
import time
from _thread import allocate_lock
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from nbcache import public_in
from nbcache.concurrency.executor import in_background
from nbcache.concurrency.timer import Timer
from nbcache.costs.events import finish_callbacks, observation, watchers
from nbcache.costs.forks import ledgers
from nbcache.costs.session_events import EVENTS, EVICT, Event, Happened, Unanswered
from nbcache.errors import warn_once
from nbcache.stores.base import home_of
from nbcache.stores.evictions import as_listed, kept_in, report

if TYPE_CHECKING:
    from nbcache.entry.records import EntryMeta

BOUND = "bound"  # why an entry is gone
_DELAY = 0.25  # seconds from a note until it is an event
_PATIENCE = 5.0  # seconds that a cell's end waits for callbacks that take long


class Callback:
    """A function that is called after events. It can be called as the function itself."""

    def __init__(self, function: Callable[[Event], object]) -> None:
        self.function = function
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<nbcache callback {self.name}>"

    @property
    def name(self) -> str:
        """The function's name, for people."""
        return getattr(self.function, "__qualname__", None) or repr(self.function)

    def cancel(self) -> None:
        """Call it no longer, after whatever event. A second time does nothing."""
        for event in EVENTS:
            callbacks.remove(event, self)


@public_in("nbcache")
def on(event: str) -> Callable[[Callable[[Event], object]], Callback]:
    """Call a function after each `event`: a `hit`, a `miss`, a `store` or an `evict`. To be used as a decorator.

    The function gets an `Event`. It is called in another thread, in the order of the events: within a second, and at the latest
    at the end of the cell, when the cache is turned off, and at the end of the process. A call that missed is an event once its
    answer is there. What fails is warned of once. A callback may make cached calls; it is not called for the events of its own.

    Decorators may be combined for several events. The decorated function is a handle: `cancel()` ends it, and it can be called as
    before. A function of a notebook that is defined again takes the place of the earlier one. `install` keeps callbacks,
    `uninstall` ends them.

    Raises ValueError for another event, and TypeError for what can't be called with a record, or is a coroutine function.
    """
    if event not in EVENTS:
        names = ", ".join(f'@nbcache.on("{name}")' for name in EVENTS)
        raise ValueError(f"event={event!r:.80}: write one of {names}")

    def decorate(function: Callable[[Event], object]) -> Callback:
        plain = function.function if isinstance(function, Callback) else function
        if not callable(plain) or inspect.iscoroutinefunction(plain) or inspect.isasyncgenfunction(plain):
            raise TypeError(f"nbcache.on({event!r}): {function!r} can't be called; give a plain function of one record")
        callback = function if isinstance(function, Callback) else Callback(function)
        callbacks.add(event, callback)
        return callback

    return decorate


class Callbacks:
    """The callbacks of this process, and the events that they have not been called for yet."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[Callback, ...]] = dict.fromkeys(EVENTS, ())
        self._causes: ContextVar[tuple[Callback, ...]] = ContextVar("nbcache_callbacks", default=())
        self._begin()

    def _begin(self) -> None:
        self._waiting: deque[Happened] = deque()
        self._caused: dict[int, tuple[Any, tuple[Callback, ...]]] = {}  # notes by their ids
        self._delivering = allocate_lock()  # so that events stay in their order
        self._timer = Timer(self._tick, _DELAY)

    # Which there are

    def add(self, event: str, callback: Callback) -> None:
        """Call `callback` after these events, instead of a function of a notebook that it defines anew."""
        others = (each for each in self._of[event] if each is not callback and not _is_redefined(each, callback))
        self._of[event] = (*others, callback)
        if observation.by is None:
            observation.by, report.to = self, _evicted
            watchers.append(self.seen)
            atexit.unregister(finish_callbacks)  # it comes first then, while the threads that it needs are still there
            atexit.register(finish_callbacks, everything=True)

    def remove(self, event: str, callback: Callback) -> None:
        """Call it no longer after these events."""
        self._of[event] = tuple(each for each in self._of[event] if each is not callback)
        if not any(self._of.values()):
            self.clear()

    def clear(self) -> None:
        """End all."""
        observation.by = report.to = None
        if self.seen in watchers:
            watchers.remove(self.seen)
        self._of = dict.fromkeys(EVENTS, ())
        self._waiting.clear()
        self._caused.clear()

    def wants_evictions(self) -> bool:
        """Whether there is a callback for entries that are gone."""
        return bool(self._of[EVICT])

    # What happened

    def seen(self, note: Any, *, is_of_worker: bool = False) -> None:  # noqa: ARG002 - as all watchers
        """A ledger notes something of a call or an entry, perhaps within a callback. Events follow soon."""
        if self._timer.is_idle():
            self._timer.wake()
        if causes := self._causes.get():
            self._caused[id(note)] = (note, causes)

    def causes_of(self, note: Any) -> tuple[Callback, ...]:
        """The callbacks from whose own calls this note comes."""
        return self._caused.pop(id(note), (note, ()))[1] if self._caused else ()

    def happened(self, events: Iterable[Happened]) -> None:
        """Call the callbacks for these events, soon."""
        self._waiting.extend(events)

    def finish(self, *, everything: bool = False) -> None:
        """Call the callbacks for all that has happened. Waits some seconds at most; a callback itself doesn't wait.

        Calls that still run are no event yet, unless `everything` is meant.
        """
        if self._causes.get():
            return
        until = time.monotonic() + _PATIENCE
        done = allocate_lock()
        done.acquire()

        def finish() -> None:
            try:
                self._deliver(until, Unanswered.ALL if everything else Unanswered.OVER)
            finally:
                done.release()

        in_background(finish)
        done.acquire(timeout=_PATIENCE)

    def _tick(self, _: Timer) -> bool:
        return not self._deliver(time.monotonic() + _PATIENCE)

    def _deliver(self, until: float, unanswered: Unanswered | None = None) -> bool:
        """Call the callbacks for what has happened by now, and for what follows from their own calls.

        Returns false if that could not begin in time, since a callback takes longer.
        """
        if not self._delivering.acquire(timeout=max(0.0, until - time.monotonic())):
            return False
        try:
            for _ in range(1 + sum(map(len, self._of.values()))):  # no chain of causes is longer
                for ledger in list(ledgers):
                    ledger.announce(unanswered)
                if not self._waiting:
                    break
                for _ in range(len(self._waiting)):
                    self._call(self._waiting.popleft())
        finally:
            self._delivering.release()
        return True

    def _call(self, happened: Happened) -> None:
        name, event, causes = happened
        for callback in self._of[name]:
            if callback not in causes:
                contextvars.copy_context().run(self._call_one, callback, name, event, causes)

    def _call_one(self, callback: Callback, name: str, event: Event, causes: tuple[Callback, ...]) -> None:
        self._causes.set((*causes, callback))
        try:
            callback.function(event)
        except BaseException as error:  # noqa: BLE001 - the user's own code, in a thread of ours
            warn_once(
                f"callback {id(callback)} {name}",
                f"nbcache: {callback.name}, which is called after each {name}, failed: {error!r}",
            )

    def begin_in_child(self) -> None:
        """Begin anew in a forked child: the parent calls the callbacks for what happened before the fork."""
        self._begin()


def _is_redefined(earlier: Callback, new: Callback) -> bool:
    """Whether `new` is a function of a notebook that was defined before, as when a cell is run again."""
    name = getattr(new.function, "__qualname__", "<")
    return "<" not in name and all(
        getattr(each.function, "__module__", None) == "__main__"
        and getattr(each.function, "__qualname__", None) == name
        for each in (earlier, new)
    )


def _evicted(store: object, entries: "list[EntryMeta]") -> None:
    """Note that the bounds of a store have evicted these entries, in the latest ledger of this store."""
    of_store = [ledger for ledger in ledgers if kept_in(home_of(ledger.store)) is store]
    if of_store:
        latest = max(of_store, key=lambda ledger: ledger.created)
        latest.gone(as_listed(home_of(latest.store), entries), BOUND)


callbacks = Callbacks()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=callbacks.begin_in_child)
