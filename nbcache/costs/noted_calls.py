"""The calls that are made in one context, apart from all others of the session: what they were, and what they cost."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from typing import Any

from nbcache.concurrency.locks import Lock
from nbcache.costs.costs_today import CHARGED
from nbcache.costs.events import Hit, watchers
from nbcache.costs.ledger import Ledger
from nbcache.costs.money import Money
from nbcache.entry.filter import FUNCTIONS
from nbcache.entry.records import CallRecord


class NotedCalls:
    """The hits of one context, and the records of its misses."""

    def __init__(self) -> None:
        self.hits = 0
        self.misses: list[CallRecord] = []
        self._around = _noted.get()

    def begin(self) -> None:
        """Note the calls that are made in this context, and in its copies, from now on."""
        _noted.set(self)

    def note(self, note: Any) -> None:
        """Note a call, also for the context around."""
        if isinstance(note, Hit):
            self.hits += 1
        elif isinstance(note, CallRecord):
            self.misses.append(note)
        if self._around is not None:
            self._around.note(note)


_noted: ContextVar[NotedCalls | None] = ContextVar("nbcache_noted", default=None)
_lock = Lock()
_users = 0


def _watch(note: Any, *, is_of_worker: bool = False) -> None:
    if not is_of_worker and (noted := _noted.get()) is not None:
        noted.note(note)


@contextmanager
def noting() -> Iterator[None]:
    """Within this block calls are noted."""
    _change_users(1)
    try:
        yield
    finally:
        _change_users(-1)


def _change_users(by: int) -> None:
    global _users  # noqa: PLW0603 - of the process, as the watchers are
    with _lock:
        _users += by
        if _users and _watch not in watchers:
            watchers.append(_watch)
        elif not _users and _watch in watchers:
            watchers.remove(_watch)


def money_of(misses: Iterable[CallRecord], ledger: Ledger) -> Money:
    """What these calls cost. What a function cost is what the calls inside did."""
    ledger.settle()
    return sum((_money_of_call(call) for call in misses if call.kind not in FUNCTIONS), Money())


def _money_of_call(call: CallRecord) -> Money:
    is_unpriced = call.owes or (call.answered and call.usd is None)  # one without an answer costs nothing
    return Money(call.usd or Decimal(0), 1, int(is_unpriced), int(call.estimated), int(call.price == CHARGED))
