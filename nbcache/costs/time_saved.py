"""How much longer somebody would have waited for a cell, had its hits been made by the models.

For example, two hits whose answers took the model 2 and 3 seconds: one after the other they save 5 seconds, side by side 3.

So for each call it matters which calls it follows. These are the calls that had ended before it began and on which it may
depend: the calls of its own strand, of the strands that its strand was started from, and of those that its strand has
started. Among strands that run side by side, a call follows those that had ended before it when both were recorded: hits
take so little time that parallel ones hardly ever overlap.

A hit would have begun when all that it follows would have ended, plus the time that the cell itself took in between. It would
have taken as long as the model took when it was recorded. What is saved is the difference between the end of the last call
as it would have been, and as it was. It is never more than the sum of what the hits saved one by one.
"""

import heapq
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nbcache.concurrency.strands import Strand

_MOST = 5_000  # calls that are looked at together
_SLACK = 0.05  # seconds by which a call may seem to have begun before the one that it followed had ended
_NEVER = float("-inf")
_Of = tuple[str, str]  # a model and a kind of calls


class Span(NamedTuple):
    """A call: when it began and ended (`time.perf_counter`), and the seconds that it would have taken.

    `recorded` is when its answer was recorded (seconds since the epoch), and None for a call that was made now.
    """

    strand: Strand
    began: float
    ended: float
    seconds: float
    recorded: float | None = None


class Ends(NamedTuple):
    """When the last of some calls ended, and when it would have ended without the cache."""

    real: float = _NEVER
    would: float = _NEVER

    def later(self, other: "Ends") -> "Ends":
        """The later of both ends, each for itself."""
        return Ends(max(self.real, other.real), max(self.would, other.would))

    @property
    def delay(self) -> float:
        """Seconds by which the calls would have ended later than they did."""
        return 0.0 if self.real == _NEVER else max(0.0, self.would - self.real)


class Waits:
    """The calls of one execution of a cell."""

    def __init__(self) -> None:
        self._before = self._beside = Ends()
        self._spans: list[Span] = []

    def add(self, spans: Iterable[Span]) -> float:
        """Add calls, in any order. Returns the seconds that are saved by now."""
        self._spans = sorted([*self._spans, *spans], key=lambda span: span.began)
        ends = _ends(self._spans, self._before)
        saved = ends.later(self._beside).delay
        last = self._spans[-1] if self._spans else None
        if last is None or (last.strand.parent is None and all(each.ended <= last.began for each in self._spans[:-1])):
            self._before, self._spans = ends, []  # all later calls follow these
        elif len(self._spans) > _MOST:
            self._beside, self._spans = ends.later(self._beside), []
        return saved


class Timing:
    """The seconds saved in one execution of a cell, shared among its models and kinds of calls in proportion to their hits' own seconds."""

    def __init__(self) -> None:
        self._waits = Waits()
        self._seconds: dict[_Of, float] = {}
        self._shares: dict[_Of, float] = {}

    def add(self, of: _Of, seconds: float) -> None:
        """Add a hit of a model and a kind, which by itself saved so many seconds."""
        self._seconds[of] = self._seconds.get(of, 0.0) + seconds

    def shares(self, spans: Iterable[Span]) -> dict[_Of, float]:
        """Add calls. Returns by how many seconds the share of each has grown since, or shrunk (below zero)."""
        saved, whole = self._waits.add(spans), sum(self._seconds.values())
        shares = {of: saved * seconds / whole if whole else 0.0 for of, seconds in self._seconds.items()}
        grown = {of: share - self._shares.get(of, 0.0) for of, share in shares.items()}
        self._shares = shares
        return {of: seconds for of, seconds in grown.items() if seconds}


def _ends(spans: Sequence[Span], before: Ends) -> Ends:
    """When these calls would have ended. They come in the order in which they began, and all follow the calls `before`."""
    tree = _Tree(spans)
    running: list[tuple[float, int, Ends]] = []
    last = before
    for number, span in enumerate(spans):
        while running and running[0][0] <= span.began:
            _, ended, ends = heapq.heappop(running)
            tree.end(spans[ended], ends)
        follows = tree.followed(span)
        if before.real <= span.began:
            follows = follows.later(before)
        would = span.began + follows.delay + max(span.seconds, span.ended - span.began)
        ends = Ends(span.ended, would)
        heapq.heappush(running, (span.ended, number, ends))
        last = last.later(ends)
    return last


class _Tree:
    """Which strand started which, and the ends of their calls so far."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._own: dict[Strand, Ends] = {}
        self._under: dict[Strand, Ends] = {}
        self._children: dict[Strand, _Children] = {}
        for span in spans:
            for child, parent in _line(span.strand):
                self._children.setdefault(parent, _Children()).expect(child, span)

    def followed(self, span: Span) -> Ends:
        """The ends of the calls that `span` follows."""
        ends = self._under.get(span.strand, Ends())
        for child, parent in _line(span.strand):
            ends = ends.later(self._own.get(parent, Ends())).later(self._children[parent].followed(child, span))
        return ends

    def end(self, span: Span, ends: Ends) -> None:
        """A call has ended."""
        strand = span.strand
        self._own[strand] = ends.later(self._own.get(strand, Ends()))
        self._under[strand] = ends.later(self._under.get(strand, Ends()))
        for _, parent in _line(strand):
            self._under[parent] = ends.later(self._under.get(parent, Ends()))
            self._children[parent].end(span, ends)


def _line(strand: Strand) -> list[tuple[Strand, Strand]]:
    """Pairs of a strand and its parent: `strand` with its parent, that one with its own, and so on up to the cell's."""
    line: list[tuple[Strand, Strand]] = []
    while (parent := strand.parent) is not None:
        line.append((strand, parent))
        strand = parent
    return line


class _Children:
    """The strands that were started from one strand, and when their calls were recorded.

    In an event loop, all tasks that are started together begin before the first of them ends. A thread may have ended before
    the next one is started. Threads started one after another count as parallel, unless the recorded times show that only
    some of them overlapped.
    """

    def __init__(self) -> None:
        self._expected: list[tuple[float, float, Strand]] = []
        self._ended: list[tuple[float, Ends]] | None = None
        self._met = False

    def expect(self, child: Strand, span: Span) -> None:
        """Note when a call was recorded. All are noted before the first of them ends."""
        if span.recorded is not None:
            self._expected.append((span.recorded - span.seconds, span.recorded, child))

    def end(self, span: Span, ends: Ends) -> None:
        """A call has ended. If it was made now, and is no hit, whatever begins later follows it."""
        ended = self._begun()
        recorded = _NEVER if span.recorded is None else span.recorded
        # Each item has the ends of all calls that were recorded before it, too: update those after the new one.
        at = bisect_right(ended, recorded, key=lambda each: each[0])
        ended.insert(at, (recorded, ends if at == 0 else ends.later(ended[at - 1][1])))
        for later in range(at + 1, len(ended)):
            when, earlier = ended[later]
            more = earlier.later(ends)
            if more == earlier:
                break
            ended[later] = (when, more)

    def followed(self, child: Strand, span: Span) -> Ends:
        """The ends of the calls that had ended before this call of `child` began, at the time of the recording."""
        ended = self._begun()
        if span.recorded is None or not (self._met or child.is_task):
            at = bisect_right(ended, _NEVER, key=lambda each: each[0])
        else:
            at = bisect_right(ended, span.recorded - span.seconds + _SLACK, key=lambda each: each[0])
        return ended[at - 1][1] if at else Ends()

    def _begun(self) -> list[tuple[float, Ends]]:
        if self._ended is None:
            self._ended = []
            latest, whose = _NEVER, None
            for began, ended, child in sorted(self._expected, key=lambda each: each[:2]):
                self._met = self._met or (began + _SLACK < latest and child is not whose)
                if ended > latest:
                    latest, whose = ended, child
        return self._ended
