"""The entries of a store, or of one notebook in it: to list, read, change, evict and clear."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Any

from nbcache import codec
from nbcache.codec.entry_description import row_in
from nbcache.entry.edit import Changed, Edit
from nbcache.entry.filter import FUNCTIONS
from nbcache.entry.records import Cleared, EntryMeta, Facets, Filter, Record, Spending, Totals, Touch
from nbcache.entry.text import answer_text, prompt_text
from nbcache.errors import AmbiguousKeyError, UnknownKeyError, UnsupportedError
from nbcache.keys.digests import KEY_LENGTH
from nbcache.keys.request import document
from nbcache.stores.base import (
    Bulk,
    Checkable,
    Columnar,
    Deletable,
    Editable,
    LedgerStore,
    Listable,
    Searchable,
    Selecting,
    Store,
    Streamable,
    tiers_of,
)
from nbcache.stores.entry_filters import EntryFilters
from nbcache.stores.inner_entries import functions_around, gone
from nbcache.stores.progress import Counted, Progress, followed
from nbcache.stores.sealed.mark import warned_of
from nbcache.stores.selection import Search, SelectedRows, Selection
from nbcache.stores.text_search import search_for
from nbcache.stores.unknown_values import unknown_values

DIGITS_TO_EVICT = 4  # of a key at least: `evict 2` may mean the second row of a list
TO_LIST = 'put `disk` before it, store=["disk", …], to list what this machine has stored'
_CANDIDATES = 10
_IN_MEMORY = 1_000  # rows of a result at most that are all read at once


@dataclass(frozen=True, slots=True)
class Contents:
    """What `notebook` owns in `store`, or all of it where `notebook` is None.

    Raises UnsupportedError for what the store can't do, and StoreError for what fails.
    """

    store: Store
    notebook: str | None = None
    changed: Callable[[], None] = lambda: None  # called when entries were deleted, or came by an import
    gone: Callable[[Iterable[EntryMeta], str], None] = lambda _, __: (
        None
    )  # called with those that were deleted, and why

    def totals(self) -> Totals:
        """How many entries, and how many bytes."""
        return self._listed().totals(Filter(notebook=self.notebook))

    def spendings(self) -> list[Spending]:
        """What was paid and saved since the store was made, oldest first."""
        if not isinstance(self.store, LedgerStore):
            raise UnsupportedError(f"the store {self.store.url} keeps no ledger: only this session's calls are counted")
        return self.store.spendings(self.notebook)

    @property
    def is_listable(self) -> bool:
        """Whether the store can list and count its entries."""
        return isinstance(self.store, Listable)

    @property
    def unlisted(self) -> str:
        """What a list of these entries leaves out: the tiers that can't list theirs. An empty text if it shows all."""
        tiers = tiers_of(self.store) if self.is_listable else ()
        names = " and ".join(tier.url for tier in tiers if not isinstance(tier, Listable))
        return f"{names} can't list entries: this shows what this machine has stored" if names else ""

    def entries(self, keys: Collection[str] | None = None) -> list[EntryMeta]:
        """The rows, or those whose keys are in `keys`, newest first."""
        if keys is None or isinstance(self.store, Listable):
            rows = warned_of(self._listed().page(Filter(notebook=self.notebook)))
            return [row for row in rows if keys is None or row.key in keys]
        there = ((key, self.store.get(key)) for key in keys)
        rows = [_described(payload, key) for key, payload in there if payload is not None]
        return sorted(rows, key=attrgetter("created"), reverse=True)

    def columns(self, which: Filter = Filter()) -> dict[str, list[Any]]:  # noqa: B008 - frozen
        """The fields of EntryMeta, each with its values in the order of the rows that `which` selects, the newest first."""
        if isinstance(self.store, Columnar):
            return self.store.columns(self._mine(which))
        rows = _described_as(self._listed().page(self._mine(which)), which)
        return _columns(rows)

    def stream(
        self,
        which: Filter = Filter(),  # noqa: B008 - frozen
        keys: Collection[str] | None = None,
    ) -> Counted[tuple[EntryMeta, bytes]]:
        """The entries that `which` selects of these, or those of them among `keys`, with their payloads; the newest first.

        Memory holds only a few of them, if the store can do that. A payload that can't be read is empty.
        """
        if isinstance(self.store, Streamable):
            return self.store.stream(self._mine(which), keys)
        if isinstance(self.store, Listable):
            rows = [row for row in self.store.page(self._mine(which)) if keys is None or row.key in keys]
        else:
            rows = self.entries(keys)
        return _ReadOneByOne(self.store, rows, include_expired=which.include_expired)

    def find(self, prefix: str, *, least: int = 1) -> EntryMeta:
        """The entry whose key begins with `prefix`, whoever owns it.

        Raises UnknownKeyError where there is none, AmbiguousKeyError where there are several, or where `prefix` has fewer
        digits than `least`.
        """
        wanted = prefix.strip().lower() if isinstance(prefix, str) else ""
        if not wanted or len(wanted) > KEY_LENGTH or set(wanted) - set("0123456789abcdef"):
            raise UnknownKeyError(
                f"{prefix!r} is no key: a key is {KEY_LENGTH} hexadecimal digits, or the first few of them"
            )
        rows = self._beginning(wanted)
        if not rows:
            raise UnknownKeyError(f"no entry has a key that begins with {prefix!r}")
        if len(rows) > 1:
            keys = [meta.key for meta in rows]
            shown = ", ".join(key[: len(wanted) + 6] for key in keys[:_CANDIDATES])
            more = ", …" if len(keys) > _CANDIDATES else ""
            raise AmbiguousKeyError(f"{prefix!r} could be any of {shown}{more}: write more digits", keys)
        if len(wanted) < least:
            key = rows[0].key
            raise AmbiguousKeyError(
                f"{prefix!r} is no row of a list but the beginning of a key: write at least {least} digits of it, "
                f"such as {key[: max(8, least)]}",
                [key],
            )
        return rows[0]

    def _beginning(self, prefix: str) -> list[EntryMeta]:
        """The first rows whose keys begin with `prefix`."""
        if isinstance(self.store, Listable):
            return self.store.page(Filter(key=prefix), limit=_CANDIDATES + 1)
        if len(prefix) < KEY_LENGTH:
            raise UnsupportedError(
                f"the store {self.store.url} can't list its entries: write all {KEY_LENGTH} digits of the key"
            )
        return self.entries([prefix])

    def open(self, prefix: str) -> tuple[EntryMeta, codec.Payload]:
        """The entry whose key begins with `prefix`: its row and its payload. Raises as `find`, or DamagedError."""
        meta = self.find(prefix)
        return meta, self._payload(meta)

    def read(self, prefix: str) -> Record:
        """The entry whose key begins with `prefix`, as a person reads it. Raises as `open`."""
        meta, payload = self.open(prefix)
        entry = _record(meta, payload)
        if meta.kind in FUNCTIONS:  # what is called inside of one is inside of those around it, too
            return replace(entry, gone=gone(self.store, entry.calls))
        return replace(entry, functions=functions_around(self.store, meta.key))

    def page(
        self,
        which: Filter,
        *,
        sort: str = "created",
        descending: bool = True,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[EntryMeta]:
        """The rows that `which` selects of these entries. Raises ValueError for a column that can't be sorted by."""
        store, mine = self._listed(which), self._mine(which)
        return warned_of(store.page(mine, sort=sort, descending=descending, limit=limit, offset=offset))

    def totals_of(self, which: Filter) -> Totals:
        """How many of these entries `which` selects, and how many bytes."""
        return self._listed(which).totals(self._mine(which))

    def number_of(self, which: Filter) -> int:
        """How many of these entries `which` selects."""
        store = self._listed(which)
        return store.number(self._mine(which)) if isinstance(store, Selecting) else self.totals_of(which).entries

    def facets(self) -> Facets:
        """The values that these entries have, for filters."""
        return self._listed().facets(self.notebook)

    def unknown_values(self, which: Mapping[str, Any]) -> str:
        """Of filters that select none of these entries: the values that no entry has, and those that there are, a line each."""
        return unknown_values(which, self.facets(), self.notebook)

    def evict(self, prefix: str) -> EntryMeta:
        """Delete the entry whose key begins with `prefix`, for all its owners. Returns the row that it had.

        Raises as `find`. At least four digits are needed.
        """
        if not isinstance(self.store, Deletable):
            raise UnsupportedError(f"the store {self.store.url} can't delete entries")
        meta = self.find(prefix, least=DIGITS_TO_EVICT)
        if self.store.delete(meta.key):
            self.gone([meta], "evicted")
        self.changed()
        return meta

    def clear(self, *, dry_run: bool = False, deleted: Progress | None = None, **which: Any) -> Cleared:
        """Clear the entries that `matching` finds by the same arguments. With `dry_run`, only say what would be cleared.

        `deleted` is called with how many are deleted, and of how many.

        Entries that other notebooks own too are kept for them: a clear never makes another notebook pay. Raises ValueError
        or StoreError.
        """
        rows = self.matching(**which)
        return self.would_clear(rows) if dry_run else self.clear_these(rows, deleted)

    def matching(
        self,
        *,
        spare: Collection[str] = (),
        include_expired: bool = True,
        key: str | None = None,
        progress: Progress | None = None,
        **filters: Any,
    ) -> Selection:
        """The entries for which all of these `EntryFilters` hold; all entries where nothing is given.

        Entries whose keys are in `spare` are left out, and with a `key` only this entry is looked at. Raises ValueError,
        TypeError or StoreError.
        """
        wanted = EntryFilters(**filters)
        which = replace(wanted.filter(), notebook=self.notebook, include_expired=include_expired, key=key)
        rows, where = self.select(which, wanted.match, progress), wanted.where
        if not spare and where is None:
            return rows
        return SelectedRows(row for row in rows if row.key not in spare and (where is None or where(row)))

    def columns_matching(
        self, *, spare: Collection[str] = (), progress: Progress | None = None, **filters: Any
    ) -> dict[str, list[Any]]:
        """As `columns`, of the entries that `matching` finds and that have not expired."""
        wanted = EntryFilters(**filters)
        if not spare and wanted.match is None and wanted.where is None:
            return self.columns(wanted.filter())
        return _columns(self.matching(spare=spare, include_expired=False, progress=progress, **filters))

    def edit(
        self,
        change: Edit,
        *,
        key: str | None = None,
        dry_run: bool = False,
        progress: Progress | None = None,
        edited: Progress | None = None,
        **filters: Any,
    ) -> Changed:
        """Change the entries that `matching` finds, whoever else owns them; with a `key`, that entry, if it is among them.

        With `dry_run`, only say what would be changed. Raises as `matching`, and as `find` for the key.
        """
        self._editable()
        whole = None if key is None else self.find(key, least=DIGITS_TO_EVICT).key
        those = self if whole is None else replace(self, notebook=None)
        rows = those.matching(include_expired=False, key=whole, progress=progress, **filters)
        return self.edit_these(rows, change, dry_run=dry_run, edited=edited)

    def edit_these(
        self, rows: Selection, change: Edit, *, dry_run: bool = False, edited: Progress | None = None
    ) -> Changed:
        """Change these entries, whoever else owns them. With `dry_run`, only say what would be changed."""
        store = self._editable()
        changing = rows.changed_by(change)
        shown: Any = SelectedRows(changing) if len(changing) <= _IN_MEMORY else changing
        done = Changed.of(shown, changing.costs())
        if changing and not dry_run:
            store.edit(changing.keys(), change, edited)
            self.changed()
        return done

    def would_clear(self, rows: Selection) -> Cleared:
        """What `clear_these` would do. Expired entries are not counted."""
        done = rows.clearing(self.notebook)
        return replace(done, entries=SelectedRows(done.entries)) if len(done.entries) <= _IN_MEMORY else done

    def clear_these(self, rows: Selection, progress: Progress | None = None) -> Cleared:
        """Clear these entries, but for those that other notebooks own too. Expired entries are not counted."""
        going = SelectedRows(rows.clearing(self.notebook).entries)  # they can't be read afterwards
        store, keys = self._listed(), rows.keys()
        if isinstance(store, Streamable):
            done = store.clear(keys, owner=self.notebook, progress=progress)
        else:
            done = store.clear(keys, owner=self.notebook)
        self.gone(going, "cleared")
        self.changed()
        return replace(done, entries=going)

    def select(self, which: Filter, text: str | None = None, progress: Progress | None = None) -> Selection:
        """Those that `which` selects of these entries; with `text` those of them that `search_for` finds by it."""
        store, mine = self._listed(which), self._mine(which)
        search = None if text is None else search_for(text)
        if isinstance(store, Selecting):
            return store.select(mine, search, progress)
        rows = store.page(mine) if search is None else self._containing(search, which, progress)
        return SelectedRows(_described_as(rows, which))

    def _containing(self, search: Search, which: Filter, progress: Progress | None) -> Iterator[EntryMeta]:
        """The rows of the entries with a text, of a store that reads each of them for that."""
        return (row for row, payload in followed(self.stream(which), progress) if search.is_in(row, payload))

    def check(self, *, fix: bool = False, progress: Progress | None = None) -> list[str]:
        """What is wrong with the store, a line each; with `fix` it is repaired."""
        if not isinstance(self.store, Checkable):
            raise UnsupportedError(f"the store {self.store.url} can't be checked")
        return self.store.check(fix=fix, read=_row, progress=progress)

    def put_all(self, entries: Sequence[tuple[str, bytes, EntryMeta]], touches: Sequence[Touch]) -> None:
        """Store these entries and write down these touches; all entries or none, if the store can do that."""
        if isinstance(self.store, Bulk):
            self.store.put_all(entries)
        else:
            for entry in entries:
                self.store.put(*entry)
        if isinstance(self.store, Listable):
            self.store.touch(touches)
        self.changed()

    def _listed(self, which: Filter = Filter()) -> Listable:  # noqa: B008 - frozen
        """The store, if it can list its entries, and search them where `which` asks for words."""
        if not isinstance(self.store, Listable):
            raise UnsupportedError(f"the store {self.store.url} can't list its entries: {TO_LIST}")
        if which.words and not isinstance(self.store, Searchable):
            raise UnsupportedError(f"the store {self.store.url} can't search its entries")
        return self.store

    def _editable(self) -> Editable:
        """The store, if entries that exist can be changed in it."""
        store = self._listed()
        if not isinstance(store, Editable):
            raise UnsupportedError(f"the store {self.store.url} can't change the tags or the expiry of its entries")
        return store

    def _mine(self, which: Filter) -> Filter:
        return which if self.notebook is None else replace(which, notebook=self.notebook)

    def _payload(self, meta: EntryMeta) -> codec.Payload:
        payload = self.store.get(meta.key)
        if payload is None:
            raise UnknownKeyError(f"entry {meta.key[:8]} has just gone")
        return codec.read(payload, meta.key)


class _ReadOneByOne:
    """Entries with their payloads, of a store that can't stream them."""

    def __init__(self, store: Store, rows: Sequence[EntryMeta], *, include_expired: bool) -> None:
        self._store, self._rows, self._include_expired = store, rows, include_expired

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[tuple[EntryMeta, bytes]]:
        for row in self._rows:
            payload = self._store.get(row.key, include_expired=self._include_expired)
            if payload is not None:
                yield row, payload


def _described_as(rows: Iterable[EntryMeta], which: Filter) -> list[EntryMeta]:
    """Those of the rows that `which` selects. A store of a user's own that is older than some filters passes over these."""
    return list(filter(which.selects, rows))


def _columns(rows: Iterable[EntryMeta]) -> dict[str, list[Any]]:
    whole = list(rows)
    return {field.name: [getattr(row, field.name) for row in whole] for field in fields(EntryMeta)}


def _record(meta: EntryMeta, payload: codec.Payload) -> Record:
    header = payload.header()
    identity = {**document(header.identity), "endpoint": header.endpoint}
    texts = prompt_text(header.shown_prompt), answer_text(payload.plain())
    calls = tuple(call.key for call in header.calls or () if call.key is not None)
    return Record(meta, *texts, identity, dict(header.versions or {}), calls)


def _described(payload: bytes, key: str) -> EntryMeta:
    """The row of an entry as its payload has it: without hits, and other changes since it was stored."""
    return replace(row_in(codec.read(payload, key)), size_bytes=len(payload))


def _row(payload: bytes, key: str) -> EntryMeta:
    """The row in a payload. Raises DamagedError unless all of the payload can be read."""
    return row_in(codec.read(payload, key))
