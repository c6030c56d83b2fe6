"""Which entries of a store are meant, to list, count, search and clear, and by what they can be sorted."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbcache import public_in

if TYPE_CHECKING:
    from decimal import Decimal

    from nbcache.entry.records import EntryMeta

CALL, EMBEDDING, FUNCTION, TOOL = KINDS = ("call", "embedding", "function", "tool")  # of entries: see `kind.py`
FUNCTIONS = frozenset({FUNCTION, TOOL})  # those of calls that other calls are made inside of
SORTABLE = (
    *("created", "expires", "last_hit", "hits", "size_bytes", "model", "provider", "status", "cell"),
    *("input_tokens", "output_tokens", "cost_usd", "seconds"),
)

_EXAMPLES = {"model": "gpt-4o-mini", "client": "openai", "tag": "draft", "status": "ok"}


@public_in("nbcache.entry")
@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are meant. Every field that is set must hold; an empty filter means all.

    `notebook` is an owner, `before` a time of creation (seconds since the epoch), `unused` means never hit,
    `key` a prefix of the key; `words` are beginnings of words of the prompt or the answer (see `text.words`), `prompt`
    is its preview. With `include_expired` those that have expired are meant, too, as far as they are still there.

    `model` is the whole name of a model. `models` and `functions` are patterns of names (see `globs`). `idle_since` is the
    time after which there was no hit, nor was the entry created. Entries are `larger_than` so many bytes, and `cheaper_than`
    so many US dollars if their price is known.
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
    prompt: str | None = None
    client: str | None = None
    include_expired: bool = False
    kind: str | None = None
    models: str | None = None
    functions: str | None = None
    idle_since: float | None = None
    larger_than: int | None = None
    cheaper_than: "Decimal | None" = None

    def __post_init__(self) -> None:
        for name in ("model", "client", "tag", "status"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise TypeError(f"{name}={value!r}: pass one text, such as {name}={_EXAMPLES[name]!r}")

    def selects(self, row: "EntryMeta") -> bool:
        """Whether this is one of the entries that are meant, as far as its row says it: not by `words`, nor by when it expires."""
        from nbcache.entry.globs import matches  # noqa: PLC0415 - `%load_ext` needs no patterns

        return (
            all(wanted is None or wanted == value for wanted, value in self._values(row))
            and (self.notebook is None or self.notebook in row.notebooks)
            and (self.tag is None or self.tag in row.tags)
            and (self.before is None or row.created < self.before)
            and not (self.unused and row.hits)
            and (self.key is None or row.key.startswith(self.key))
            and (self.models is None or matches(self.models, row.model))
            and (self.functions is None or (row.function is not None and matches(self.functions, row.function)))
            and (self.idle_since is None or (row.created if row.last_hit is None else row.last_hit) < self.idle_since)
            and (self.larger_than is None or row.size_bytes > self.larger_than)
            and (self.cheaper_than is None or (row.cost_usd is not None and row.cost_usd < self.cheaper_than))
        )

    def _values(self, row: "EntryMeta") -> tuple[tuple[str | None, str | None], ...]:
        """The wanted and the actual value of each field that has to be equal."""
        return (
            *((self.model, row.model), (self.cell, row.cell), (self.prompt, row.prompt)),
            *((self.status, row.status), (self.client, row.client), (self.kind, row.kind)),
        )

    @property
    def stale(self) -> bool:
        """The earlier name of `include_expired`, for a user's own store that was written for nbcache 0.4."""
        return self.include_expired


def check_sort(sort: str) -> None:
    """Raise ValueError unless `sort` is a field of EntryMeta among `SORTABLE`."""
    if sort not in SORTABLE:
        raise ValueError(f"sort={sort!r}: write one of {', '.join(SORTABLE)}")
