"""What calls cost and saved. It is noted in memory, and written down after each cell or a second later at most.

A hit only appends to a list. Usage, prices and sums are worked out later, outside the call.
"""

import contextlib
import os
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from nbcache.concurrency.executor import uninterrupted
from nbcache.concurrency.locks import Lock
from nbcache.concurrency.strands import begin_cell, call_here, know_context
from nbcache.concurrency.timer import Timer
from nbcache.concurrency.worker_pipe import channel
from nbcache.costs.events import Gone, Hit, Kept, Paid, Unread, Where, observation, watchers
from nbcache.costs.forks import ledgers
from nbcache.costs.price_lookup import Prices
from nbcache.entry.filter import CALL
from nbcache.errors import logger
from nbcache.stores.base import LedgerStore, Listable, Searchable, Store
from nbcache.stores.location import REPORT

if TYPE_CHECKING:
    from nbcache.costs.forwarding import Incoming, Message, Note, Reporter, WorkerHit
    from nbcache.costs.session_events import Unanswered
    from nbcache.costs.session_sums import Accounts
    from nbcache.costs.time_saved import Span
    from nbcache.entry.records import CallRecord, EntryMeta, InnerCall, SessionCall, Spending, Usage

_DELAY = 1.0  # seconds from a call until it is written down, unless its cell ends before
_IN_A_STEP = 8  # entries indexed in one transaction, in the background: a few milliseconds
_T = TypeVar("_T")


class Ledger:
    """The accounts of one session of one notebook. Safe to use from any thread."""

    def __init__(self, store: Store, notebook: str | None, prices: Prices | None = None) -> None:
        self.store = store
        self.notebook = notebook
        self.created = time.monotonic()
        self.prices = prices or Prices()
        self._listed = store if isinstance(store, Listable) else None
        self._searched = store if isinstance(store, Searchable) else None
        self._lifetime = store if isinstance(store, LedgerStore) else None
        self._begin()
        ledgers.add(self)

    def _begin(self) -> None:
        self._id = secrets.token_hex(8)
        self._where = Where(0, None)
        self.reporter: Reporter | None = None  # in a worker process: its parent accounts for its calls
        self._left_out = Counter[str]()  # calls that the setting `clients` leaves out, by API
        self.is_joined = False  # in a worker process that was started afresh
        self._incoming: Incoming | None = None
        self._notes: deque[Note | WorkerHit | Gone | Kept] = deque()
        self._made: Accounts | None = None
        self._batches: dict[str, list[Any]] = {}  # what could not be written down
        self._listeners: list[Callable[[], None]] = []
        self._audiences = [self._listeners]
        self._sums, self._writing = Lock(), Lock()
        self._timer = Timer(self._tidy, _DELAY)
        channel.connect(self._id, self)
        know_context()

    @property
    def _accounts(self) -> "Accounts":
        """The sums. They are made with the first notes, and what makes them is loaded then. For those who hold `_sums`."""
        if self._made is None:
            from nbcache.costs.session_sums import Accounts  # noqa: PLC0415 - `%load_ext` is to be light

            self._made = Accounts(self.store, self.notebook, self.prices)
        return self._made

    def _has_notes(self) -> bool:
        """Whether any call was noted in this session."""
        channel.deliver()
        return self._made is not None or bool(self._notes)

    # On the path of a call

    def hit(self, key: str, payload: bytes, seconds: float, tier: str | None = None) -> None:
        """Note a hit of the entry `key`, which a `tier` of the store answered. Its lookup took `seconds`, and ends now."""
        ended = time.perf_counter()
        strand, began = call_here(ended, seconds)
        self._note(Hit(self._where, key, payload, time.time(), seconds, strand, began, ended, tier))

    def missed(  # noqa: PLR0913 - all that is known of it
        self,
        key: str | None,
        model: str,
        why: str,
        *,
        owes: bool = True,
        kind: str = CALL,
        replayed: bool = False,
    ) -> "CallRecord":
        """Note a call that is made. Its cost is noted later, by `paid`. If it `owes` nothing, no model was asked.

        One that is `replayed` was not made, since it was not recorded.
        """
        from nbcache.entry.records import CallRecord  # noqa: PLC0415 - a session of hits makes none here

        place = (time.time(), self._where.execution, self._where.cell)
        record = CallRecord(*place, model, key, why, owes=owes, kind=kind, replayed=replayed)
        self._note(record)
        return record

    def paid(  # noqa: PLR0913 - all that is known of a paid call
        self,
        record: "CallRecord",
        usage: "Usage",
        prompt: str,
        answer: str,
        *,
        seconds: float | None,
        stored: bool,
        span: "Span | None" = None,
        unkept: str = "",
        calls: "Sequence[InnerCall] | None" = None,
    ) -> None:
        """Note the answer to a call that was made. Tokens that were not reported are estimated from the texts.

        `unkept` says why it was not stored, though its mode keeps answers. A function's answer has the `calls` inside.
        """
        texts = ("", "") if usage.complete else (prompt, answer)
        self._note(Paid(record, usage, *texts, seconds, stored, span, unkept, calls))

    def paid_unread(self, record: "CallRecord", read: Callable[[], Paid]) -> None:
        """As `paid`. What is to be noted is read later, outside the call: `read` must not depend on what the user may change."""
        self._note(Unread(record, read))

    def _note(self, note: "Note") -> None:
        for watch in watchers:
            watch(note)
        if self.reporter is None or not self.reporter.report(self._id, note):
            self._append(note)

    def receive(self, message: "Message") -> None:
        """Note a call that a worker process reports."""
        for watch in watchers:
            watch(message, is_of_worker=True)
        if self._incoming is None:
            from nbcache.costs.forwarding import Incoming  # noqa: PLC0415 - few sessions have workers

            self._incoming = Incoming()
        self._append(self._incoming.note(message))

    def kept(self, key: str, model: str, tags: tuple[str, ...]) -> None:
        """Note for callbacks that an answer was stored of whose call nothing is noted."""
        if observation.by is not None and self.reporter is None:
            observation.by.seen(note := Kept(key, model, tags))
            self._append(note)

    def gone(self, entries: "Iterable[EntryMeta]", why: str) -> None:
        """Note for callbacks that these entries are gone."""
        if observation.by is not None and observation.by.wants_evictions() and self.reporter is None:
            for each in entries:
                note = Gone(each.key, each.model, each.tags, each.seconds, each.cost_usd, why)
                observation.by.seen(note)
                self._append(note)

    def announce(self, unanswered: "Unanswered | None" = None) -> None:
        """Hand the events of all that is noted to the callbacks, and of these calls without an answer."""
        if observation.by is not None and self._has_notes():
            happened = observation.by.happened
            self._read_sums(lambda: happened(self._accounts.take_events(unanswered)))

    def _append(self, note: "Message | Note | Gone | Kept") -> None:
        self._notes.append(note)
        if self._timer.is_idle():
            self._timer.wake()
        self.tell()

    def tell(self) -> None:
        """Notify the listeners that numbers or entries may have changed."""
        for listeners in self._audiences:
            for changed in listeners:
                changed()

    # Around a cell

    def enter_cell(self, cell: str | None) -> None:
        """A cell begins: calls that are noted from now on belong to this execution."""
        self._where = Where(self._where.execution + 1, cell)
        begin_cell()

    def listen(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` after each note, in any thread. Returns a function that ends this."""
        self._listeners.append(changed)

        def stop() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(changed)

        return stop

    def announce_to(self, listeners: list[Callable[[], None]]) -> None:
        """Call those who are in this list at each note, too."""
        self._audiences.append(listeners)

    def resume_from(self, other: "Ledger") -> None:
        """Go on with the session of `other`, which has been closed; its calls that still run count in it, too."""

        def take_over() -> None:
            with self._sums:
                for name in ("_id", "_where", "_sums", "_left_out"):
                    setattr(self, name, getattr(other, name))
                self._accounts.resume_from(other._accounts)  # noqa: SLF001 - one of us
                self.reporter = other.reporter if other.store.url == self.store.url else None

        other._read(take_over)  # noqa: SLF001 - one of us
        channel.connect(self._id, self)

    # Sums of the session

    def settle(self) -> None:
        """Enter all notes in the sums. Then the records of calls have their costs."""
        self._read(lambda: None)

    def rows(self) -> "list[Spending]":
        """This session's sums, a row for each model and kind of call."""
        return self._read(lambda: list(map(replace, self._accounts.of_model.values())))

    def by_tier(self) -> dict[str, int]:
        """How many hits of this session each tier answered."""
        return self._read(lambda: dict(self._accounts.of_tier)) if self._has_notes() else {}

    def session(self) -> "Spending":
        """This session's sums."""
        from nbcache.costs.ledger_sums import total  # noqa: PLC0415 - as in `_accounts`

        return total(self.rows())

    def cells(self) -> "list[Spending]":
        """The sums of each cell's latest execution, in the order of execution."""
        return self._read(lambda: sorted(map(replace, self._accounts.of_cell.values()), key=lambda row: row.execution))

    def execution(self) -> int:
        """The number of the running execution, or of the last one."""
        return self._where.execution

    def calls(self) -> "list[CallRecord]":
        """The calls of the latest execution that made any."""
        if not self._has_notes():
            return []
        calls = self._read(lambda: list(self._accounts.calls))
        last = max((call.execution for call in calls), default=0)
        return [call for call in calls if call.execution == last]

    def used(self) -> set[str]:
        """The keys of the entries that this session has hit or stored."""
        return self._read(self._accounts.called.used)

    def called(self) -> "list[SessionCall]":
        """The calls of this session, one record for each key."""
        return self._read(self._accounts.called.all)

    def uncached(self) -> dict[str, int]:
        """How many requests to models' APIs were counted that no cache can answer, by what they were for."""
        return self._read(lambda: dict(self._accounts.uncached)) if self._has_notes() else {}

    def leave_out(self, api: str) -> None:
        """Note a call of this API that the setting `clients` leaves out. It counts in no sum."""
        with self._sums:
            self._left_out[api] += 1
        if watchers:
            from nbcache.entry.records import CallRecord  # noqa: PLC0415 - as in `missed`

            for watch in watchers:
                watch(CallRecord(time.time(), self._where.execution, self._where.cell, api, None, owes=True))

    def left_out(self) -> dict[str, int]:
        """How many calls the setting `clients` left out, by API."""
        with self._sums:
            return dict(self._left_out)

    def curve(self) -> list[tuple[float, Decimal, Decimal]]:
        """Points of the chart: time (seconds since the epoch), and the US dollars saved and spent in all by then."""
        return self._read(lambda: list(self._accounts.curve))

    # Writing down

    def flush(self) -> None:
        """Write everything down that the store keeps. What can't be written is kept for the next time."""
        if self._has_notes():
            uninterrupted(self._flush)

    def _flush(self) -> None:
        with self._writing:
            accounts = self._read_sums(lambda: self._accounts)
            record = calls = None
            if (lifetime := self._lifetime) is not None:
                record, calls = lifetime.record, partial(lifetime.record_calls, self._id, self.notebook)
            touch = None if self._listed is None else self._listed.touch
            self._write_down("touches", accounts.take_touches, touch)
            self._write_down("rows", accounts.take_rows, record)
            self._write_down("calls", accounts.called.take, calls)

    def _write_down(self, name: str, take: Callable[[], list[_T]], write: Callable[[list[_T]], None] | None) -> None:
        """Write down what was noted, if the store keeps it. What a silent server got may be written all the same.

        So it is written again just as it was, and before what comes later: the store knows it by that, and counts it once.
        """
        while batch := self._batches.pop(name, None) or self._locked(take):
            try:
                if write is not None:
                    write(batch)
            except Exception as error:  # noqa: BLE001 - whatever fails, it is written the next time
                logger.debug("nbcache: what was counted could not be written down: %s", error)
                self._batches[name] = batch
                return

    def _locked(self, take: Callable[[], _T]) -> _T:
        with self._sums:
            return take()

    def index(self, within: float | None = None) -> None:
        """Index the words of new entries for the search, for at most `within` seconds."""
        if self._searched is not None:
            from nbcache.stores.index_words import index_new_entries  # noqa: PLC0415 - as in `_accounts`

            index_new_entries(self._searched, within)

    def close(self) -> None:
        """Write down what is left, and end the thread."""
        timer, self._timer = self._timer, Timer(self._tidy, _DELAY)  # for later notes
        timer.stop()
        self.flush()
        self.announce()

    @property
    def id(self) -> str:
        """The id of the session."""
        return self._id

    def begin_in_child(self, reporter: "Reporter | None") -> None:
        """Begin with empty accounts in a forked child: the parent writes down what was noted before the fork.

        The parent also accounts for the child's calls, unless they can't be reported, or each process reports to pytest.
        """
        listeners, audiences, where, session = self._listeners, self._audiences, self._where, self._id
        reporter = self.reporter or reporter
        self._begin()
        self._listeners, self._audiences, self._where = listeners, audiences, where
        if reporter is not None and not os.environ.get(REPORT):
            self._id, self.reporter = session, reporter
        channel.connect(self._id, self)

    def join(self, session: str, where: Where, reporter: "Reporter | None") -> None:
        """Join another process's session, in the cell `where`."""
        self.is_joined = True
        if not os.environ.get(REPORT):
            self._id, self._where, self.reporter = session, where, reporter
            channel.connect(self._id, self)

    @property
    def where(self) -> Where:
        """The execution of a cell to which new notes belong."""
        return self._where

    def _tidy(self, timer: Timer) -> bool:
        """Write down and index, in a thread, some time after a call. Returns whether work is left."""
        from nbcache.concurrency.rests import Rests  # noqa: PLC0415 - as in `_accounts`
        from nbcache.stores.index_words import words_of  # noqa: PLC0415

        self.flush()
        store = self._searched
        written, rests = time.monotonic(), Rests()
        with contextlib.suppress(Exception):  # the next entry tries again
            while store is not None and store.index(words_of, _IN_A_STEP) and not timer.is_stopped:
                rests.rest()
                if time.monotonic() > written + _DELAY:
                    self.flush()
                    written = time.monotonic()
        return False

    # Reading the sums

    def _read(self, read: Callable[[], _T]) -> _T:
        """Return `read()`, once all notes are in the sums. An interrupt leaves no note half counted."""
        return uninterrupted(partial(self._read_sums, read))

    def _read_sums(self, read: Callable[[], _T]) -> _T:
        """As `_read`, but an interrupt may come between."""
        channel.deliver()
        with self._sums:
            notes = [self._notes.popleft() for _ in range(len(self._notes))]
            self._accounts.enter(notes, self._id)
            return read()
