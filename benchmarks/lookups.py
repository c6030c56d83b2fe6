"""Lookup hit, lookup miss and update, at a small and a large number of entries, all contenders in alternation."""

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

from . import BenchError
from . import contenders as those
from .contenders import Contender
from .timing import Series, alternate, timed
from .workload import entries

NOWHERE = 3_000_000  # positions that no store of the bench holds
CHUNK = 1_000  # entries in memory at once while the stores are filled
LATER = "nbcache's ledger and search index"
WARM_UP = 20  # calls before each timed batch: the code of the contender before it left the processor's caches

Place = tuple[str, int]  # a contender's name, a number of entries


@dataclass(frozen=True)
class Lookups:
    """Seconds per call of every contender at every size; and what filling took, by contender, at the largest size.

    `hit` is on keys drawn at random from the whole store, `rehit` on the same keys once more; `settle` is what
    each hit leaves for later, where there is such a thing. What is left for later is done between the timed parts.
    """

    hit: dict[Place, Series]
    rehit: dict[Place, Series]
    settle: dict[Place, Series]
    miss: dict[Place, Series]
    update: dict[Place, Series]
    filling: dict[str, float]


def measure(folder: Path, sizes: tuple[int, ...], *, batch: int, rounds: int) -> Lookups:
    """Fill stores of these sizes in `folder`, then time `batch` lookups or updates a round."""
    field: dict[Place, Contender] = {}
    filling: dict[str, float] = {}
    for size in sizes:
        here = folder / str(size)
        here.mkdir()
        filling = _fill(here, size, field)
    try:
        return Lookups(
            hit=alternate({place: partial(_hits, place, field[place], batch, 1) for place in field}, rounds),
            rehit=alternate({place: partial(_hits, place, field[place], batch, 2) for place in field}, rounds),
            settle=alternate(
                {place: partial(_settles, place, field[place], batch) for place in field if field[place].settle},
                rounds,
            ),
            miss=alternate({place: partial(_misses, place, field[place], batch) for place in field}, rounds),
            # Last, because these make the stores larger.
            update=alternate({place: partial(_updates, place, field[place], batch) for place in field}, rounds),
            filling=filling,
        )
    finally:
        for contender in field.values():
            contender.close()


def _fill(folder: Path, size: int, field: dict[Place, Contender]) -> dict[str, float]:
    """Put `size` entries into every contender, and the contenders into `field`. Seconds it took, by contender."""
    memory, notebook, bytes_only = (
        those.in_memory(),
        those.nbcache_as_users_get_it(folder / "nbcache"),
        those.bare_diskcache(folder / "diskcache"),
    )
    puts: dict[str, Contender] = {
        those.IN_MEMORY: memory,
        those.NBCACHE: notebook,
        those.DISKCACHE: bytes_only,
    }
    taken = dict.fromkeys([*puts, LATER, those.SQLITE], 0.0)
    for start in range(0, size, CHUNK):
        chunk = list(entries(range(start, min(start + CHUNK, size))))
        for name, contender in puts.items():
            with _clock(taken, name):
                for entry in chunk:
                    contender.put(*contender.key(entry), contender.value(entry))
            with _clock(taken, LATER):
                _settle(contender)
        with _clock(taken, those.SQLITE):
            those.fill_sqlite(folder / "langchain.db", chunk)
    notebook.close()
    shutil.copytree(folder / "nbcache", folder / "nbcache-copy")
    field[those.IN_MEMORY, size] = memory
    field[those.FROM_DISK, size] = those.nbcache_from_disk(folder / "nbcache")
    field[those.NBCACHE, size] = those.nbcache_as_users_get_it(folder / "nbcache-copy")
    field[those.SQLITE, size] = those.sqlite(folder / "langchain.db")
    field[those.DISKCACHE, size] = bytes_only
    for name in (those.FROM_DISK, those.NBCACHE):
        _settle(field[name, size])  # at its first time it looks for what others have left
    return taken


@contextmanager
def _clock(taken: dict[str, float], name: str) -> Iterator[None]:
    start = perf_counter()
    yield
    taken[name] += perf_counter() - start


def _hits(place: Place, contender: Contender, batch: int, times: int, number: int) -> float:
    """The last of so many passes over the same keys."""
    draw = random.Random(number)
    wanted, others = draw.sample(range(place[1]), batch), draw.sample(range(place[1]), WARM_UP)
    timed(contender.get, [contender.key(entry) for entry in entries(others)])
    for _ in range(times):
        seconds, found = timed(contender.get, [contender.key(entry) for entry in entries(wanted)])
    if not all(map(contender.right, entries(wanted), found)):
        raise BenchError(f"{place} gave a wrong answer or none")
    _settle(contender)
    return seconds


def _settle(contender: Contender) -> None:
    """Do what is left for later: done by a thread a second later, it would be in somebody else's time."""
    if contender.settle:
        contender.settle()


def _settles(place: Place, contender: Contender, batch: int, number: int) -> float:
    if contender.settle is None:
        raise BenchError(f"{place} leaves nothing for later")
    wanted = random.Random(number).sample(range(place[1]), batch)
    timed(contender.get, [contender.key(entry) for entry in entries(wanted)])
    seconds, _ = timed(contender.settle, [()])
    return seconds / batch


def _misses(place: Place, contender: Contender, batch: int, number: int) -> float:
    start = NOWHERE + number * (batch + WARM_UP)
    keys = [contender.key(entry) for entry in entries(range(start, start + batch + WARM_UP))]
    timed(contender.get, keys[batch:])
    seconds, found = timed(contender.get, keys[:batch])
    if any(each is not None for each in found):
        raise BenchError(f"{place} found what was never stored")
    _settle(contender)
    return seconds


def _updates(place: Place, contender: Contender, batch: int, number: int) -> float:
    start = place[1] + number * batch
    new = list(entries(range(start, start + batch)))
    arguments = [(*contender.key(entry), contender.value(entry)) for entry in new]
    # LangChain looks up before it updates, with the same strings.
    _, found = timed(contender.get, [each[:-1] for each in arguments])
    if any(each is not None for each in found):
        raise BenchError(f"{place} found what was never stored")
    seconds, _ = timed(contender.put, arguments)
    if not all(contender.right(entry, contender.get(*contender.key(entry))) for entry in new):
        raise BenchError(f"{place} lost an update")
    _settle(contender)
    return seconds
