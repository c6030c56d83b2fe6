"""What an entry takes on a Redis server beside its payload: of a small one, of longer ones, and of one that is sealed."""

import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from nbcache.entry.records import EntryMeta
from nbcache.entry.text import answer_preview, prompt_preview
from nbcache.keys.key import call_key
from nbcache.stores import RedisStore
from nbcache.stores.location import SECRET
from tests.servers.redis_server import RedisServer

from .columns import MIDDLE, NBCACHE, SEALED, SMALL
from .figures import Figures
from .replies import seeded
from .workload import entries

_LENGTHS = {SMALL: (1_000, 1_000), MIDDLE: (3_000, 4_000), SEALED: (1_000, 1_000)}  # bytes of payloads: least and most
_Stored = tuple[str, bytes, EntryMeta]


def measure(program: str, count: int, figures: Figures) -> None:
    """What `count` entries of each kind take; as nbcache's figure the most of these."""
    for column in _LENGTHS:
        if column == SEALED and find_spec("cryptography") is None:
            print("without sealed entries: this needs cryptography", end=" ", file=sys.stderr)
            continue
        with RedisServer(program, tcp=True) as server:
            figures.add("redis bytes", column, _beside(server, column, count))
    most = max(figures.rounds("redis bytes", column)[-1] for column in figures.columns("redis bytes"))
    figures.add("redis bytes", NBCACHE, most)


def _beside(server: RedisServer, column: str, count: int) -> float:
    """Bytes of an entry beside its payload: those that the server's memory grows by."""
    store = RedisStore(server.url())
    outside = _sealed(store) if column == SEALED else store
    before, payloads = 0, 0
    for number, (key, payload, row) in enumerate(_entries(count + 1, _LENGTHS[column])):
        outside.put(key, payload, row)
        if number == 0:  # after which the server has the scripts
            before = _memory(store)
        else:
            payloads += len(payload)
    grown = _memory(store) - before
    store.close()
    return (grown - payloads) / count


def _entries(count: int, lengths: tuple[int, int]) -> Iterator[_Stored]:
    """Entries with real previews, as long as a row shows them."""
    draw = seeded(count)
    for number, entry in enumerate(entries(range(count))):
        asked = call_key(entry.prompt, entry.llm_string)
        row = EntryMeta(
            key=asked.key,
            model="gpt-4o-mini",
            prompt=prompt_preview(asked.prompt),
            answer=answer_preview(entry.generations),
            status="ok",
            created=1_800_000_000 + number * 1.234567,
            notebooks=("ann:analysis.ipynb",),
            cell=f"In [{number % 50}]",
            provider="openai",
            client="langchain",
            input_tokens=draw.randrange(100, 4_000),
            output_tokens=draw.randrange(10, 1_000),
            seconds=draw.uniform(0.5, 30),
        )
        yield asked.key, draw.randbytes(draw.randint(*lengths)), row


def _sealed(store: RedisStore) -> Any:
    from nbcache.stores.sealed.store import sealed

    os.environ[SECRET] = "a secret of the bench, and long enough"
    try:
        return sealed(store)
    finally:
        del os.environ[SECRET]


def _memory(store: RedisStore) -> int:
    memory: Any = store.server.listing.info("memory")
    return int(memory["used_memory"])
