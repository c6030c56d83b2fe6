"""What goes from one tier to the others in the background, and what is left of it when a tier fails."""

import asyncio
import os
import sys
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from nbcache.concurrency.executor import awaiting_loop
from nbcache.concurrency.locks import Lock
from nbcache.concurrency.timer import Timer
from nbcache.entry.records import EntryMeta, Touch
from nbcache.errors import StoreError, StoreReadOnlyError, UnsupportedError
from nbcache.stores.base import Deletable, Listable, Remote, Store
from nbcache.stores.circuit_breaker import CircuitBreaker
from nbcache.stores.location import team_owner
from nbcache.stores.owners import translated
from nbcache.stores.tiers.copies import copy, row_in
from nbcache.stores.tiers.unsent import CLEAR, COPY, DELETE, HIDE, REPLACE, Job, Unsent

_SOON, _LATER = 0.005, 1.0  # seconds after which an answer is sent, and after which what failed is tried again
_FILLED_WITHIN = 0.3  # seconds that are waited for copies in the home, which are about to be counted
_AT_ONCE = 200  # entries that are read and sent together
_PAUSE = 0.002
_T = TypeVar("_T")


class Transfers:
    """Copies entries between `tiers`, of which those at `writable` may be written. The `home` is the one that is listed.

    Only keys are noted. Payload and row are read when they are sent, and what is gone by then is not sent. `failed` is called with
    a tier and what went wrong.
    """

    def __init__(
        self,
        tiers: Sequence[Store],
        writable: Iterable[int],
        home: int,
        unsent: Unsent,
        failed: Callable[[Store, StoreError], None],
    ) -> None:
        self._tiers, self._writable, self._home = tiers, sorted(writable), home
        self._unsent, self._failed = unsent, failed
        self._new: dict[int, dict[str, int]] = {
            at: {} for at in self._writable
        }  # for each tier keys, and where they are
        self._answered: list[set[str]] = [set() for _ in tiers]  # keys, until their hits are written down
        self._tokens: dict[tuple[int, str], str] = {}  # of leases that end when the answer arrives, by tier and key
        self._touches: dict[int, list[Touch]] = {at: [] for at in self._writable}
        self._too_large: set[tuple[int, str]] = set()
        self._breakers = {at: CircuitBreaker() for at in self._writable}
        self._loop: asyncio.AbstractEventLoop | None = None  # of the latest async call: a tier's client may need one
        self._sending = Lock()  # what is deleted must not be sent afterwards
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        self._soon, self._later = Timer(self._send_new, _SOON), Timer(self._send_left, _LATER)

    # What is to be sent

    def stored(self, key: str, at: int, lease: tuple[int, str] | None = None) -> None:
        """An answer was committed to the tier `at`. Its call had a `lease`: at which tier, and its token."""
        self._forget_leases([key])
        self._loop = awaiting_loop.get() or self._loop
        self._new[at].pop(key, None)  # what another tier had is not to replace it
        if lease is not None and lease[0] != at:
            self._tokens[lease[0], key] = lease[1]
        for target in self._writable:
            if target != at:
                self._new[target][key] = at
                self._soon.wake()

    def fill(self, key: str, at: int) -> None:
        """The tier `at` had the entry, and those above did not."""
        self._answered[at].add(key)
        self._loop = awaiting_loop.get() or self._loop
        for target in self._writable:
            if target < at and (target, key) not in self._too_large:
                self._new[target].setdefault(key, at)
                self._soon.wake()

    def touched(self, touches: Sequence[Touch]) -> None:
        """The home was told of hits and costs. Other tiers are told of those that they answered, and what answers cost."""
        for at in self._writable:
            answered, self._answered[at] = self._answered[at], set()
            tier = self._tiers[at]
            if at == self._home or not isinstance(tier, Listable):
                continue
            for touch in touches:
                if touch.cost_usd is not None or touch.key in answered:
                    self._touches[at].append(replace(touch, notebook=self._owner(touch.notebook, tier)))
            if self._touches[at]:
                self._soon.wake()

    def row_for(self, at: int, row: EntryMeta) -> EntryMeta:
        """The home's row of an entry for the tier `at`."""
        return row if at == self._home else row_in(self._tiers[at], row, self._tiers[self._home])

    def hides(self, at: int, key: str) -> bool:
        """Whether the entry is still to be deleted in the tier `at`."""
        return self._unsent.hides(self._tiers[at].url, key)

    def at_once(
        self, change: Callable[[Store], _T], keys: Sequence[str], kind: str, owner: str | None = None
    ) -> list[_T]:
        """Change these entries in all tiers that may be written, the home first. Returns what `change` returns for each.

        What fails in another tier than the home is noted as a job of this kind.
        """
        with self._sending:
            self._forget_leases(keys)
            if kind != REPLACE:
                for pending in self._new.values():
                    for key in keys:
                        if owner is None or pending.get(key) != self._home:  # else other owners may keep it
                            pending.pop(key, None)
            done = [change(self._tiers[self._home])]
            for at, tier in enumerate(self._tiers):
                if at == self._home:
                    continue
                if self._only_hides(at, kind, owner):
                    self._unsent.add(tier.url, keys, HIDE)
                elif at in self._writable:
                    done += self._changed(at, change, keys, kind, owner)
        return done

    def _only_hides(self, at: int, kind: str, owner: str | None) -> bool:
        """Whether what is deleted stays in the tier `at`: it is only read, or nobody knows whose entries it has."""
        if at not in self._writable:
            return kind == DELETE
        return kind == CLEAR and owner is not None and not isinstance(self._tiers[at], Listable)

    def _forget_leases(self, keys: Sequence[str]) -> None:
        """What is sent of these entries from now on replaces what is there."""
        for at in self._writable:
            for key in keys:
                self._tokens.pop((at, key), None)

    def _changed(
        self, at: int, change: Callable[[Store], _T], keys: Sequence[str], kind: str, owner: str | None
    ) -> list[_T]:
        tier = self._tiers[at]
        try:
            done = [change(tier)]
            if kind != REPLACE:  # what is still to be copied was not there to be edited
                self._unsent.done(tier.url, keys, owner)
        except StoreError as error:
            self._left(at, keys, kind, owner)
            if not isinstance(error, UnsupportedError):
                self._failed(tier, error)
            return []
        return done

    def give_up(self, tier: Store, keys: Sequence[str], owner: str | None) -> None:
        """Clear these entries in a tier: of an owner, named as in the home, or of all. A store without owners is cleared of all only."""
        theirs = None if owner is None else self._owner(owner, tier)
        if (theirs is None) != (owner is None):
            return
        if isinstance(tier, Listable):
            tier.clear(keys, owner=theirs)
        elif isinstance(tier, Deletable) and owner is None:
            for key in keys:
                tier.delete(key)

    def _owner(self, owner: str | None, tier: Store) -> str | None:
        name = None if owner is None else translated(owner, self._tiers[self._home], tier)
        return team_owner(None) if name is None and isinstance(tier, Remote) else name

    # Sending it

    def _send_new(self, _: Timer) -> bool:
        """Send what is new. Returns whether there is more by now."""
        awaiting_loop.set(self._running_loop())
        for at in self._writable:
            with self._sending, suppress(Exception):  # whatever a store of the user's own raises, the thread goes on
                keys = list(self._new[at])
                places = {key: place for key in keys if (place := self._new[at].pop(key, None)) is not None}
                for place in dict.fromkeys(places.values()):
                    self._send(at, place, [key for key in keys if places.get(key) == place])
                touches, self._touches[at] = self._touches[at], []
                if touches and not self._breakers[at].wait():
                    with suppress(StoreError):
                        self._tiers[at].touch(touches)  # type: ignore[attr-defined]  # as `touched` found out
        return any(self._new.values())

    def _running_loop(self) -> asyncio.AbstractEventLoop | None:
        if self._loop is not None and not self._loop.is_running():
            self._loop = None
        return self._loop

    def _send(self, target: int, place: int, keys: Sequence[str]) -> None:
        if place != self._home:
            keys = [key for key in keys if not self.hides(place, key)]
        given_up = {job.key for job in self._unsent.of(self._tiers[target].url) if job.owner}
        if later := [key for key in keys if key in given_up]:  # by an earlier answer's owner, who may own this one too
            self._left(target, later, COPY)
            keys = [key for key in keys if key not in given_up]
        left: Sequence[str] = keys
        if not self._breakers[target].wait():
            left = self._copied(target, place, keys)
        if len(left) < len(keys):
            self._unsent.done(self._tiers[target].url, set(keys) - set(left))
        if left and place == self._home:
            self._left(target, left, COPY)

    def _copied(self, target: int, place: int, keys: Sequence[str]) -> list[str]:
        """Copy these entries. Returns the keys of those that could not be copied: first what was refused."""
        begun, tier = time.monotonic(), self._tiers[target]
        tokens = {key: token for key in keys if (token := self._tokens.get((target, key))) is not None}
        copied = copy(keys, self._tiers[place], tier, tokens, replaces=place == self._home)
        for key in tokens.keys() - set(copied.left):
            if self._tokens.get((target, key)) == tokens[key]:  # else it was stored anew meanwhile
                self._tokens.pop((target, key), None)
        self._too_large.update((target, key) for key in copied.too_large)
        if copied.error is None:
            self._breakers[target].worked()
            return []
        self._failed(copied.failed or tier, copied.error)
        if isinstance(copied.error, StoreReadOnlyError) and not isinstance(tier, Remote):
            return []  # a server's replica may be written later, a folder may not
        if copied.failed is tier:
            self._breakers[target].failed(begun)
        return copied.left

    # What could not be sent

    def _left(self, at: int, keys: Iterable[str], kind: str, owner: str | None = None) -> None:
        self._unsent.add(self._tiers[at].url, keys, kind, owner)
        self._later.wake()

    def _send_left(self, _: Timer) -> bool:
        """Try again what could not be sent. Returns whether something is left."""
        awaiting_loop.set(self._running_loop())
        left = [self._is_left(at) for at in self._writable]
        return any(left)

    def _is_left(self, at: int) -> bool:
        """Do what is left for a tier, as far as that works. Returns whether something is still left."""
        while True:
            with self._sending:  # what is sent meanwhile takes the place of an earlier job
                jobs = self._unsent.of(self._tiers[at].url)
                if not jobs or self._breakers[at].wait() or not self._do(at, jobs[:_AT_ONCE]):
                    return bool(jobs)

    def _do(self, at: int, jobs: Sequence[Job]) -> bool:
        """Do these jobs. Returns whether all could be done."""
        tier, begun = self._tiers[at], time.monotonic()
        try:
            for job in jobs:
                if job.kind == CLEAR:  # before copies: an owner of an answer that was given up may own a later one
                    self.give_up(tier, [job.key], job.owner or None)
                    self._unsent.done(tier.url, [job.key], job.owner)
            copies = [job for job in jobs if job.kind in {COPY, REPLACE}]
            left = self._copied(at, self._home, [job.key for job in copies]) if copies else []
            self._unsent.done(tier.url, [job.key for job in copies if job.kind == COPY and job.key not in left])
            if left:
                kind = next(job.kind for job in copies if job.key == left[0])
                self._unsent.add(tier.url, left[:1], kind)  # the others come before it: it may be refused each time
                return False
            for job in jobs:
                is_gone = job.kind == DELETE or (job.kind == REPLACE and self._tiers[self._home].get(job.key) is None)
                if is_gone and isinstance(tier, Deletable):
                    tier.delete(job.key)
                if job.kind != CLEAR:
                    self._unsent.done(tier.url, [job.key])
        except StoreError as error:
            self._breakers[at].failed(begun)
            self._failed(tier, error)
            return False
        return True

    # Waiting for it

    def fill_now(self) -> None:
        """Wait for the copies that the home is to get."""
        self._wait(lambda: bool(self._new[self._home]), _FILLED_WITHIN)

    def flush(self, within: float) -> None:
        """Wait until what is new was sent or has failed, for at most `within` seconds. What was left by earlier processes is begun."""
        if any(self._unsent.of(self._tiers[at].url) for at in self._writable):
            self._later.wake()
        self._wait(lambda: any(self._new.values()) or any(self._touches.values()), within)

    def _wait(self, is_left: Callable[[], bool], within: float) -> None:
        until = time.monotonic() + within
        if is_left():
            self._soon.wake()
        while (is_left() or self._sending.is_held) and time.monotonic() < until:
            time.sleep(_PAUSE)

    def close(self, within: float) -> None:
        """As `flush`. What is new and could not be sent by then is left for the next process."""
        self.flush(within)
        for at in self._writable:
            keys = [key for key, place in list(self._new[at].items()) if place == self._home]
            if keys:
                self._unsent.add(self._tiers[at].url, keys, COPY)
        soon, later = self._soon, self._later
        self._begin()
        soon.stop()
        later.stop()

    def begin_in_child(self) -> None:
        """In a forked child: the parent sends what was new before."""
        for at in self._writable:
            self._new[at], self._touches[at] = {}, []
        self._tokens.clear()
        self._begin()


_all: "weakref.WeakSet[Transfers]" = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for transfers in list(_all):
        transfers.begin_in_child()
    if (util := sys.modules.get("multiprocessing.util")) is not None:  # its children end without running `atexit`
        util.register_after_fork(_all, lambda _: util.Finalize(None, _flush_all, exitpriority=-1))


def _flush_all() -> None:
    for transfers in list(_all):
        transfers.close(_LATER)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
