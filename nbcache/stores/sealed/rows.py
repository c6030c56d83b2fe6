"""Rows, filters and the ledger of a sealed store: their texts encrypted, each for itself, and opened again."""

import contextlib
import functools
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any

from nbcache.entry.records import SEALED_PREVIEW, EntryMeta, Facets, Filter, SessionCall, Spending
from nbcache.errors import DamagedError
from nbcache.keys.digests import KEY_LENGTH
from nbcache.stores.location import SECRET
from nbcache.stores.sealed.envelope import OVERHEAD
from nbcache.stores.sealed.keys import Keys
from nbcache.stores.sealed.mark import mark_of

_TEXTS = ("model", "status", "cell", "provider", "client", "kind", "function")
_OF_FILTER = ("model", "status", "cell", "client", "kind")
_BY_TEXT = ("model", "status", "cell", "provider")  # columns whose order only the texts have
_REMEMBERED = 4096  # texts: most rows share theirs with others
_OF_LEDGER = ("notebook", "cell", "model", "kind")


class Rows:
    """Seals and opens what describes entries. What was not sealed with this secret is passed over."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._seal, self._open = (functools.lru_cache(_REMEMBERED)(one) for one in (keys.token, keys.text))
        # Every row has it as a tag. Without it, one store could not count what was sealed with one secret.
        self._mark = mark_of(keys.id)

    def sealed(self, key: str, row: EntryMeta) -> EntryMeta:
        """The row as the store keeps it: no text, and the entry's key in place of the answer."""
        return replace(
            row,
            key=self._keys.key(key),
            prompt=self._prompt(row.prompt),
            answer=self._keys.token("key", key),
            tags=(self._mark, *self.tags(row.tags)),
            notebooks=tuple(self._seal("notebook", name) for name in row.notebooks),
            **self._tokens(row, _TEXTS),
        )

    def opened(self, row: EntryMeta) -> EntryMeta | None:
        """The row as people see it, without previews. None if it was not sealed with this secret."""
        try:
            key = self._keys.text("key", row.answer)
            if self._keys.key(key) != row.key:
                return None
            texts = self._texts(row, _TEXTS)
        except DamagedError:
            return None
        return replace(
            row,
            key=key,
            prompt=SEALED_PREVIEW,
            answer="",
            tags=self._readable("tag", row.tags),
            notebooks=self._readable("notebook", row.notebooks),
            size_bytes=max(0, row.size_bytes - OVERHEAD),
            **texts,
        )

    def all_opened(self, rows: Iterable[EntryMeta]) -> list[EntryMeta]:
        """Those of the rows that were sealed with this secret."""
        return [opened for row in rows if (opened := self.opened(row)) is not None]

    def facets(self, sealed: Facets) -> Facets:
        """The values of the entries that were sealed with this secret."""
        values = {field.name: self._readable(field.name, getattr(sealed, field.name)) for field in fields(Facets)}
        return Facets(**{name: tuple(sorted(texts)) for name, texts in values.items()})

    def filter(self, which: Filter) -> Filter:
        """As much of a filter as the store can apply. The rest is `is_applied_here`."""
        return replace(
            which,
            key=self._keys.key(which.key) if which.key is not None and len(which.key) == KEY_LENGTH else None,
            tag=self._mark if which.tag is None else self._seal("tag", which.tag),
            notebook=self._token("notebook", which.notebook),
            prompt=None if which.prompt is None else self._prompt(which.prompt),
            models=None,
            functions=None,
            larger_than=None if which.larger_than is None else which.larger_than + OVERHEAD,
            **self._tokens(which, _OF_FILTER),
        )

    def tags(self, tags: Iterable[str]) -> tuple[str, ...]:
        """Tags as the store keeps them."""
        return tuple(self._seal("tag", tag) for tag in tags)

    def opened_tags(self, tags: Iterable[str]) -> tuple[str, ...]:
        """The tags that were sealed."""
        return self._readable("tag", tags)

    def notebook(self, name: str | None) -> str | None:
        """An owner as the store keeps it."""
        return self._token("notebook", name)

    def spending(self, row: Spending) -> Spending:
        """A row of the ledger as the store keeps it."""
        return replace(row, **self._tokens(row, _OF_LEDGER))

    def opened_spendings(self, rows: Iterable[Spending]) -> list[Spending]:
        """Those rows of the ledger that were sealed with this secret."""
        found = []
        for row in rows:
            with contextlib.suppress(DamagedError):
                found.append(replace(row, **self._texts(row, _OF_LEDGER)))
        return found

    def call(self, call: SessionCall) -> SessionCall:
        """A call of a session as the store keeps it."""
        return replace(call, key=self._keys.token("key", call.key), model=self._seal("model", call.model))

    def opened_calls(self, calls: Iterable[SessionCall]) -> list[SessionCall]:
        """Those calls that were sealed with this secret."""
        found = []
        for call in calls:
            with contextlib.suppress(DamagedError):
                key, model = self._keys.text("key", call.key), self._open("model", call.model)
                found.append(replace(call, key=key, model=model))
        return found

    def _prompt(self, preview: str) -> str:
        """What stands in place of a prompt, for whoever lists the store without the secret."""
        return f"sealed, to be read with {SECRET}: {self._keys.mark_of_prompt(preview)}"

    def _token(self, name: str, text: str | None) -> str | None:
        return None if text is None else self._seal(name, text)

    def _tokens(self, row: object, names: Iterable[str]) -> dict[str, Any]:
        """These fields of a row, sealed."""
        return {name: self._token(name, getattr(row, name)) for name in names}

    def _texts(self, row: object, names: Iterable[str]) -> dict[str, Any]:
        """These fields of a row, opened. Raises DamagedError."""
        values = {name: getattr(row, name) for name in names}
        return {name: None if value is None else self._open(name, value) for name, value in values.items()}

    def _readable(self, name: str, tokens: Iterable[str]) -> tuple[str, ...]:
        texts = []
        for token in tokens:
            with contextlib.suppress(DamagedError):
                texts.append(self._open(name, token))
        return tuple(texts)


def is_applied_here(which: Filter, sort: str = "created") -> bool:
    """Whether rows have to be opened to know which are selected, or in which order they stand."""
    has_patterns = which.models is not None or which.functions is not None
    return has_patterns or sort in _BY_TEXT or len(which.key or " " * KEY_LENGTH) != KEY_LENGTH
