"""Single-flight: of identical calls one is made, and the others wait for its answer.

No two calls wait for each other. A call waits only for one that can go on meanwhile: not for one of its own thread, and a thread
does not wait for a call on an event loop. A call within others, which hold leases, waits for none that itself waits for these, or
for another process: what that does isn't known here.
"""

import asyncio
import contextlib
import os
import threading
import time
import weakref
from _thread import LockType, allocate_lock
from collections import OrderedDict, deque
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

from nbcache.concurrency.locks import Lock
from nbcache.concurrency.running_frames import is_running

if TYPE_CHECKING:
    from collections.abc import Callable

_LAST = 4_096  # keys for which the end of the last call is remembered
_CHECK = 0.25  # seconds between a waiter's checks that the call still goes on


class CallSite(NamedTuple):
    """Where a call is made: its thread and frame, or its event loop and task if it is awaited.

    `waits` is false for a sync call on the thread of a running event loop: the other call may need that loop.
    """

    thread: int
    frame: FrameType | None = None
    loop: asyncio.AbstractEventLoop | None = None
    task: "weakref.ref[asyncio.Task[Any]] | None" = None
    waits: bool = True

    @classmethod
    def here(cls, frame: FrameType | None, *, on_loop: bool) -> "CallSite":
        """The present thread with the call's `frame`, or the present task if the call is awaited."""
        thread = threading.get_ident()
        if not on_loop:
            return cls(thread, frame, waits=asyncio._get_running_loop() is None)  # noqa: SLF001
        task = asyncio.current_task()
        return cls(thread, None, asyncio.get_running_loop(), None if task is None else weakref.ref(task))

    def is_left(self) -> bool:
        """Whether the call that was made here has ended without resolving its lease, by an interrupt."""
        if self.loop is None:
            return self.frame is not None and not is_running(self.frame)
        task = None if self.task is None else self.task()
        return self.task is not None and (task is None or task.done() or self.loop.is_closed())

    def may_wait_for(self, leader: "CallSite") -> bool:
        """Whether the leader's call goes on while a call waits here."""
        if not self.waits:
            return False
        if leader.loop is None:
            return leader.thread != self.thread
        return leader.loop is self.loop and leader.task != self.task


class Flights:
    """The calls in flight, by key. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._leases: dict[str, Lease] = {}
        self.ended = 0  # how many calls have ended
        self._last: OrderedDict[str, int] = OrderedDict()  # for each key, the number of its last call
        self._forgotten = 0
        self.on_end: Callable[[Lease, bool], None] | None = (
            None  # called with each lease that ends, and whether its call failed
        )
        _flights.add(self)

    def join(
        self,
        key: str,
        site: CallSite,
        leases: "dict[str, Lease | Waiter]",
        timeout: float,
        around: frozenset[str] = frozenset(),
    ) -> "Lease | Waiter | None":
        """A lease for `key` if no such call is in flight, else a waiter. None if this call can't wait.

        `around` are the keys of the leases that it holds, and of those held around it.

        The result is also put into `leases`, at once, and later a lease that a waiter gets: so an interrupt can't lose one. The
        call must release all in it when it ends. `timeout` is in seconds.
        """
        with self._lock:
            lease = self._leases.get(key)
            if lease is None:
                lease = leases[key] = Lease(self, key, site)
                self._leases[key] = lease
                return lease
            if not site.may_wait_for(lease.site):
                return None
            if around and (lease.waits_elsewhere or self._waits_for(key, around, {key})):
                return None
            waiter = leases[key] = Waiter(self, lease, site, leases, timeout, around=around)
            lease.waiters.append(waiter)
            return waiter

    def _waits_for(self, key: str, around: frozenset[str], seen: set[str]) -> bool:
        """Whether the call `key` is one of those `around`, or waits for one of them, itself or by a call within it."""
        if key in around:
            return True
        for other, lease in self._leases.items():
            if other not in seen and any(key in waiter.around for waiter in lease.waiters):
                seen.add(other)
                if self._waits_for(other, around, seen):
                    return True
        return False

    def has_ended_since(self, key: str, since: int) -> bool:
        """Whether a call of this key may have ended since `ended` was `since`: then its answer may be in the store."""
        return self.ended != since and (self._forgotten > since or self._last.get(key, 0) > since)

    def end(self, lease: "Lease", payload: bytes | None, *, failed: bool) -> None:
        """The call of `lease` has ended. Its waiters get the answer; if it failed, one of them makes the call."""
        with self._lock:
            if self._leases.get(lease.key) is not lease:
                return
            self.ended += 1
            self._last.pop(lease.key, None)
            self._last[lease.key] = self.ended
            if len(self._last) > _LAST:
                self._forgotten = self._last.popitem(last=False)[1]
            notified = list(lease.waiters)
            if failed and (successor := self._successor(lease)) is not None:
                # The others wait for the successor now, except those that can't wait for a call made there.
                notified = [waiter for waiter in successor.waiters if not waiter.site.may_wait_for(successor.site)]
                for waiter in notified:
                    successor.waiters.remove(waiter)
            else:
                del self._leases[lease.key]
            for waiter in notified:
                waiter.notify(payload)
        if self.on_end is not None:
            self.on_end(lease, failed)

    def may_wait_elsewhere(self, lease: "Lease") -> bool:
        """Whether the call of `lease` may wait for another process. While it does, no call within others waits for it.

        A sync call on the thread of an event loop, as in each cell of a notebook, holds up the calls that are awaited there. If there
        are some, the other process may wait for one of them.
        """
        with self._lock:
            holds_up = not lease.site.waits and any(other.site.loop is not None for other in self._leases.values())
            lease.waits_elsewhere = not holds_up and not any(waiter.around for waiter in lease.waiters)
            return lease.waits_elsewhere

    def goes_on(self, lease: "Lease") -> bool:
        """Whether the call of `lease` is still being made."""
        return self._leases.get(lease.key) is lease and not lease.site.is_left()

    def leave(self, waiter: "Waiter") -> "Lease | None":
        """Stop waiting. Returns the lease that the waiter has just got, if any: it must be released."""
        with self._lock:
            if waiter.is_notified:
                return waiter.outcome if isinstance(waiter.outcome, Lease) else None
            with contextlib.suppress(ValueError):
                waiter.lease.waiters.remove(waiter)
            return None

    def _successor(self, lease: "Lease") -> "Lease | None":
        """A new lease for the first waiter that can still be notified."""
        while lease.waiters:
            first = lease.waiters.popleft()
            successor = first.leases[lease.key] = Lease(self, lease.key, first.site, lease.waiters)
            self._leases[lease.key] = successor
            if first.notify(successor):
                for waiter in successor.waiters:
                    waiter.lease = successor
                return successor
        return None

    def begin_in_child(self) -> None:
        """Forget the calls in a forked child, which has none of the threads that make them."""
        self._leases.clear()


class Lease:
    """The right to make a call, and the duty to resolve or release it. The second time has no effect."""

    leads = True

    def __init__(self, flights: Flights, key: str, site: CallSite, waiters: "deque[Waiter] | None" = None) -> None:
        self.key = key
        self.site = site
        self.waiters: deque[Waiter] = deque() if waiters is None else waiters
        self.waits_elsewhere = False  # for another process
        self._flights = flights

    def resolve(self, payload: bytes | None) -> None:
        """Give the answer to all waiters. With None each of them makes its own call."""
        self._flights.end(self, payload, failed=False)

    def release(self) -> None:
        """The call failed: the first waiter makes it."""
        self._flights.end(self, None, failed=True)


class Waiter:
    """A call that waits for another: an effect.

    It results in the answer's payload, in a lease if this call has to be made in the other's place, or in None if it has to be
    made without sharing its answer.
    """

    leads = False

    def __init__(  # noqa: PLR0913 - all that is known of it
        self,
        flights: Flights,
        lease: Lease,
        site: CallSite,
        leases: "dict[str, Lease | Waiter]",
        timeout: float,
        *,
        around: frozenset[str],
    ) -> None:
        self.around = around
        self.lease = lease
        self.site = site
        self.leases = leases
        self.timeout = timeout
        self.is_notified = False
        self.outcome: bytes | Lease | None = None
        self._flights = flights
        self._event: LockType | asyncio.Event = _taken() if site.loop is None else asyncio.Event()

    def notify(self, outcome: bytes | Lease | None) -> bool:
        """End the waiting. False if the waiter's event loop is closed."""
        self.is_notified, self.outcome = True, outcome
        if not isinstance(outcome, Lease):
            self.leases.pop(self.lease.key, None)
        if isinstance(self._event, LockType):
            with contextlib.suppress(RuntimeError):  # it was notified before
                self._event.release()
            return True
        assert self.site.loop is not None
        try:
            self.site.loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def run(self) -> bytes | Lease | None:
        """Wait in this thread."""
        assert isinstance(self._event, LockType)
        deadline = time.monotonic() + self.timeout
        while not self._event.acquire(timeout=max(0.0, min(_CHECK, deadline - time.monotonic()))):
            if self._is_over(deadline):
                break
        return self.outcome

    async def arun(self) -> bytes | Lease | None:
        """Wait on this event loop."""
        assert isinstance(self._event, asyncio.Event)
        deadline = time.monotonic() + self.timeout
        while not self._event.is_set():
            try:
                await asyncio.wait_for(self._event.wait(), max(0.0, min(_CHECK, deadline - time.monotonic())))
            except TimeoutError:
                if self._is_over(deadline):
                    break
        return self.outcome

    def _is_over(self, deadline: float) -> bool:
        """Whether the time is over, or the other call waits for this one, in a thread pool of the user's own.

        If the other call was interrupted, it is released: the first waiter makes it.
        """
        if self.lease.site.is_left():
            self.lease.release()
        if time.monotonic() < deadline and not self._is_waited_for():
            return False
        self._give_up()
        return True

    def _is_waited_for(self) -> bool:
        """Whether the other call, in another thread, waits for this one."""
        leader = self.lease.site
        if leader.loop is not None or self.site.loop is not None:
            return False
        from nbcache.concurrency.pool_waits import waits_for  # noqa: PLC0415 - few calls wait so long

        return waits_for((leader.thread,), self.site.thread)

    def _give_up(self) -> None:
        """Stop waiting. An outcome that came at the last moment is kept."""
        self._flights.leave(self)
        if not self.is_notified:
            self.leases.pop(self.lease.key, None)

    def release(self) -> None:
        """Stop waiting, at an interrupt or when the task is cancelled. A lease that came meanwhile goes to the next waiter."""
        if (lease := self._flights.leave(self)) is not None:
            lease.release()


def _taken() -> LockType:
    lock = allocate_lock()
    lock.acquire()
    return lock


_flights: "weakref.WeakSet[Flights]" = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for flights in list(_flights):
        flights.begin_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
