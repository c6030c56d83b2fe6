"""What calls cost and saved: noted in memory, written down after each cell and at most a second late.

A hit only appends to a list; usage, prices and sums are worked out later, off its path.
"""

import contextlib
import os
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import TypeVar

from nbcache.concurrency.executor import uninterrupted
from nbcache.concurrency.locks import Lock
from nbcache.concurrency.strands import begin_cell, call_here
from nbcache.concurrency.timer import Timer
from nbcache.concurrency.worker_pipe import channel
from nbcache.costs.accounts import Accounts
from nbcache.costs.forks import ledgers
from nbcache.costs.forwarding import Incoming, Message, Note, Reporter, WorkerHit
from nbcache.costs.pricing import Prices
from nbcache.entry.accounts import total
from nbcache.entry.events import Hit, Paid, Where
from nbcache.entry.models import CallRecord, SessionCall, Spending, Touch, Usage
from nbcache.entry.waits import Span
from nbcache.errors import logger
from nbcache.stores.base import LedgerStore, Listable, Searchable, Store
from nbcache.stores.entry_costs import words_of
from nbcache.stores.location import REPORT

_DELAY = 1.0  # seconds at most from a call until it is written down, unless a cell ends before
_AT_ONCE = 20  # entries indexed in one transaction, for which an update may have to wait
_T = TypeVar("_T")


class Ledger:
    """The accounts of one session of one notebook. Safe to use from any thread."""

    def __init__(self, store: Store, notebook: str | None, prices: Prices | None = None) -> None:
        self.store = store
        self.notebook = notebook
        self.prices = prices or Prices()
        self._listed = store if isinstance(store, Listable) else None
        self._searched = store if isinstance(store, Searchable) else None
        self._lifetime = store if isinstance(store, LedgerStore) else None
        self._begin()
        ledgers.add(self)

    def _begin(self) -> None:
        self._id = secrets.token_hex(8)
        self._where = Where(0, None)
        self.reporter: Reporter | None = None  # of a worker process, whose calls its parent accounts for
        self.is_joined = False  # of a worker process that was started afresh
        self._incoming = Incoming()
        self._noted: deque[Note | WorkerHit] = deque()
        self._accounts = Accounts(self.store, self.notebook, self.prices)
        self._listeners: list[Callable[[], None]] = []
        self._sums, self._writing = Lock(), Lock()
        self._timer = Timer(self._tidy, _DELAY)
        channel.connect(self._id, self)

    # On the path of a call

    def hit(self, key: str, payload: bytes, seconds: float) -> None:
        """Note a hit of the entry `key`, whose lookup took so many seconds until now."""
        ended = time.perf_counter()
        strand, began = call_here(ended, seconds)
        self._note(Hit(self._where, key, payload, time.time(), seconds, strand, began, ended))

    def missed(self, key: str | None, model: str, why: str, *, owes: bool = True) -> CallRecord:
        """Note a call that is made; `paid` tells later what it cost. One that `owes` nothing was not sent to a model."""
        where = self._where
        record = CallRecord(time.time(), where.execution, where.cell, model, key, why, owes=owes)
        self._note(record)
        return record

    def paid(  # noqa: PLR0913 - all that a call tells
        self,
        record: CallRecord,
        usage: Usage,
        prompt: str,
        answer: str,
        *,
        seconds: float | None,
        stored: bool,
        span: Span | None = None,
        unkept: bool = False,
    ) -> None:
        """Note the answer to a call that was made; of the texts tokens are estimated that were not reported.

        It is `unkept` where its mode keeps answers, and this one wasn't.
        """
        texts = ("", "") if usage.complete else (prompt, answer)
        self._note(Paid(record, usage, *texts, seconds, stored, span, unkept))

    def _note(self, what: Note) -> None:
        if self.reporter is None or not self.reporter.report(self._id, what):
            self._take(what)

    def receive(self, message: Message) -> None:
        """Note what a worker process reports."""
        self._take(self._incoming.note(message))

    def _take(self, what: Message | Note) -> None:
        self._noted.append(what)
        self._timer.wake()
        self.tell()

    def tell(self) -> None:
        """Tell those who listen that numbers or entries may have changed."""
        for changed in self._listeners:
            changed()

    # Around a cell

    def enter_cell(self, cell: str | None) -> None:
        """A cell begins: what is noted from now on is of this execution."""
        self._where = Where(self._where.execution + 1, cell)
        begin_cell()

    def listen(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` at each note, in whatever thread; what is returned ends that."""
        self._listeners.append(changed)

        def stop() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(changed)

        return stop

    def carry_on(self, other: "Ledger") -> None:
        """Go on with the session of `other`, which has been closed; its calls that still run count in it, too."""

        def take_over() -> None:
            with self._sums:
                for name in ("_id", "_where", "_sums"):
                    setattr(self, name, getattr(other, name))
                self._accounts.carry_on(other._accounts)  # noqa: SLF001 - one of us
                self.reporter = other.reporter if other.store.url == self.store.url else None

        other._told(take_over)  # noqa: SLF001 - one of us
        channel.connect(self._id, self)

    # What it tells

    def by_model(self) -> dict[str, Spending]:
        """This session's sums by model."""
        return self._told(lambda: {model: replace(row) for model, row in self._accounts.of_model.items()})

    def session(self) -> Spending:
        """This session's sums."""
        return total(self.by_model().values())

    def cells(self) -> list[Spending]:
        """The sums of each cell's latest execution, in the order of these."""
        return self._told(lambda: sorted(map(replace, self._accounts.of_cell.values()), key=lambda row: row.execution))

    def execution(self) -> int:
        """The number of the execution that is running, or was last."""
        return self._where.execution

    def calls(self) -> list[CallRecord]:
        """The calls of the latest execution that made any."""
        calls = self._told(lambda: list(self._accounts.calls))
        last = max((call.execution for call in calls), default=0)
        return [call for call in calls if call.execution == last]

    def used(self) -> set[str]:
        """The keys of the entries that this session has hit or stored."""
        return self._told(lambda: set(self._accounts.called.used))

    def called(self) -> list[SessionCall]:
        """What this session has called, each key once."""
        return self._told(self._accounts.called.all)

    def curve(self) -> list[tuple[float, Decimal, Decimal]]:
        """Saved and spent US dollars of this session, cumulated, at some moments (seconds since the epoch)."""
        return self._told(lambda: list(self._accounts.curve))

    # Writing down

    def flush(self) -> None:
        """Write everything down that the store keeps. If it fails, that is kept for the next time."""
        uninterrupted(self._flush)

    def _flush(self) -> None:
        accounts = self._accounts
        with self._writing:
            touches, rows, called = self._counted(self._taken)
            # Each by itself: what is written twice counts twice.
            if (listed := self._listed) is not None:
                self._write_down(lambda: listed.touch(touches.values()), lambda: accounts.put_back(touches))
            if (lifetime := self._lifetime) is not None:
                self._write_down(lambda: lifetime.record(rows.values()), lambda: accounts.put_back_rows(rows))
                self._write_down(
                    lambda: lifetime.record_calls(self._id, self.notebook, called),
                    lambda: accounts.called.put_back(called),
                )

    def _write_down(self, write: Callable[[], None], put_back: Callable[[], None]) -> None:
        try:
            write()
        except Exception as error:  # noqa: BLE001 - whatever fails, it is written the next time
            logger.debug("nbcache: what was counted could not be written down: %s", error)
            with self._sums:
                put_back()

    def _taken(self) -> tuple[dict[str, Touch], dict[tuple[int, str], Spending], list[SessionCall]]:
        accounts = self._accounts
        touches, accounts.touches = accounts.touches, {}
        rows, accounts.unwritten = accounts.unwritten, {}
        return touches, rows, accounts.called.take()

    def index(self, within: float | None = None, stop: Timer | None = None) -> None:
        """Make what was stored findable by its words, as far as it gets in so many seconds."""
        if self._searched is None:
            return
        ends = None if within is None else time.monotonic() + within
        with contextlib.suppress(Exception):  # it is tried again with the next entry
            while self._searched.index(words_of, _AT_ONCE) and not (stop is not None and stop.is_stopped):
                if ends is not None and time.monotonic() > ends:
                    return

    def close(self) -> None:
        """Write down the rest and end the thread."""
        timer, self._timer = self._timer, Timer(self._tidy, _DELAY)  # for what is noted later
        timer.stop()
        self.flush()

    @property
    def id(self) -> str:
        """The session's."""
        return self._id

    def begin_in_child(self, reporter: Reporter | None) -> None:
        """A forked child begins with empty accounts: the parent writes down what happened until now.

        The parent accounts for the child's calls, too, unless they can't be reported or pytest is told of each process.
        """
        listeners, where, session = self._listeners, self._where, self._id
        reporter = self.reporter or reporter
        self._begin()
        self._listeners, self._where = listeners, where
        if reporter is not None and not os.environ.get(REPORT):
            self._id, self.reporter = session, reporter
        channel.connect(self._id, self)

    def join(self, session: str, where: Where, reporter: Reporter | None) -> None:
        """Be a part of another process's session, in that cell."""
        self.is_joined = True
        if not os.environ.get(REPORT):
            self._id, self._where, self.reporter = session, where, reporter
            channel.connect(self._id, self)

    @property
    def where(self) -> Where:
        """The execution of a cell that calls are noted for now."""
        return self._where

    def _tidy(self, timer: Timer) -> bool:
        """What is done a while after a call, in a thread; whether some is left to do."""
        self.flush()
        self.index(stop=timer)
        return False

    # Sums

    def _told(self, what: Callable[[], _T]) -> _T:
        """What the sums tell, with all in them that has been noted. An interrupt leaves nothing half counted."""
        return uninterrupted(partial(self._counted, what))

    def _counted(self, what: Callable[[], _T]) -> _T:
        """As `_told`, with what has been noted here and in worker processes."""
        channel.deliver()
        with self._sums:
            notes = [self._noted.popleft() for _ in range(len(self._noted))]
            self._accounts.enter(notes, self._id)
            return what()
