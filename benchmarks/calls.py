"""Streams, calls that aren't cached, and identical calls at the same time."""

import asyncio
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from langchain_core.globals import set_llm_cache
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

import nbcache

from . import BenchError
from .markdown import MICRO, compared, table
from .model import chat_model
from .provider import provider
from .target import Target
from .timing import Series, alternate, timed
from .workload import answer, question

INVOKED, FIRST_CHUNK, WHOLE = "`invoke`", "`stream`, its first chunk", "`stream`, all of its chunks"
WITHOUT, OFF, NOT_CACHED = "without nbcache", "with nbcache, mode off", "with nbcache, `cache=False`"
AT_ONCE = 50


class Streams(FakeListChatModel):
    """Answers from the workload, a few letters at a time, as a provider's client streams them."""

    def _stream(self, messages: Any, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        text = answer(int(str(messages[-1].content).split()[-1]))
        for start in range(0, len(text), 5):
            yield ChatGenerationChunk(
                message=AIMessageChunk(content=text[start : start + 5], response_metadata={"model_provider": "bench"})
            )


@dataclass(frozen=True)
class Calls:
    """Seconds a call, by what was done, and the requests that `AT_ONCE` identical calls made."""

    streams: dict[str, Series]
    uncached: dict[str, Series]
    requests: dict[str, int]

    def targets(self) -> Iterable[Target]:
        """What was to be reached."""
        for name, count in self.requests.items():
            yield Target(f"requests of {AT_ONCE} identical calls at once: {name}", count, 1)
        ours = self.uncached[NOT_CACHED]
        extra = [mine - theirs for mine, theirs in zip(ours.rounds, self.uncached[WITHOUT].rounds, strict=True)]
        yield Target(
            "instrumentation on a call that isn't cached (`cache=False`), µs",
            1e6 * sorted(extra)[len(extra) // 2],
            20,
            1e6 * (ours.best - self.uncached[WITHOUT].best),
        )
        first, whole = self.streams[FIRST_CHUNK], self.streams[INVOKED]
        yield Target(
            "first chunk of a streamed hit / an `invoke` hit", first.ratio(whole), 1.3, first.ratio_of_best(whole)
        )

    def sections(self) -> Iterable[str]:
        """The part of the page."""
        return [
            "## A streamed hit",
            "",
            *compared("asked", self.streams, INVOKED, MICRO),
            "## A call that isn't cached",
            "",
            *compared("", self.uncached, WITHOUT, MICRO),
            "## Identical calls at once",
            "",
            *table((f"{AT_ONCE} calls", "requests"), [(name, str(count)) for name, count in self.requests.items()]),
        ]

    def as_json(self) -> dict[str, Any]:
        """Every round, in seconds."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]


def measure(folder: Path, *, batch: int, rounds: int) -> Calls:
    """Time `batch` calls of each kind a round, in alternation."""
    return Calls(
        _streams(folder / "streams", batch, rounds), _uncached(folder / "off", batch, rounds), _at_once(folder)
    )


def _streams(folder: Path, batch: int, rounds: int) -> dict[str, Series]:
    nbcache.install(folder)
    try:
        model = Streams(responses=["never"])
        asked = [(f"question {i}",) for i in range(batch)]
        for (text,) in asked:
            list(model.stream(text))
        runs = {
            INVOKED: partial(_timed, model.invoke, asked),
            FIRST_CHUNK: partial(_first_chunks, model, asked),
            WHOLE: partial(_timed, lambda text: list(model.stream(text)), asked),
        }
        before = nbcache.stats().misses
        times = alternate(runs, rounds)
        if nbcache.stats().misses != before:
            raise BenchError("a timed stream was no hit")
        return times
    finally:
        nbcache.uninstall()


def _timed(call: Any, asked: list[tuple[str]], _number: int) -> float:
    return timed(call, asked)[0]


def _first_chunks(model: Streams, asked: list[tuple[str]], _number: int) -> float:
    seconds = 0.0
    for (text,) in asked:
        start = perf_counter()
        stream: Any = model.stream(text)
        next(stream)
        seconds += perf_counter() - start
        stream.close()
    return seconds / len(asked)


def _uncached(folder: Path, batch: int, rounds: int) -> dict[str, Series]:
    asked = [(f"question {i}",) for i in range(batch)]

    def without(_number: int) -> float:
        return timed(FakeListChatModel(responses=["x"]).invoke, asked)[0]

    def off(number: int) -> float:
        nbcache.install(folder, mode="off")
        try:
            return timed(FakeListChatModel(responses=["x"]).invoke, asked)[0]
        finally:
            nbcache.uninstall()

    def not_cached(number: int) -> float:
        nbcache.install(folder)
        try:
            return timed(FakeListChatModel(responses=["x"], cache=False).invoke, asked)[0]
        finally:
            nbcache.uninstall()

    set_llm_cache(None)
    return alternate({WITHOUT: without, OFF: off, NOT_CACHED: not_cached}, rounds)


def _at_once(folder: Path) -> dict[str, int]:
    counts = {}
    with provider([0, 1]) as server:
        nbcache.install(folder / "at once")
        try:
            llm = chat_model(server.base_url)

            async def gathered() -> None:
                await asyncio.gather(*(llm.ainvoke(question(0)) for _ in range(AT_ONCE)))

            asyncio.run(gathered())
            counts["`ainvoke`"] = server.requests
            llm.batch([question(1)] * AT_ONCE, config={"max_concurrency": 16})
            counts["`batch` in 16 threads"] = server.requests - counts["`ainvoke`"]
        finally:
            nbcache.uninstall()
    return counts
