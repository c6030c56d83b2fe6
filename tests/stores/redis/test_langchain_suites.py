"""LangChain's own contract of a cache, on a server and with a local tier before it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from langchain_core.caches import BaseCache
from langchain_tests.integration_tests import AsyncCacheTestSuite, SyncCacheTestSuite

from nbcache import NotebookCache
from tests.servers.redis_server import RedisServer

NewCache = Callable[[], NotebookCache]


@pytest.fixture(params=["server", "tiers"])
def new(request: pytest.FixtureRequest, server: RedisServer, prefix: str, tmp_path: Path) -> Iterator[NewCache]:
    """Makes a cache on a server."""
    made = []

    def a_cache() -> NotebookCache:
        url = server.url(prefix)
        made.append(NotebookCache(url if request.param == "server" else [str(tmp_path / "store"), url]))
        return made[-1]

    yield a_cache
    for cache in made:
        cache.close()


class TestLangChainSuite(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self, new: NewCache) -> BaseCache:
        return new()


class TestLangChainAsyncSuite(AsyncCacheTestSuite):
    @pytest.fixture
    async def cache(self, new: NewCache) -> BaseCache:
        return new()
