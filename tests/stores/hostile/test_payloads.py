"""Answers that somebody else has planted, under the right key and with a right checksum: they run nothing, fill no memory and break no call."""

import asyncio
import resource
import sys
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage

import nbcache
from nbcache.entry.records import EntryMeta
from nbcache.errors import forget_warnings
from nbcache.stores import MemoryStore
from tests.faults.test_faults import Echo, answer_to, ask, heard
from tests.stores.hostile.forged import bomb, bomb_without_size, forged, parts

AI = {"type": "AIMessage", "fields": {"content": "planted"}}
CHAT = {"type": "ChatGeneration", "message": AI}
DEEP = b"[" * 100_000 + b"]" * 100_000


class Planted:
    """The entry of "one" in a store: its key, its answers and its header."""

    def __init__(self, store: MemoryStore, row: EntryMeta) -> None:
        self.store, self.row, self.key = store, row, row.key
        payload = store.get(row.key)
        assert payload is not None
        self.answers, self.header = parts(payload, row.key)

    def plant(self, answers: Any = None, header: Any = None, chunks: Any = b"", packed: tuple[str, ...] = ()) -> None:
        payload = forged(
            self.key,
            self.answers if answers is None else answers,
            self.header if header is None else header,
            chunks,
            packed=packed,
        )
        self.store.put(self.key, payload, self.row)

    def message(self, **fields: Any) -> None:
        self.plant(
            [{"type": "ChatGeneration", "message": {"type": "AIMessage", "fields": {"content": "planted", **fields}}}]
        )


@pytest.fixture
def planted() -> Planted:
    store = MemoryStore()
    nbcache.install(store)
    ask(Echo(), "one")
    (row,) = store.page()
    nbcache.uninstall()
    forget_warnings()
    nbcache.install(store)
    return Planted(store, row)


UNREADABLE: dict[str, Callable[[Planted], object]] = {
    "no JSON": lambda to: to.plant(b"\x00\xff"),
    "100,000 levels": lambda to: to.plant(DEEP),
    "100,000 levels of objects": lambda to: to.plant(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "bomb": lambda to: to.plant(bomb(512), packed=("answers",)),
    "bomb without its size": lambda to: to.plant(bomb_without_size(512), packed=("answers",)),
    "bomb that says it is small": lambda to: to.plant(b"\x28\xb5\x2f\xfd\x20\x05" + bomb(64)[6:], packed=("answers",)),
    "not compressed": lambda to: to.plant(b"[]", packed=("answers",)),
    "no answer": lambda to: to.plant([]),
    "number": lambda to: to.plant(5),
    "text": lambda to: to.plant("text"),
    "object": lambda to: to.plant({"lc": 1}),
    "none of a list": lambda to: to.plant([None]),
    "integer of a million digits": lambda to: to.plant(b'[{"type": "Generation", "text": ' + b"9" * 1_000_000 + b"}]"),
    "tagged integer of a million digits": lambda to: to.message(additional_kwargs={"x": {"!int": "9" * 1_000_000}}),
    "tagged nonsense": lambda to: to.message(additional_kwargs={"x": {"!datetime": "then"}}),
    "pairs of lists": lambda to: to.message(additional_kwargs={"x": {"!pairs": [[[1], 2]]}}),
    "answer of no chat model": lambda to: to.plant([{"type": "Generation", "text": "planted"}]),
    "chat generation without message": lambda to: to.plant([{"type": "ChatGeneration", "text": "planted"}]),
    "text that is none": lambda to: to.plant([{"type": "ChatGeneration", "message": AI, "text": 5}]),
    "info that is none": lambda to: to.plant([{"type": "ChatGeneration", "message": AI, "info": "x"}]),
    "message without content": lambda to: to.plant([{"type": "ChatGeneration", "message": {"type": "AIMessage", "fields": {}}}]),
    "content that is a number": lambda to: to.message(content=5),
    "content that is none": lambda to: to.message(content=None),
    "content of numbers": lambda to: to.message(content=[5]),
    "tool calls that are a text": lambda to: to.message(tool_calls="x"),
    "tool calls without a name": lambda to: to.message(tool_calls=[{}]),
    "tool calls of a wrong name": lambda to: to.message(tool_calls=[{"name": 5, "args": {}, "id": "x", "type": "tool_call"}]),
    "metadata that is a text": lambda to: to.message(response_metadata="x"),
    "usage that is a text": lambda to: to.message(usage_metadata="x"),
    "usage of texts": lambda to: to.message(usage_metadata={"input_tokens": "x", "output_tokens": 1, "total_tokens": 1}),
    "name that is a number": lambda to: to.message(name=5),
    "object of a foreign class": lambda to: to.message(
        additional_kwargs={"x": {"!model": {"module": "os", "name": "system", "schema": "x", "data": {}}}}
    ),
}  # fmt: skip


NEWER: dict[str, Callable[[Planted], object]] = {
    "tag of nobody": lambda to: to.message(additional_kwargs={"x": {"!eval": "1+1"}}),
    "constructor": lambda to: to.plant(
        [{"lc": 1, "type": "constructor", "id": ["langchain", "llms", "openai", "OpenAI"], "kwargs": {"openai_api_key": "x"}}]
    ),
    "message that is a constructor": lambda to: to.plant(
        [{"type": "ChatGeneration", "message": {"type": "constructor", "id": ["os", "system"], "fields": {"content": "x"}}}]
    ),
    "secret": lambda to: to.plant([{"lc": 1, "type": "secret", "id": ["OPENAI_API_KEY"]}]),
    "class of a module": lambda to: to.plant([{"type": "ChatGeneration", "message": {"type": "os.system", "fields": {}}}]),
}  # fmt: skip


@pytest.mark.parametrize("plant", NEWER.values(), ids=NEWER.keys())
@pytest.mark.parametrize("how", ["invoke", "stream"])
def test_a_class_that_nbcache_does_not_write_is_left_to_a_newer_release(
    planted: Planted, plant: Callable[[Planted], object], how: str
) -> None:
    plant(planted)
    model = Echo()
    with heard() as said:
        assert [answers(model, how) for _ in range(2)] == [answer_to("one")] * 2
    assert model.calls == 2
    assert len(said) == 1
    assert "newer" in said[0]


@pytest.mark.parametrize("plant", UNREADABLE.values(), ids=UNREADABLE.keys())
@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream"])
def test_an_answer_that_is_none_is_a_miss(planted: Planted, plant: Callable[[Planted], object], how: str) -> None:
    plant(planted)
    model = Echo()
    with heard() as said, no_more_memory(400):
        assert answers(model, how) == answer_to("one")
        assert answers(model, how) == answer_to("one")
    assert model.calls == 1, said
    assert len(said) <= 1, said


def answers(model: Echo, how: str) -> str:
    match how:
        case "ainvoke":
            return asyncio.run(model.ainvoke("one")).text
        case "stream":
            return "".join(chunk.text for chunk in model.stream("one"))
    return model.invoke("one").text


class no_more_memory:  # noqa: N801 - a context manager
    """Fails if the block needs so many megabytes more than were needed at any time before."""

    def __init__(self, megabytes: int) -> None:
        self._limit = megabytes * 2**20

    def __enter__(self) -> None:
        self._before = _peak()

    def __exit__(self, *_: object) -> None:
        assert _peak() - self._before < self._limit


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


CHUNKS = {
    "no JSON": b"\x00",
    "deep": DEEP,
    "a number": b"5",
    "text first": ["x"],
    "second without message": [{"type": "ChatGenerationChunk", "message": {"type": "AIMessageChunk", "fields": {"content": "x"}}}, {}],
    "second of no chat": [
        {"type": "ChatGenerationChunk", "message": {"type": "AIMessageChunk", "fields": {"content": "x"}}},
        {"type": "GenerationChunk", "text": "x"},
    ],
    "second with a tag of nobody": [
        {"type": "ChatGenerationChunk", "message": {"type": "AIMessageChunk", "fields": {"content": "x"}}},
        {"type": "ChatGenerationChunk", "message": {"type": "AIMessageChunk", "fields": {"content": {"!eval": "x"}}}},
    ],
    "wrong content": [{"type": "ChatGenerationChunk", "message": {"type": "AIMessageChunk", "fields": {"content": 5}}}],
    "wrong tool calls": [
        {"type": "ChatGenerationChunk", "message": {"type": "AIMessageChunk", "fields": {"content": "", "tool_call_chunks": [5]}}}
    ],
    "a long chunk a million times": [
        {"type": "ChatGenerationChunk", "message": {"type": "AIMessageChunk", "fields": {"content": "", "additional_kwargs": {"x": ["y"] * 10_000}}}},
        *[""] * 300_000,
    ],
}  # fmt: skip


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS.keys())
@pytest.mark.parametrize("how", ["stream", "astream"])
def test_chunks_that_are_none_are_played_in_one_piece(planted: Planted, chunks: Any, how: str) -> None:
    planted.plant(chunks=chunks)
    with heard() as said:
        if how == "stream":
            text = "".join(chunk.text for chunk in Streaming().stream("one"))
        else:
            text = asyncio.run(streamed())
    assert (text, said) == (answer_to("one"), [])


async def streamed() -> str:
    return "".join([chunk.text async for chunk in Streaming().astream("one")])


class Streaming(Echo):
    """As Echo, as a stream."""


Streaming.__name__, Streaming.__qualname__, Streaming.__module__ = Echo.__name__, Echo.__qualname__, Echo.__module__


def usage(**figures: object) -> dict[str, object]:
    return {"provider": "openai", "model": "gpt-4o", "input_tokens": 10, "output_tokens": 10, **figures}


@pytest.mark.parametrize(
    "figures",
    [
        {"charged": "1e300"}, {"charged": "NaN"}, {"charged": "-5"}, {"charged": "Infinity"}, {"charged": "9999999"}, {"charged": 5},
        {"charged": "1e-99999"}, {"input_tokens": 10**300}, {"input_tokens": -(10**9)}, {"output_tokens": 10**12},
        {"output_tokens": 1.5}, {"input_tokens": "x"}, {"web_searches": 10**300}, {"model": 5}, {"model": "m" * 10_000_000},
    ],
    ids=lambda each: f"{each!r:.40}",
)  # fmt: skip
def test_a_planted_cost_that_can_not_be_true_is_no_money_saved(planted: Planted, figures: dict[str, object]) -> None:
    planted.plant(header={**planted.header, "usage": usage(**figures)})
    model = Echo()
    ask(model, "one", "one")
    stats = nbcache.stats()
    assert (model.calls, stats.hits, stats.unpriced_hits) == (0, 2, 2)
    assert not stats.saved_usd
    (problem,) = nbcache.check(fix=True)
    assert planted.key[:8] in problem
    assert nbcache.check() == []
    assert planted.store.page() == []


def test_a_cost_that_may_be_true_counts(planted: Planted) -> None:
    planted.plant(header={**planted.header, "usage": usage(charged="0.5")})
    ask(Echo(), "one")
    assert str(nbcache.stats().saved_usd) == "0.5"


def test_a_planted_answer_comes_back_as_it_is_written_and_runs_nothing(planted: Planted) -> None:
    """Whoever can write can make up an answer, unless the store is sealed."""
    planted.message(content="<script>alert(1)</script>", additional_kwargs={"lc": 1, "type": "secret", "id": ["PATH"]})
    answer = Echo().invoke("one")
    assert isinstance(answer, AIMessage)
    assert answer.content == "<script>alert(1)</script>"
    assert answer.additional_kwargs == {"lc": 1, "type": "secret", "id": ["PATH"]}
