"""What is known of an entry and of a store, in plain frozen records."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

KEY_LENGTH = 40
SORTABLE = (
    *("created", "expires", "last_hit", "hits", "size_bytes", "model", "provider", "status", "cell"),
    *("input_tokens", "output_tokens", "cost_usd", "seconds"),
)
PREVIEW_LENGTH = 120


@dataclass(frozen=True, slots=True)
class EntryMeta:
    """One row of the store. Times are seconds since the epoch, sizes are bytes as stored."""

    key: str
    model: str
    prompt: str  # previews: the whole text is in the entry's record
    answer: str
    status: str
    created: float
    tags: tuple[str, ...] = ()
    notebooks: tuple[str, ...] = ()
    cell: str | None = None
    last_hit: float | None = None
    hits: int = 0
    size_bytes: int = 0
    expires: float | None = None
    provider: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: Decimal | None = None  # list price when it was recorded; None where that isn't known
    seconds: float | None = None  # that the model took


@dataclass(frozen=True, slots=True)
class Usage:
    """What one call used, as its provider reported it. Tokens that were not reported are None, never 0.

    `provider` is the name that genai-prices has for it where there is one, else the host or None;
    `model` is what answered, else what was asked for. `input_tokens` include those read from and written to
    the provider's prompt cache, `output_tokens` include reasoning. `estimated` where tokens were worked out
    from the text. `local` is a model that runs on this machine and that nobody charges for.
    """

    provider: str | None = None
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0  # of those above
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    service_tier: str | None = None
    estimated: bool = False
    local: bool = False

    @property
    def complete(self) -> bool:
        """Whether both counts of tokens are known."""
        return self.input_tokens is not None and self.output_tokens is not None


@dataclass(frozen=True, slots=True)
class Touch:
    """What was noted in memory of an entry and is to be written down: who hit it, how often, when last, its cost."""

    key: str
    notebook: str | None
    hits: int
    when: float
    cost_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Spending:
    """What the calls of one model in one execution of a cell paid and saved. Append-only; no text of any call.

    `session` is one kernel's, `execution` counts its cells; `when` is the execution's first call (seconds since
    the epoch). Money is in US dollars. `failed` are misses that got no answer: they cost nothing that is known.
    """

    session: str
    execution: int
    when: float
    notebook: str | None
    cell: str | None
    model: str
    hits: int = 0
    misses: int = 0
    spent_usd: Decimal = Decimal(0)
    saved_usd: Decimal = Decimal(0)
    saved_seconds: float = 0.0
    unpriced_hits: int = 0
    unpriced_misses: int = 0
    estimated_hits: int = 0
    estimated_misses: int = 0

    def __add__(self, other: "Spending") -> "Spending":
        """The sum; when, where and of what are this one's."""
        sums = {name: getattr(self, name) + getattr(other, name) for name in _SUMMED}
        return replace(self, **sums)


_SUMMED = (
    *("hits", "misses", "spent_usd", "saved_usd", "saved_seconds"),
    *("unpriced_hits", "unpriced_misses", "estimated_hits", "estimated_misses"),
)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are meant. Every field that is set must hold; an empty filter means all.

    `notebook` is an owner, `before` a time of creation (seconds since the epoch), `unused` means never hit,
    `key` a prefix of the key; `words` are beginnings of words of the prompt or the answer (see `text.words`).
    """

    notebook: str | None = None
    model: str | None = None
    tag: str | None = None
    before: float | None = None
    unused: bool = False
    key: str | None = None
    cell: str | None = None
    status: str | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facets:
    """The values that the entries of a store have, to choose a filter from."""

    model: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    notebook: tuple[str, ...] = ()
    cell: tuple[str, ...] = ()
    status: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Totals:
    """What a store holds, and how many entries its bounds have evicted since it was made."""

    entries: int = 0
    size_bytes: int = 0
    evictions: int = 0


@dataclass(frozen=True, slots=True)
class Cleared:
    """What a clear did: entries deleted, bytes freed, and entries kept because other notebooks own them too."""

    deleted: int = 0
    size_bytes: int = 0
    kept: int = 0

    def __add__(self, other: "Cleared") -> "Cleared":
        return Cleared(self.deleted + other.deleted, self.size_bytes + other.size_bytes, self.kept + other.kept)


@dataclass(frozen=True, slots=True)
class Stats:
    """Hits, misses and failures of the cache itself since `install`, and what the scope holds now (bytes)."""

    hits: int
    misses: int
    errors: int
    entries: int
    size_bytes: int
    evictions: int = 0
    hit_rate: float = field(init=False)

    def __post_init__(self) -> None:
        calls = self.hits + self.misses
        object.__setattr__(self, "hit_rate", self.hits / calls if calls else 0.0)


@dataclass(frozen=True, slots=True)
class Info:
    """Where a message came from: whether it was a hit, its key, and when its answer was recorded."""

    hit: bool
    key: str
    recorded: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """An entry as a person reads it: the whole prompt and answer, and the call's identity."""

    meta: EntryMeta
    prompt: str
    answer: str
    identity: dict[str, object]
