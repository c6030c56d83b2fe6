"""`llm.invoke` on a hit, with a real ChatOpenAI: without nbcache, and with it installed, in alternation."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from langchain_core.caches import BaseCache, InMemoryCache
from langchain_core.globals import get_llm_cache, set_llm_cache

import nbcache

from . import BenchError
from . import contenders as those
from .model import chat_model
from .provider import Provider, provider
from .timing import Series, alternate, timed
from .workload import answer, check_realism, question

FIRST, AGAIN = "nbcache, first hit in this session", "nbcache, from then on"
WARM_UP = 20  # positions asked before each timed batch, and never in it
On = Callable[[], Any]  # a context manager: within it the contender is LangChain's cache


def measure(folder: Path, *, batch: int, rounds: int) -> dict[str, Series]:
    """Seconds for a hit of `llm.invoke`, by contender; `batch` different questions a round.

    All but FIRST are asked the same just before, so that each is measured warm.
    """
    with provider(range(batch + WARM_UP)) as server:
        check_realism(server.base_url, 0)
        sqlite = those.sqlite_cache(folder / "langchain.db")
        contenders: dict[str, tuple[On, bool]] = {
            those.IN_MEMORY: (partial(_set_by_hand, InMemoryCache()), True),
            FIRST: (partial(_installed, folder / "nbcache"), False),
            AGAIN: (partial(_installed, folder / "nbcache"), True),
            those.SQLITE: (partial(_set_by_hand, sqlite), True),
        }
        for on, _ in contenders.values():
            with on():
                _ask(server, range(batch + WARM_UP))
        paid = server.requests
        runs = {name: partial(_round, server, on, again, batch) for name, (on, again) in contenders.items()}
        times = alternate(runs, rounds)
        sqlite.engine.dispose()
        if server.requests != paid:
            raise BenchError(f"{server.requests - paid} of the timed calls were no hits")
        return times


def _round(server: Provider, on: On, again: bool, batch: int, _number: int) -> float:
    with on():
        _ask(server, range(batch, batch + WARM_UP))
        if again:
            _ask(server, range(batch))
        return _ask(server, range(batch))


def _ask(server: Provider, positions: range) -> float:
    """Seconds a call; every answer must be the one to its question."""
    llm = chat_model(server.base_url)
    seconds, messages = timed(llm.invoke, [(question(i),) for i in positions])
    if [message.content for message in messages] != [answer(i) for i in positions]:
        raise BenchError("a wrong answer")
    return seconds


@contextmanager
def _set_by_hand(cache: BaseCache) -> Iterator[None]:
    set_llm_cache(cache)
    try:
        yield
    finally:
        set_llm_cache(None)


@contextmanager
def _installed(folder: Path) -> Iterator[None]:
    nbcache.install(folder)
    try:
        yield
    finally:
        nbcache.uninstall()
    if get_llm_cache() is not None:
        raise BenchError("nbcache.uninstall() left a cache behind: the others would be measured with it")
