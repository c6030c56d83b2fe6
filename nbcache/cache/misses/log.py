"""The misses of a session: those that still wait for their answers, and the last ones to explain."""

import time
from collections import OrderedDict, deque
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from langchain_core.outputs import Generation
from pydantic import BaseModel

from nbcache.cache.call import Call, PendingMiss, current_call
from nbcache.concurrency.locks import Lock
from nbcache.concurrency.strands import call_here
from nbcache.costs.ledger import Ledger
from nbcache.entry.filter import CALL, FUNCTIONS
from nbcache.errors import UnknownKeyError, logger
from nbcache.keys.key import CallKey, call_key, with_sample
from nbcache.keys.model_fields.call_counters import learn_counters, whole_numbers
from nbcache.keys.model_names import model_name
from nbcache.keys.prompt import Normalize
from nbcache.stores.entry_costs import is_value

if TYPE_CHECKING:
    from nbcache.entry.records import CallRecord, InnerCall, Usage

NEWER = "newer"  # why a call missed whose entry was written by a newer release
_K = TypeVar("_K")
_Attempted = (
    str | tuple[str, bytes, str]
)  # what is attempted: a key or, without one, a prompt, an identity and an endpoint
_EXPLAINABLE = 500  # misses that are remembered to be explained
_FAILED = 100  # attempts that failed, and that others may follow
_NEXT_ATTEMPT = 10.0  # seconds within which a client surely tries again
_WITHOUT_CALL = 1_000  # misses of which no call says when they end
_numbers = count(1)


@dataclass(slots=True)
class LoggedMiss:
    """A call that missed: its line in the ledger, its key if it has one, and what went wrong if anything did."""

    record: "CallRecord"
    call_key: CallKey | None
    prompt: str
    detail: str = ""
    replayed: bool = False  # in mode `replay`
    number: int = field(default_factory=_numbers.__next__)  # unique, for those without a key


class MissLog:
    """Counts misses, and keeps each until its answer comes: in its call if that is known, else here.

    `entries` are the last misses, the newest last.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.entries: deque[LoggedMiss] = deque(maxlen=_EXPLAINABLE)
        self._failed: OrderedDict[_Attempted, PendingMiss] = OrderedDict()
        self._without_call: OrderedDict[tuple[str, str], list[PendingMiss]] = OrderedDict()
        self._lock = Lock()

    def add(  # noqa: PLR0913 - all that is known of it
        self,
        prompt: str,
        call_key: CallKey | None,
        call: Call | None,
        reason: str,
        *,
        detail: str = "",
        replayed: bool = False,
        is_free: bool = False,
    ) -> None:
        """Count a call that is going to be made or, with `replayed`, would have been made.

        `reason` is a word or two, `detail` a sentence if these are not enough. A call that `is_free` has no price.
        """
        if call is not None and call.attempt != 0 and not replayed and self._goes_on(prompt, call_key, call):
            return
        key = None if call_key is None else call_key.key
        model = called_model(call) if call_key is None else call_key.model
        is_function = call is not None and call.kind in FUNCTIONS
        owes = not (replayed or is_free or is_function) and (
            call is not None or call_key is None or not is_value(call_key.identity)
        )
        facts: dict[str, Any] = {"kind": CALL if call is None else call.kind, "replayed": replayed}
        record = self._ledger.missed(key, model, reason, owes=owes, **facts)
        record.tags = () if call is None or call.settings is None else call.settings.tags
        if replayed or (call is None and not owes):
            record.given_up = 0.0  # no answer will come
        strand, began = call_here(now := time.perf_counter(), 0.0)
        miss = PendingMiss(call_key, record, now, strand, began)
        self.entries.append(LoggedMiss(record, call_key, prompt, detail, replayed))
        if call is not None:
            if call.model is not None:
                call.numbers = whole_numbers(call.model)
                call.values = dict(call.model.__dict__) if call.numbers else {}
            with self._lock:
                call.misses += 1
                call.pending.setdefault(prompt, []).append(miss)
            if call.kind in FUNCTIONS and not replayed and current_call.get() is call:
                from nbcache.cache.function_runs import begin  # noqa: PLC0415 - as above

                begin(call)
            return
        with self._lock:
            self._without_call.setdefault((prompt, key or ""), []).append(miss)
            while len(self._without_call) > _WITHOUT_CALL:  # calls that failed never get an answer
                self._without_call.popitem(last=False)

    def failed(self, call: Call) -> None:
        """An attempt of `call` has failed. If another one follows, both are one call, and one miss."""
        with self._lock:
            for prompt, misses in call.pending.items():
                for miss in misses:
                    if not miss.record.owes:  # it was not made, in `replay`
                        continue
                    miss.record.given_up = time.monotonic() + _NEXT_ATTEMPT
                    self._failed[_attempted(prompt, miss.call_key, call)] = miss
            call.pending.clear()
            while len(self._failed) > _FAILED:
                self._failed.popitem(last=False)

    def _goes_on(self, prompt: str, call_key: CallKey | None, call: Call) -> bool:
        """Whether `call` is another attempt of one that failed. Then it goes on with the miss of that one.

        If its client doesn't number its attempts, it is one if nothing else can have made it than what made that one.
        """
        if not self._failed:
            return False
        of = _attempted(prompt, call_key, call)
        strand, _ = call_here(time.perf_counter(), 0.0)
        with self._lock:
            miss = self._failed.get(of)
            if miss is None:
                return False
            if not call.attempt and (miss.strand, miss.record.execution) != (strand, self._ledger.execution()):
                return False
            del self._failed[of]
            miss.record.given_up = None
            call.misses += 1
            call.pending.setdefault(prompt, []).append(miss)
        return True

    def last(self, key: str | None = None) -> LoggedMiss:
        """The last miss, or the last of those whose key begins with `key`. Raises UnknownKeyError."""
        for missed in reversed(self.entries.copy()):  # other threads may add to them
            if key is None or (missed.record.key or "").startswith(key):
                return missed
        which = "no call" if key is None else f"no call whose key begins with {key!r}"
        raise UnknownKeyError(f"{which} has missed in this session")

    def answered(self, prompt: str, llm_string: str, call: Call | None) -> "PendingAnswer":
        """The answer that has come now, on its way into the store."""
        now = time.perf_counter()
        miss = seconds = elapsed = None
        if call is not None:
            with self._lock:
                miss = _take(call.pending, prompt, 0)
            if not call.is_chat:  # a batch of a completion model, or of texts to embed, is one request
                now = call.answered = call.answered or now
            if miss is not None:
                elapsed = now - miss.began - call.idle
                seconds = elapsed / (1 if call.is_chat else max(1, call.misses))  # its time is shared among the prompts
        pending = PendingAnswer(prompt, llm_string, call, miss, seconds, elapsed, time.time())
        if call is not None and call.kind in FUNCTIONS:
            pending.end_run()
        return pending

    def without_call(self, prompt: str, key: str) -> PendingMiss | None:
        """The last miss that waits for the answer to this prompt under this key, of those without a call."""
        misses = self._without_call.get((prompt, key))
        return misses[-1] if misses else None

    def paid(  # noqa: PLR0913 - as above
        self,
        pending: "PendingAnswer",
        usage: "Usage",
        generations: Sequence[Generation],
        *,
        stored: bool,
        unkept: str = "",
        tags: tuple[str, ...] = (),
    ) -> None:
        """Count what the call used. `unkept` says why it was not stored, though its mode keeps answers.

        `tags` are those of its entry.
        """
        miss, prompt, call_key = pending.miss, pending.prompt, pending.call_key
        if pending.call is None:
            with self._lock:  # the last: earlier ones may be of calls that failed
                miss = _take(self._without_call, (prompt, call_key.key if call_key else ""), -1)
                miss = miss or _take(self._without_call, (prompt, ""), -1)
        if miss is None:
            if stored and call_key is not None:
                self._ledger.kept(call_key.key, call_key.model, tags)
        else:
            miss.record.tags = tags or miss.record.tags
            if stored and call_key is not None:
                miss.record.key = call_key.key  # differs from the key that missed if that held a counter
            if not prompt and not usage.complete and call_key is not None:
                from nbcache.codec.entry_description import prompt_to_show  # noqa: PLC0415 - few requests lack a prompt

                prompt = prompt_to_show(call_key, generations)
            text = "\n".join(each.text for each in generations)
            ended = time.perf_counter()
            from nbcache.costs.time_saved import Span  # noqa: PLC0415 - a hit needs none

            # The caller waited all that time. Inside of a function, each call says it for itself.
            span = Span(miss.strand, miss.started, ended, 0.0) if pending.calls is None else None
            timing: dict[str, Any] = {"seconds": pending.seconds, "span": span}
            self._ledger.paid(
                *(miss.record, usage, prompt, text), stored=stored, unkept=unkept, calls=pending.calls, **timing
            )


@dataclass(slots=True)
class PendingAnswer:
    """An answer on its way into the store.

    It came at `when` (seconds since the epoch). `seconds` are those that the model took until then, where known; `elapsed` are
    those of the whole request, of which this answer may be a part. A function's answer has the `calls` that were made inside.
    """

    prompt: str
    llm_string: str
    call: Call | None
    miss: PendingMiss | None
    seconds: float | None
    elapsed: float | None
    when: float
    call_key: CallKey | None = None
    calls: "Sequence[InnerCall] | None" = None

    def end_run(self) -> None:
        """The answer is a function's, which has ended: read what was called inside. Its hits would have taken longer."""
        from nbcache.cache.function_runs import end  # noqa: PLC0415 - few calls are those of functions
        from nbcache.costs.inner_calls import UNSEEN, FunctionRun, InnerCalls  # noqa: PLC0415

        run = (None if self.call is None else end(self.call)) or FunctionRun()
        try:
            inner = InnerCalls(run)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a call inside, the function's value is stored
            logger.debug("nbcache: what was called inside of a function could not be read: %r", error)
            self.calls = (UNSEEN,)
        else:
            self.calls = inner.calls
            if self.seconds is not None:
                self.seconds = self.elapsed = self.seconds + inner.delay

    def chunks(self) -> list[Any] | None:
        """The chunks in which the answer came, packed, if it was streamed to its end."""
        return self.call.chunks if self.call is not None and self.call.whole else None

    def classes(self) -> list[type[BaseModel]]:
        """The pydantic classes of which the caller expects instances."""
        return [] if self.call is None else self.call.classes()

    def key(self, normalize: Normalize | None) -> CallKey:
        """The key that the call began with, but without call counters. Raises UnstableIdentityError.

        If another setting was changed during the call, the counter stays in the key, and the next such call misses once
        more.
        """
        began_with = None if self.miss is None else self.miss.call_key
        model = None if self.call is None else self.call.model
        counts = self.call is not None and model is not None and learn_counters(model, self.call.numbers)
        if began_with is None or (counts and self._is_unchanged()):
            now = call_key(self.prompt, self.llm_string, self.call, normalize)
            self.call_key = with_sample(now, 0 if began_with is None else began_with.sample)
        else:
            self.call_key = began_with
        return self.call_key

    def _is_unchanged(self) -> bool:
        """Whether nothing but fields of whole numbers has changed on the model since the call began."""
        call = self.call
        if call is None or call.model is None:
            return True
        now = call.model.__dict__
        return all(now.get(name) is value for name, value in call.values.items() if name not in call.numbers)


def called_model(call: Call | None) -> str:
    """The name of the model or the function that `call` goes to. An empty text if that isn't known."""
    if call is None:
        return ""
    if call.function is not None:
        return call.function
    if call.model is not None:
        return model_name(call.model)
    return "" if call.identity is None else call.identity.model


def _attempted(prompt: str, call_key: CallKey | None, call: Call) -> _Attempted:
    if call_key is not None:
        return call_key.key
    return (prompt, b"", "") if call.identity is None else (prompt, call.identity.document, call.identity.endpoint)


def _take(waiting: MutableMapping[_K, list[PendingMiss]], key: _K, which: int) -> PendingMiss | None:
    """Take the first (0) or the last (-1) miss of `key` that waits for its answer."""
    misses = waiting.get(key)
    if not misses:
        return None
    miss = misses.pop(which)
    if not misses:
        waiting.pop(key, None)
    return miss
