"""What a warm-up has done so far, and what it returns."""

import reprlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from nbcache import public_in
from nbcache.concurrency.locks import Lock
from nbcache.costs.ledger import Ledger
from nbcache.costs.money import Money, amount_text
from nbcache.costs.noted_calls import NotedCalls, money_of
from nbcache.entry.durations_and_sizes import counted, seconds_text
from nbcache.entry.stats import known
from nbcache.errors import one_line

if TYPE_CHECKING:
    from nbcache.entry.records import CallRecord

_ERROR_WIDTH = 200  # characters of an exception's text


@public_in("nbcache")
@dataclass(frozen=True, slots=True, repr=False)
class Warmed:
    """What `nbcache.warm` did, or would do in a dry run.

    Attributes:
        made: inputs for which something was made anew.
        hits: inputs that the cache alone answered.
        failures: the other inputs, each with its exception, in their order.
        usd: what the calls that were made have cost, in US dollars, those of failures, too; in a dry run what they would cost.
            None if it is known of none.
        seconds: how long all took.
        calls: how many calls were made.
        unpriced: of these calls, how many have no known price, so that `usd` is without them.
        estimated: of these calls, for how many the tokens were estimated.
        dry_run: whether this is what would be done.
        basis: in a dry run, what `usd` is worked out from.
    """

    made: int = 0
    hits: int = 0
    failures: Sequence[tuple[Any, Any]] = ()
    usd: Decimal | None = Decimal(0)
    seconds: float = 0.0
    calls: int = 0
    unpriced: int = 0
    estimated: int = 0
    dry_run: bool = False
    basis: str = ""

    def __repr__(self) -> str:
        if self.dry_run:
            return f"Warmed, dry run: {self.counts_text()}{f' ({self.basis})' if self.basis else ''}{self._first_failure()}"
        seconds = f", in {seconds_text(self.seconds)}" if self.made else ""
        return f"Warmed: {self.counts_text()}{seconds}{self._first_failure()}"

    def _first_failure(self) -> str:
        """An input that failed, and why, for who looks no further."""
        if not self.failures:
            return ""
        value, error = self.failures[0]
        return f"; the first is {one_line(reprlib.repr(value))}, {one_line(f'{type(error).__name__}: {error}'):.{_ERROR_WIDTH}}"

    def counts_text(self) -> str:
        """How many inputs were made, for how much, and how many were hits and failures."""
        money = amount_text(Money(self.usd or Decimal(0), self.calls, self.unpriced, self.estimated))
        cost = "" if not self.calls else " (cost unknown)" if self.usd is None else f" for {money}"
        parts = [f"{self.made:,} {'to make' if self.dry_run else 'made'}{cost}", counted(self.hits, "hit")]
        if self.failures:
            parts.append(counted(len(self.failures), "failure"))
        return ", ".join(parts)


class Tally:
    """The inputs that are done. Safe to use from any thread."""

    def __init__(self, ledger: Ledger, total: int | None) -> None:
        self.total = total
        self.made = self.hits = 0
        self.stopped_by: BaseException | None = None
        self._ledger = ledger
        self._unseen = 0  # inputs whose call made no call that the cache knows of
        self._failures: list[tuple[int, Any, Exception]] = []
        self._misses: list[CallRecord] = []
        self._lock = Lock()

    @contextmanager
    def counted(self, number: int, value: Any) -> Iterator[None]:
        """The block is the call for this input, in a context of its own. An exception that it raises is one of the failures."""
        noted = NotedCalls()
        noted.begin()
        failure = None
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the user gets it
            failure = error
        finally:
            with self._lock:
                self._misses += noted.misses
        with self._lock:
            if failure is not None:
                self._failures.append((number, value, failure))
            elif noted.hits and not noted.misses:
                self.hits += 1
            else:
                self.made += 1
                self._unseen += not noted.misses

    @property
    def done(self) -> int:
        """How many inputs are done."""
        return self.made + self.hits + len(self._failures)

    @property
    def is_unseen(self) -> bool:
        """Whether inputs were made, and the cache saw no call of any of them."""
        return bool(self.made) and self._unseen == self.made and not self.hits

    def result(self, seconds: float) -> Warmed:
        """What was done, in so many seconds."""
        with self._lock:
            misses, failures = self._misses.copy(), sorted(self._failures, key=lambda failure: failure[0])
        money = money_of(misses, self._ledger)
        return Warmed(
            made=self.made,
            hits=self.hits,
            failures=tuple((value, error) for _, value, error in failures),
            usd=known(money.usd, money.calls, money.unpriced),
            seconds=seconds,
            calls=money.calls,
            unpriced=money.unpriced,
            estimated=money.estimated,
        )
