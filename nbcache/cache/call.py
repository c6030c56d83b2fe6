"""The call that is running: what is known of it beyond the arguments of `BaseCache.lookup`."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic import BaseModel

from nbcache.cache.memory import CachedAnswer
from nbcache.cache.modes import Settings
from nbcache.cache.samples import Sample
from nbcache.concurrency.context_blocks import is_over
from nbcache.concurrency.single_flight import Lease, Waiter
from nbcache.concurrency.strands import Strand
from nbcache.entry.filter import CALL, FUNCTIONS
from nbcache.keys.key import CallKey
from nbcache.keys.request import Request

if TYPE_CHECKING:
    from nbcache.costs.inner_calls import FunctionRun
    from nbcache.entry.records import CallRecord


@dataclass(slots=True)
class PendingMiss:
    """A prompt without a stored answer: its key, if it has one, its line in the ledger, and when the call began.

    `began` is when its lookup had missed, `started` when its `strand` started the call (`time.perf_counter`).
    """

    call_key: CallKey | None
    record: "CallRecord"
    began: float
    strand: Strand
    started: float


@dataclass(slots=True, eq=False)
class Call(Request):
    """A call of a model, from its lookup to its end.

    Attributes:
        kind: what it is a call of, one of `entry.kind.KINDS`; `function` is the qualified name of a function or a tool.
        mode: the mode that the call itself asks for.
        bypass: why it goes past the cache, if that is known before it is looked up: a few words, and a sentence. Its mode is `off`.
        attempt: its number among the attempts of its client, from 0. None if the client doesn't tell.
        outer: the call within which this one is made.
        labels: its tags; `parent` is the run that it is a part of.
        pending: the prompts that missed. Each answer is stored under the key that the call began with, whatever
            happens to the model meanwhile. `misses` is how many there were.
        numbers: the model's whole-number fields when the call began, to tell counters from settings. If there are
            any, `values` are all its fields.
        leases: what it holds until its answer has come, or until it ends without one. So are `samples`.
        shares: whether it may wait for an identical call, and be waited for: it is of one prompt.
        is_stream: whether it asks for chunks.
        streams: of a call that doesn't ask for chunks, says whether somebody listens to them. Then a hit is put into
            `replay`, for its chunks to be played.
        chunks: those that came from the model, packed; `whole` once the last of them has come.
        ended: whether the streams of a provider's client came to their end; None where there were none. `marked` is
            whether the mark of an end has come since the last of them began.
        idle: the seconds for which its stream waited for the reader.
        settings: those that held when the answer was looked up.
        timeout: the seconds that it would wait for an answer of its own, if that is known.
        owed: the arguments for a rate limiter, while it isn't certain that a request is sent. `sends` is set once it is.
        frame: the frame that makes the call. By `token` the call before it becomes the current one again.
        run: of a function that runs, the notes of the calls inside (see `function_runs.py`).
        own: the settings that its function was given: they come before those of the mode. A `ttl` of infinity means for good.
        read: makes the value of the answer that was found, and keeps it. Where it raises NotStorableError, the call is a miss.
        origin: of an SDK's call, whether it is a hit, the key of its entry, and when that was recorded. None while there is none.
        answered: when the one request of several prompts was answered (`time.perf_counter`). None while it isn't.
        is_cheap: of a request for several vectors, whether none of them is kept (see `cheap_answers.py`). None while not known.
    """

    kind: str = CALL
    function: str | None = None
    mode: str | None = None
    own: Settings | None = None
    read: Callable[[CachedAnswer], None] | None = None
    bypass: tuple[str, str] | None = None
    attempt: int | None = 0
    outer: "Call | None" = None
    labels: Sequence[str] = ()
    parent: UUID | None = None
    pending: dict[str, list[PendingMiss]] = field(default_factory=dict)
    misses: int = 0
    numbers: dict[str, int] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    leases: dict[str, Lease | Waiter] = field(default_factory=dict)
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    shares: bool = False
    is_stream: bool = False
    streams: Callable[[], bool] | None = None
    replay: CachedAnswer | None = None
    chunks: list[Any] | None = None
    whole: bool = False
    ended: bool | None = None
    marked: bool = False
    idle: float = 0.0
    settings: Settings | None = None
    timeout: float | None = None
    owed: tuple[tuple[Any, ...], Mapping[str, Any]] | None = None
    sends: bool = False
    frame: FrameType | None = None
    token: "Token[Call | None] | None" = None
    origin: tuple[bool, str, float] | None = None
    answered: float | None = None
    is_cheap: bool | None = None
    run: "FunctionRun | None" = None

    def classes(self) -> "list[type[BaseModel]]":
        """The pydantic classes among the options: those of which the caller expects instances."""
        return [value for value in self.options.values() if isinstance(value, type) and issubclass(value, BaseModel)]

    def keys_held(self) -> frozenset[str] | None:
        """The keys of the leases that it holds, and that the calls around it hold.

        Returns None if one of them is a model's. Within a model's call none waits for another; within a function's it may.
        """
        own = frozenset(key for key, turn in self.leases.items() if turn.leads)
        if own and self.function is None:
            return None
        outer = frozenset[str]() if self.outer is None else self.outer.keys_held()
        return None if outer is None else own | outer

    def is_awaited(self) -> bool:
        """Whether other calls wait for the answer to this one."""
        return any(isinstance(turn, Lease) and turn.waiters for turn in self.leases.values())

    def end(self) -> None:
        """The call is over. Leases and samples for which it got no answer are given back, to the next call."""
        if self.pending:
            for misses in self.pending.values():
                for miss in misses:
                    miss.record.given_up = 0.0
        while self.leases:
            self.leases.popitem()[1].release()
        while self.samples:
            for sample in self.samples.popitem()[1]:
                sample.give_back()
        if self.run is not None:
            from nbcache.cache.function_runs import end  # noqa: PLC0415 - few calls are those of functions

            end(self)

    def settle(self, key: str) -> Lease | None:
        """The call `key` has its answer, and its sample is used up. Returns the lease that it held, if any."""
        if samples := self.samples.get(key):
            samples.pop(0)
        turn = self.leases.pop(key, None)
        return turn if turn is None or turn.leads else None  # type: ignore[return-value]  # what leads is a lease


current_call: ContextVar[Call | None] = ContextVar("nbcache_call", default=None)


def call_around() -> Call | None:
    """The call within which this one is made, if any."""
    while (call := current_call.get()) is not None and is_over(current_call, call.token, call.frame):
        call.end()
    return call


def current_model_call() -> Call | None:
    """The call of a model that is made here, if any. Inside of a function none is, until one begins."""
    call = current_call.get()
    return None if call is None or call.kind in FUNCTIONS else call


class running:  # noqa: N801 - used as a function: within `with running(call)` …
    """Within this block `call` is the current one; when it is left, the call is over, unless it `goes_on` with a stream."""

    __slots__ = ("_call", "goes_on")

    def __init__(self, call: Call) -> None:
        self._call = call
        self.goes_on = False

    def __enter__(self) -> Call:
        call, before = self._call, current_call.get()
        call.frame = sys._getframe(1)  # noqa: SLF001 - the frame that makes the call
        try:
            call.token = current_call.set(call)
        except BaseException:
            current_call.set(before)
            raise
        return call

    def __exit__(self, *_: object) -> None:
        call = self._call
        try:
            if call.token is not None:
                current_call.reset(call.token)
        except ValueError:  # a coroutine that nobody finished: it is closed in another context
            pass
        finally:
            if not self.goes_on:
                call.end()
            call.frame = call.token = None
