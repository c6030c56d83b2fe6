"""The sums of a session: what its calls paid and saved, in money and in time, by model and by cell."""

import contextlib
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from nbcache.costs.calls_by_key import SessionCalls
from nbcache.costs.costs_today import CHARGED, INSIDE, Cost, CostsToday
from nbcache.costs.events import CHEAP, NEW, NOT_CACHED, Gone, Hit, Kept, Paid, Unread, observation
from nbcache.costs.forwarding import Note, WorkerHit
from nbcache.costs.ledger_sums import add_to, total
from nbcache.costs.price_lookup import Prices, uses_provider_cache
from nbcache.costs.time_saved import Span, Timing
from nbcache.entry.filter import FUNCTIONS
from nbcache.entry.records import EXACT, CallRecord, Filter, Spending, Touch
from nbcache.errors import logger
from nbcache.stores.base import Listable, Store, Tombstones
from nbcache.stores.entry_costs import EntryCosts

if TYPE_CHECKING:
    from nbcache.costs.session_events import Happened, SessionEvents, Unanswered

EXPIRED = "expired"  # why an entry is gone, and why its call missed
_CALLS = 10_000  # the last calls, of which each has its own record
_POINTS = 200  # of the chart
_EXECUTIONS = 64  # the last executions, whose late calls still count for the time saved
_OF_SESSION = ("calls", "of_model", "of_cell", "called", "uncached", "curve", "of_tier", "_timings")


class _Batch(NamedTuple):
    """Notes that are entered together: their sums, and the spans of their calls by execution."""

    rows: dict[tuple[int, str | None, str, str], Spending]
    spans: dict[tuple[int, str | None], list[Span]]


class Accounts:
    """The sums of the session `id`. Not safe to use from several threads at once."""

    def __init__(self, store: Store, notebook: str | None, prices: Prices) -> None:
        self._listed = store if isinstance(store, Listable) else None
        self._tombstones = store if isinstance(store, Tombstones) else None
        self._notebook = notebook
        self._costs = EntryCosts()
        self._costs_today = CostsToday(store, prices)
        self._events: SessionEvents | None = None
        self._timings: OrderedDict[tuple[int, str | None], Timing] = OrderedDict()
        self.calls: deque[CallRecord] = deque(maxlen=_CALLS)
        self.called = SessionCalls()
        self.uncached = Counter[str]()  # requests that no cache can answer, by what they were for
        self.of_model: dict[tuple[str, str], Spending] = {}  # by model and kind
        self.of_cell: dict[str, Spending] = {}
        self.of_tier = Counter[str]()  # hits
        self.curve: list[tuple[float, Decimal, Decimal]] = []
        self.touches: dict[str, Touch] = {}
        self.unwritten: dict[tuple[int, str, str], Spending] = {}

    def resume_from(self, other: "Accounts") -> None:
        """Go on with the sums of `other`, whose rows and touches have been written down."""
        for name in _OF_SESSION:
            setattr(self, name, getattr(other, name))

    def enter(self, notes: Iterable[Note | WorkerHit | Gone | Kept], session: str) -> None:
        """Add these calls to the sums."""
        now = _Batch({}, {})
        self._costs_today.begin()
        self._observe()
        for note in notes:
            if self._events is not None and observation.by is not None:
                self._events.causes = observation.by.causes_of(note)
            self._enter(note, now)
        for of, spans in now.spans.items():
            self._enter_waits(of, spans, now)
        for row in now.rows.values():
            row.session = session
            self._add(row)
        if now.rows:
            self._plot()

    def take_events(self, unanswered: "Unanswered | None") -> "list[Happened]":
        """The events for callbacks since this was last called."""
        return [] if self._events is None else self._events.take(unanswered)

    def _observe(self) -> None:
        """Make events from now on, if there are callbacks."""
        if observation.by is None:
            self._events = None
        elif self._events is None:
            from nbcache.costs.session_events import SessionEvents  # noqa: PLC0415 - few sessions have callbacks

            self._events = SessionEvents()

    def take_touches(self) -> list[Touch]:
        """The touches since this was last called."""
        touches, self.touches = self.touches, {}
        return list(touches.values())

    def take_rows(self) -> list[Spending]:
        """The rows of the ledger since this was last called."""
        rows, self.unwritten = self.unwritten, {}
        return list(rows.values())

    def _enter(self, note: Note | WorkerHit | Gone | Kept, now: "_Batch") -> None:
        if isinstance(note, WorkerHit):
            self._costs.put(note.hit.payload, note.cost)
            note = note.hit
        if isinstance(note, Unread):
            try:
                note = note.read()
            except Exception as error:  # noqa: BLE001 - whatever a model answers: the call counts as one without a price
                logger.debug("nbcache: the usage of a call could not be read: %r", error)
                return
        if isinstance(note, Hit):
            self._enter_hit(note, now)
        elif isinstance(note, Paid):
            self._enter_paid(note, now)
        elif isinstance(note, Gone | Kept):
            if self._events is not None:
                self._events.note(note)
        else:
            self._enter_miss(note, now)

    def _enter_hit(self, hit: Hit, now: "_Batch") -> None:
        entry = self._costs.of(hit.key, hit.payload)
        saved = None if entry.seconds is None else max(0.0, entry.seconds - hit.seconds)
        cost = self._costs_today.of_entry(hit.key, entry)
        where = hit.where
        if hit.tier is not None:
            self.of_tier[hit.tier] += 1
        self.called.use(hit.key, entry.model)
        call = CallRecord(
            *(hit.when, where.execution, where.cell, entry.model, hit.key),
            hit=True,
            seconds=saved,
            usd=cost.usd,
            price=cost.source,
            estimated=cost.is_estimated,
            answered=True,
            kind=entry.kind,
        )
        self.calls.append(call)
        self.called.note(call)
        if entry.calls is None or not self.called.is_priced(call):  # a run in this session has its calls by themselves
            self.called.price(call, cost.usd, estimated=call.estimated)
        touch = self._touch(hit.key)
        touch.hits, touch.when = touch.hits + 1, max(touch.when, hit.when)
        if self._events is not None:
            self._events.hit(call, entry.tags)
        row = self._row(call, now)
        row.hits += 1
        row.saved_usd = EXACT.add(row.saved_usd, cost.usd or 0)
        row.model_seconds += saved or 0.0
        row.untimed_hits += saved is None
        row.unpriced_hits += cost.usd is None or cost.is_part
        row.partly_priced_hits += cost.is_part
        row.estimated_hits += call.estimated
        row.charged_hits += cost.source == CHARGED
        if entry.seconds is not None:
            span = Span(hit.strand, hit.began, hit.ended, entry.seconds, entry.recorded)
            now.spans.setdefault((where.execution, where.cell), []).append(span)
            self._timing(where.execution, where.cell).add((entry.model, entry.kind), saved or 0.0)

    def _enter_waits(self, of: tuple[int, str | None], spans: list[Span], now: "_Batch") -> None:
        """Share the time that an execution has saved so far among its models."""
        execution, cell = of
        for (model, kind), seconds in self._timing(execution, cell).shares(spans).items():
            call = CallRecord(time.time(), execution, cell, model, None, kind=kind)
            self._row(call, now).saved_seconds += seconds

    def _timing(self, execution: int, cell: str | None) -> Timing:
        of = (execution, cell)
        if of not in self._timings:
            self._timings[of] = Timing()
            while len(self._timings) > _EXECUTIONS:
                self._timings.popitem(last=False)
        return self._timings[of]

    def _enter_miss(self, call: CallRecord, now: "_Batch") -> None:
        if (
            call.why == NEW
            and not call.replayed
            and call.key is not None
            and (unkept := self.called.unkept(call.key, call.model))
        ):
            call.why = unkept
        elif call.why == NEW and call.key is not None and self._tombstones is not None:
            with contextlib.suppress(Exception):
                # In replay nothing is stored in its place, so that the next miss has the same cause.
                if tombstone := self._tombstones.tombstone(call.key, call.when, keep=call.replayed):
                    call.why, call.gone = tombstone
        logger.info("miss %s %s: %s", (call.key or "")[:8], call.model, call.why)
        if call.why.startswith(NOT_CACHED):
            self.uncached[call.why.removeprefix(NOT_CACHED)] += 1
        if self._events is not None:
            if call.why == EXPIRED:
                self._events.note(self._expired(call))
            self._events.missed(call)
        self.calls.append(call)
        self.called.note(call)
        if call.kind in FUNCTIONS and not call.replayed:  # whatever becomes of it, its calls account for themselves
            call.usd, call.price = Decimal(0), INSIDE
            self.called.price(call, call.usd, estimated=False)
        row = self._row(call, now)
        row.misses += 1
        row.unpriced_misses += call.owes

    def _expired(self, call: CallRecord) -> Gone:
        """What is known of the entry of this call, which had expired: it may have been replaced meanwhile."""
        row = None
        with contextlib.suppress(Exception):
            if self._listed is not None:
                row = next(iter(self._listed.page(Filter(key=call.key, include_expired=True), limit=1)), None)
        if row is None or row.expires is None or row.expires > call.when:
            return Gone(call.key or "", call.model, (), None, None, EXPIRED)
        return Gone(row.key, row.model, row.tags, row.seconds, row.cost_usd, EXPIRED)

    def _enter_paid(self, paid: Paid, now: "_Batch") -> None:
        call, cost = paid.record, self._cost(paid)
        spent = cost if paid.calls is None else Cost(Decimal(0), INSIDE)
        call.usd, call.seconds, call.answered = spent.usd, paid.seconds, True
        call.price, call.estimated = spent.source, spent.is_estimated
        usd = None if cost.is_estimated or cost.is_part else cost.usd
        if paid.stored and call.key is not None:
            self.called.use(call.key, call.model)
        if paid.stored and call.key is not None and (usd is not None or call.key in self.touches):
            touch = self._touch(call.key)
            touch.cost_usd, touch.charged = usd, cost.source == CHARGED
        call.is_cheap = paid.unkept == CHEAP
        self.called.price(call, call.usd, estimated=call.estimated, unkept=paid.unkept)
        if self._events is not None:
            self._events.answered(call, stored=paid.stored, usd=cost.usd)
        row = self._row(call, now)
        row.spent_usd = EXACT.add(row.spent_usd, call.usd or 0)
        row.unpriced_misses += (call.usd is None) - call.owes
        call.owes = False
        row.estimated_misses += call.estimated
        row.charged_misses += call.price == CHARGED
        if paid.calls is None and uses_provider_cache(paid.usage):
            saved = self._costs_today.saved_by_provider(paid.whole_usage())
            row.provider_saved_usd = EXACT.add(row.provider_saved_usd, saved or 0)
            row.provider_priced_misses += saved is not None
            row.provider_unpriced_misses += saved is None
        if paid.span is not None:
            now.spans.setdefault((call.execution, call.cell), []).append(paid.span)

    def _row(self, call: CallRecord, now: "_Batch") -> Spending:
        of = (call.execution, call.cell, call.model, call.kind)
        row = now.rows.get(of)
        if row is None:
            place = ("", call.execution, call.when, self._notebook, call.cell)
            row = now.rows[of] = Spending(*place, call.model, kind=call.kind)
        return row

    def _add(self, row: Spending) -> None:
        add_to(self.of_model, (row.model, row.kind), row)
        add_to(self.unwritten, (row.execution, row.model, row.kind), row)
        place = row.cell or ""
        latest = self.of_cell.get(place)
        if latest is None or latest.execution < row.execution:
            self.of_cell[place] = replace(row)
        elif latest.execution == row.execution:
            latest.add(row)

    def _touch(self, key: str) -> Touch:
        touch = self.touches.get(key)
        if touch is None:
            touch = self.touches[key] = Touch(key, self._notebook, 0, 0.0)
        return touch

    def _cost(self, paid: Paid) -> Cost:
        """What the answer cost; a function's: what the calls inside would cost."""
        today = self._costs_today
        return today.of_usage(paid.whole_usage()) if paid.calls is None else today.of_calls(paid.calls)

    def _plot(self) -> None:
        whole = total(self.of_model.values())
        self.curve.append((time.time(), whole.saved_usd, whole.spent_usd))
        if len(self.curve) > _POINTS:  # every other one, and always the last
            self.curve[:] = self.curve[-1::-2][::-1]
