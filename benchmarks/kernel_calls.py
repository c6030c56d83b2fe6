"""Parts of a kernel that make calls: misses, updates, many at once, what isn't cached; and an SDK's and embeddings."""

import asyncio
import gc
import json
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from langchain_core.globals import get_llm_cache
from langchain_core.messages import BaseMessage

from . import BenchError
from .cases import TURNS, Cases
from .columns import EMBEDDINGS, NBCACHE, NONE, missing
from .kernel_hits import STREAMED, whole
from .model import MODEL
from .replies import generation, message_id, reply
from .small_server import small_server

_DIMENSIONS = 1_536
_BLOCK, _WARM = 100, 20  # requests, and those before that are not measured


def fill(cases: Cases) -> None:
    """Pay for what the other kernels find."""
    cases.warm(cases.questions(0, cases.much.stored))
    cases.warm(cases.long())
    for (messages,) in cases.questions(0, cases.much.streams, STREAMED):
        whole(cases, messages)
    for turns, count in zip(TURNS, cases.much.chats, strict=True):
        for number in range(count):
            cases.warm(cases.turns(number, turns))


def misses(cases: Cases) -> None:
    """New questions, and of what they take the store's write."""
    cache: Any = get_llm_cache()
    is_ours = cases.job.column == NBCACHE
    writing = _Stopwatch(cache.store.put if is_ours else lambda: None)
    if is_ours:
        cache.store.put = writing
    cases.warm(cases.questions(0, 5, _new(cases, "warm")))
    for batch in cases.batches:
        writing.seconds = 0.0
        asked = cases.questions(0, cases.much.questions, _new(cases, f"batch {batch}"))
        cases.meter.batch("miss", cases.model.invoke, asked)
        if is_ours:
            cases.meter.add("miss, its write", writing.seconds / len(asked))
    if is_ours:
        del cache.store.put


def updates(cases: Cases) -> None:
    """Updates by hand, each committed."""
    cache: Any = get_llm_cache()
    text = cases.answers.text("any")
    for batch in cases.batches:
        asked = [
            (messages[-1].text, "{'model': 'm'}", [generation(text, reply(i, text), message_id(i))])
            for i, (messages,) in enumerate(cases.questions(0, cases.much.questions, _new(cases, f"by hand {batch}")))
        ]
        cases.meter.batch("update by hand", cache.update, asked)


def uncached(cases: Cases) -> None:
    """Calls of a model that says `cache=False`."""
    model = cases.model.model_copy(update={"cache": False})
    for _ in cases.batches:
        cases.meter.batch("cache=False", model.invoke, cases.usual())


def at_once(cases: Cases) -> None:
    """A thousand misses on one loop: how long it is held up at the longest."""
    asked = [messages for (messages,) in cases.questions(0, cases.much.at_once, _new(cases, "at once"))]
    gc.collect()
    cases.meter.add("stall", asyncio.run(_longest_stall(cases, asked)))


def memory(cases: Cases) -> None:
    """How much a kernel grows by so many misses, in bytes: after the first ones, and what they left for later, such as imports."""
    cache: Any = get_llm_cache()
    cases.warm(cases.questions(0, cases.much.questions, "warm"))
    cache.flush()
    before = _resident()
    for start in range(cases.much.misses):
        cases.warm(cases.questions(0, 1, f"{start}"))
    cache.flush()
    cases.meter.add("memory", _resident() - before)


def sdk(cases: Cases) -> None:
    """An SDK's calls: of OpenAI's client, whose transport answers at once; hits, with nbcache, also when it is wrapped."""
    import httpx2
    import openai

    body = json.dumps(reply(0, cases.answers.text("sdk"))).encode()
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=body, headers=_JSON))
    client: Any = openai.OpenAI(api_key="sk-bench", http_client=httpx2.Client(transport=transport))
    clients = {"sdk, plain": client, "sdk": client}
    if cases.job.column == NBCACHE:
        import nbcache

        clients["sdk"] = nbcache.wrap(client)
    for row, each in clients.items():
        asked = partial(_ask, partial(each.chat.completions.create, model=MODEL, temperature=0.2))
        for (messages,) in cases.usual():
            asked(messages)
        for _ in cases.batches:
            cases.meter.batch(row, asked, cases.usual())


def _ask(call: Callable[..., Any], messages: list[BaseMessage]) -> Any:
    return call(messages=[{"role": "user", "content": messages[-1].content}])


def passing(cases: Cases) -> None:
    """Requests that are no calls of a model, to a server in a process of its own: short blocks with nbcache and without it, in turn.

    All in one process, so that both meet the same noise. Leaves the cache on.
    """
    import httpx

    import nbcache

    gc.collect()
    gc.freeze()  # so that the garbage of a block is found quickly
    try:
        with small_server() as url, httpx.Client(trust_env=False) as client:
            call = partial(client.post, f"{url}/v1/orders", json={"a": 1})
            usual = _shown(call())
            for number in range(2 * cases.much.requests // _BLOCK):
                column = NBCACHE if number % 4 in {1, 2} else NONE  # off, on, on, off: neither always comes first
                (nbcache.install if column == NBCACHE else nbcache.uninstall)()
                for _ in range(_WARM):
                    call()
                answers = cases.meter.batch("passing", call, [()] * _BLOCK, column=column)
                if any(_shown(answer) != usual for answer in answers):
                    raise BenchError(f"passing: a response with {column} is another one")
    finally:
        gc.unfreeze()
        nbcache.install()


def _shown(response: Any) -> tuple[Any, ...]:
    """All that a user sees of a response."""
    return (
        response.status_code,
        response.content,
        response.headers.multi_items(),
        str(response.url),
        response.http_version,
    )


def embeddings(cases: Cases) -> None:
    """A thousand texts, embedded before: beside LangChain's own way to keep vectors, and beside a model that has them ready."""
    from langchain_openai import OpenAIEmbeddings

    draw = random.Random(0)
    vectors = [[draw.uniform(-1, 1) for _ in range(_DIMENSIONS)] for _ in range(50)]
    OpenAIEmbeddings.embed_documents = lambda _, texts, **__: [list(vectors[len(t) % 50]) for t in texts]  # type: ignore[method-assign]
    model: Any = OpenAIEmbeddings(model="text-embedding-3-small")
    if cases.job.column == NBCACHE:
        import nbcache

        _embed(cases, nbcache.wrap(model), NBCACHE)
    elif EMBEDDINGS not in missing():
        from langchain_classic.embeddings import CacheBackedEmbeddings
        from langchain_classic.storage import LocalFileStore

        store = LocalFileStore(str(Path(cases.job.folder) / "vectors"))
        kept = CacheBackedEmbeddings.from_bytes_store(model, store, namespace="bench", key_encoder="sha256")
        _embed(cases, kept, EMBEDDINGS)


_JSON = {"content-type": "application/json"}


def _embed(cases: Cases, model: Any, column: str) -> None:
    model.embed_documents(cases.texts())
    for _ in cases.batches:
        cases.meter.batch("embeddings", model.embed_documents, [(cases.texts(),)], column=column)


def _new(cases: Cases, what: str) -> str:
    """What makes questions new: nothing of this round, job or part has been asked."""
    return f"{what} {cases.job.number} {cases.job.what}"


async def _longest_stall(cases: Cases, asked: list[list[BaseMessage]]) -> float:
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            start = perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, perf_counter() - start)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0.01)
    await asyncio.gather(*map(cases.model.ainvoke, asked))
    ticking.cancel()
    return longest


def _resident() -> float:
    """Bytes of this process in memory."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return float(pages * 4096)


class _Stopwatch:
    """A function that sums up what it takes."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.seconds = 0.0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        start = perf_counter()
        try:
            return self._function(*args, **kwargs)
        finally:
            self.seconds += perf_counter() - start
