"""Which entries of a store are meant, to list, count, search and clear, and by what they can be sorted."""

from dataclasses import dataclass

from nbcache import public_in

CALL, EMBEDDING = "call", "embedding"  # kinds of entries: see `kind.py`
FUNCTIONS = frozenset({"function", "tool"})  # those of calls that other calls are made inside of
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

    def __post_init__(self) -> None:
        for name in ("model", "client", "tag", "status"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise TypeError(f"{name}={value!r}: pass one text, such as {name}={_EXAMPLES[name]!r}")

    @property
    def stale(self) -> bool:
        """The earlier name of `include_expired`, for a user's own store that was written for nbcache 0.4."""
        return self.include_expired
