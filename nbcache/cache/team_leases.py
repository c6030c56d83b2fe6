"""One request for a team: a call that no other of its process makes takes the team's lease, or waits for whoever has it.

No two processes wait for each other: who waits holds no lease of the team, and no call that holds one waits for it.
"""

import asyncio
import os
import time
from _thread import LockType, allocate_lock, start_new_thread
from collections.abc import Generator
from functools import partial
from typing import Any
from uuid import uuid4

from nbcache.concurrency.effects import Effect, InThread
from nbcache.concurrency.executor import in_background
from nbcache.concurrency.pool_waits import waits_for
from nbcache.concurrency.single_flight import Flights, Lease
from nbcache.entry.records import EntryMeta
from nbcache.errors import StoreError, TooLargeError, logger
from nbcache.stores.base import Leasing

_LEASE, _RENEWAL = 5.0, 1.0  # seconds: how long a lease lasts whose process has died, and between two renewals
_SHORTEST, _LONGEST = 0.02, 0.25  # seconds between two looks of a call that waits
_LOOKS = 500  # of all calls together that wait, in a second


class TeamLeases:
    """The leases of one cache on the store of a team.

    A call has its token from before it asks for the lease until it ends: so an interrupt can't lose one.
    """

    def __init__(self, store: Leasing, flights: Flights) -> None:
        self._store = store
        self._flights = flights
        self._process = os.getpid()
        self._tokens: dict[Lease, str] = {}
        self._waiting: set[Lease] = set()
        self._renews = allocate_lock()
        flights.on_end = self._end

    def lease_or_answer(self, lease: Lease, until: float, *, is_within: bool) -> Generator[Effect, Any, bytes | None]:
        """The payload of the answer that another process has got. None if this call has to be made.

        `lease` is that of its own process, `until` how long it waits (`time.monotonic`). A call that `is_within` another one, which
        holds leases, doesn't wait. Raises StoreError.
        """
        self._begin_in_child()
        token = self._tokens[lease] = uuid4().hex
        self._keep_renewing()
        ask = InThread(partial(self._store.lease, lease.key, token, _LEASE))
        outcome = yield ask
        if outcome is False and not is_within and self._flights.may_wait_elsewhere(lease):
            self._waiting.add(lease)
            try:
                outcome = yield from self._wait(lease, ask, until)
            finally:
                self._waiting.discard(lease)
                lease.waits_elsewhere = False
        if not isinstance(outcome, bytes):
            return None
        self._tokens.pop(lease, None)
        return outcome

    def _wait(self, lease: Lease, ask: Effect, until: float) -> Generator[Effect, Any, bytes | bool | None]:
        """Ask again and again, until the lease or the answer is there, or the time is over."""
        outcome: bytes | bool | None = False
        began = time.monotonic()
        while outcome is False and (now := time.monotonic()) < until:
            pause = min(max(_SHORTEST, (now - began) / 8), _LONGEST)
            if pause == _LONGEST and self._is_waited_for(lease):
                break
            yield _Pause(min(max(pause, len(self._waiting) / _LOOKS), until - now))
            outcome = yield ask
        return outcome

    def put(self, lease: Lease | None, key: str, payload: bytes, meta: EntryMeta, ttl: float | None) -> None:
        """Store the answer of the call of `lease`, which ends the team's."""
        token = None if lease is None or lease.key != key else self._tokens.get(lease)
        if lease is None or token is None:
            self._store.put(key, payload, meta, ttl)
            return
        try:
            self._store.put_leased(key, payload, meta, ttl, token)
        except TooLargeError:
            raise
        except StoreError:
            self._end(lease, failed=True)  # another one may have more luck
            raise
        self._tokens.pop(lease, None)

    def _end(self, lease: Lease, failed: bool) -> None:  # noqa: FBT001 - as Flights calls it
        """The call of `lease` has ended. If it has stored no answer, others need not wait any longer."""
        token = self._tokens.pop(lease, None)
        if token is not None and self._process == os.getpid():
            in_background(partial(self._store.release, lease.key, token, failed=failed))

    def _is_waited_for(self, lease: Lease) -> bool:
        """Whether a call that has a lease waits for this one, in a thread pool of the user's own."""
        others = {each.site.thread for each in list(self._tokens) if each is not lease and each.site.loop is None}
        return lease.site.loop is None and bool(others) and waits_for(others, lease.site.thread)

    # Renewal

    def _keep_renewing(self) -> None:
        """Let a thread renew the leases as long as there are any. If none can be started, they end."""
        if self._renews.acquire(blocking=False):
            try:
                start_new_thread(self._renew, (self._renews,))
            except RuntimeError:  # no more threads, or the interpreter is ending
                self._renews.release()

    def _renew(self, renews: LockType) -> None:
        while True:
            while self._tokens:
                time.sleep(_RENEWAL)
                self._renew_once()
            renews.release()
            if not self._tokens or not renews.acquire(blocking=False):  # a lease may have come meanwhile
                return

    def _renew_once(self) -> None:
        leases = {}
        for lease, token in list(self._tokens.items()):
            if self._flights.goes_on(lease):
                leases[lease.key] = token
            else:  # it was interrupted
                lease.release()
                self._end(lease, failed=True)
        try:
            if leases:
                self._store.renew(leases, _LEASE)
        except Exception as error:  # noqa: BLE001 - it is tried again soon, and a call itself says that the server is down
            logger.debug("nbcache: leases could not be renewed: %r", error)

    def _begin_in_child(self) -> None:
        """Forget the leases in a forked child: they are its parent's."""
        if self._process != os.getpid():
            self._process, self._renews = os.getpid(), allocate_lock()
            self._tokens, self._waiting = {}, set()


class _Pause:
    """An effect that takes some seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def run(self) -> None:
        time.sleep(self._seconds)

    async def arun(self) -> None:
        await asyncio.sleep(self._seconds)
