"""A folder with a Redis server behind it, beside the same folder alone: hits, and what a call waits for until its answer is stored."""

import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter, process_time, sleep
from typing import Any

from nbcache import NotebookCache
from nbcache.entry.records import EntryMeta
from nbcache.stores import DiskStore, RedisStore, TieredStore
from tests.servers.redis_server import RedisServer, programs

from . import BenchError
from .columns import NBCACHE, TIERS
from .figures import PROCESSOR, Figures
from .timing import Times, alternate, timed
from .workload import entries

_WARM_UP = 20  # hits before each timed batch
_APART, _PAUSE = 30, 0.01  # answers of a round that come one after the other, and seconds between them
_WITHIN = 30.0  # seconds for what goes to the server in the background
_Stored = tuple[str, bytes, EntryMeta]
_Store = DiskStore | TieredStore


def measure(folder: Path, *, batch: int, rounds: int, figures: Figures) -> None:
    """Measure on a server that lives as long as this. Without one, or without redis-py, nothing is measured."""
    servers = programs()
    if not servers:
        print("without tiers: this needs redis-server or valkey-server, and redis-py", end=" ", file=sys.stderr)
        return
    with (
        RedisServer(next(iter(servers.values())), tcp=True) as server,
        closing(DiskStore(folder / "alone")) as alone,
        closing(TieredStore([DiskStore(folder / "tiers"), RedisStore(server.url())])) as tiers,
    ):
        ready = _ready(batch * rounds)
        for entry in ready:
            alone.put(*entry)
            tiers.put(*entry)
        stores: dict[str, _Store] = {NBCACHE: alone, TIERS: tiers}
        _settle(tiers)
        runs: dict[str, Callable[[_Store, list[_Stored]], Times]] = {
            "tier hit": partial(_hits, server),
            "tier update": _updates_apart,
            "tier updates": _updates_in_a_row,
        }
        for row, run in runs.items():
            _alternate(
                row, run, stores, [ready[start : start + batch] for start in range(0, len(ready), batch)], figures
            )


def _alternate(
    row: str,
    run: Callable[[_Store, list[_Stored]], Times],
    stores: dict[str, _Store],
    parts: Sequence[list[_Stored]],
    figures: Figures,
) -> None:
    runs = {column: partial(_round, run, store, parts) for column, store in stores.items()}
    for column, times in alternate(runs, len(parts)).items():
        for each in times:
            figures.add(row, column, each.seconds)
            figures.add(row, column, each.processor, PROCESSOR)


def _round(
    run: Callable[[_Store, list[_Stored]], Times], store: _Store, parts: Sequence[list[_Stored]], number: int
) -> Times:
    times = run(store, parts[number])
    _settle(store)
    return times


def _hits(server: RedisServer, store: _Store, stored: list[_Stored]) -> Times:
    """Hits of keys that are read from the file. None of them may ask the server anything."""
    keys = [(key,) for key, _, _ in stored]
    timed(store.get_owned, keys[:_WARM_UP])
    before = _commands(server)
    times, found = timed(store.get_owned, keys)
    asked = _commands(server) - before - 1  # which is the question itself
    if asked:
        raise BenchError(f"{len(keys)} hits of the first tier sent {asked} commands to the server")
    if [bytes(each or b"") for each in found] != [payload for _, payload, _ in stored]:
        raise BenchError("a wrong answer of the first tier, or none")
    return times


def _commands(server: RedisServer) -> int:
    return int(server.client.info("stats")["total_commands_processed"])


def _updates_apart(store: _Store, stored: list[_Stored]) -> Times:
    """Answers one after the other, as a model gives them, some milliseconds apart: by the next one the last was sent."""
    seconds = processor = 0.0
    for entry in _anew(stored)[:_APART]:
        _settle(store)
        sleep(_PAUSE)
        worked, start = process_time(), perf_counter()
        store.put(*entry)
        seconds, processor = seconds + perf_counter() - start, processor + process_time() - worked
    return Times(seconds / min(_APART, len(stored)), processor / min(_APART, len(stored)))


def _updates_in_a_row(store: _Store, stored: list[_Stored]) -> Times:
    """Answers that come all at once: what is sent in the background takes its part of the processor."""
    times, _ = timed(store.put, _anew(stored))
    return times


def _anew(stored: list[_Stored]) -> list[_Stored]:
    """The same answers under other keys, which no store has."""
    _rounds.append(0)
    mask = len(_rounds) << 80
    keys = [f"{int(key, 16) ^ mask:040x}" for key, _, _ in stored]
    return [(key, payload, replace(row, key=key)) for key, (_, payload, row) in zip(keys, stored, strict=True)]


_rounds: list[int] = []


def _settle(store: _Store) -> None:
    if isinstance(store, TieredStore):
        store.flush(_WITHIN)


def _ready(count: int) -> list[_Stored]:
    """Entries of 2 kB with their rows, as they are stored."""
    cache: Any = NotebookCache("memory://")
    with closing(cache):
        for entry in entries(range(count)):
            cache.update(entry.prompt, entry.llm_string, entry.generations)
        return [(row.key, cache.store.get(row.key), row) for row in cache.store.page()]
