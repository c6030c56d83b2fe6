"""Calls in flight: one of all who ask makes the call, the others wait for its answer.

Nobody waits in a circle: who waits holds no lease, and waits only for a call that can go on meanwhile, so not for
one of its own thread, and not with a thread for what an event loop has to do.
"""

import asyncio
import contextlib
import os
import threading
import weakref
from collections import deque
from typing import NamedTuple

from nbcache.locks import Lock


class Place(NamedTuple):
    """Where a call is made: its thread, and its event loop and task (by its id) where it is a coroutine's."""

    thread: int
    loop: asyncio.AbstractEventLoop | None = None
    task: int | None = None

    @classmethod
    def here(cls, *, on_loop: bool) -> "Place | None":
        """This thread, and this task where the call is awaited.

        None where a call holds up an event loop: what it would wait for may need that loop.
        """
        if not on_loop:
            return cls(threading.get_ident()) if asyncio._get_running_loop() is None else None  # noqa: SLF001
        return cls(threading.get_ident(), asyncio.get_running_loop(), id(asyncio.current_task()))

    def may_wait_for(self, leader: "Place") -> bool:
        """Whether the leader's call goes on while somebody waits here."""
        if leader.loop is None:
            return leader.thread != self.thread
        return leader.loop is self.loop and leader.task != self.task


class Flights:
    """The calls in flight, by key. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._leases: dict[str, Lease] = {}
        self.landed = 0  # how many have ended: whoever sees it change looks once more
        _flights.add(self)

    def join(
        self, key: str, here: Place | None, held: "dict[str, Lease | Waiter]", patience: float
    ) -> "Lease | Waiter | None":
        """The lease of `key` where nobody makes this call; else a waiter, or None where here nobody can wait.

        Either is put into `held` the moment that it is given, and a lease in the waiter's place: whoever releases
        what is held there when the call ends, loses none to an interrupt. Nobody waits for more than `patience` seconds.
        """
        with self._lock:
            lease = self._leases.get(key)
            if lease is None:
                lease = held[key] = Lease(self, key, here or Place(threading.get_ident()))
                self._leases[key] = lease
                return lease
            if here is None or not here.may_wait_for(lease.place):
                return None
            waiter = held[key] = Waiter(self, lease, here, held, patience)
            lease.waiters.append(waiter)
            return waiter

    def in_flight(self) -> int:
        """How many calls are being made."""
        return len(self._leases)

    def end(self, lease: "Lease", payload: bytes | None, *, failed: bool) -> None:
        """The call of `lease` has ended: its answer for all who wait; where it failed, one of them makes the call."""
        with self._lock:
            if self._leases.get(lease.key) is not lease:
                return
            self.landed += 1
            alone = list(lease.waiters)
            if failed and (heir := self._heir(lease)) is not None:  # another makes the call than they wait for
                alone = [waiter for waiter in heir.waiters if not waiter.place.may_wait_for(heir.place)]
                for waiter in alone:
                    heir.waiters.remove(waiter)
            else:
                del self._leases[lease.key]
            for waiter in alone:
                waiter.tell(payload)

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
            if first.tell(heir):
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

    def __init__(self, flights: Flights, key: str, place: Place, waiters: "deque[Waiter] | None" = None) -> None:
        self.key = key
        self.place = place
        self.waiters: deque[Waiter] = deque() if waiters is None else waiters
        self._flights = flights

    def land(self, payload: bytes | None) -> None:
        """Give the answer to all who wait; with None each makes the call alone."""
        self._flights.end(self, payload, failed=False)

    def release(self) -> None:
        """The call failed: the next of those who wait makes it."""
        self._flights.end(self, None, failed=True)


class Waiter:
    """Somebody who waits: `now` in a thread, `later` on an event loop.

    Both give the answer's payload; a lease where it is for this one to make the call; None to make it alone.
    """

    leads = False

    def __init__(
        self, flights: Flights, lease: Lease, place: Place, held: "dict[str, Lease | Waiter]", patience: float
    ) -> None:
        self.lease = lease
        self.place = place
        self.held = held
        self.patience = patience
        self.told = False
        self.outcome: bytes | Lease | None = None
        self._flights = flights
        self._event = threading.Event() if place.loop is None else asyncio.Event()

    def tell(self, outcome: bytes | Lease | None) -> bool:
        """End the waiting; false where nobody is there any more."""
        self.told, self.outcome = True, outcome
        if not isinstance(outcome, Lease):
            self.held.pop(self.lease.key, None)
        if self.place.loop is None:
            self._event.set()
            return True
        try:
            self.place.loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def now(self) -> bytes | Lease | None:
        """Wait in this thread."""
        assert isinstance(self._event, threading.Event)
        if not self._event.wait(self.patience):
            self._give_up()
        return self.outcome

    async def later(self) -> bytes | Lease | None:
        """Wait on this event loop."""
        assert isinstance(self._event, asyncio.Event)
        try:
            await asyncio.wait_for(self._event.wait(), self.patience)
        except TimeoutError:
            self._give_up()
        return self.outcome

    def _give_up(self) -> None:
        """Wait no more: what was told in the last moment holds."""
        self._flights.leave(self)
        if not self.told:
            self.held.pop(self.lease.key, None)

    def release(self) -> None:
        """Stop waiting, at an interrupt or when the task is cancelled: a lease handed over meanwhile goes to the next."""
        if (lease := self._flights.leave(self)) is not None:
            lease.release()


_flights: "weakref.WeakSet[Flights]" = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for flights in list(_flights):
        flights.begin_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
