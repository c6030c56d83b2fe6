"""Stores against a plain dict: whatever is done in whatever order, they hold the same."""

import fnmatch
import hashlib
import shutil
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest import mock

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, precondition, rule

from nbcache.entry.edit import Edit
from nbcache.entry.records import Cleared, EntryMeta, Filter, Totals, Touch
from nbcache.stores import DiskStore, MemoryStore
from tests.support.rows import FullStore, row_of

NOTEBOOKS = ("a.ipynb", "b.ipynb", "naïve ☃.ipynb")
TAGS = ("tag", "tagged", "☃")
MODELS = ("m-1", "m-2", "m[12]", "M-1")
PATTERNS = ("m-*", "?-1", "m[[]12]", "m[12]", "m-[!1]", "*", "m[", "n*")

_owners = st.frozensets(st.sampled_from(NOTEBOOKS))
_ttls = st.none() | st.sampled_from([1.0, 10.0, 60.0])


@dataclass
class Entry:
    """What the model knows of one entry."""

    payload: bytes
    model: str
    created: float
    tags: frozenset[str]
    owners: set[str] = field(default_factory=set)
    hits: int = 0
    last_hit: float | None = None
    expires: float | None = None


class AgainstADict(RuleBasedStateMachine):
    """Does the same to a store and to a dict. `make` says to which store."""

    keys = Bundle("keys")

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_800_000_000.0
        self.patch = mock.patch("time.time", self.clock)
        self.patch.start()
        self.entries: dict[str, Entry] = {}
        self.store: FullStore = self.make()

    def clock(self) -> float:
        return self.now

    def make(self) -> FullStore:
        raise NotImplementedError

    def teardown(self) -> None:
        try:
            assert self.store.check() == []
            self.store.close()
            self.agrees()
            assert self.store.check() == []
            self.store.close()
        finally:
            self.patch.stop()

    @initialize(target=keys)
    def some_keys(self) -> object:
        return multiple(*(hashlib.sha256(str(number).encode()).hexdigest()[:40] for number in range(6)))

    def live(self, key: str) -> Entry | None:
        """The entry of `key`, unless it has expired."""
        entry = self.entries.get(key)
        if entry is not None and entry.expires is not None and entry.expires <= self.now:
            del self.entries[key]
            return None
        return entry

    @rule(
        key=keys, payload=st.binary(max_size=300), model=st.sampled_from(MODELS),
        tags=st.frozensets(st.sampled_from(TAGS)), owners=_owners, ttl=_ttls,
    )  # fmt: skip
    def put(  # noqa: PLR0917 - Hypothesis names them
        self, key: str, payload: bytes, model: str, tags: frozenset[str], owners: frozenset[str], ttl: float | None
    ) -> None:
        self.now += 0.001  # no two entries are equally new
        meta = EntryMeta(
            *(key, model, "prompt", "answer", "ok", self.now), tags=tuple(sorted(tags)), notebooks=tuple(sorted(owners))
        )
        self.store.put(key, payload, meta, ttl)
        old = self.live(key)
        self.entries[key] = Entry(
            *(payload, model, self.now, tags),
            owners=set(owners) | (old.owners if old else set()),
            hits=old.hits if old else 0,
            last_hit=old.last_hit if old else None,
            expires=None if ttl is None else self.now + ttl,
        )

    @rule(key=keys, notebook=st.none() | st.sampled_from(NOTEBOOKS), hits=st.integers(1, 3), ago=st.floats(0, 5))
    def touch(self, key: str, notebook: str | None, hits: int, ago: float) -> None:
        self.store.touch([Touch(key, notebook, hits, self.now - ago)])
        if entry := self.live(key):
            entry.hits += hits
            entry.last_hit = max(entry.last_hit or 0.0, self.now - ago)
            entry.owners |= {notebook} if notebook else set()

    @rule(key=keys)
    def delete(self, key: str) -> None:
        assert self.store.delete(key) is (self.live(key) is not None)
        self.entries.pop(key, None)

    @rule(cleared=st.lists(keys, max_size=4), owner=st.none() | st.sampled_from(NOTEBOOKS))
    def clear(self, cleared: list[str], owner: str | None) -> None:
        deleted = freed = kept = 0
        for key in dict.fromkeys(cleared):
            entry = self.live(key)
            if entry is None:
                continue
            if owner is not None and entry.owners - {owner}:
                entry.owners -= {owner}
                kept += 1
            else:
                del self.entries[key]
                deleted, freed = deleted + 1, freed + len(entry.payload)
        assert self.store.clear(cleared, owner=owner) == Cleared(deleted, freed, kept)

    @rule(
        keys=st.lists(keys, max_size=4), add=st.frozensets(st.sampled_from(TAGS)),
        remove=st.frozensets(st.sampled_from(TAGS)), ttl=st.just("as it is") | _ttls,
    )  # fmt: skip
    def edit(self, keys: list[str], add: frozenset[str], remove: frozenset[str], ttl: float | str | None) -> None:
        sets_expiry = ttl != "as it is"
        expires = self.now + ttl if isinstance(ttl, float) else None
        changed = 0
        for key in keys:
            if entry := self.live(key):
                before = (entry.tags, entry.expires)
                entry.tags = entry.tags - remove | add
                entry.expires = expires if sets_expiry else entry.expires
                changed += before != (entry.tags, entry.expires)
        assert self.store.edit(keys, Edit(tuple(add), tuple(remove), sets_expiry, expires)) == changed

    @rule(seconds=st.sampled_from([0.5, 5.0, 30.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.entries)
    @rule(
        which=st.builds(
            Filter,
            notebook=st.none() | st.sampled_from(NOTEBOOKS),
            model=st.none() | st.sampled_from(MODELS),
            tag=st.none() | st.sampled_from(TAGS),
            unused=st.booleans(),
        ),
        models=st.none() | st.sampled_from(PATTERNS),
        larger_than=st.none() | st.integers(0, 300),
        idle=st.none() | st.floats(0, 60),
        age=st.none() | st.floats(0, 60),
        limit=st.none() | st.integers(0, 4),
        offset=st.integers(0, 3),
    )
    def page(  # noqa: PLR0917 - Hypothesis names them
        self,
        which: Filter,
        models: str | None,
        larger_than: int | None,
        idle: float | None,
        age: float | None,
        limit: int | None,
        offset: int,
    ) -> None:
        before = None if age is None else self.now - age
        idle_since = None if idle is None else self.now - idle
        asked = replace(which, before=before, models=models, larger_than=larger_than, idle_since=idle_since)
        meant = [
            key
            for key in sorted(self.entries, key=lambda key: self.entries[key].created, reverse=True)
            if (entry := self.live(key))
            and (asked.notebook is None or asked.notebook in entry.owners)
            and (asked.model is None or asked.model == entry.model)
            and (asked.tag is None or asked.tag in entry.tags)
            and (asked.before is None or entry.created < asked.before)
            and not (asked.unused and entry.hits)
            and (models is None or entry.model == models or fnmatch.fnmatchcase(entry.model, models))
            and (larger_than is None or len(entry.payload) > larger_than)
            and (idle_since is None or (entry.last_hit or entry.created) < idle_since)
        ]
        wanted = meant[offset:] if limit is None else meant[offset : offset + limit]
        assert [meta.key for meta in self.store.page(asked, limit=limit, offset=offset)] == wanted

    @rule()
    def close(self) -> None:
        if isinstance(self.store, DiskStore):
            self.store.close()

    @invariant()
    def agrees(self) -> None:
        for key in list(self.entries):
            entry = self.live(key)
            assert self.store.get(key) == (entry.payload if entry else None)
        rows = self.store.page()
        assert {meta.key for meta in rows} == set(self.entries)
        for meta in rows:
            entry = self.entries[meta.key]
            assert (meta.model, meta.created, frozenset(meta.tags)) == (entry.model, entry.created, entry.tags)
            assert (set(meta.notebooks), meta.hits) == (entry.owners, entry.hits)
            assert (meta.last_hit, meta.expires) == (entry.last_hit, entry.expires)
            assert row_of(self.store, meta.key) == meta
        sizes = [len(entry.payload) for entry in self.entries.values()]
        assert self.store.totals() == Totals(len(sizes), sum(sizes), 0)
        for notebook in NOTEBOOKS:
            owned = [len(entry.payload) for entry in self.entries.values() if notebook in entry.owners]
            assert self.store.totals(Filter(notebook=notebook)) == Totals(len(owned), sum(owned), 0)


class MemoryAgainstADict(AgainstADict):
    def make(self) -> FullStore:
        return MemoryStore(clock=lambda: time.time())  # noqa: PLW0108 - looked up anew each time


class DiskAgainstADict(AgainstADict):
    def make(self) -> FullStore:
        self.folder = Path(tempfile.mkdtemp(prefix="nbcache-"))
        return DiskStore(self.folder)

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            shutil.rmtree(self.folder)


class BoundedAgainstADict(RuleBasedStateMachine):
    """Within bounds, both stores hold and evict the same; nothing is over a bound after a put."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_800_000_000.0
        self.patch = mock.patch("time.time", self.clock)
        self.patch.start()
        self.folder = Path(tempfile.mkdtemp(prefix="nbcache-"))
        self.entries: dict[str, bytes] = {}  # least recently used first
        self.evictions = 0
        self.stores: list[FullStore] = [
            MemoryStore(max_entries=4, max_bytes=600),
            DiskStore(self.folder, max_entries=4, max_bytes=600),
        ]

    def clock(self) -> float:
        return self.now

    def teardown(self) -> None:
        try:
            for store in self.stores:
                assert store.check() == []
                store.close()
        finally:
            self.patch.stop()
            shutil.rmtree(self.folder)

    @rule(number=st.integers(0, 7), size=st.integers(0, 600))
    def put(self, number: int, size: int) -> None:
        self.now += 1
        key = f"{number:040x}"
        for store in self.stores:
            store.put(key, bytes(size), EntryMeta(key, "m", "p", "a", "ok", self.now))
        self.entries.pop(key, None)
        self.entries[key] = bytes(size)
        while len(self.entries) > 4 or sum(map(len, self.entries.values())) > 600:
            del self.entries[next(iter(self.entries))]
            self.evictions += 1

    @rule(number=st.integers(0, 7))
    def use(self, number: int) -> None:
        self.now += 1
        key = f"{number:040x}"
        for store in self.stores:
            assert store.get(key) == self.entries.get(key)
            store.touch([Touch(key, None, 1, self.now)])
        if key in self.entries:
            self.entries[key] = self.entries.pop(key)

    @rule(number=st.integers(0, 7))
    def delete(self, number: int) -> None:
        key = f"{number:040x}"
        there = self.entries.pop(key, None) is not None
        for store in self.stores:
            assert store.delete(key) is there

    @invariant()
    def agrees(self) -> None:
        expected = Totals(len(self.entries), sum(map(len, self.entries.values())), self.evictions)
        for store in self.stores:
            assert {meta.key for meta in store.page()} == set(self.entries)
            assert store.totals() == expected


_SETTINGS = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck), database=None
)

TestMemoryAgainstADict = MemoryAgainstADict.TestCase
TestDiskAgainstADict = DiskAgainstADict.TestCase
TestBoundedAgainstADict = BoundedAgainstADict.TestCase
for _machine in (TestMemoryAgainstADict, TestDiskAgainstADict, TestBoundedAgainstADict):
    _machine.settings = _SETTINGS
del _machine  # or pytest would run it once more
