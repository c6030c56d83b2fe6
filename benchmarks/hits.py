"""What the ledger takes of a hit, and what it leaves for later."""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event

from nbcache import NotebookCache
from nbcache.costs.ledger import Ledger
from nbcache.keys.key import call_key

from .timing import Series, alternate, timed
from .workload import entries

NOTE, WATCHED = "noting a hit", "noting a hit while a panel listens"
FIRST, AGAIN = "accounting for it: the first hit of an entry", "accounting for it: the same entries again"
WRITING = "writing it down"

Hit = tuple[str, bytes, float]  # what the cache tells the ledger


@dataclass(frozen=True)
class Hits:
    """Seconds per hit of each part, by its name."""

    parts: dict[str, Series]


def measure(folder: Path, *, batch: int, rounds: int) -> Hits:
    """Time `batch` hits of different entries a round."""
    cache = NotebookCache(folder)
    found: list[Hit] = []
    for entry in entries(range(batch)):
        cache.update(entry.prompt, entry.llm_string, entry.generations)
        key = call_key(entry.prompt, entry.llm_string).key
        found.append((key, cache.store.get(key) or b"", 0.0001))
    _settle(cache.ledger)
    ledger = Ledger(cache.store, cache.notebook, cache.ledger.prices)
    _account(ledger, found, 0)  # loads the prices
    parts = {
        NOTE: partial(_note, ledger, found),
        WATCHED: partial(_watched, ledger, found),
        FIRST: partial(_account_first, cache, found),
        AGAIN: partial(_account, ledger, found),
        WRITING: partial(_write, ledger, found),
    }
    times = alternate(parts, rounds)
    ledger.close()
    cache.close()
    return Hits(times)


def _settle(ledger: Ledger) -> None:
    ledger.flush()
    ledger.index()


def _note(ledger: Ledger, found: list[Hit], _number: int) -> float:
    seconds, _ = timed(ledger.hit, found)
    _settle(ledger)
    return seconds


def _watched(ledger: Ledger, found: list[Hit], number: int) -> float:
    stop = ledger.listen(Event().set)
    try:
        return _note(ledger, found, number)
    finally:
        stop()


def _account_first(cache: NotebookCache, found: list[Hit], number: int) -> float:
    ledger = Ledger(cache.store, cache.notebook, cache.ledger.prices)
    seconds = _account(ledger, found, number)
    ledger.close()
    return seconds


def _account(ledger: Ledger, found: list[Hit], _number: int) -> float:
    for hit in found:
        ledger.hit(*hit)
    start = time.perf_counter()
    ledger.session()
    seconds = time.perf_counter() - start
    _settle(ledger)
    return seconds / len(found)


def _write(ledger: Ledger, found: list[Hit], _number: int) -> float:
    for hit in found:
        ledger.hit(*hit)
    ledger.session()
    start = time.perf_counter()
    ledger.flush()
    return (time.perf_counter() - start) / len(found)
