"""A store on a Redis server on loopback, beside a bare `GET`, LangChain's caches on Redis, and its own pages of many entries."""

import sys
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

from nbcache import NotebookCache
from nbcache.entry.records import Filter
from nbcache.stores import RedisStore
from nbcache.ui.panel.board import Board
from tests.servers.redis_server import RedisServer, programs

from . import BenchError, big_store, columns, redis_bytes
from .figures import PROCESSOR, Figures
from .growth_pages import FILTERS, SEARCHES, SORTS, pages
from .timing import Times, alternate, timed
from .workload import Entry, entries

_MODULES = {"ReJSON", "search"}  # what langchain-redis needs of a server
_SORTS = (*SORTS, "provider", "status", "cell")
_FILTERS = {
    **FILTERS,
    "a cell": {"cell": "In [7]"},
    "a client": {"client": "langchain"},
    "a kind": {"kind": "call"},
    "a model and a tag": {"model": "gpt-4o", "tag": "final"},
    "a word": {"search": SEARCHES["search, word"]},
}
_WARM_UP = 10  # calls before each timed batch
_Hit = tuple[Callable[..., Any], list[tuple[Any, ...]], Callable[[int, Any], bool]]


def measure(size: int, *, batch: int, rounds: int, figures: Figures) -> None:
    """Measure on a server that lives as long as this. Without one, or without redis-py, nothing is measured."""
    servers = programs()
    if not servers:
        print("without Redis: this needs redis-server or valkey-server, and redis-py", end=" ", file=sys.stderr)
        return
    program = next(iter(servers.values()))
    with RedisServer(program, tcp=True) as server:
        _hits(server, batch, rounds, figures)
    with RedisServer(program, tcp=True) as server:
        _lookups(server, batch, rounds, figures)
    redis_bytes.measure(program, size // 20, figures)
    with RedisServer(program, tcp=True) as server:
        _pages(server, size, max(1, rounds // 5), figures)


def _hits(server: RedisServer, batch: int, rounds: int, figures: Figures) -> None:
    """The same bytes from the store, and from a bare `GET`."""
    cache = NotebookCache(server.url())
    for entry in entries(range(batch)):
        cache.update(entry.prompt, entry.llm_string, entry.generations)
    cache.flush()
    store = cache.store
    assert isinstance(store, RedisStore)
    keys = [row.key for row in store.page()]
    payloads = [store.get(key) or b"" for key in keys]
    bare = RedisStore(server.url("bare")).server.calls
    for key, payload in zip(keys, payloads, strict=True):
        bare.set(key, payload)
    arguments = [(key,) for key in keys]

    def right(at: int, found: Any) -> bool:
        return bool(found == payloads[at])

    hits: dict[str, _Hit] = {columns.NBCACHE: (store.get, arguments, right), columns.GET: (bare.get, arguments, right)}
    _alternate(
        "redis hit", {column: partial(_round, "redis hit", hit) for column, hit in hits.items()}, rounds, figures
    )
    cache.close()


def _lookups(server: RedisServer, batch: int, rounds: int, figures: Figures) -> None:
    """Lookups of answers that the process has not looked up before: nbcache keeps those in memory."""
    ready = list(entries(range(batch * rounds)))
    caches = _langchain_caches(server)
    for cache in caches.values():
        for entry in ready:
            cache.update(entry.prompt, entry.llm_string, entry.generations)
    other = NotebookCache(server.url())  # another process, as it were
    for entry in ready:
        other.update(entry.prompt, entry.llm_string, entry.generations)
    other.close()
    caches[columns.NBCACHE] = NotebookCache(server.url())

    def run(cache: Any, number: int) -> Times:
        some = ready[number * batch :][:batch]
        for _ in range(_WARM_UP):
            cache.lookup("a prompt", "nobody's model")
        before = _commands(server)
        times = _round(
            "redis lookup", (cache.lookup, _calls(some), lambda at, found: some[at].is_answered_by(found)), number
        )
        if _commands(server) - before - 1 < len(some):
            raise BenchError("lookups were answered without the server")
        return times

    _alternate("redis lookup", {column: partial(run, cache) for column, cache in caches.items()}, rounds, figures)
    caches[columns.NBCACHE].close()


def _langchain_caches(server: RedisServer) -> dict[str, Any]:
    """LangChain's caches on Redis, as far as they are installed and the server has what they need."""
    lacking, url = columns.missing(), server.url().partition("?")[0]
    caches: dict[str, Any] = {}
    if columns.REDIS_CACHE not in lacking:
        from langchain_community.cache import RedisCache
        from redis import Redis

        caches[columns.REDIS_CACHE] = RedisCache(Redis.from_url(url))
    if not {module[b"name"].decode() for module in server.client.module_list()} >= _MODULES:
        needed = " and ".join(sorted(_MODULES))
        print(f"without {columns.LANGCHAIN_REDIS}, which needs the server's modules {needed}", end=" ", file=sys.stderr)
    elif columns.LANGCHAIN_REDIS not in lacking:
        from langchain_redis import RedisCache as JsonCache

        caches[columns.LANGCHAIN_REDIS] = JsonCache(redis_url=url)
    return caches


def _calls(some: list[Entry]) -> list[tuple[Any, ...]]:
    return [(entry.prompt, entry.llm_string) for entry in some]


def _commands(server: RedisServer) -> int:
    return int(server.client.info("stats")["total_commands_processed"])


def _alternate(row: str, runs: dict[str, Callable[[int], Times]], rounds: int, figures: Figures) -> None:
    for column, times in alternate(runs, rounds).items():
        for each in times:
            figures.add(row, column, each.seconds)
            figures.add(row, column, each.processor, PROCESSOR)


def _round(row: str, hit: _Hit, _number: int) -> Times:
    call, arguments, right = hit
    times, found = timed(call, arguments)
    if not all(right(at, each) for at, each in enumerate(found)):
        raise BenchError(f"{row}: a wrong answer, or none")
    return times


def _pages(server: RedisServer, size: int, rounds: int, figures: Figures) -> None:
    """Pages of a large store; before them what the first search takes, and lists that are made anew."""
    big_store.fill(server.url(), size)
    cache = NotebookCache(server.url(), scope="folder")
    board = Board(cache)
    board.ask({"type": "page"})
    _once("redis first search", figures, lambda: board.ask({"type": "page", "search": _FILTERS["a word"]["search"]}))
    slowest, seconds = pages(board, rounds, _SORTS, _FILTERS)
    print(f"the slowest page of {size:,} entries on Redis: {slowest}", end=" ", file=sys.stderr)
    for each in seconds:
        figures.add("redis page", columns.NBCACHE, each)
    store: Any = cache.store
    store.server.listing.unlink(f"{store.root}c:created")
    _once("redis lists", figures, lambda: store.number(Filter()))
    if store.number(Filter(include_expired=True)) != size:
        raise BenchError("not all entries were listed anew")
    cache.close()


def _once(row: str, figures: Figures, call: Callable[[], object]) -> None:
    start = perf_counter()
    call()
    figures.add(row, columns.NBCACHE, perf_counter() - start)
