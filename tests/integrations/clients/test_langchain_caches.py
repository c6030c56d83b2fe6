"""Caches of langchain-community as stores of nbcache: whatever they lose of answers of their own, answers come back exactly."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel, FakeMessagesListChatModel
from langchain_core.messages import AIMessage, ToolCall
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import Generation

import nbcache
from nbcache.errors import StoreError
from nbcache.stores import LangChainStore
from tests.servers.redis_server import RedisServer, program
from tests.stores.contract.entries import key_of, put

pytestmark = pytest.mark.filterwarnings("ignore")  # langchain-community says that it is at its end
TOOL_CALL = ToolCall(name="weather", args={"city": "Bern"}, id="1", type="tool_call")
CACHES = ("SQLiteCache", "RedisCache", "RedisCache with a TTL")


@pytest.fixture
def community() -> Any:
    return pytest.importorskip("langchain_community.cache", reason="`make clients` has it")


@pytest.fixture
def server(community: Any) -> Iterator[RedisServer]:
    with RedisServer(program(), tcp=True) as running:
        yield running


@pytest.fixture
def client(server: RedisServer) -> Any:
    redis: Any = pytest.importorskip("redis")
    with redis.Redis(port=server.port) as made:
        yield made


@pytest.fixture(params=CACHES)
def cache(request: pytest.FixtureRequest, community: Any, tmp_path: Path) -> Any:
    if request.param == "SQLiteCache":
        return community.SQLiteCache(str(tmp_path / "cache.db"))
    options = {"ttl": 1_000} if "TTL" in request.param else {}
    return community.RedisCache(request.getfixturevalue("client"), **options)


@pytest.mark.parametrize("size", [0, 1, 3_000, 500_000])
def test_payloads_come_back_byte_for_byte(cache: Any, size: int) -> None:
    store = LangChainStore(cache)
    payload = bytes(range(256)) * (size // 256) + bytes(size % 256)
    key = put(store, "one", payload)
    assert store.get(key) == payload
    put(store, "one", b"newer")
    assert LangChainStore(cache).get(key) == b"newer"
    assert store.get(key_of("other")) is None


def test_an_entry_is_deleted_and_what_others_have_in_the_cache_stays(cache: Any) -> None:
    cache.update("theirs", "llm", [Generation(text="stays")])
    store = LangChainStore(cache)
    key = put(store, "one")
    assert store.delete(key)
    assert not store.delete(key)
    assert store.get(key, include_expired=True) is None
    assert cache.lookup("theirs", "llm")[0].text == "stays"


async def test_messages_with_tool_calls_and_streams_come_back_whole(cache: Any) -> None:
    usage = UsageMetadata(input_tokens=1, output_tokens=2, total_tokens=3)
    message = AIMessage([{"type": "text", "text": "It rains. " * 20}], tool_calls=[TOOL_CALL], usage_metadata=usage)
    nbcache.install(LangChainStore(cache))
    chat = FakeMessagesListChatModel(responses=[message, AIMessage("paid twice")])
    chat.invoke("q")
    for hit in (chat.invoke("q"), await chat.ainvoke("q")):
        assert isinstance(hit, AIMessage)
        assert (hit.content, hit.tool_calls) == (message.content, [TOOL_CALL])
    model = FakeListChatModel(responses=["one two three", "paid twice"])
    chunks = list(model.stream("s"))
    nbcache.installed().flush()
    again = list(model.stream("s"))
    assert [chunk.content for chunk in again] == [chunk.content for chunk in chunks]
    assert len(again) > 10
    assert nbcache.stats().hits == 3


def test_a_server_that_was_killed_costs_no_answer(community: Any, client: Any, server: RedisServer) -> None:
    nbcache.install(LangChainStore(community.RedisCache(client)))
    server.stop()
    llm = FakeListChatModel(responses=["one", "two"])
    assert [llm.invoke("q").content for _ in range(2)] == ["one", "two"]


def test_a_cache_that_can_only_be_awaited_says_so(community: Any) -> None:
    redis: Any = pytest.importorskip("redis.asyncio")
    with pytest.raises(StoreError, match="async Redis cache"):
        LangChainStore(community.AsyncRedisCache(redis.Redis(port=1))).get(key_of(1))
