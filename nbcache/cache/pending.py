"""The calls that are being made: what was noted when they missed, until they are answered."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from langchain_core.outputs import Generation
from pydantic import BaseModel

from nbcache.cache.call import Call, Miss
from nbcache.cache.explain import Missed
from nbcache.concurrency.locks import Lock
from nbcache.concurrency.strands import call_here
from nbcache.costs.ledger import Ledger
from nbcache.entry.models import Usage
from nbcache.entry.waits import Span
from nbcache.keys.key import CallKey, with_sample
from nbcache.keys.model_fields.call_counters import learn_counters, whole_numbers
from nbcache.keys.model_names import model_name
from nbcache.stores.entry_costs import is_value

_K = TypeVar("_K")
KeyOf = Callable[[str, str, Call | None], CallKey]
_LOGGED = 500  # misses that can be explained
_BY_HAND = 1_000  # misses without a call that tells its end


class PendingCalls:
    """Misses that wait for their answers: with their call where that is known, else here."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.log: deque[Missed] = deque(maxlen=_LOGGED)
        self._by_hand: OrderedDict[tuple[str, str], list[Miss]] = OrderedDict()
        self._lock = Lock()

    def missed(  # noqa: PLR0913 - all that is known of it
        self,
        prompt: str,
        asked: CallKey | None,
        call: Call | None,
        why: str,
        *,
        detail: str = "",
        replayed: bool = False,
    ) -> None:
        """Count a call that is going to be made, or with `replayed` would be, and keep what its answer will need.

        `why` is a word or two, `detail` a sentence where these don't tell.
        """
        key = None if asked is None else asked.key
        model = asked.model if asked is not None else called(call)
        owes = not replayed and (call is not None or asked is None or not is_value(asked.identity))
        record = self._ledger.missed(key, model, why, owes=owes)
        strand, began = call_here(now := time.perf_counter(), 0.0)
        miss = Miss(asked, record, now, strand, began)
        self.log.append(Missed(miss.record, asked, prompt, detail, replayed))
        if call is not None:
            if call.model is not None:
                call.numbers = whole_numbers(call.model)
                call.values = dict(call.model.__dict__) if call.numbers else {}
            with self._lock:
                call.misses += 1
                call.pending.setdefault(prompt, []).append(miss)
            return
        with self._lock:
            self._by_hand.setdefault((prompt, key or ""), []).append(miss)
            while len(self._by_hand) > _BY_HAND:  # calls that failed, and so were never answered
                self._by_hand.popitem(last=False)

    def answered(self, prompt: str, llm_string: str, call: Call | None) -> "Answered":
        """The call that is answered now."""
        now = time.perf_counter()
        miss = seconds = None
        if call is not None:
            with self._lock:
                miss = _take(call.pending, prompt, 0)
            if miss is not None:  # a batch of a completion model is one request: each has its share
                seconds = (now - miss.began - call.idle) / (1 if call.is_chat else max(1, call.misses))
        return Answered(prompt, llm_string, call, miss, seconds, time.time())

    def paid(
        self,
        answered: "Answered",
        usage: Usage,
        generations: Sequence[Generation],
        *,
        stored: bool,
        unkept: bool = False,
    ) -> None:
        """Note what the call used. Its answer is `unkept` where its mode keeps answers, and this one wasn't."""
        miss, prompt = answered.miss, answered.prompt
        if answered.call is None:
            with self._lock:  # the last: earlier ones may be of calls that failed
                miss = _take(self._by_hand, (prompt, answered.asked.key if answered.asked else ""), -1)
                miss = miss or _take(self._by_hand, (prompt, ""), -1)
        if miss is not None:
            if stored and answered.asked is not None:
                miss.record.key = answered.asked.key  # another than it missed under, where a counter was in that
            text = "\n".join(each.text for each in generations)
            ended = time.perf_counter()
            span = Span(miss.strand, miss.started, ended, 0.0)  # however long it took, it was waited for
            kept = {"stored": stored, "unkept": unkept}
            self._ledger.paid(miss.record, usage, prompt, text, seconds=answered.seconds, span=span, **kept)


@dataclass(slots=True)
class Answered:
    """A call and its answer's way into the store.

    `seconds` are those that the model took, where known, until `when` (seconds since the epoch).
    """

    prompt: str
    llm_string: str
    call: Call | None
    miss: Miss | None
    seconds: float | None
    when: float
    asked: CallKey | None = None

    def chunks(self) -> list[dict[str, Any]] | None:
        """The chunks in which the answer came, if it was streamed to its end."""
        return self.call.chunks if self.call is not None and self.call.whole else None

    def classes(self) -> list[type[BaseModel]]:
        """The pydantic classes of which the caller expects instances."""
        return [] if self.call is None else self.call.classes()

    def key(self, key_of: KeyOf) -> CallKey:
        """The key that the call began with, less a counter in it. Raises UnstableIdentityError.

        Where something else was set meanwhile, the counter stays in it: the next such call is made once more.
        """
        began_with = None if self.miss is None else self.miss.asked
        model = None if self.call is None else self.call.model
        counts = self.call is not None and model is not None and learn_counters(model, self.call.numbers)
        if began_with is None or (counts and self._is_as_it_was()):
            now = key_of(self.prompt, self.llm_string, self.call)
            self.asked = with_sample(now, 0 if began_with is None else began_with.sample)
        else:
            self.asked = began_with
        return self.asked

    def _is_as_it_was(self) -> bool:
        """Whether nothing but whole numbers that count has been set on the model since the call began."""
        call = self.call
        if call is None or call.model is None:
            return True
        now = call.model.__dict__
        return all(now.get(name) is value for name, value in call.values.items() if name not in call.numbers)


def called(call: Call | None) -> str:
    """The name of the model of a call of which no more is known."""
    if call is None:
        return ""
    if call.model is not None:
        return model_name(call.model)
    return "" if call.identity is None else call.identity.model


def _take(waiting: MutableMapping[_K, list[Miss]], of: _K, which: int) -> Miss | None:
    """The first (0) or the last (-1) miss that waits there for its answer."""
    misses = waiting.get(of)
    if not misses:
        return None
    miss = misses.pop(which)
    if not misses:
        waiting.pop(of, None)
    return miss
