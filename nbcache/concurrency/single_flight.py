"""Calls in flight: one of all who ask makes the call, the others wait for its answer.

Nobody waits in a circle: who waits holds no lease, and waits only for a call that can go on meanwhile, so not for
one of its own thread, and not with a thread for what an event loop has to do.
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
from typing import Any, NamedTuple

from nbcache.concurrency.locks import Lock
from nbcache.concurrency.running_frames import is_running

_LAST = 4_096  # keys of which is known when their last call ended
_LOOK = 0.25  # seconds after which who waits looks whether the call still goes on


class CallSite(NamedTuple):
    """Where a call is made: its thread, and the frame that makes it; its event loop and task where it is a coroutine's.

    Nobody `waits` who holds up an event loop: what one would wait for may need that loop.
    """

    thread: int
    frame: FrameType | None = None
    loop: asyncio.AbstractEventLoop | None = None
    task: "weakref.ref[asyncio.Task[Any]] | None" = None
    waits: bool = True

    @classmethod
    def here(cls, frame: FrameType | None, *, on_loop: bool) -> "CallSite":
        """This thread with the call's `frame`, or this task where the call is awaited."""
        thread = threading.get_ident()
        if not on_loop:
            return cls(thread, frame, waits=asyncio._get_running_loop() is None)  # noqa: SLF001
        task = asyncio.current_task()
        return cls(thread, None, asyncio.get_running_loop(), None if task is None else weakref.ref(task))

    def is_left(self) -> bool:
        """Whether an interrupt has ended the call that is made here, without a word."""
        if self.loop is None:
            return self.frame is not None and not is_running(self.frame)
        task = None if self.task is None else self.task()
        return self.task is not None and (task is None or task.done() or self.loop.is_closed())

    def may_wait_for(self, leader: "CallSite") -> bool:
        """Whether the leader's call goes on while somebody waits here."""
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
        self.ended = 0  # how many have ended
        self._last: OrderedDict[str, int] = OrderedDict()  # by key, which of them was the last
        self._forgotten = 0
        _flights.add(self)

    def join(
        self, key: str, here: CallSite, held: "dict[str, Lease | Waiter]", timeout: float
    ) -> "Lease | Waiter | None":
        """The lease of `key` where nobody makes this call; else a waiter, or None where here nobody can wait.

        Either is put into `held` the moment that it is given, and a lease in the waiter's place: whoever releases
        what is held there when the call ends, loses none to an interrupt. Nobody waits for more than `timeout` seconds.
        """
        with self._lock:
            lease = self._leases.get(key)
            if lease is None:
                lease = held[key] = Lease(self, key, here)
                self._leases[key] = lease
                return lease
            if not here.may_wait_for(lease.place):
                return None
            waiter = held[key] = Waiter(self, lease, here, held, timeout)
            lease.waiters.append(waiter)
            return waiter

    def has_ended_since(self, key: str, since: int) -> bool:
        """Whether such a call may have ended since so many had `landed`: its answer may be there by now."""
        return self.ended != since and (self._forgotten > since or self._last.get(key, 0) > since)

    def end(self, lease: "Lease", payload: bytes | None, *, failed: bool) -> None:
        """The call of `lease` has ended: its answer for all who wait; where it failed, one of them makes the call."""
        with self._lock:
            if self._leases.get(lease.key) is not lease:
                return
            self.ended += 1
            self._last.pop(lease.key, None)
            self._last[lease.key] = self.ended
            if len(self._last) > _LAST:
                self._forgotten = self._last.popitem(last=False)[1]
            alone = list(lease.waiters)
            if failed and (heir := self._heir(lease)) is not None:  # another makes the call than they wait for
                alone = [waiter for waiter in heir.waiters if not waiter.place.may_wait_for(heir.place)]
                for waiter in alone:
                    heir.waiters.remove(waiter)
            else:
                del self._leases[lease.key]
            for waiter in alone:
                waiter.notify(payload)

    def leave(self, waiter: "Waiter") -> "Lease | None":
        """Stop waiting; the lease that the waiter has just got, if any, to be released."""
        with self._lock:
            if waiter.told:
                return waiter.outcome if isinstance(waiter.outcome, Lease) else None
            with contextlib.suppress(ValueError):
                waiter.lease.waiters.remove(waiter)
            return None

    def _heir(self, lease: "Lease") -> "Lease | None":
        """The lease of the first who can still be told that it is theirs."""
        while lease.waiters:
            first = lease.waiters.popleft()
            heir = first.held[lease.key] = Lease(self, lease.key, first.place, lease.waiters)
            self._leases[lease.key] = heir
            if first.notify(heir):
                for waiter in heir.waiters:
                    waiter.lease = heir
                return heir
        return None

    def begin_in_child(self) -> None:
        """A forked child has none of the threads that make these calls."""
        self._leases.clear()


class Lease:
    """The right to make a call, and the duty to say how it ended. Saying it twice does nothing more."""

    leads = True

    def __init__(self, flights: Flights, key: str, place: CallSite, waiters: "deque[Waiter] | None" = None) -> None:
        self.key = key
        self.place = place
        self.waiters: deque[Waiter] = deque() if waiters is None else waiters
        self._flights = flights

    def resolve(self, payload: bytes | None) -> None:
        """Give the answer to all who wait; with None each makes the call alone."""
        self._flights.end(self, payload, failed=False)

    def release(self) -> None:
        """The call failed: the next of those who wait makes it."""
        self._flights.end(self, None, failed=True)


class Waiter:
    """Somebody who waits: `run` in a thread, `arun` on an event loop.

    Both give the answer's payload; a lease where it is for this one to make the call; None to make it alone.
    """

    leads = False

    def __init__(
        self, flights: Flights, lease: Lease, place: CallSite, held: "dict[str, Lease | Waiter]", timeout: float
    ) -> None:
        self.lease = lease
        self.place = place
        self.held = held
        self.timeout = timeout
        self.told = False
        self.outcome: bytes | Lease | None = None
        self._flights = flights
        self._event: LockType | asyncio.Event = _taken() if place.loop is None else asyncio.Event()

    def notify(self, outcome: bytes | Lease | None) -> bool:
        """End the waiting; false where nobody is there any more."""
        self.told, self.outcome = True, outcome
        if not isinstance(outcome, Lease):
            self.held.pop(self.lease.key, None)
        if isinstance(self._event, LockType):
            with contextlib.suppress(RuntimeError):  # told twice
                self._event.release()
            return True
        assert self.place.loop is not None
        try:
            self.place.loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def run(self) -> bytes | Lease | None:
        """Wait in this thread."""
        assert isinstance(self._event, LockType)
        ends = time.monotonic() + self.timeout
        while not self._event.acquire(timeout=max(0.0, min(_LOOK, ends - time.monotonic()))):
            if self._is_enough(ends):
                break
        return self.outcome

    async def arun(self) -> bytes | Lease | None:
        """Wait on this event loop."""
        assert isinstance(self._event, asyncio.Event)
        ends = time.monotonic() + self.timeout
        while not self._event.is_set():
            try:
                await asyncio.wait_for(self._event.wait(), max(0.0, min(_LOOK, ends - time.monotonic())))
            except TimeoutError:
                if self._is_enough(ends):
                    break
        return self.outcome

    def _is_enough(self, ends: float) -> bool:
        """Whether there is no more to wait for; a call that was left goes to the first who waits."""
        if self.lease.place.is_left():
            self.lease.release()
        if time.monotonic() < ends:
            return False
        self._give_up()
        return True

    def _give_up(self) -> None:
        """Wait no more: what was told in the last moment holds."""
        self._flights.leave(self)
        if not self.told:
            self.held.pop(self.lease.key, None)

    def release(self) -> None:
        """Stop waiting, at an interrupt or when the task is cancelled: a lease handed over meanwhile goes to the next."""
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
