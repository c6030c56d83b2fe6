"""What a session notes of its calls: each hit and each paid answer; and who is called after them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from nbcache.concurrency.strands import Strand

if TYPE_CHECKING:
    from nbcache.costs.callbacks import Callbacks
    from nbcache.costs.time_saved import Span
    from nbcache.entry.records import CallRecord, InnerCall, Usage


NEW = "new"  # why a call missed that was never seen
NOT_KEPT = "not kept"  # why a call missed that was made before, and whose answer was not kept
CHEAP = "cheap"  # the same by the settings `min_seconds` and `min_usd`
NOT_CACHED = "not cached: "  # why a request to a model's API missed that no cache can answer; then what it was for


@dataclass(frozen=True, slots=True)
class Where:
    """An execution of a cell."""

    execution: int
    cell: str | None


class Hit(NamedTuple):
    """A hit: when and where, and the payload, from which it is known what the hit saved.

    Its lookup took `seconds`; its call `began` and `ended` (`time.perf_counter`) in a strand of the cell.
    """

    where: Where
    key: str
    payload: bytes
    when: float
    seconds: float
    strand: Strand
    began: float
    ended: float
    tier: str | None = None  # of the store, if it has several


class Paid(NamedTuple):
    """An answer that a call got from its model, with the texts to estimate its tokens from, and its `span` if known."""

    record: "CallRecord"
    usage: "Usage"
    prompt: str
    answer: str
    seconds: float | None
    stored: bool
    span: "Span | None"
    unkept: str = ""  # why it was not stored, though its mode keeps answers
    calls: "Sequence[InnerCall] | None" = None  # of a function: those inside, which are accounted for by themselves

    def whole_usage(self) -> "Usage":
        """The usage. Tokens that were not reported are estimated from the texts."""
        if self.usage.complete:
            return self.usage
        from nbcache.entry.text import prompt_text  # noqa: PLC0415 - most providers report their tokens
        from nbcache.entry.usage.usage_of_call import estimated  # noqa: PLC0415

        return estimated(self.usage, prompt_text(self.prompt), self.answer)


class Unread(NamedTuple):
    """The answer to the call of `record` whose usage is read later: that takes longer than all else that is noted of a call."""

    record: "CallRecord"
    read: Callable[[], Paid]


class Watcher(Protocol):
    """One who sees each note when it is made."""

    def __call__(self, note: Any, *, is_of_worker: bool = False) -> None:
        """See a note, in the thread and the context of its call, unless it `is_of_worker`: of a worker process."""


watchers: list[Watcher] = []  # of all ledgers of the process, while a function runs


class Kept(NamedTuple):
    """An answer that was stored without a call of which anything is noted. Only for callbacks."""

    key: str
    model: str
    tags: tuple[str, ...]


class Gone(NamedTuple):
    """An entry that is gone, and why. Only for callbacks."""

    key: str
    model: str
    tags: tuple[str, ...]
    seconds: float | None
    usd: Decimal | None
    why: str


class observation:  # noqa: N801 - a place for one value
    """The callbacks of this process, while there are any. What they are is loaded with the first one."""

    by: "Callbacks | None" = None


def finish_callbacks(*, everything: bool = False) -> None:
    """Call the callbacks for what has happened by now; with `everything`, for calls that still run, too."""
    if observation.by is not None:
        observation.by.finish(everything=everything)


def end_callbacks() -> None:
    """Call no callback any more."""
    if observation.by is not None:
        observation.by.clear()
