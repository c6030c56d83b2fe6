"""What an entry cost, read from its payload: tokens and seconds."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbcache import codec
from nbcache.concurrency.locks import Lock
from nbcache.entry.filter import CALL
from nbcache.keys.request import document

if TYPE_CHECKING:
    from nbcache.codec.header import EntryHeader
    from nbcache.entry.records import InnerCall, Usage

_REMEMBERED = 4_096  # entries whose cost is kept in memory


def _no_usage() -> "Usage":
    from nbcache.entry.records import Usage  # noqa: PLC0415 - `%load_ext` needs none of the records

    return Usage()


@dataclass(frozen=True, slots=True)
class EntryCost:
    """The model's name as entries are listed by it, what the call used, and the seconds that it took, if known.

    `recorded` is when it was answered, in seconds since the epoch. A function's entry used nothing itself: its `calls` are
    those that were made inside. `tags` are those that the entry was stored with.
    """

    model: str = ""
    usage: "Usage" = field(default_factory=_no_usage)
    seconds: float | None = None
    recorded: float | None = None
    calls: "Sequence[InnerCall] | None" = None
    tags: tuple[str, ...] = ()
    kind: str = CALL


def entry_cost(payload: bytes, key: str) -> EntryCost:
    """What the entry `key` cost. Tokens that were not reported are estimated, and marked so. Raises DamagedError."""
    whole = codec.read(payload, key)
    header = whole.header()
    usage = _no_usage() if header.calls is not None else header.usage
    if usage is None or not (usage.complete or header.calls is not None):
        from nbcache.entry.text import answer_text, prompt_text  # noqa: PLC0415 - of most entries it is known
        from nbcache.entry.usage.usage_of_call import estimated, usage_of  # noqa: PLC0415

        if usage is None:  # stored before it was kept
            usage = usage_of(whole.generations(None), document(header.identity), header.endpoint, header.prompt)
        if not usage.complete:
            usage = estimated(usage, prompt_text(header.shown_prompt), answer_text(whole.plain()))
    meta = header.meta
    return EntryCost(meta.model, usage, meta.seconds, whole.created, header.calls, meta.tags, _kind(header))


def _kind(header: "EntryHeader") -> str:
    """The kind of call. Earlier releases kept none: then embeddings are known by their identity."""
    kind = header.meta.kind
    if kind == CALL and "embeddings" in header.identity:
        from nbcache.entry.kind import kind_of  # noqa: PLC0415 - as above

        return kind_of(document(header.identity), None, None)
    return kind


class EntryCosts:
    """What entries tell, of those that were read last: by the preamble of the payload, which has its checksum."""

    def __init__(self) -> None:
        self._costs: OrderedDict[bytes, EntryCost] = OrderedDict()
        self._lock = Lock()

    def of(self, key: str, payload: bytes) -> EntryCost:
        """What the entry `key` cost; nothing known if it can't be read."""
        preamble = payload[: codec.PREAMBLE_LENGTH]
        with self._lock:
            cost = self._costs.get(preamble)
        if cost is None:
            try:
                cost = entry_cost(payload, key)
            except Exception:  # noqa: BLE001 - whatever is wrong with it, it was a hit
                cost = EntryCost()
            self.put(preamble, cost)
        return cost

    def put(self, preamble: bytes, cost: EntryCost) -> None:
        """Know what the payload with this preamble tells."""
        with self._lock:
            self._costs[preamble] = cost
            while len(self._costs) > _REMEMBERED:
                self._costs.popitem(last=False)


def asks_a_model(identity: Mapping[str, Any]) -> bool:
    """Whether a call with this identity asks a language model. Embeddings, functions and values of `put` don't."""
    kind = identity.get("class")
    return not (isinstance(kind, list) and kind[:1] and kind[0] in {"embeddings", "values", "function", "tool"})


def is_value(identity: bytes) -> bool:
    """Whether this is the identity of a value of `NotebookCache.put`, for which no model is asked."""
    return document(identity).get("class") == ["values"]
