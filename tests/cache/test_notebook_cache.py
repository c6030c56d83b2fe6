"""NotebookCache: LangChain's own contract, hits that are nobody else's objects, and the event loop left alone."""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.caches import BaseCache
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation
from langchain_tests.integration_tests import AsyncCacheTestSuite, SyncCacheTestSuite

import nbcache
from nbcache import NbcacheWarning, NotebookCache
from nbcache.entry.records import Filter, Touch
from nbcache.stores import MemoryStore
from tests.support.rows import full

PROMPT, LLM = "What is a monad?", "some model"


class TestLangChainSuiteOnDisk(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self, tmp_path: Path) -> BaseCache:
        return NotebookCache(tmp_path / "store")


class TestLangChainSuiteInMemory(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self) -> BaseCache:
        return NotebookCache("memory://")


class TestLangChainAsyncSuiteOnDisk(AsyncCacheTestSuite):
    @pytest.fixture
    async def cache(self, tmp_path: Path) -> BaseCache:
        return NotebookCache(tmp_path / "store")


class TestLangChainAsyncSuiteInMemory(AsyncCacheTestSuite):
    @pytest.fixture
    async def cache(self) -> BaseCache:
        return NotebookCache(MemoryStore())


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[NotebookCache]:
    made = NotebookCache(tmp_path / "store")
    yield made
    made.close()


def answer(text: str = "a monoid", **fields: Any) -> list[Generation]:
    return [
        ChatGeneration(message=AIMessage(content=text, id="run-1", **fields), generation_info={"finish_reason": "stop"})
    ]


def message(generations: Any) -> AIMessage:
    found = generations[0].message
    assert isinstance(found, AIMessage)
    return found


def test_a_hit_is_a_fresh_object_with_a_fresh_id(cache: NotebookCache) -> None:
    cache.update(PROMPT, LLM, answer(response_metadata={"deep": {"list": [1]}}))
    first, second = message(cache.lookup(PROMPT, LLM)), message(cache.lookup(PROMPT, LLM))
    assert first.content == second.content == "a monoid"
    assert len({first.id, second.id, "run-1", None}) == 4


def test_editing_a_hit_changes_nothing_stored(cache: NotebookCache) -> None:
    cache.update(PROMPT, LLM, answer(response_metadata={"deep": {"list": [1]}}))
    for _ in range(3):  # from the store, then from the decoded answers in memory
        found = message(cache.lookup(PROMPT, LLM))
        assert found.response_metadata == {"deep": {"list": [1]}}
        found.response_metadata["deep"]["list"].append(2)
        found.content = "edited"


def test_editing_the_answer_after_it_was_stored_changes_nothing(cache: NotebookCache) -> None:
    live = answer(response_metadata={"deep": [1]})
    cache.update(PROMPT, LLM, live)
    message(live).response_metadata["deep"].append(2)
    assert message(cache.lookup(PROMPT, LLM)).response_metadata == {"deep": [1]}


def test_what_another_kernel_evicted_is_a_miss_here(tmp_path: Path, cache: NotebookCache) -> None:
    cache.update(PROMPT, LLM, answer())
    assert cache.lookup(PROMPT, LLM)
    other = NotebookCache(tmp_path / "store")
    other.contents().clear()
    assert cache.lookup(PROMPT, LLM) is None
    other.close()


def test_what_another_kernel_replaced_is_its_answer_here(tmp_path: Path, cache: NotebookCache) -> None:
    cache.update(PROMPT, LLM, answer("old"))
    assert message(cache.lookup(PROMPT, LLM)).content == "old"
    other = NotebookCache(tmp_path / "store")
    other.update(PROMPT, LLM, answer("new"))
    assert message(cache.lookup(PROMPT, LLM)).content == "new"
    other.close()


def test_counts_are_of_hits_misses_and_failures(cache: NotebookCache) -> None:
    cache.lookup(PROMPT, LLM)
    cache.update(PROMPT, LLM, answer())
    for _ in range(3):
        cache.lookup(PROMPT, LLM)
    found = cache.stats()
    assert (found.hits, found.misses, found.errors, found.entries) == (3, 1, 0, 1)
    assert found.hit_rate == 0.75
    assert found.size_bytes


def test_hits_reach_the_store_without_a_cell() -> None:
    written = threading.Event()

    class Told(MemoryStore):
        def touch(self, touches: Iterable[Touch]) -> None:
            super().touch(touches)
            written.set()

    cache = NotebookCache(Told())
    cache.update(PROMPT, LLM, answer())
    cache.lookup(PROMPT, LLM)
    assert written.wait(30)
    assert full(cache.store).page()[0].hits == 1
    cache.close()


@pytest.mark.parametrize(("reason", "status"), [("length", "cut off"), ("content_filter", "filtered"), ("stop", "ok")])
def test_only_an_answer_that_is_whole_is_a_hit(cache: NotebookCache, reason: str, status: str) -> None:
    said = [ChatGeneration(message=AIMessage(content="half a mon"), generation_info={"finish_reason": reason})]
    cache.update(PROMPT, LLM, said)
    assert (cache.lookup(PROMPT, LLM) is not None) == (status == "ok")
    assert full(cache.store).page()[0].status == status


def test_an_empty_answer_is_recorded_but_no_hit(cache: NotebookCache) -> None:
    cache.update(PROMPT, LLM, answer(""))
    assert cache.lookup(PROMPT, LLM) is None
    assert [row.status for row in full(cache.store).page()] == ["empty"]


def test_a_cut_off_answer_is_a_hit_where_the_call_set_its_own_limit(cache: NotebookCache) -> None:
    limited = '{"lc": 1, "type": "constructor", "id": ["x"], "kwargs": {"model": "m", "max_tokens": 5}}---[]'
    cache.update(PROMPT, limited, [Generation(text="half", generation_info={"finish_reason": "length"})])
    assert cache.lookup(PROMPT, limited) is not None


def test_what_a_caller_does_to_an_answer_is_in_no_later_one(cache: NotebookCache) -> None:
    metadata = {"usage": {"tokens": 1}, "parts": [1]}
    cache.update(PROMPT, LLM, [ChatGeneration(message=AIMessage("Io", response_metadata=metadata))])
    for _ in range(4):
        (found,) = cache.lookup(PROMPT, LLM) or ()
        assert isinstance(found, ChatGeneration)
        assert found.message.response_metadata == metadata
        found.message.response_metadata["usage"]["tokens"] = 2
        found.message.response_metadata["parts"].append(2)


async def test_a_disk_hit_is_answered_in_the_event_loop_itself(cache: NotebookCache) -> None:
    await cache.aupdate(PROMPT, LLM, answer())
    seen: list[int] = []
    get = cache.store.get

    def watched(key: str, *, wait: bool = True, include_expired: bool = False) -> bytes | None:
        seen.append(threading.get_ident())
        return get(key, wait=wait)

    cache.store.get = watched  # type: ignore[method-assign]
    assert await cache.alookup(PROMPT, LLM)
    assert seen == [threading.get_ident()]


async def test_a_write_never_runs_on_the_event_loop(cache: NotebookCache) -> None:
    seen: list[int] = []
    put = cache.store.put

    def watched(*args: Any) -> None:
        seen.append(threading.get_ident())
        put(*args)

    cache.store.put = watched  # type: ignore[method-assign, assignment]
    await cache.aupdate(PROMPT, LLM, answer())
    assert seen
    assert threading.get_ident() not in seen


async def test_a_locked_database_does_not_hold_up_the_event_loop(tmp_path: Path, cache: NotebookCache) -> None:
    cache.update(PROMPT, LLM, answer())
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    holder = sqlite3.connect(tmp_path / "store" / "cache.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    running = asyncio.create_task(others())
    await asyncio.sleep(0)
    with pytest.warns(NbcacheWarning, match="locked"):
        await cache.aupdate("other", LLM, answer())
    during = turns
    running.cancel()
    holder.close()
    assert during > 100


async def test_a_large_answer_is_decoded_in_a_thread(cache: NotebookCache) -> None:
    large = os.urandom(200_000).hex()
    await cache.aupdate(PROMPT, LLM, answer(large))
    seen: list[int] = []
    decode = cache._lookup._memory.decode

    def watched(*args: Any) -> Any:
        seen.append(threading.get_ident())
        return decode(*args)

    cache._lookup._memory.decode = watched  # type: ignore[method-assign, assignment]
    found = await cache.alookup(PROMPT, LLM)
    assert message(found).content == large
    assert seen
    assert threading.get_ident() not in seen


def test_sixteen_threads_lose_nothing_and_mix_nothing_up(cache: NotebookCache) -> None:
    barrier, wrong = threading.Barrier(16), []

    def work(number: int) -> None:
        barrier.wait()
        for i in range(50):
            cache.update(f"{number}-{i}", LLM, answer(f"to {number}-{i}"))
            found = cache.lookup(f"{number}-{i}", LLM)
            if found is None or message(found).content != f"to {number}-{i}":
                wrong.append((number, i))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert cache.stats().entries == 800
    assert cache.stats().errors == 0


def test_what_would_not_come_back_as_it_is_is_not_stored(cache: NotebookCache) -> None:
    class Opaque:
        pass

    said = [Generation(text="x", generation_info={"raw": Opaque()})]
    with pytest.warns(NbcacheWarning, match="Opaque"):
        cache.update(PROMPT, LLM, said)
    assert cache.lookup(PROMPT, LLM) is None


def test_by_hand_it_refuses_a_model_whose_string_hides_its_name(cache: NotebookCache) -> None:
    hidden = "[('_type', 'chat-ollama'), ('stop', None)]"
    with pytest.warns(NbcacheWarning, match=r"nbcache\.install"):
        cache.update(PROMPT, hidden, answer())
    assert cache.lookup(PROMPT, hidden) is None
    assert cache.stats().entries == 0


def test_by_hand_it_works_for_a_model_that_tells_all(cache: NotebookCache) -> None:
    from langchain_core.globals import get_llm_cache, set_llm_cache

    before = get_llm_cache()
    set_llm_cache(cache)
    try:
        model = FakeListChatModel(responses=["one", "two"])
        assert [model.invoke("q").content for _ in range(3)] == ["one"] * 3
    finally:
        set_llm_cache(before)


def test_ttl_and_tags_are_the_entrys(tmp_path: Path) -> None:
    cache = NotebookCache(tmp_path / "store", ttl="7d", tags=["draft", "v 1"])
    cache.update(PROMPT, LLM, answer())
    (row,) = full(cache.store).page(Filter(tag="v 1"))
    assert row.tags == ("draft", "v 1")
    assert row.expires is not None
    assert 7 * 86400 - 60 < row.expires - row.created < 7 * 86400 + 60
    cache.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "loud"},
        {"scope": "planet"},
        {"ttl": "7x"},
        {"ttl": -1},
        {"max_bytes": "2 elephants"},
        {"max_entries": 0},
        {"tags": [""]},
        {"store": "ftp://x"},
        {"store": ""},
        {"store": 7},
    ],
)
def test_a_wrong_setting_raises_where_it_is_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="write"):
        NotebookCache(**{"store": "memory://", **wrong})


def test_info_tells_a_hit_from_a_miss(cache: NotebookCache) -> None:
    live = answer()
    cache.update(PROMPT, LLM, live)
    told = cache.info(message(live))
    hit = cache.info(message(cache.lookup(PROMPT, LLM)))
    assert told is not None
    assert hit is not None
    assert (told.hit, hit.hit) == (False, True)
    assert told.key == hit.key == nbcache.cache_key(PROMPT, LLM)
    assert told.recorded == hit.recorded
    assert cache.info(AIMessage(content="never seen")) is None


def test_a_max_bytes_bound_evicts_the_least_recently_used(tmp_path: Path) -> None:
    cache = NotebookCache(tmp_path / "store", max_entries=3)
    for name in "abc":
        cache.update(name, LLM, answer(name))
    cache.lookup("a", LLM)
    cache.flush()
    cache.update("d", LLM, answer("d"))
    assert [name for name in "abcd" if cache.lookup(name, LLM)] == ["a", "c", "d"]
    assert cache.stats().evictions == 1
    cache.close()
