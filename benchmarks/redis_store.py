"""A store on a Redis server on loopback, beside a bare `GET`, LangChain's RedisCache, and its own pages of many entries."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from nbcache import NotebookCache
from nbcache.entry.records import EntryMeta
from nbcache.stores import RedisStore
from nbcache.ui.panel.board import Board
from tests.servers.redis_server import RedisServer, programs

from . import BenchError, big_store, columns
from .figures import PROCESSOR, Figures
from .growth_pages import pages
from .timing import Times, alternate, timed
from .workload import Entry, entries

SMALL = 1_000  # bytes of the payload of a small entry
_COUNTED = 5_000  # small entries by which their bytes are counted
_Hit = tuple[Callable[..., Any], list[tuple[Any, ...]], Callable[[int, Any], bool]]


def measure(size: int, *, batch: int, rounds: int, figures: Figures) -> None:
    """Measure on a server that lives as long as this. Without one, or without redis-py, nothing is measured."""
    servers = programs()
    if not servers:
        print("a store on Redis is not measured: this needs redis-server or valkey-server, and redis-py")
        return
    program = next(iter(servers.values()))
    with RedisServer(program, tcp=True) as server:
        _hits(server, batch, rounds, figures)
    with RedisServer(program, tcp=True) as server:
        _bytes(server, figures)
    with RedisServer(program, tcp=True) as server:
        _pages(server, size, max(2, rounds // 3), figures)


def _hits(server: RedisServer, batch: int, rounds: int, figures: Figures) -> None:
    """The same entries from the store, from a bare `GET` and from LangChain's cache."""
    cache, ready = NotebookCache(server.url()), list(entries(range(batch)))
    for entry in ready:
        cache.update(entry.prompt, entry.llm_string, entry.generations)
    cache.flush()
    store = cache.store
    assert isinstance(store, RedisStore)
    keys = [row.key for row in store.page()]
    payloads = [store.get(key) or b"" for key in keys]
    bare = RedisStore(server.url("bare")).server.calls
    for key, payload in zip(keys, payloads, strict=True):
        bare.set(key, payload)
    arguments, calls = [(key,) for key in keys], [(entry.prompt, entry.llm_string) for entry in ready]
    _alternate(
        "redis hit",
        {
            columns.NBCACHE: (store.get, arguments, lambda at, found: found == payloads[at]),
            columns.GET: (bare.get, arguments, lambda at, found: found == payloads[at]),
        },
        rounds,
        figures,
    )
    of_langchain = _lookups(server, ready)
    ours: _Hit = (cache.lookup, calls, lambda at, found: ready[at].is_answered_by(found))
    _alternate("redis lookup", {columns.NBCACHE: ours, **of_langchain}, rounds, figures)
    cache.close()


def _lookups(server: RedisServer, ready: list[Entry]) -> dict[str, _Hit]:
    """LangChain's cache, if it is installed, with the same entries."""
    if columns.REDIS_CACHE in columns.missing():
        return {}
    from langchain_community.cache import RedisCache
    from redis import Redis

    cache = RedisCache(Redis.from_url(server.url().partition("?")[0]))
    for entry in ready:
        cache.update(entry.prompt, entry.llm_string, entry.generations)
    calls = [(entry.prompt, entry.llm_string) for entry in ready]
    return {columns.REDIS_CACHE: (cache.lookup, calls, lambda at, found: ready[at].is_answered_by(found))}


def _alternate(row: str, hits: dict[str, _Hit], rounds: int, figures: Figures) -> None:
    runs = {column: partial(_round, row, *hit) for column, hit in hits.items()}
    for column, times in alternate(runs, rounds).items():
        for each in times:
            figures.add(row, column, each.seconds)
            figures.add(row, column, each.processor, PROCESSOR)


def _round(row: str, call: Callable[..., Any], arguments: list[tuple[Any, ...]], right: Any, _number: int) -> Times:
    times, found = timed(call, arguments)
    if not all(right(at, each) for at, each in enumerate(found)):
        raise BenchError(f"{row}: a wrong answer, or none")
    return times


def _bytes(server: RedisServer, figures: Figures) -> None:
    """What an entry takes beside its payload, with texts as long as a row shows them."""
    store, text = RedisStore(server.url()), "What is the answer to this question? " * 3
    row = EntryMeta("", "gpt-4o-mini", text, text, "ok", 0, notebooks=("ann:a.ipynb",), provider="openai")
    row = replace(row, input_tokens=10, output_tokens=20, seconds=1.5, client="langchain")

    def put(number: int) -> None:
        key = f"{number:040x}"
        store.put(key, b"x" * SMALL, replace(row, key=key, cell=f"In [{number % 50}]", created=time.time()))

    put(_COUNTED)  # after which the server has the scripts
    before = _memory(store)
    for number in range(_COUNTED):
        put(number)
    figures.add("redis bytes", columns.NBCACHE, (_memory(store) - before) / _COUNTED - SMALL)
    store.close()


def _memory(store: RedisStore) -> int:
    memory: Any = store.server.listing.info("memory")
    return int(memory["used_memory"])


def _pages(server: RedisServer, size: int, rounds: int, figures: Figures) -> None:
    big_store.fill(server.url(), size)
    cache = NotebookCache(server.url(), scope="folder")
    slowest, seconds = pages(Board(cache), rounds)
    print(f"the slowest page of {size:,} entries on Redis: {slowest}")
    for each in seconds:
        figures.add("redis page", columns.NBCACHE, each)
    cache.close()
