"""What the ledgers of a process do when it forks, and when a forked child ends."""

import os
import sys
import weakref
from typing import TYPE_CHECKING, Protocol

from nbcache.concurrency.worker_pipe import channel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nbcache.costs.forwarding import Reporter
    from nbcache.costs.session_events import Unanswered
    from nbcache.entry.records import EntryMeta
    from nbcache.stores.base import Store


class _Ledger(Protocol):
    created: float

    @property
    def store(self) -> "Store": ...
    def gone(self, entries: "Iterable[EntryMeta]", why: str) -> None: ...
    def begin_in_child(self, reporter: "Reporter | None") -> None: ...
    def flush(self) -> None: ...
    def announce(self, unanswered: "Unanswered | None" = None) -> None: ...


ledgers: "weakref.WeakSet[_Ledger]" = weakref.WeakSet()


def _before_fork() -> None:
    from nbcache.costs import forwarding  # noqa: F401, PLC0415 - the child needs it, and may not be able to import then

    channel.open()


def _after_fork_in_child() -> None:
    from nbcache.costs.forwarding import Reporter  # noqa: PLC0415 - as above

    reporter = Reporter(channel.sender) if channel.sender is not None else None
    channel.begin_in_child()
    for ledger in list(ledgers):
        ledger.begin_in_child(reporter)
    if (util := sys.modules.get("multiprocessing.util")) is not None:  # its children end without running `atexit`
        util.register_after_fork(ledgers, lambda _: util.Finalize(None, _flush_all, exitpriority=0))


def _flush_all() -> None:
    for ledger in list(ledgers):
        ledger.flush()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=channel.listen, after_in_child=_after_fork_in_child)
