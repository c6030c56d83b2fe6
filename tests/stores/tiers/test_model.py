"""Two machines with a store in tiers, of which they share the last, against plain dicts: whatever is done in whatever order."""

import contextlib
import hashlib
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from langchain_core.caches import InMemoryCache
from langchain_core.outputs import Generation

from nbcache import codec
from nbcache.codec.header import EntryHeader
from nbcache.entry.edit import Edit
from nbcache.entry.records import EntryMeta, Spending, Totals, Touch
from nbcache.errors import StoreError
from nbcache.stores import DiskStore, LangChainStore, MemoryStore, ReadOnly, RedisStore, Store, TieredStore
from tests.servers.redis_server import RedisServer, program, until

ENOUGH = 30.0  # seconds for what takes milliseconds
KEYS = tuple(hashlib.sha256(str(number).encode()).hexdigest()[:40] for number in range(4))
NOTEBOOKS = ("a.ipynb", "b.ipynb")
MACHINES = (0, 1)
HIDING = {"delete", "clear"}

_machines, _keys, _notebooks = st.sampled_from(MACHINES), st.sampled_from(KEYS), st.sampled_from(NOTEBOOKS)
_ttls = st.none() | st.sampled_from([100.0, 1000.0])
_tags = st.frozensets(st.sampled_from(("tag", "☃")))


class Reachable:
    """A tier as one machine reaches it: it fails while that one `is_cut_off`."""

    def __init__(self, inner: Any) -> None:
        self.url, self.is_cut_off = inner.url, False
        for name in dir(type(inner)):
            method = getattr(inner, name)
            if not name.startswith("_") and callable(method):
                setattr(self, name, method if name == "close" else self._failing(method))

    def _failing(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if self.is_cut_off:
                raise StoreError(f"{self.url} does not answer")
            return method(*args, **options)

        return call


@dataclass(frozen=True)
class Entry:
    """What the model knows of one entry in a tier. An owner is a machine with a notebook on it."""

    payload: bytes
    created: float
    tags: frozenset[str]
    owners: frozenset[tuple[int, str]]
    expires: float | None
    hits: int = 0


@dataclass
class Machine:
    """What the model knows of one machine."""

    store: Any
    far: Any
    near: dict[str, Entry] = field(default_factory=dict)
    jobs: dict[tuple[str, tuple[int, str] | None], str] = field(default_factory=dict)
    spendings: list[Spending] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)  # what it has cleared or deleted, and others still have


class AgainstDicts(RuleBasedStateMachine):
    """Does the same to two stores in tiers and to dicts. `near` and `new_far` say which tiers they have."""

    has_rows: ClassVar = True  # whether the shared tier has
    is_in_memory: ClassVar = False  # whether the first tier is
    is_written: ClassVar = True  # whether the shared tier is, by the machines

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        self.now = 1_800_000_000.0
        for name, value in (
            ("time.time", lambda: self.now),
            ("nbcache.stores.redis.clock.ServerClock.ahead", lambda _: 0.0),
            ("nbcache.stores.redis.clock.ServerClock.now", lambda _: self.now),
            ("nbcache.stores.tiers.transfers._LATER", 0.001),
            ("nbcache.stores.tiers.transfers._SOON", 0.0005),
            ("nbcache.stores.circuit_breaker._FIRST", 0.0),
            ("nbcache.stores.circuit_breaker._LONGEST", 0.0),
        ):
            self.stack.enter_context(mock.patch(name, value))
        self.stack.enter_context(mock.patch.dict("os.environ", NBCACHE_OWNER="ann"))
        self.folder = Path(tempfile.mkdtemp(prefix="nbcache-"))
        self.stack.callback(shutil.rmtree, self.folder)
        self.shared: Any = self.new_far()
        self.far: dict[str, Entry] = {}
        self.machines = [self.begun(at) for at in MACHINES]
        self.number = 0

    def new_far(self) -> Store:
        raise NotImplementedError

    def near(self, at: int) -> Store:
        return DiskStore(self.folder / str(at) / ".nbcache")

    def begun(self, at: int) -> Machine:
        far: Any = Reachable(self.shared)
        return Machine(TieredStore([self.near(at), far if self.is_written else ReadOnly(far)]), far)

    def teardown(self) -> None:
        try:
            for machine in self.machines:
                self.connect(machine)
            self.agrees()
            for machine in self.machines:
                assert machine.store.check() == []
                machine.store.close()
            if isinstance(self.shared, RedisStore):
                assert self.shared.check() == []
            self.shared.close()
        finally:
            self.stack.close()

    # What the model does

    def live(self, entries: dict[str, Entry], key: str) -> Entry | None:
        entry = entries.get(key)
        if entry is not None and entry.expires is not None and entry.expires <= self.now:
            del entries[key]
            return None
        return entry

    def sent(self, machine: Machine, key: str) -> None:
        """What this machine has of an entry is copied to the shared tier."""
        if (entry := self.live(machine.near, key)) is None:
            return
        old = self.live(self.far, key)
        owners, hits = (old.owners, old.hits) if old else (frozenset(), entry.hits)
        self.far[key] = replace(entry, owners=entry.owners | owners, hits=hits)

    def cleared(self, entries: dict[str, Entry], key: str, owner: tuple[int, str] | None) -> bool:
        """Whether the entry is gone now, that its owner gives up: or all, if it is None."""
        if (entry := self.live(entries, key)) is None:
            return False
        if owner is not None and entry.owners - {owner}:
            entries[key] = replace(entry, owners=entry.owners - {owner})
            return False
        del entries[key]
        return True

    def tell(self, machine: Machine, key: str, kind: str, owner: tuple[int, str] | None = None) -> None:
        """The shared tier is told of a change by this machine: at once, or when it can be reached."""
        if kind == "clear" and owner is not None and not self.has_rows:
            machine.jobs.pop((key, None), None)
            machine.hidden.add(key)
        elif machine.far.is_cut_off and self.is_written:
            was_removed = key in machine.hidden or machine.jobs.get((key, None), "copy") != "copy"
            machine.jobs[key, owner] = "replace" if kind == "copy" and was_removed else kind
            machine.hidden.discard(key)
        else:
            self.do(machine, key, kind, owner)

    def do(self, machine: Machine, key: str, kind: str, owner: tuple[int, str] | None) -> None:
        if not self.is_written:
            if kind == "delete":
                machine.hidden.add(key)
            return
        machine.hidden.discard(key)
        if kind == "clear":
            self.cleared(self.far, key, owner)
        elif kind == "delete" or (kind == "replace" and self.live(machine.near, key) is None):
            self.far.pop(key, None)
        else:
            self.sent(machine, key)

    def connect(self, machine: Machine) -> None:
        machine.far.is_cut_off = False
        if self.is_written:
            for (key, owner), kind in sorted(machine.jobs.items(), key=lambda job: job[1] != "clear"):
                self.do(machine, key, kind, owner)
            machine.jobs = {}
        self.settle(machine)

    def settle(self, machine: Machine) -> None:
        """Wait until the shared tier has all of a machine that can reach it."""
        machine.store.flush(ENOUGH)
        if machine.far.is_cut_off or not self.is_written:
            return
        sends = machine.store._transfers
        until(lambda: sends.flush(ENOUGH) or not sends._unsent.of(machine.far.url), ENOUGH)
        sends.flush(ENOUGH)

    def made(self, key: str, ttl: float | None) -> tuple[bytes, EntryMeta]:
        self.now += 0.001  # no two entries are equally new
        self.number += 1
        meta = EntryMeta(*(key, "model", "prompt", "answer", "ok", self.now))
        header = EntryHeader(meta, "prompt", "{}", "")
        answers = [Generation(text=f"answer {self.number}")]
        return codec.encode(answers, header, reusable=True, expires=ttl is not None), meta

    # What is done

    @rule(at=_machines, key=_keys, notebook=_notebooks, ttl=_ttls)
    def put(self, at: int, key: str, notebook: str, ttl: float | None) -> None:
        machine = self.machines[at]
        payload, meta = self.made(key, ttl)
        machine.store.put(key, payload, replace(meta, notebooks=(self.name(at, (at, notebook)),)), ttl)
        old = self.live(machine.near, key)
        owners = frozenset({(at, notebook)}) | (old.owners if old else frozenset())
        expires = None if ttl is None else self.now + ttl
        machine.near[key] = Entry(payload, self.now, frozenset(), owners, expires, old.hits if old else 0)
        self.tell(machine, key, "copy")
        self.settle(machine)

    @rule(at=_machines, key=_keys, notebook=_notebooks)
    def hit(self, at: int, key: str, notebook: str) -> None:
        """Look an entry up, as a call does, and note the hit, as the end of the cell does."""
        machine = self.machines[at]
        payload = machine.store.get(key)
        entry, tier = self.live(machine.near, key), 0
        is_hidden = key in machine.hidden or any(of == key and kind in HIDING for (of, _), kind in machine.jobs.items())
        if entry is None and not machine.far.is_cut_off and not is_hidden:
            entry, tier = self.live(self.far, key), 1
            if entry is not None:
                machine.near[key] = entry if self.has_rows else replace(entry, owners=frozenset(), hits=0)
        assert payload == (entry.payload if entry else None)
        if entry is None:
            return
        assert machine.store.tier_of(key, payload) == machine.store.names[tier]
        machine.store.touch([Touch(key, self.name(at, (at, notebook)), 1, self.now)])
        self.settle(machine)
        machine.near[key] = self.touched(machine.near[key], (at, notebook))
        if tier == 1 and self.is_written:
            self.far[key] = self.touched(self.far[key], (at, notebook))

    def touched(self, entry: Entry, owner: tuple[int, str]) -> Entry:
        return replace(entry, owners=entry.owners | {owner}, hits=entry.hits + 1)

    @rule(at=_machines, key=_keys)
    def delete(self, at: int, key: str) -> None:
        machine = self.machines[at]
        was_near = self.live(machine.near, key) is not None
        was_far = self.is_written and not machine.far.is_cut_off and self.live(self.far, key) is not None
        assert machine.store.delete(key) is (was_near or was_far)
        machine.near.pop(key, None)
        self.tell(machine, key, "delete")
        assert machine.store.get(key) is None
        self.settle(machine)

    @rule(at=_machines, key=_keys, notebook=st.none() | _notebooks)
    def clear(self, at: int, key: str, notebook: str | None) -> None:
        machine, owner = self.machines[at], None if notebook is None else (at, notebook)
        gone = self.cleared(machine.near, key, owner)
        assert machine.store.clear([key], owner=owner and self.name(at, owner)).deleted == gone
        self.tell(machine, key, "clear", owner)
        self.settle(machine)

    @rule(at=_machines, key=_keys, add=_tags, remove=_tags, ttl=st.just("as it is") | _ttls)
    def edit(self, at: int, key: str, add: frozenset[str], remove: frozenset[str], ttl: float | str | None) -> None:
        machine = self.machines[at]
        if self.live(machine.near, key) is None:
            return
        expires = self.now + ttl if isinstance(ttl, float) else None
        change = Edit(tuple(add), tuple(remove), ttl != "as it is", expires)
        machine.store.edit([key], change)
        machine.near[key] = self.edited(key, machine.near[key], machine.store.home, change)
        if machine.far.is_cut_off or not (self.has_rows and self.is_written):
            self.tell(machine, key, "replace")
        elif (entry := self.live(self.far, key)) is not None:
            self.far[key] = self.edited(key, entry, self.shared, change)
        self.settle(machine)

    def edited(self, key: str, entry: Entry, tier: Store, change: Edit) -> Entry:
        payload = tier.get(key) or b""
        assert codec.read(payload, key).plain() == codec.read(entry.payload, key).plain()
        tags = entry.tags - {*change.remove} | {*change.add}
        return replace(entry, payload=payload, tags=tags, expires=change.expiry_of(entry.expires))

    @rule(at=_machines)
    def cut_off(self, at: int) -> None:
        self.machines[at].far.is_cut_off = True

    @precondition(lambda self: any(machine.far.is_cut_off for machine in self.machines))
    @rule()
    def reconnect(self) -> None:
        for machine in self.machines:
            if machine.far.is_cut_off:
                self.connect(machine)

    @rule(at=_machines)
    def reopen(self, at: int) -> None:
        old, new = self.machines[at], self.begun(at)
        old.store.close()
        new.far.is_cut_off = old.far.is_cut_off
        if not self.is_in_memory:
            new.near, new.jobs, new.spendings = old.near, old.jobs, old.spendings
            new.hidden = old.hidden
        self.machines[at] = new

    @rule(at=_machines, notebook=_notebooks)
    def spend(self, at: int, notebook: str) -> None:
        self.now, self.number = self.now + 0.001, self.number + 1
        machine = self.machines[at]
        spent = Spending(
            "session", self.number, self.now, notebook, "cell", "model", misses=1, spent_usd=Decimal("0.1")
        )
        machine.store.record([spent])
        machine.spendings.append(spent)

    @rule(seconds=st.sampled_from([1.0, 150.0, 2000.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    # What holds

    @invariant()
    def agrees(self) -> None:
        for at, machine in enumerate(self.machines):
            for key in KEYS:
                self.live(machine.near, key)
            self.agree(machine.store.home, machine.near, partial(self.name, at))
            sizes = [len(entry.payload) for entry in machine.near.values()]
            assert machine.store.totals() == Totals(len(sizes), sum(sizes), 0)
            assert machine.store.spendings() == machine.spendings
        for key in KEYS:
            entry = self.live(self.far, key)
            assert self.shared.get(key) == (entry.payload if entry else None)
        if self.has_rows:
            self.agree(self.shared, self.far, self.owner_on_server)

    def agree(self, tier: Any, entries: dict[str, Entry], named: Callable[[Any], str]) -> None:
        rows = {meta.key: meta for meta in tier.page()}
        assert set(rows) == set(entries)
        for key, entry in entries.items():
            row = rows[key]
            assert tier.get(key) == entry.payload
            assert (row.created, frozenset(row.tags), row.hits) == (entry.created, entry.tags, entry.hits)
            assert row.expires == (None if entry.expires is None else pytest.approx(entry.expires, abs=0.1))
            assert set(row.notebooks) == set(map(named, entry.owners))

    def name(self, at: int, owner: tuple[int, str]) -> str:
        """What the first tier of a machine calls an owner. In a folder it is the path from there, if it is below."""
        of, notebook = owner
        return notebook if of == at and not self.is_in_memory else f"{self.folder}/{of}/{notebook}"

    def owner_on_server(self, owner: tuple[int, str]) -> str:
        of, notebook = owner
        return f"ann:{self.folder}/{of}/{notebook}"


class DiskAndRedis(AgainstDicts):
    url: ClassVar = ""

    def new_far(self) -> Store:
        return RedisStore(f"{self.url}?prefix={uuid.uuid4().hex}")


class MemoryAndRedis(DiskAndRedis):
    is_in_memory = True

    def near(self, at: int) -> Store:
        return MemoryStore(clock=lambda: self.now)


class DiskAndLangChain(AgainstDicts):
    has_rows = False

    def new_far(self) -> Store:
        return LangChainStore(InMemoryCache())


class DiskAndAFolderThatIsOnlyRead(AgainstDicts):
    """The teacher writes the shared folder."""

    is_written = False

    def new_far(self) -> Store:
        return DiskStore(self.folder / "course" / ".nbcache")

    @rule(key=_keys, ttl=_ttls)
    def teach(self, key: str, ttl: float | None) -> None:
        payload, meta = self.made(key, ttl)
        self.shared.put(key, payload, meta, ttl)
        expires = None if ttl is None else self.now + ttl
        old = self.live(self.far, key)
        self.far[key] = Entry(payload, self.now, frozenset(), frozenset(), expires, old.hits if old else 0)

    @rule(key=_keys)
    def take_back(self, key: str) -> None:
        assert self.shared.delete(key) is (self.live(self.far, key) is not None)
        self.far.pop(key, None)


@pytest.fixture(autouse=True, scope="module")
def _server() -> Iterator[None]:
    with RedisServer(program()) as running:
        DiskAndRedis.url = running.url().partition("?")[0]
        yield


_SETTINGS = settings(
    phases=[Phase.explicit, Phase.generate],
    max_examples=5,
    derandomize=True,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)

TestDiskAndRedis = DiskAndRedis.TestCase
TestMemoryAndRedis = MemoryAndRedis.TestCase
TestDiskAndLangChain = DiskAndLangChain.TestCase
TestDiskAndAFolderThatIsOnlyRead = DiskAndAFolderThatIsOnlyRead.TestCase
for _machine in (TestDiskAndRedis, TestMemoryAndRedis, TestDiskAndLangChain, TestDiskAndAFolderThatIsOnlyRead):
    _machine.settings = _SETTINGS
del _machine  # or pytest would run it once more
