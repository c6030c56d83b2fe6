"""What tests of servers that fail share: sessions on them, and what an outage has cost."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from langchain_core.language_models import FakeListChatModel

import nbcache
from nbcache.entry.edit import Edit
from nbcache.entry.records import Filter, Touch
from nbcache.errors import StoreError
from nbcache.stores import RedisStore
from nbcache.stores.circuit_breaker import CircuitBreaker
from tests.servers.redis_server import RedisServer, program
from tests.stores.contract.entries import key_of, put

LIMIT = 0.25  # seconds for which a call waits
Begin = Callable[[], None]


@dataclass
class Lost:
    """What an outage has cost: which threads waited for the server in vain, and the longest wait that was possible."""

    waits: list[tuple[CircuitBreaker, int]] = field(default_factory=list)
    limits: list[float] = field(default_factory=lambda: [0.0])

    def threads(self, store: RedisStore) -> list[int]:
        """Those that waited for this store, each as often as it did."""
        return [thread for breaker, thread in self.waits if breaker is store.server._breaker]


def model() -> FakeListChatModel:
    return FakeListChatModel(responses=["right"])


def used() -> RedisStore:
    store = nbcache.installed().store
    assert isinstance(store, RedisStore)
    return store


def answer_on(url: str) -> str:
    """The answer to a call in a session on this server."""
    nbcache.install(url)
    answer = model().invoke("q").content
    nbcache.uninstall()
    return str(answer)


@contextlib.contextmanager
def a_server(*options: str) -> Iterator[RedisServer]:
    with RedisServer(program(), *options, tcp=True) as running:
        yield running
        running.go_on()


def is_used(store: RedisStore) -> bool:
    """Whether an entry can be stored and read."""
    with contextlib.suppress(StoreError):
        put(store, "probe", b"is here")
        return store.get(key_of("probe")) == b"is here"
    return False


def exercise(store: RedisStore) -> None:
    """Do what a store can do."""
    keys = [put(store, number, b"%d" % number, "a.ipynb") for number in range(5)]
    assert [store.get(key) for key in keys] == [b"0", b"1", b"2", b"3", b"4"]
    store.touch([Touch(key, "b.ipynb", 1, 5.0) for key in keys])
    assert store.edit(keys[:2], Edit(add=("kept",))) == 2
    assert {row.key for row in store.page(sort="hits", limit=3)} <= set(keys)
    assert store.totals(Filter(notebook="a.ipynb")).entries == 5
    assert store.facets().notebook == ("a.ipynb", "b.ipynb")
    assert [payload for _, payload in store.stream(Filter())] != []
    assert store.delete(keys[0])
    assert store.clear(keys[1:3]).deleted == 2
    assert store.spendings() == []
    assert store.check() == []
