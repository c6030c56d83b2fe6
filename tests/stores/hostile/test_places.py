"""What somebody else has planted at each place where entries are: calls run with the right answers, and the local tier keeps these."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.outputs import Generation

import nbcache
from nbcache.errors import forget_warnings
from nbcache.stores import DiskStore, LangChainStore, MemoryStore, MomentoStore, RedisStore, Store, TieredStore
from nbcache.stores.redis.rows import payload_in
from nbcache.stores.sealed.store import sealed
from tests.faults.test_faults import Echo, ask, heard
from tests.servers.momento_server import MomentoServer
from tests.servers.redis_server import RedisServer, program
from tests.stores.hostile.forged import bomb, forged

DEEP = b"[" * 100_000
PLANTED: dict[str, Callable[[str], bytes]] = {
    "nothing": lambda _: b"",
    "no payload": lambda _: b"planted",
    "a pickle": lambda _: b"cos\nsystem\n(S'true'\ntR.",
    "zeros": lambda _: bytes(1_000_000),
    "bomb": lambda key: forged(key, bomb(512), packed=("answers",)),
    "deep JSON": lambda key: forged(key, DEEP),
    "of another key": lambda _: forged("0" * 40, [{"type": "Generation", "text": "planted"}]),
    "no answer": lambda key: forged(key, []),
    "of no chat model": lambda key: forged(key, [{"type": "Generation", "text": "planted"}]),
}


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer(program()) as running:
        yield running


@pytest.fixture(scope="module")
def momento_server() -> Iterator[MomentoServer]:
    with MomentoServer() as running:
        yield running


class Place:
    """A store, and a way to write anything into it past nbcache."""

    def __init__(self, store: Store, plant: Callable[[str, bytes], object]) -> None:
        self.store, self.plant = store, plant


@pytest.fixture(params=["redis", "momento", "langchain", "langchain envelope", "disk"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    yield from place_named(request.param, request, tmp_path)


def place_named(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if name == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        server.client.flushall()
        store: Store = RedisStore(server.url())
        yield Place(store, lambda key, payload: planted_in_string(server.client, f"{{nbcache}}:2:e:{key}", payload))
    elif name == "momento":
        from momento import CacheClient, Configurations

        momento: MomentoServer = request.getfixturevalue("momento_server")
        with CacheClient(Configurations.Laptop.latest(), momento.credentials("k"), timedelta(hours=1)) as client:
            yield Place(
                MomentoStore(client, "team"), lambda key, payload: client.set("team", f"nbcache:1:{key}", payload)
            )
    elif name == "langchain":
        cache = InMemoryCache()
        yield Place(
            LangChainStore(cache),
            lambda key, payload: cache.update(key, "nbcache", [Generation(text=payload.decode(errors="replace"))]),
        )
    elif name == "langchain envelope":
        inner = LangChainStore(InMemoryCache())
        row: Any = None  # it lists no entries
        yield Place(inner, lambda key, payload: inner.put(key, payload, row))
    else:
        disk = DiskStore(tmp_path / "other")
        yield Place(disk, lambda key, payload: planted_in(tmp_path / "other" / "cache.db", key, payload))


def planted_in_string(client: Any, name: str | bytes, payload: bytes) -> None:
    """Replace what comes after the head of an entry on a server."""
    entry = client.get(name)
    client.set(name, entry[: len(entry) - len(payload_in(entry))] + payload)


def planted_in(database: Path, key: str, payload: bytes) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE Cache SET value = ? WHERE key = ?", (payload, key))


def key_asked() -> str:
    """The key of the call that was made last."""
    key = nbcache.last().iloc[-1].to_dict()["key"]
    assert isinstance(key, str)
    return key


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED.keys())
@pytest.mark.parametrize("is_behind", [False, True], ids=["alone", "behind a local one"])
def test_what_is_planted_is_a_miss_and_no_tier_keeps_it(
    place: Place, planted: Callable[[str], bytes], *, is_behind: bool
) -> None:
    nbcache.install(place.store)
    ask(Echo(), "one")
    key = key_asked()
    nbcache.installed().flush()
    nbcache.uninstall()
    forget_warnings()
    place.plant(key, planted(key))
    local = MemoryStore()
    nbcache.install(TieredStore([local, place.store]) if is_behind else place.store)
    with heard() as said:
        ask(model := Echo(), "one", "one")
        nbcache.flush()
        ask(model, "one")
    nbcache.uninstall()
    assert model.calls == 1
    assert len(said) <= 1, said
    for store in (local, place.store) if is_behind else (place.store,):
        nbcache.install(store)
        ask(again := Echo(), "one")
        nbcache.uninstall()
        assert again.calls == 0


SEALED: dict[str, Callable[[bytes, bytes], bytes]] = {
    "cut": lambda own, _: own[:-20],
    "almost nothing": lambda own, _: own[:40],
    "flipped in the text": lambda own, _: own[:-30] + bytes([own[-30] ^ 1]) + own[-29:],
    "flipped in the nonce": lambda own, _: own[:52] + bytes([own[52] ^ 1]) + own[53:],
    "flipped in the version": lambda own, _: own[:3] + b"\x03" + own[4:],
    "of another key": lambda _, other: other,
    "of another key, with this key in front": lambda own, other: own[:44] + other[44:],
    "unsealed": lambda own, _: forged(own[5:25].hex(), [{"type": "ChatGeneration", "message": {"type": "AIMessage", "fields": {"content": "x"}}}]),
    "a million bytes more": lambda own, _: own + bytes(1_000_000),
}  # fmt: skip


@pytest.mark.parametrize("change", SEALED.values(), ids=SEALED.keys())
def test_a_sealed_entry_that_somebody_changed_is_a_miss(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes, bytes], bytes]
) -> None:
    monkeypatch.setenv("NBCACHE_SECRET", "the secret of all of us")
    client = redis_server.client
    client.flushall()
    nbcache.install(sealed(RedisStore(redis_server.url())))
    ask(Echo(), "one", "two")
    nbcache.installed().flush()
    nbcache.uninstall()
    forget_warnings()
    names = sorted(client.keys("{nbcache}:2:e:*"))
    payloads = [payload_in(client.get(name)) for name in names]
    for name, own, other in zip(names, payloads, reversed(payloads), strict=True):
        planted_in_string(client, name, change(own, other))
    nbcache.install(sealed(RedisStore(redis_server.url())))
    with heard() as said:
        nbcache.installed().contents("folder").entries()
        ask(model := Echo(), "one", "two")
        ask(model, "one", "two")
    assert model.calls == 2
    assert len(said) <= 2, said


def test_an_earlier_answer_to_the_same_call_can_be_put_back_into_a_sealed_store(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an operator can do, as docs/teams.md says."""
    monkeypatch.setenv("NBCACHE_SECRET", "the secret of all of us")
    client = redis_server.client
    client.flushall()
    nbcache.install(sealed(RedisStore(redis_server.url())))
    ask(Echo(), "one")
    (name,) = client.keys("{nbcache}:2:e:*")
    kept = client.dump(name)
    nbcache.clear(scope="folder")
    client.restore(name, 0, kept)
    ask(model := Echo(), "one")
    assert model.calls == 0
