"""The calls that are made inside of a function: what a run of it notes, and what its entry keeps of them."""

import threading
from collections.abc import Iterator, Sequence

from nbcache.concurrency.strands import pool_here
from nbcache.costs.events import Hit, Paid, Unread
from nbcache.costs.time_saved import Span, Waits
from nbcache.entry.records import CallRecord, InnerCall
from nbcache.errors import logger
from nbcache.stores.entry_costs import EntryCosts

UNSEEN = InnerCall(None, "")


class FunctionRun:
    """A run of a function, and the notes of the calls inside, in the order in which they began.

    A run of another function inside is in its place among them. `answers` are the answers by the ids of the notes of their
    misses. `has_unseen` says that there may have been calls where nobody sees whose they are. It runs in a `thread` of a `pool`.
    """

    def __init__(self) -> None:
        self.notes: list[Hit | CallRecord | FunctionRun] = []
        self.answers: dict[int, Paid | Unread] = {}
        self.has_unseen = False
        self.thread, self.pool = threading.get_ident(), pool_here()

    def records(self) -> Iterator[CallRecord]:
        """The misses inside, also those of functions inside."""
        for note in self.notes.copy():
            if isinstance(note, FunctionRun):
                yield from note.records()
            elif isinstance(note, CallRecord):
                yield note


class InnerCalls:
    """What an entry keeps of the calls inside: the `calls`, and by how many seconds its run was shorter for hits among them."""

    def __init__(self, run: FunctionRun) -> None:
        self._costs = EntryCosts()
        self._spans: list[Span] = []
        self.calls: Sequence[InnerCall] = tuple(self._calls(run))
        self.delay = Waits().add(self._spans)

    def _calls(self, run: FunctionRun) -> Iterator[InnerCall]:
        for note, paid in _answered(run):
            if isinstance(note, FunctionRun):
                yield from self._calls(note)
            elif isinstance(note, Hit):
                yield from self._of_hit(note)
            elif paid is not None:
                if paid.span is not None:
                    self._spans.append(paid.span)
                yield InnerCall(paid.record.key, paid.record.model, paid.whole_usage(), paid.seconds)
            elif note.owes:
                yield InnerCall(note.key, note.model)
        if run.has_unseen:
            yield UNSEEN

    def _of_hit(self, hit: Hit) -> Iterator[InnerCall]:
        entry = self._costs.of(hit.key, hit.payload)
        if entry.seconds is not None:
            self._spans.append(Span(hit.strand, hit.began, hit.ended, entry.seconds, entry.recorded))
        if entry.calls is None:
            yield InnerCall(hit.key, entry.model, entry.usage, entry.seconds)
        else:
            yield from entry.calls


def _answered(run: FunctionRun) -> list[tuple[Hit | CallRecord | FunctionRun, Paid | None]]:
    """The notes of a run with their answers, without attempts that failed and that were followed by one that was answered."""
    notes, answered = [], set[str | None]()
    for note in reversed(run.notes.copy()):
        paid = _read(run.answers.get(id(note)))
        if isinstance(note, Hit):
            answered.add(note.key)
        elif paid is not None:
            answered.add(paid.record.key)
        elif isinstance(note, CallRecord) and note.key is not None and note.key in answered:
            continue
        notes.append((note, paid))
    return notes[::-1]


def _read(answer: Paid | Unread | None) -> Paid | None:
    if not isinstance(answer, Unread):
        return answer
    try:
        return answer.read()
    except Exception as error:  # noqa: BLE001 - whatever a model answers: it counts as one without a price
        logger.debug("nbcache: the usage of a call could not be read: %r", error)
        return None
