"""Streams that are played before LangChain sets up a run: nobody can tell them from the others, but by the time they take."""

import asyncio
import copy
import operator
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk
from langchain_core.runnables import RunnableConfig

import nbcache
from nbcache.cache.lookup import IsHeard
from nbcache.cache.memory import CachedAnswer
from nbcache.cache.notebook_cache import NotebookCache
from nbcache.codec.payload import Payload
from nbcache.errors import DamagedError
from nbcache.keys.known_keys import KnownCall
from tests.integrations.langchain.test_early_hits import CLIENTS
from tests.servers.provider import Provider


@pytest.fixture(params=CLIENTS)
def model(request: pytest.FixtureRequest, provider: Provider, tmp_path: Path) -> BaseChatModel:
    nbcache.install(tmp_path / "store")
    model = CLIENTS[request.param](provider)
    for _ in range(2):  # the first call completes the model
        model.invoke("before")
    return model


@pytest.fixture
def early() -> Iterator[mock.Mock]:
    """Notes which streams were played early."""
    play = mock.Mock()
    found = NotebookCache.find_known_stream

    def find(self: NotebookCache, known: KnownCall, is_heard: IsHeard, *, on_loop: bool) -> Any:
        answer = found(self, known, is_heard, on_loop=on_loop)
        if isinstance(answer, CachedAnswer):
            play(known.key)
        return answer

    with mock.patch.object(NotebookCache, "find_known_stream", find):
        yield play


async def _collected(stream: Any) -> list[AIMessageChunk]:
    return [chunk async for chunk in stream]


def stream(
    model: BaseChatModel, config: RunnableConfig | None = None, *, is_async: bool = False, **options: Any
) -> list[AIMessageChunk]:
    if is_async:
        return asyncio.run(_collected(model.astream("q", config, **options)))
    return list(model.stream("q", config, **options))


def without_id(chunk: AIMessageChunk) -> dict[str, Any]:
    return {**chunk.__dict__, "id": None, "extra": chunk.__pydantic_extra__}


def text_of(chunks: list[AIMessageChunk]) -> str:
    return str(reduce(operator.add, chunks).text)


@pytest.mark.parametrize("is_async", [False, True])
def test_an_early_stream_has_the_chunks_that_langchain_hands_out(
    model: BaseChatModel, is_async: bool, early: mock.Mock
) -> None:
    live = stream(model)
    if is_async:
        asyncio.run(model.ainvoke("before"))  # the model's other client
    hit = stream(model, is_async=is_async)
    assert early.call_count == 1
    with mock.patch.object(NotebookCache, "known_call", return_value=None):
        other = stream(model, is_async=is_async)
    assert early.call_count == 1
    assert [without_id(chunk) for chunk in hit] == [without_id(chunk) for chunk in other]
    assert [type(chunk) for chunk in hit] == [type(chunk) for chunk in live]
    assert [chunk.model_dump(exclude={"id"}) for chunk in hit] == [chunk.model_dump(exclude={"id"}) for chunk in live]
    assert text_of(hit) == text_of(live)
    assert len(hit) > 3
    ids = {chunk.id for chunk in hit}
    assert len(ids) == 1
    assert ids.isdisjoint(chunk.id for chunk in (*live, *other))
    assert nbcache.info(hit[0]).hit  # type: ignore[union-attr]


def test_an_answer_that_came_whole_is_one_early_chunk(model: BaseChatModel, early: mock.Mock) -> None:
    model.invoke("q")
    hit = stream(model)
    with mock.patch.object(NotebookCache, "known_call", return_value=None):
        other = stream(model)
    assert [without_id(chunk) for chunk in hit] == [without_id(chunk) for chunk in other]
    assert early.call_count == 1


def test_what_the_reader_does_to_an_early_chunk_is_not_played_again(model: BaseChatModel, early: mock.Mock) -> None:
    stream(model)
    played = stream(model)
    before = copy.deepcopy([without_id(chunk) for chunk in stream(model)])
    for chunk in played:
        chunk.content = "mine"
        for value in (chunk.response_metadata, chunk.additional_kwargs, chunk.usage_metadata or {}):
            value["mine"] = {"deep": True}  # type: ignore[typeddict-unknown-key]
        chunk.tool_call_chunks.append({"name": "mine", "args": "", "id": None, "index": 0, "type": "tool_call_chunk"})
        chunk.__pydantic_fields_set__.clear()
    assert [without_id(chunk) for chunk in stream(model)] == before
    assert early.call_count == 3


def test_each_early_stream_is_counted_once(provider: Provider, tmp_path: Path, early: mock.Mock) -> None:
    nbcache.install(tmp_path / "store", prices={"gpt-4o-mini": {"input": 1, "output": 2}})
    model = CLIENTS["ChatOpenAI"](provider)
    model.invoke("before")
    for _ in range(5):
        stream(model)
    stats = nbcache.stats()
    assert (stats.hits, stats.misses, early.call_count) == (4, 2, 4)


def test_who_listens_hears_each_chunk(model: BaseChatModel, early: mock.Mock) -> None:
    class Listener(BaseCallbackHandler):
        def __init__(self) -> None:
            self.tokens: list[Any] = []

        def on_llm_new_token(self, token: Any, **_: Any) -> None:
            self.tokens.append(token)

    live = stream(model)
    listener = Listener()
    hit = stream(model, {"callbacks": [listener]})
    assert not early.called
    assert [chunk.content for chunk in hit] == [chunk.content for chunk in live] == listener.tokens


def test_a_setting_of_an_earlier_cache_is_in_nobodys_way(provider: Provider, tmp_path: Path, early: mock.Mock) -> None:
    nbcache.install(tmp_path / "store", exclude=["some chain"])  # chains are watched from now on
    nbcache.install(tmp_path / "store")
    model = CLIENTS["ChatOpenAI"](provider)
    for _ in range(3):
        stream(model)
    assert early.call_count == 2


def test_modes_choices_and_another_output_take_the_long_way(
    provider: Provider, tmp_path: Path, early: mock.Mock
) -> None:
    nbcache.install(tmp_path / "store")
    model = CLIENTS["ChatOpenAI"](provider)
    model.invoke("before")
    stream(model)
    stream(model, {"metadata": {"nbcache": "off"}})
    with nbcache.mode("refresh"):
        stream(model)
    stream(model, n=2)
    stream(model, n=2)
    stream(model.model_copy(update={"output_version": "v1"}))
    stream(model.model_copy(update={"disable_streaming": True}))
    assert not early.called


@pytest.mark.parametrize("is_early", [False, True])
def test_chunks_of_a_newer_release_come_in_one_piece(model: BaseChatModel, is_early: bool, early: mock.Mock) -> None:
    live = stream(model)
    newer = DamagedError("it holds 'NewChunk', which a newer nbcache or LangChain wrote", newer=True)
    config: RunnableConfig = {} if is_early else {"callbacks": [BaseCallbackHandler()]}
    with mock.patch.object(Payload, "_chunk_forms", side_effect=newer):
        chunks = stream(model, config)
    assert chunks[0].text == text_of(live)
    assert early.call_count == is_early
    assert nbcache.stats().hits == 2
