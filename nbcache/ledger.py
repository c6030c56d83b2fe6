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
from typing import NamedTuple, TypeVar

from nbcache.channel import channel
from nbcache.entry import EXACT, CallRecord, Filter, SessionCall, Spending, Touch, Usage
from nbcache.environment import REPORT
from nbcache.errors import logger
from nbcache.facts import KnownFacts, words_of
from nbcache.forks import ledgers
from nbcache.forwarding import Incoming, Message, Note, Reporter, WorkerHit
from nbcache.locks import Lock
from nbcache.noted import Hit, Paid, SessionCalls, Where
from nbcache.pricing import Prices
from nbcache.stores import Store
from nbcache.sums import add_to, total
from nbcache.text import prompt_text
from nbcache.threads import uninterrupted
from nbcache.timer import Timer
from nbcache.usage import estimated

_DELAY = 1.0  # seconds at most from a call until it is written down, unless a cell ends before
_CALLS = 10_000  # calls of which each is remembered
_POINTS = 200  # of the chart
_ABSURD = 10_000  # US dollars: no call costs that, whatever tokens somebody reports
_AT_ONCE = 20  # entries indexed in one transaction, for which an update may have to wait
_T = TypeVar("_T")
NEW = "new"  # why a call missed that was never seen


class _Batch(NamedTuple):
    """What is entered at once: its sums, and today's prices."""

    rows: dict[tuple[int, str | None, str], Spending]
    prices: dict[Usage, Decimal | None]


class Ledger:
    """The accounts of one session of one notebook. Safe to use from any thread."""

    def __init__(self, store: Store, notebook: str | None, prices: Prices | None = None) -> None:
        self.store = store
        self.notebook = notebook
        self.prices = prices or Prices()
        self._begin()
        ledgers.add(self)

    def _begin(self) -> None:
        self._id = secrets.token_hex(8)
        self._where = Where(0, None)
        self.reporter: Reporter | None = None  # of a worker process, whose calls its parent accounts for
        self.is_joined = False  # of a worker process that was started afresh
        self._incoming = Incoming()
        self._noted: deque[Note | WorkerHit] = deque()
        self._calls: deque[CallRecord] = deque(maxlen=_CALLS)
        self._facts = KnownFacts()
        self._touches: dict[str, Touch] = {}
        self._unwritten: dict[tuple[int, str], Spending] = {}
        self._of_model: dict[str, Spending] = {}
        self._of_cell: dict[str, Spending] = {}
        self._called = SessionCalls()
        self._curve: list[tuple[float, Decimal, Decimal]] = []
        self._listeners: list[Callable[[], None]] = []
        self._sums, self._writing = Lock(), Lock()
        self._timer = Timer(self._tidy, _DELAY)
        channel.connect(self._id, self)

    # On the path of a call

    def hit(self, key: str, payload: bytes, seconds: float) -> None:
        """Note a hit of the entry `key`, whose lookup took so many seconds."""
        self._note(Hit(self._where, key, payload, time.time(), seconds))

    def missed(self, key: str | None, model: str, why: str) -> CallRecord:
        """Note a call that is made; `paid` tells later what it cost."""
        where = self._where
        record = CallRecord(time.time(), where.execution, where.cell, model, key, why)
        self._note(record)
        return record

    def paid(  # noqa: PLR0913 - all that a call tells
        self, record: CallRecord, usage: Usage, prompt: str, answer: str, *, seconds: float | None, stored: bool
    ) -> None:
        """Note the answer to a call that was made; of the texts tokens are estimated that were not reported."""
        texts = ("", "") if usage.complete else (prompt, answer)
        self._note(Paid(record, usage, *texts, seconds, stored))

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
                for name in ("_id", "_where", "_sums", "_calls", "_of_model", "_of_cell", "_called", "_curve"):
                    setattr(self, name, getattr(other, name))
                self.reporter = other.reporter if other.store.url == self.store.url else None

        other._told(take_over)  # noqa: SLF001 - one of us
        channel.connect(self._id, self)

    # What it tells

    def by_model(self) -> dict[str, Spending]:
        """This session's sums by model."""
        return self._told(lambda: {model: replace(row) for model, row in self._of_model.items()})

    def session(self) -> Spending:
        """This session's sums."""
        return total(self.by_model().values())

    def cells(self) -> list[Spending]:
        """The sums of each cell's latest execution, in the order of these."""
        return self._told(lambda: sorted(map(replace, self._of_cell.values()), key=lambda row: row.execution))

    def execution(self) -> int:
        """The number of the execution that is running, or was last."""
        return self._where.execution

    def calls(self) -> list[CallRecord]:
        """The calls of the latest execution that made any."""
        calls = self._told(lambda: list(self._calls))
        last = max((call.execution for call in calls), default=0)
        return [call for call in calls if call.execution == last]

    def used(self) -> set[str]:
        """The keys of the entries that this session has hit or stored."""
        return self._told(lambda: set(self._called.used))

    def called(self) -> list[SessionCall]:
        """What this session has called, each key once."""
        return self._told(self._called.all)

    def curve(self) -> list[tuple[float, Decimal, Decimal]]:
        """Saved and spent US dollars of this session, cumulated, at some moments (seconds since the epoch)."""
        return self._told(lambda: list(self._curve))

    # Writing down

    def flush(self) -> None:
        """Write everything down. Where the store fails, it is kept for the next time."""
        uninterrupted(self._flush)

    def _flush(self) -> None:
        with self._writing:
            touches, rows, called = self._counted(self._taken)
            try:
                self.store.touch(touches.values())
            except Exception as error:  # noqa: BLE001 - who hit what makes owners: it is not lost
                logger.debug("nbcache: hits could not be written down: %s", error)
                with self._sums:
                    for key, touch in touches.items():
                        now = self._touches.setdefault(key, touch)
                        if now is not touch:
                            now.hits, now.when = now.hits + touch.hits, max(now.when, touch.when)
                            now.cost_usd = touch.cost_usd if now.cost_usd is None else now.cost_usd
            try:
                self.store.record(rows.values())
                self.store.record_calls(self._id, self.notebook, called)
            except Exception as error:  # noqa: BLE001 - whatever fails, the sums are not lost
                logger.debug("nbcache: the ledger could not be written: %s", error)
                with self._sums:
                    for row in rows.values():
                        add_to(self._unwritten, (row.execution, row.model), row)
                    self._called.put_back(called)

    def _taken(self) -> tuple[dict[str, Touch], dict[tuple[int, str], Spending], list[SessionCall]]:
        touches, self._touches = self._touches, {}
        rows, self._unwritten = self._unwritten, {}
        return touches, rows, self._called.take()

    def index(self, within: float | None = None, stop: Timer | None = None) -> None:
        """Make what was stored findable by its words, as far as it gets in so many seconds."""
        ends = None if within is None else time.monotonic() + within
        with contextlib.suppress(Exception):  # it is tried again with the next entry
            while self.store.index(words_of, _AT_ONCE) and not (stop is not None and stop.is_stopped):
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
            noted = [self._noted.popleft() for _ in range(len(self._noted))]
            now = _Batch({}, {})
            for one in noted:
                self._enter(one, now)
            for row in now.rows.values():
                self._add(row)
            if noted:
                self._plot()
            return what()

    def _enter(self, noted: Note | WorkerHit, now: "_Batch") -> None:
        if isinstance(noted, WorkerHit):
            self._facts.put(noted.hit.payload, noted.facts)
            noted = noted.hit
        if isinstance(noted, Hit):
            self._enter_hit(noted, now)
        elif isinstance(noted, Paid):
            self._enter_paid(noted, now)
        else:
            self._enter_miss(noted, now)

    def _enter_hit(self, hit: Hit, now: "_Batch") -> None:
        facts = self._facts.of(hit.key, hit.payload)
        saved = None if facts.seconds is None else max(0.0, facts.seconds - hit.seconds)
        usd = self._price(facts.usage, now)
        if usd is None:
            usd = self._price_then(hit.key)
        where = hit.where
        self._called.used.add(hit.key)
        call = CallRecord(
            *(hit.when, where.execution, where.cell, facts.model, hit.key),
            hit=True,
            seconds=saved,
            usd=usd,
            estimated=facts.usage.estimated and bool(usd),
            answered=True,
        )
        self._calls.append(call)
        self._called.note(call)
        self._called.price(call, usd, estimated=call.estimated)
        touch = self._touch(hit.key)
        touch.hits, touch.when = touch.hits + 1, max(touch.when, hit.when)
        row = self._row(call, now)
        row.hits += 1
        row.saved_usd = EXACT.add(row.saved_usd, usd or 0)
        row.saved_seconds += saved or 0.0
        row.unpriced_hits += usd is None
        row.estimated_hits += call.estimated

    def _enter_miss(self, call: CallRecord, now: "_Batch") -> None:
        if call.why == NEW and call.key is not None:
            with contextlib.suppress(Exception):
                if found := self.store.gone(call.key, call.when):
                    call.why, call.gone = found
        logger.info("miss %s %s: %s", (call.key or "")[:8], call.model, call.why)
        self._calls.append(call)
        self._called.note(call)
        self._row(call, now).misses += 1

    def _enter_paid(self, paid: Paid, now: "_Batch") -> None:
        call, usage = paid.record, paid.usage
        if not usage.complete:
            usage = estimated(usage, prompt_text(paid.prompt), paid.answer)
        call.usd, call.seconds, call.answered = self._price(usage, now), paid.seconds, True
        call.estimated = usage.estimated and bool(call.usd)
        cost = None if usage.estimated else call.usd
        if paid.stored and call.key is not None:
            self._called.used.add(call.key)
        if paid.stored and call.key is not None and (cost is not None or call.key in self._touches):
            self._touch(call.key).cost_usd = cost
        self._called.price(call, call.usd, estimated=call.estimated)
        row = self._row(call, now)
        row.spent_usd = EXACT.add(row.spent_usd, call.usd or 0)
        row.unpriced_misses += call.usd is None
        row.estimated_misses += call.estimated

    def _row(self, call: CallRecord, now: "_Batch") -> Spending:
        of = (call.execution, call.cell, call.model)
        row = now.rows.get(of)
        if row is None:
            row = now.rows[of] = Spending(self._id, call.execution, call.when, self.notebook, call.cell, call.model)
        return row

    def _add(self, row: Spending) -> None:
        add_to(self._of_model, row.model, row)
        add_to(self._unwritten, (row.execution, row.model), row)
        place = row.cell or ""
        latest = self._of_cell.get(place)
        if latest is None or latest.execution < row.execution:
            self._of_cell[place] = replace(row)
        elif latest.execution == row.execution:
            latest.add(row)

    def _touch(self, key: str) -> Touch:
        touch = self._touches.get(key)
        if touch is None:
            touch = self._touches[key] = Touch(key, self.notebook, 0, 0.0)
        return touch

    def _price(self, usage: Usage, now: "_Batch") -> Decimal | None:
        if usage not in now.prices:
            usd = self.prices.price(usage).usd
            now.prices[usage] = None if usd is not None and usd > _ABSURD else usd
        return now.prices[usage]

    def _price_then(self, key: str) -> Decimal | None:
        """What the answer cost when it was recorded, for where today's price isn't known."""
        with contextlib.suppress(Exception):
            for row in self.store.page(Filter(key=key), limit=1):
                return row.cost_usd
        return None

    def _plot(self) -> None:
        whole = total(self._of_model.values())
        self._curve.append((time.time(), whole.saved_usd, whole.spent_usd))
        if len(self._curve) > _POINTS:  # every other one, and always the last
            self._curve[:] = self._curve[-1::-2][::-1]
