"""What is known of an entry and of a store, in plain frozen records."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from nbcache import public_in
from nbcache.entry.exact_sums import EXACT as EXACT  # noqa: PLC0414 - apart from the records, which a hit doesn't load
from nbcache.entry.filter import CALL as CALL  # noqa: PLC0414
from nbcache.entry.filter import SORTABLE as SORTABLE  # noqa: PLC0414
from nbcache.entry.filter import Filter as Filter  # noqa: PLC0414

PREVIEW_LENGTH = 120
SEALED_PREVIEW = "(sealed)"  # in place of a prompt's beginning, of an entry in a store that keeps no text
STATUSES = ("ok", "cut off", "filtered", "empty", "unfinished")  # what an answer is good for: see `status.py`


@public_in("nbcache")
@dataclass(frozen=True, slots=True)
class EntryMeta:
    """One row of the store. Times are seconds since the epoch, sizes are bytes as stored.

    It is written into payloads: see `codec/header.py` before a field is added.
    """

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
    cost_usd: Decimal | None = None  # what it cost when it was recorded; None where that isn't known
    seconds: float | None = None  # that the model took
    charged: bool = False  # whether the provider itself has said what it cost; else it is worked out from prices
    client: str | None = None  # `langchain`, or the API that another client called; None if no model was called
    streamed: bool = False  # whether the answer came in chunks
    kind: str = CALL  # what made the answer, one of `kind.KINDS`
    function: str | None = None  # the qualified name of a function or a tool


@public_in("nbcache.entry")
@dataclass(frozen=True, slots=True)
class Usage:
    """What one call used, as its provider reported it. Tokens that were not reported are None, never 0.

    `provider` is the name that genai-prices has for it if there is one, else the host or None.
    `model` is what answered, else what was asked for. `input_tokens` include those read from and written to
    the provider's prompt cache, `output_tokens` include reasoning. `estimated` says that tokens were estimated
    from the text. `local` says that the model runs on this machine, and nobody charges for it.

    `charged` is what the provider says that it charged, in US dollars as they are written in decimal. `mixed` names, with
    spaces between, the kinds of tokens (`input_audio`, `output_audio`, `output_image`, `cache_read`, `cache_write_1h`,
    `other`) that may be among those counted, in unknown numbers: the price is known only if these cost the same. `web_searches`
    are those that the provider counted, and charges for besides the tokens.
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
    output_image_tokens: int = 0
    speed: str | None = None
    charged: str | None = None
    mixed: str = ""
    web_searches: int = 0

    @property
    def complete(self) -> bool:
        """Whether both counts of tokens are known."""
        return self.input_tokens is not None and self.output_tokens is not None


@public_in("nbcache.entry")
@dataclass(frozen=True, slots=True)
class InnerCall:
    """A call that was made inside of a function while it ran, a hit or not.

    `key` is None if the call had none, and `usage` if nobody knows what it cost. `seconds` are those that the model took when
    the answer was recorded. Without key and model it stands for calls that may have been made where they were not seen.
    """

    key: str | None
    model: str
    usage: Usage | None = None
    seconds: float | None = None

    @property
    def is_seen(self) -> bool:
        """Whether this call was made. Else there may have been calls, or none."""
        return bool(self.key or self.model)


@public_in("nbcache.entry")
@dataclass(slots=True)
class Touch:
    """What is noted in memory of an entry until it is written down: who hit it, how often, when last, and its cost.

    `charged` says that the cost is what the provider itself reported.
    """

    key: str
    notebook: str | None
    hits: int
    when: float
    cost_usd: Decimal | None = None
    charged: bool = False


@public_in("nbcache.entry")
@dataclass(slots=True)
class Spending:
    """What the calls of one model, of one kind, in one execution of a cell paid and saved: a row of the ledger, without any text.

    `session` is one kernel's, `execution` counts its cells; `when` is the first of the calls (seconds since the
    epoch). Money is in US dollars; of `charged` calls the provider itself has said what they cost. A miss is `unpriced`
    until it is answered, and for good if it never is.

    `saved_seconds` are those that somebody would have waited longer, `model_seconds` those that the models took, less
    the lookups, one call after the other. Of `untimed_hits` neither is known. Of the `unpriced_hits`, those that are
    `partly_priced_hits` have saved at least what counts: they are functions, and not each call inside has a known price.

    `provider_saved_usd` is what the providers' own prompt caches saved in misses, less what it cost to write them: it may be
    below zero. It is the sum over `provider_priced_misses`. Of `provider_unpriced_misses` it isn't known: their providers read or
    wrote cached tokens without a known price, or an earlier nbcache counted them.
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
    charged_hits: int = 0
    charged_misses: int = 0
    model_seconds: float = 0.0
    untimed_hits: int = 0
    partly_priced_hits: int = 0
    kind: str = CALL
    provider_saved_usd: Decimal = Decimal(0)
    provider_priced_misses: int = 0
    provider_unpriced_misses: int = 0

    @property
    def unknown_hits(self) -> int:
        """Hits of which nothing is known that they saved."""
        return self.unpriced_hits - self.partly_priced_hits

    def add(self, other: "Spending") -> None:
        """Add the sums of `other` to these."""
        self.hits += other.hits
        self.misses += other.misses
        self.spent_usd = EXACT.add(self.spent_usd, other.spent_usd)
        self.saved_usd = EXACT.add(self.saved_usd, other.saved_usd)
        self.saved_seconds += other.saved_seconds
        self.unpriced_hits += other.unpriced_hits
        self.unpriced_misses += other.unpriced_misses
        self.estimated_hits += other.estimated_hits
        self.estimated_misses += other.estimated_misses
        self.charged_hits += other.charged_hits
        self.charged_misses += other.charged_misses
        self.model_seconds += other.model_seconds
        self.untimed_hits += other.untimed_hits
        self.partly_priced_hits += other.partly_priced_hits
        self.provider_saved_usd = EXACT.add(self.provider_saved_usd, other.provider_saved_usd)
        self.provider_priced_misses += other.provider_priced_misses
        self.provider_unpriced_misses += other.provider_unpriced_misses


@public_in("nbcache.entry")
@dataclass(slots=True)
class CallRecord:
    """One call of a model: a hit, or a miss and why. `when` is in seconds since the epoch.

    `usd` is what it paid, or saved, in US dollars, and None while that isn't known. `price` says where that is from:
    `charged` by the provider itself, `list price`, `your price`, `local`, or `as recorded`. `seconds` are those that
    the model took, or that the hit saved. A miss is `answered` once the model has; `gone` is when its answer expired or
    was deleted (seconds since the epoch). `owes` says that the call was made, but its cost isn't known yet. The answer of a
    call that `is_cheap` was not kept, by the settings `min_seconds` and `min_usd`. One that is `replayed` was not recorded, and
    not made. `tags` are those that its entry gets. A call that ended without an answer is `given_up`, from that moment on
    (`time.monotonic`): its client may try again until then.
    """

    when: float
    execution: int
    cell: str | None
    model: str
    key: str | None
    why: str = ""
    hit: bool = False
    seconds: float | None = None
    usd: Decimal | None = None
    estimated: bool = False
    answered: bool = False
    gone: float | None = None
    price: str | None = None
    owes: bool = False
    kind: str = CALL
    is_cheap: bool = False
    replayed: bool = False
    tags: tuple[str, ...] = ()
    given_up: float | None = None


@public_in("nbcache.entry")
@dataclass(frozen=True, slots=True)
class SessionCall:
    """What a session called: a key ("" for all calls without one), how often, and what one call costs (US dollars).

    For calls without a key, `usd` is what all of them cost together, without the `unpriced` ones. It is None if that isn't
    known, and `estimated` if the tokens were. `when` is the time of the last call.
    """

    key: str
    model: str
    calls: int
    usd: Decimal | None = None
    estimated: bool = False
    when: float = 0.0
    unpriced: int = 0


@public_in("nbcache.entry")
@dataclass(frozen=True, slots=True)
class Facets:
    """The values that the entries of a store have, to choose a filter from."""

    model: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    notebook: tuple[str, ...] = ()
    cell: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    client: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    function: tuple[str, ...] = ()


@public_in("nbcache.entry")
@dataclass(frozen=True, slots=True)
class Totals:
    """What a store holds, and how many entries its bounds have evicted since it was made."""

    entries: int = 0
    size_bytes: int = 0
    evictions: int = 0


@public_in("nbcache")
@dataclass(frozen=True, slots=True)
class Cleared:
    """What a clear did: entries deleted, bytes freed, and entries kept because other notebooks own them too.

    If the entries of a notebook or a folder were cleared, `entries` are those that were deleted, or would be in a dry run:
    a tuple or, in a dry run with very many of them, a sequence that reads them from the store when they are needed.
    """

    deleted: int = 0
    size_bytes: int = 0
    kept: int = 0
    entries: Sequence[EntryMeta] = field(default=(), repr=False)  # there may be thousands

    def __add__(self, other: "Cleared") -> "Cleared":
        return Cleared(self.deleted + other.deleted, self.size_bytes + other.size_bytes, self.kept + other.kept)


@public_in("nbcache")
@dataclass(frozen=True, slots=True)
class Info:
    """Where an answer came from: whether it was a hit, its key, when it was recorded, and what it cost then (US dollars).

    `cost_usd` is None if that isn't known. If the store has several tiers, `tier` is the name of the one that answered the last hit
    of this key.
    """

    hit: bool
    key: str
    recorded: datetime
    cost_usd: Decimal | None = None
    tier: str | None = None

    @property
    def saved_usd(self) -> Decimal | None:
        """What the hit saved, at the price of then. 0 for a call that was made."""
        return self.cost_usd if self.hit else Decimal(0)

    @property
    def age(self) -> timedelta:
        """How long ago it was recorded."""
        return datetime.now(UTC) - self.recorded


@public_in("nbcache")
@dataclass(frozen=True, slots=True)
class Record:
    """An entry as a person reads it: the whole prompt and answer, and the call's identity.

    `versions` are those of nbcache and langchain-core that stored it, and empty if that isn't known. `calls` are the keys of the
    calls that were made inside of a function, each as often as it was made; those without a key are left out. `gone` are those of
    them that are no longer in the store. `functions` are the rows of functions inside of which this call was made.
    """

    meta: EntryMeta
    prompt: str
    answer: str
    identity: dict[str, object]
    versions: dict[str, str] = field(default_factory=dict)
    calls: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    functions: tuple[EntryMeta, ...] = ()
