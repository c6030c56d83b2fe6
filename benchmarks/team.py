"""Many processes make the same calls through one Redis server, which is killed and started again meanwhile."""

import multiprocessing
import random
import sys
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from queue import Empty
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from langchain_openai import ChatOpenAI

import nbcache
from nbcache.entry.records import EntryMeta
from nbcache.errors import NbcacheWarning
from nbcache.stores import RedisStore
from tests.servers.redis_server import RedisServer, programs

from . import BenchError
from .columns import NBCACHE
from .figures import Figures
from .model import Answers, chat_model

_SECONDS = 0.1  # that the model takes for an answer
_DOWN = 1.0  # seconds for which the server is down
_SPREAD = 20  # keys: a process may be so far ahead in its calls of one key
_PATIENCE = 600  # seconds until a process that says nothing counts as hung
_DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


@dataclass(frozen=True)
class Load:
    """How many processes there are, how many calls each makes, of how many keys, and how often the server is killed."""

    processes: int = 16
    calls: int = 1_000
    keys: int = 200
    kills: int = 2


@dataclass
class Outcome:
    """What came of the calls of one process, or of all.

    `acknowledged` are the keys of the entries that the server has acknowledged. `requests` were made while it was up: it answered
    their lookups and acknowledged their answers. `further` are the others.
    """

    wrong: int = 0
    requests: int = 0
    further: int = 0
    acknowledged: set[str] = field(default_factory=set)

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(
            self.wrong + other.wrong,
            self.requests + other.requests,
            self.further + other.further,
            self.acknowledged | other.acknowledged,
        )


def measure(load: Load, figures: Figures) -> None:
    """What is wrong or lost of the calls of many processes, and how many requests they make."""
    if not programs():
        print("without a team: this needs redis-server or valkey-server", end=" ", file=sys.stderr)
        return
    outcome, lost = outcome_of(load)
    figures.add("team", NBCACHE, outcome.wrong + lost)
    figures.add("team, requests", NBCACHE, outcome.requests / load.keys)
    print(f"{outcome.further} requests while the server was down or left alone", end=" ", file=sys.stderr)


def outcome_of(load: Load) -> tuple[Outcome, int]:
    """What came of all calls, and how many entries are lost that the server had acknowledged."""
    with RedisServer(next(iter(programs().values())), *_DURABLE) as server:
        outcome = _calls(load, server)
        store = RedisStore(server.url())
        lost = sum(store.get(key) is None for key in outcome.acknowledged)
        store.close()
    return outcome, lost


def _calls(load: Load, server: RedisServer) -> Outcome:
    context = multiprocessing.get_context("spawn")  # as kernels are
    shared = _Shared(context.Queue(), context.Barrier(load.processes + 1), context.Value("i", 0))
    workers = [
        context.Process(target=_work, args=(server.url(), number, load, shared)) for number in range(load.processes)
    ]
    for worker in workers:
        worker.start()
    try:
        shared.begin.wait(_PATIENCE)
        for number in range(load.kills):
            _wait_for(shared.done, load.processes * load.calls * (number + 1) // (load.kills + 1))
            server.stop()
            time.sleep(_DOWN)
            server.start()
        return sum((shared.results.get(timeout=_PATIENCE) for _ in workers), Outcome())
    except Empty:
        raise BenchError("a process of the team died or hung") from None
    finally:
        for worker in workers:
            worker.join(timeout=10)
            worker.kill()


@dataclass(frozen=True)
class _Shared:
    """What the processes have in common: what came of their calls, when these begin, and how many are done."""

    results: Any
    begin: Any
    done: Any


def _wait_for(done: Any, calls: int) -> None:
    until = time.monotonic() + _PATIENCE
    while done.value < calls:
        if time.monotonic() > until:
            raise BenchError("the calls of the team don't end")
        time.sleep(0.01)


def _work(url: str, number: int, load: Load, shared: _Shared) -> None:
    warnings.simplefilter("ignore", NbcacheWarning)  # of the server that is down
    store = _Store(url)
    nbcache.install(store)
    model = _model(store)
    shared.begin.wait(_PATIENCE)
    for question in _questions(load, number):
        store.outcome.wrong += model.invoke(question).content != _ANSWERS.text(question)
        with shared.done.get_lock():
            shared.done.value += 1
    store.outcome.further -= store.outcome.requests
    nbcache.uninstall()
    shared.results.put(store.outcome)


def _questions(load: Load, number: int) -> Iterable[str]:
    """The calls of one process: all make those of a key at about the same time."""
    order = random.Random(number)
    each = load.calls // load.keys
    places = sorted((key + order.random() * _SPREAD, key) for key in range(load.keys) for _ in range(each))
    return (f"question {key}" for _, key in places)


class _Store(RedisStore):
    """Notes what the server says to the calls of this process, which are made one after the other."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.outcome = Outcome()
        self.answered = self.began_answered = False

    def get(self, key: str, **options: Any) -> bytes | None:
        self.answered = False
        payload = super().get(key, **options)
        self.answered = True
        return payload

    def lease(self, key: str, token: str, seconds: float) -> bytes | bool | None:
        self.answered = False
        outcome = super().lease(key, token, seconds)
        self.answered = True
        return outcome

    def put_leased(self, key: str, payload: bytes, meta: EntryMeta, ttl: float | None, token: str) -> None:
        super().put_leased(key, payload, meta, ttl, token)
        self.outcome.acknowledged.add(key)
        self.outcome.requests += self.began_answered


_ANSWERS = Answers([f"answer {number}" for number in range(1_000)])


def _model(store: _Store) -> ChatOpenAI:
    """A model that takes some time for an answer."""

    def _generate(_: ChatOpenAI, messages: list[BaseMessage], *__: Any, **___: Any) -> ChatResult:
        store.outcome.further += 1  # for now
        store.began_answered = store.answered
        time.sleep(_SECONDS)
        return _ANSWERS.result(str(messages[-1].content))

    ChatOpenAI._generate = _generate  # type: ignore[assignment,method-assign]
    return chat_model()
