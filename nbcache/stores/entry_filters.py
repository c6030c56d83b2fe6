"""The filters by which a user chooses entries: to list, clear and tag them, and to let them expire. All that are given must hold."""

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import timedelta
from decimal import Decimal

from nbcache.entry.durations_and_sizes import dollars, seconds, size
from nbcache.entry.filter import KINDS, Filter
from nbcache.entry.globs import is_glob
from nbcache.entry.records import STATUSES, EntryMeta

_MOST_DOLLARS = 10**6
_Age = float | str | timedelta
_TEXTS = {  # with an example of each
    "match": "Q3*",
    "model": "gpt-4o-mini",
    "tag": "draft",
    "function": "judge",
    "kind": "embedding",
    "client": "openai",
    "status": "ok",
    "cell": "In [1]",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilters:
    """What a user wrote. Raises ValueError or TypeError, with what to write, for what can't be meant.

    `match` is text in the prompt or the answer, in any case; with one of `*?[` in it, a pattern that the whole prompt
    matches. `model` and `function` are names or patterns of names; a name always matches itself. `tag`, `kind`, `client`,
    `status` and `cell` are values. `older_than` is the time since the answer was stored, and `not_hit_since` that since the
    last hit, or since it was stored if it was never hit: seconds, or text such as `30d`. `larger_than` is in bytes, or text
    such as `20kB`, and `cheaper_than` in US dollars; an entry whose price isn't known is not meant. `unused` means never hit.
    `where` is a function of an `EntryMeta` that returns whether it is meant.
    """

    match: str | None = None
    model: str | None = None
    tag: str | None = None
    function: str | None = None
    kind: str | None = None
    client: str | None = None
    status: str | None = None
    older_than: _Age | None = None
    not_hit_since: _Age | None = None
    larger_than: float | str | None = None
    cheaper_than: float | str | Decimal | None = None
    unused: bool = False
    cell: str | None = None
    where: Callable[[EntryMeta], object] | None = None

    def __post_init__(self) -> None:
        for name, example in _TEXTS.items():
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise TypeError(f"{name}={value!r}: pass one text, such as {name}={example!r}")
            if value is not None and not value:
                raise ValueError(f"{name}='': write the text to look for; without it, all is meant")
        for name, known in (("kind", KINDS), ("status", STATUSES)):
            if (value := getattr(self, name)) not in {None, *known}:
                raise ValueError(f"{name}={value!r}: write one of {', '.join(known)}")
        if not isinstance(self.unused, bool):
            raise TypeError(f"unused={self.unused!r}: write True or False")
        if self.where is not None and not callable(self.where):
            raise TypeError(
                f"where={self.where!r}: pass a function of an EntryMeta, such as lambda entry: entry.hits > 3"
            )
        self.filter()

    @property
    def are_given(self) -> bool:
        """Whether there is one: else all entries are meant."""
        return any(getattr(self, each.name) not in (None, False) for each in fields(self))

    def filter(self) -> Filter:
        """The same for a store, at this time; but for `match` and `where`, for which each entry is looked at."""
        age, idle = seconds(self.older_than, "older_than"), seconds(self.not_hit_since, "not_hit_since")
        now, has_glob = time.time(), self.model is not None and is_glob(self.model)
        return Filter(
            model=None if has_glob else self.model,
            models=self.model if has_glob else None,
            functions=self.function,
            tag=self.tag,
            kind=self.kind,
            client=self.client,
            status=self.status,
            cell=self.cell,
            before=None if age is None else now - age,
            idle_since=None if idle is None else now - idle,
            larger_than=size(self.larger_than, "larger_than"),
            cheaper_than=_dollars(self.cheaper_than, "cheaper_than"),
            unused=self.unused,
        )


FILTERS = tuple(each.name for each in fields(EntryFilters))


def _dollars(value: float | str | Decimal | None, name: str) -> Decimal | None:
    """US dollars in a number, or in text such as `0.01` or `$0.01`. Raises ValueError unless they are above zero."""
    if value is None:
        return None
    try:
        usd = dollars(value, name)
    except ValueError:
        usd = None
    if usd is None or usd >= _MOST_DOLLARS:
        raise ValueError(f"{name}={value!r}: write a number of US dollars, such as 0.01, above zero")
    return usd
