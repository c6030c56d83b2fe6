"""Parts of a kernel that find answers: first, repeated, in chats, streamed, awaited, many at once."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.globals import get_llm_cache
from langchain_core.messages import BaseMessage

from . import BenchError
from .cases import MEASURED, TURNS, Asked, Cases
from .columns import NBCACHE

STREAMED = "stream"


class _Listener(BaseCallbackHandler):
    """Somebody who listens to every call."""


def first_call(cases: Cases) -> None:
    """The first call of a kernel, which imports and opens what only calls need."""
    cases.hits("first call", cases.model.invoke, cases.questions(0, 1))


def firsts(cases: Cases) -> None:
    """Each answer comes from the store, and is decoded."""
    cases.hits("first hits", cases.model.invoke, cases.usual())


def next_cell(cases: Cases) -> None:
    """The same calls in the next cell: what the cell before left for its end has been written."""
    cases.hits("next cell", cases.model.invoke, cases.usual())


def repeated(cases: Cases) -> None:
    """The same calls again in one cell."""
    cases.warm(cases.usual())
    for _ in cases.batches:
        cases.hits("repeated", cases.model.invoke, cases.usual())


def settled(cases: Cases) -> None:
    """Hits with all that they leave for later: what they saved is worked out, and written down."""
    flush = getattr(get_llm_cache(), "flush", lambda: None)
    flush()

    def all_of_it(asked: Asked) -> None:
        cases.warm(asked)
        flush()

    for _ in cases.batches:
        cases.hits("settled", all_of_it, [(cases.usual(),)], each=cases.much.questions)


def called_back(cases: Cases) -> None:
    """The same with callbacks of nbcache's own, which are called in another thread."""
    if cases.job.column != NBCACHE:
        return
    import nbcache

    if not hasattr(nbcache, "on"):  # an earlier version, beside this one
        return
    handles = [nbcache.on(event)(_ignore) for event in ("hit", "miss", "store", "evict")]
    for _ in cases.batches:
        cases.hits("called back", cases.model.invoke, cases.usual())
    for handle in handles:
        handle.cancel()


def _ignore(_: object) -> None:
    """A function of the user's own."""


def listened(cases: Cases) -> None:
    """The same with a callback handler."""
    call = partial(cases.model.invoke, config={"callbacks": [_Listener()]})
    for _ in cases.batches:
        cases.hits("listened", call, cases.usual())


def long_prompts(cases: Cases) -> None:
    cases.warm(cases.long())
    for _ in cases.batches:
        cases.hits("100 kB", cases.model.invoke, cases.long())


def chats(cases: Cases) -> None:
    """The last turns of chats that this kernel goes through for the first time."""
    for turns, count in zip(TURNS, cases.much.chats, strict=True):
        last = MEASURED if turns > MEASURED else 1
        asked: Asked = []
        for number in range(count):
            steps = cases.turns(number, turns)
            cases.warm(steps[:-last])
            asked += steps[-last:]
        cases.hits(f"turn {turns}", cases.model.invoke, asked)


def streams(cases: Cases) -> None:
    """Streams, all of their chunks and the first one. Without a cache they are LangChain's own, of chunks that are ready."""
    asked = cases.questions(0, cases.much.streams, STREAMED)
    for _ in cases.batches:
        _measure(cases, "stream", partial(whole, cases), asked)
    _measure(cases, "first chunk", partial(_first_chunk, cases), asked)


def awaited_streams(cases: Cases) -> None:
    asked = cases.questions(0, cases.much.streams, STREAMED)
    _measure(cases, "awaited stream", partial(asyncio.run, _stream_all(cases, asked)), [()], each=len(asked))


def awaited(cases: Cases) -> None:
    """Hits of `ainvoke`, one after the other."""
    for _ in cases.batches:
        asked = cases.usual()
        cases.hits("awaited", partial(asyncio.run, _await_all(cases, asked)), [()], each=len(asked))


def threads(cases: Cases) -> None:
    """Hits in 50 new threads."""
    asked = [messages for _ in range(5) for (messages,) in cases.usual()]
    cases.hits("threads", partial(_in_threads, cases, asked), [()], each=len(asked))


def batch(cases: Cases) -> None:
    """One `batch` of a thousand hits."""
    asked = [messages for (messages,) in cases.questions(0, cases.much.at_once)]
    cases.hits("batch", partial(cases.model.batch, asked), [()], each=len(asked))


def whole(cases: Cases, messages: list[BaseMessage]) -> None:
    """Stream to the end."""
    for _ in cases.model.stream(messages):
        pass


def _first_chunk(cases: Cases, messages: list[BaseMessage]) -> None:
    stream: Iterator[Any] = cases.model.stream(messages)
    next(stream)
    stream.close()  # type: ignore[attr-defined]


def _measure(cases: Cases, row: str, call: Callable[..., Any], asked: list[Any], **options: Any) -> None:
    for (messages,) in cases.questions(0, cases.much.streams, STREAMED):
        cases.answers.prepare(str(messages[-1].content))
    before = cases.answers.calls
    cases.meter.batch(row, call, asked, **options)
    if cases.job.column == NBCACHE and cases.answers.calls != before:
        raise BenchError(f"{row}: a stream was no hit")


async def _stream_all(cases: Cases, asked: Asked) -> None:
    for (messages,) in asked:
        chunks: AsyncIterator[Any] = cases.model.astream(messages)
        async for _ in chunks:
            pass


async def _await_all(cases: Cases, asked: Asked) -> None:
    for (messages,) in asked:
        await cases.model.ainvoke(messages)


def _in_threads(cases: Cases, asked: list[list[BaseMessage]]) -> None:
    with ThreadPoolExecutor(cases.much.threads) as pool:
        list(pool.map(cases.model.invoke, asked))
