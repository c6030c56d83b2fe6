"""A folder as many notebooks leave it behind: models, tags, statuses, tokens, prices and hits that differ."""

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import TypeVar

from nbcache import NotebookCache
from nbcache.codec import payload as codec
from nbcache.codec.header import EntryHeader
from nbcache.entry.records import EntryMeta, Touch, Usage
from nbcache.entry.text import answer_preview, prompt_preview
from nbcache.keys.key import CallKey, call_key
from nbcache.stores import Store, open_store
from nbcache.stores.view import Contents

from .replies import seeded
from .workload import Entry, entries

CHUNK = 1_000
# Each with how many of a hundred entries have it.
MODELS = {"gpt-4o-mini": 50, "gpt-4o": 25, "claude-sonnet-4-5": 15, "mistral-large-latest": 8, "llama3.2": 2}
TAGS = {"": 60, "draft": 20, "final": 15, "evaluation": 5}
STATUSES = {"ok": 96, "cut off": 3, "empty": 1}
NOTEBOOKS = {"load.ipynb": 40, "ask.ipynb": 30, "judge.ipynb": 20, "plot.ipynb": 10}
DAY = 86_400.0
T = TypeVar("T")


def fill(folder: Path | str, count: int) -> None:
    """Make a store in a folder, or at the URL of a server, and put `count` entries into it, findable by their words."""
    store = open_store(folder)
    began = time.time() - 100 * DAY
    for start in range(0, count, CHUNK):
        positions = range(start, min(start + CHUNK, count))
        _put(store, positions, [began + 90 * DAY * i / count for i in positions])
    store.close()
    cache = NotebookCache(folder, scope="folder")
    cache.ledger.index()
    cache.close()


def _put(store: Store, positions: range, moments: list[float]) -> None:
    new: list[tuple[str, bytes, EntryMeta]] = []
    touches: list[Touch] = []
    for i, created, entry in zip(positions, moments, entries(positions), strict=True):
        draw = seeded(i)
        asked = call_key(entry.prompt, entry.llm_string)
        meta = _meta(draw, asked, entry, created)
        usage = Usage("openai", meta.model, meta.input_tokens, meta.output_tokens)
        header = EntryHeader(meta, asked.prompt, asked.identity.decode(), asked.endpoint, usage)
        ttl = 60 * DAY + draw.random() * DAY if draw.random() < 0.1 else None
        payload = codec.encode(entry.generations, header, reusable=True, expires=ttl is not None)
        if ttl is None:
            new.append((asked.key, payload, meta))
        else:
            store.put(asked.key, payload, meta, ttl)
        touches += _touches(draw, meta)
    Contents(store, None).put_all(new, touches)


def _meta(draw: Random, asked: CallKey, entry: Entry, created: float) -> EntryMeta:
    tag = _of(draw, TAGS)
    return EntryMeta(
        key=asked.key,
        model=_of(draw, MODELS),
        prompt=prompt_preview(asked.prompt),
        answer=answer_preview(entry.generations),
        status=_of(draw, STATUSES),
        created=created,
        tags=(tag,) if tag else (),
        notebooks=(_of(draw, NOTEBOOKS),),
        cell=f"In [{draw.randrange(1, 60)}]",
        provider="openai",
        client="langchain",
        input_tokens=draw.randrange(100, 4_000),
        output_tokens=len(entry.answer) // 4,
        seconds=draw.uniform(0.5, 30),
    )


def _touches(draw: Random, meta: EntryMeta) -> Iterator[Touch]:
    if draw.random() < 0.9:
        yield Touch(meta.key, None, 0, meta.created, Decimal(draw.randrange(1, 100_000)) / 1_000_000)
    if draw.random() < 0.5:
        yield Touch(meta.key, None, draw.randrange(1, 50), meta.created + draw.random() * 9 * DAY)


def _of(draw: Random, parts: dict[T, int]) -> T:
    (chosen,) = draw.choices(list(parts), list(parts.values()))
    return chosen
