"""Whatever a teammate writes into the server by another client: calls run, lists list what is sound, and `check` mends the rest."""

import json
import math
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

import nbcache
from nbcache.entry.records import Filter, SessionCall
from nbcache.errors import forget_warnings
from nbcache.stores import RedisStore
from nbcache.stores.redis.rows import _DICTIONARY, payload_in, row_in
from nbcache.ui.jupyter import html
from nbcache.ui.panel.board import Board
from tests.faults.test_faults import Echo, ask, heard
from tests.servers.redis_server import RedisServer, program


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(program()) as running:
        yield running


def store_of(cache: nbcache.NotebookCache) -> RedisStore:
    assert isinstance(cache.store, RedisStore)
    return cache.store


def inflated(row: bytes) -> bytes:
    return zlib.decompressobj(-zlib.MAX_WBITS, zdict=_DICTIONARY).decompress(row)


def deflated(text: bytes) -> bytes:
    made = zlib.compressobj(9, zlib.DEFLATED, -12, zdict=_DICTIONARY)
    return made.compress(text) + made.flush()


class Planted:
    """What a test plants: the raw client, the names of a store's keys, and one entry among three."""

    def __init__(self, client: Any, root: str, keys: list[str]) -> None:
        self.client, self.root, self.keys = client, root, keys
        self.entry = f"{root}e:{keys[0]}"

    def row(self, changed: dict[str, object]) -> None:
        """Change fields of the entry's row."""
        names = ["model", "prompt", "answer", "status", "created", "tags", "cell", "provider", "input_tokens"]
        names += ["output_tokens", "cost_usd", "seconds", "charged", "client", "streamed", "kind", "function"]
        values = json.loads(inflated(row_in(self.client.get(self.entry))))
        for name, value in changed.items():
            values[names.index(name)] = value
        self.parts(row=deflated(json.dumps(values).encode()))

    def column(self, name: str, value: float) -> None:
        """Change the entry's value in a column."""
        slot = struct.unpack_from("<I", self.client.get(self.entry), 8)[0]
        self.client.setrange(f"{self.root}c:{name}", slot * 8, struct.pack("<d", value))

    def become(self, kind: str) -> None:
        """Put a value of another type in the place of the entry."""
        self.replace(self.entry, kind)

    def replace_list(self, name: str, kind: str) -> None:
        """The same of a list, or an account."""
        self.replace(self.root + name, kind)

    def parts(
        self, row: bytes | None = None, cost: bytes = b"", owners: tuple[bytes, ...] = (), expires: float = math.inf
    ) -> None:
        """Write the entry anew with these parts."""
        entry = self.client.get(self.entry)
        kept = row_in(entry) if row is None else row
        about = kept + cost + b"".join(struct.pack("<I", len(owner)) + owner for owner in owners)
        slot = struct.unpack_from("<I", entry, 8)[0]
        head = struct.pack("<dIIIBB", expires, slot, 22 + len(about), len(kept), 0, len(cost))
        self.client.set(self.entry, head + about + payload_in(entry))

    def head(self, at: int, data: bytes) -> None:
        """Overwrite bytes of the entry."""
        self.client.setrange(self.entry, at, data)

    def count(self, name: str, value: str) -> None:
        """Write a field of the totals."""
        self.client.hset(self.root + "counts", name, value)

    def ledger(self, *texts: object) -> None:
        """Write rows of the ledger."""
        self.client.sadd(self.root + "spenders", "=hacker", b"=\xff\xfe", "hacker", "")
        for each in texts:
            self.client.rpush(self.root + "spent:=hacker", each if isinstance(each, bytes) else json.dumps(each))

    def replace(self, name: str, kind: str) -> None:
        """Put a value of another type in the place of a key."""
        self.client.delete(name)
        match kind:
            case "string":
                self.client.set(name, "planted")
            case "list":
                self.client.rpush(name, "planted")
            case "hash":
                self.client.hset(name, "planted", "planted")
            case "set":
                self.client.sadd(name, "planted")
            case "zset":
                self.client.zadd(name, {"planted": 1})


@pytest.fixture
def url(server: RedisServer) -> str:
    server.client.flushall()
    return server.url()


@pytest.fixture
def planted(server: RedisServer, url: str) -> Planted:
    """A store with the answers to "one", "two" and "three", which nobody has open."""
    cache = nbcache.install(url)
    ask(Echo(), "one", "two", "three", "one")
    cache.flush()
    store_of(cache).record_calls("a session", "n", [SessionCall("5" * 40, "m", 2, when=1.0)])
    keys = [row.key for row in cache.contents("folder").entries()]
    nbcache.uninstall()
    forget_warnings()
    return Planted(server.client, "{nbcache}:2:", keys)


def look_at_all() -> int:
    """Ask for all that there is to know. Returns how many entries are listed."""
    cache = nbcache.installed()
    contents = cache.contents("folder")
    rows = contents.entries()
    for sort in ("model", "cost_usd", "last_hit"):
        contents.page(Filter(), sort=sort)
    repr(nbcache.stats("folder", lifetime=True))
    html.stats(cache, "folder", lifetime=True)
    for text in ("", "answer"):
        Board(cache).ask({"type": "page", "facets": True, "search": text})
    Board(cache).chart()
    nbcache.history("folder")
    nbcache.entries("folder")
    for row in rows:
        store_of(cache).tombstone(row.key, 1e10)
    contents.facets()
    contents.totals()
    store_of(cache).last_calls("n")
    store_of(cache).similar(["answer"], 3)
    nbcache.check()
    return len(rows)


ROWS: dict[str, tuple[object, ...]] = {
    "created": (float("inf"), float("nan"), -1e300, 1e300, 10**400, "then", True),
    "cost_usd": ("1e300", "NaN", "Infinity", "-5", "sNaN", "1e999999", "x", 5),
    "input_tokens": (-1, 10**100, True, 1.5),
    "output_tokens": (-1, 10**100),
    "seconds": (float("nan"), float("inf"), -1, 1e300),
    "tags": ([1], ["\ud800"], "x", {}, [["x"]]),
    "model": (None, "\ud800", "\x1b[2J\n" * 10, "m" * 10_000_000),
    "status": (None, 5, "odd"),
    "kind": (None, "odd"),
    "prompt": (None, ["x"], "p" * 10_000_000),
}
ENTRY: dict[str, Callable[[Planted], object]] = {
    **{f"entry is a {kind}": partial(Planted.become, kind=kind) for kind in ("list", "set", "zset", "hash")},
    "entry is a text": lambda to: to.replace(to.entry, "string"),
    **{
        f"row is {value[:12]!r}": partial(Planted.parts, row=value)
        for value in (
            b"",
            b"planted",
            deflated(b"nan"),
            deflated(b"\xff\xfe"),
            deflated(b"[" * 100_000),
            b"x" * 3_000_000,
        )
    },
    "row that inflates": partial(Planted.parts, row=deflated(b"[" * 100_000_000)),
    **{
        f"cost is {value!r}": partial(Planted.parts, cost=value)
        for value in (b"x", b"1nan", b"1-5", b"11e300", b"\xff\xfe")
    },
    **{f"expiry is {value}": partial(Planted.parts, expires=value) for value in (math.nan, -math.inf, -1.0, 1e300)},
    **{
        f"head with {data!r} at {at}": partial(Planted.head, at=at, data=data)
        for at in (8, 12, 16, 20, 21)
        for data in (b"\xff" * 4, bytes(4))
    },
    "owner of bad bytes": partial(Planted.parts, owners=(b"\xff\xfe",)),
    "owner with ends of lines": partial(Planted.parts, owners=(b"a\nb\x1b[2J",)),
    **{
        f"column {name} is {value}": partial(Planted.column, name=name, value=value)
        for name in ("hits", "last_hit", "size_bytes", "created", "expires", "cost_usd", "input_tokens", "seconds")
        for value in (float("inf"), float("nan"), -1e300)
    },
    **{
        f"row's {name} is {value!r:.12}": partial(Planted.row, changed={name: value})
        for name, values in ROWS.items()
        for value in values
    },
    "huge tag": lambda to: to.row({"tags": ["t" * 10_000_000]}),
}


@pytest.mark.parametrize("plant", ENTRY.values(), ids=ENTRY.keys())
def test_a_planted_entry_breaks_neither_calls_nor_lists(
    planted: Planted, url: str, plant: Callable[[Planted], object]
) -> None:
    plant(planted)
    nbcache.install(url)
    with heard() as said:
        assert look_at_all() >= 2
        nbcache.check(fix=True)
        assert nbcache.check() == []
        assert look_at_all() >= 2
        ask(Echo(), "one", "two", "three", "new", "new")
    assert len(said) <= 1, said


def of_all_types(*names: str) -> dict[str, Callable[[Planted], object]]:
    return {
        f"{name} is a {kind}": partial(Planted.replace_list, name=name, kind=kind)
        for name in names
        for kind in ("string", "list" if name.startswith("c") else "hash")
    }


LEDGER_ROW = {"session": "s", "execution": 1, "when": 1e9, "cell": None, "model": "m", "hits": 1}
LISTS: dict[str, Callable[[Planted], object]] = {
    **of_all_types("counts", "c:created", "c:key", "c:hits", "c:model", "c:expires", "lru", "due", "free", "gone", "gone_order"),
    **of_all_types("spenders", "spent:=hacker", "sessions:=n", "calls:=n:a session"),
    **{
        f"count {name} is {value!r}": partial(Planted.count, name=name, value=value)
        for name in ("next", "entries", "due", "bytes", "evictions", "tombstones", "incomplete")
        for value in ("x", "-5", "99999999")
    },
    "column of another length": lambda to: to.client.append(to.root + "c:hits", b"x" * 100_001),
    "columns that list what isn't there": lambda to: to.client.setrange(to.root + "c:key", 20, b"\xee" * 20),
    "free slots that are none": lambda to: to.client.rpush(to.root + "free", "0", "-1", "1e3", "x", "9" * 30, "9999999"),
    "uses of slots that are none": lambda to: to.client.zadd(to.root + "lru", {"x": 1, "-1": 2, "99999": float("inf")}),
    "expiries of slots that are none": lambda to: to.client.zadd(to.root + "due", {"x": 1, "-1": 2, "99999": 3}),
    "entry of a key that is none": lambda to: [
        to.client.set(f"{to.root}e:".encode() + name, bytes(100)) for name in (b"../../etc", b"%s\n", b"", b"Z" * 40, b"\xff")
    ],
    "entry of a foreign type of a key that is none": lambda to: to.client.hset(f"{to.root}e:../..", "x", "y"),
    "a thousand owners": partial(Planted.parts, owners=tuple(b"x" * 100 + str(n).encode() for n in range(1000))),
    "tombstones that are none": lambda to: to.client.hset(
        to.root + "gone", mapping={to.keys[1]: "x y", to.keys[2]: "1e400 \x1b[2J" + "y" * 100, to.keys[0]: b"\xff \xff"}
    ),
    "ledger of nonsense": lambda to: to.ledger(
        5, [], {}, "x", b"{", b"\xff", b"[" * 100_000, {**LEDGER_ROW, "hits": "x"}
    ),
    "calls of nonsense": lambda to: to.client.hset(
        to.root + "calls:=n:a session", mapping={"x": "y", "[]": "{}", '["k", "m"]': '{"calls": 1e400}', b"\xff": b"\xff", "[[], {}]": "5"}
    ),
    "session of a strange name": lambda to: to.client.rpush(to.root + "sessions:=n", "../..", b"\xff"),
}  # fmt: skip


@pytest.mark.parametrize("plant", LISTS.values(), ids=LISTS.keys())
def test_planted_lists_and_accounts_break_neither_calls_nor_lists(
    planted: Planted, url: str, plant: Callable[[Planted], object]
) -> None:
    plant(planted)
    nbcache.install(url)
    with heard() as said:
        assert look_at_all() >= 2
        nbcache.check(fix=True)
        assert nbcache.check() == []
        assert look_at_all() == 3
        ask(model := Echo(), "one", "two", "three", "new", "new")
        nbcache.installed().flush()
    assert model.calls == 1
    assert said == []


@pytest.mark.parametrize(
    "lie",
    [
        {"saved_usd": "1e300"}, {"saved_usd": "NaN"}, {"saved_usd": "-1e300"}, {"saved_usd": "1e-9999"}, {"saved_usd": "Infinity"},
        {"saved_usd": "9999999"}, {"saved_usd": 1e300}, {"hits": 10**400}, {"hits": -100}, {"saved_seconds": 1e300}, {"when": 1e300},
        {"model": "m" * 10_000_000}, {"model": 5}, {"spent_usd": "-5"}, {"misses": -7}, {"execution": "x"},
    ],
    ids=lambda lie: f"{lie!r:.40}",
)  # fmt: skip
def test_an_account_that_can_not_be_true_does_not_count(planted: Planted, url: str, lie: dict[str, object]) -> None:
    nbcache.install(url)
    before = nbcache.stats("folder", lifetime=True)
    planted.ledger({**LEDGER_ROW, **lie})
    assert nbcache.stats("folder", lifetime=True) == before


@pytest.mark.parametrize("lease", ["somebody", "t" * 10_000_000, b"\xff\xfe", ""])
def test_a_lease_that_is_held_forever_delays_a_call_no_longer_than_its_model_waits(
    planted: Planted, url: str, lease: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbcache.cache.lookup.longest_wait", lambda _: 0.5)
    nbcache.install(url)
    key = nbcache.installed().contents("folder").entries()[0].key
    planted.client.delete(f"{planted.root}e:{key}")
    for each in planted.keys:
        planted.client.set(f"{planted.root}l:{each}", lease)
        planted.client.delete(f"{planted.root}e:{each}")
    with heard() as said:
        ask(model := Echo(), "one", "two", "three")
    assert (model.calls, said) == (3, [])


@pytest.mark.parametrize("kind", ["list", "hash", "set", "zset"])
def test_a_lease_of_another_type_is_taken(planted: Planted, url: str, kind: str) -> None:
    for each in planted.keys:
        planted.client.delete(f"{planted.root}e:{each}")
        planted.replace(f"{planted.root}l:{each}", kind)
    nbcache.install(url)
    with heard() as said:
        ask(model := Echo(), "one", "two", "three", "one")
    assert (model.calls, said) == (3, [])
