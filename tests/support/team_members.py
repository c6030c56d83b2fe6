"""Processes of a team: each has a session of its own on the team's store, and makes the calls that a test tells it to make."""

import asyncio
import os
import signal
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

import openai
from langchain_openai import ChatOpenAI

import nbcache
from nbcache.cache import team_leases
from nbcache.errors import NbcacheWarning
from nbcache.stores.redis import server
from nbcache.stores.redis.store import RedisStore
from tests.support.processes import PROCESS
from tests.support.waiting_calls import PATIENCE

_PATIENCE_TO_START, _READY = 100, "ready"
UNLIMITED = 600.0  # seconds of a lease that doesn't end in a test
Work = Callable[..., list[Any]]


@dataclass(frozen=True)
class Outcome:
    """What came of a member's calls: their answers, how many were hits and misses, and what was raised or warned."""

    answers: list[Any] = field(default_factory=list)
    hits: int = 0
    misses: int = 0
    error: str = ""
    warned: list[str] = field(default_factory=list)


class Member:
    """A process with a session on the store at `url`.

    With `lease` a lease lasts so many seconds. With `local` a folder in it is the member's own store, in front of the team's. The server has all the time that it needs to answer, unless the test is about that.
    """

    def __init__(
        self, url: str, *, lease: float | None = UNLIMITED, patient: bool = True, local: Path | None = None
    ) -> None:
        self._pipe, theirs = PROCESS.Pipe()
        self._gate, self.renewals = PROCESS.Semaphore(0), PROCESS.Semaphore(0)
        self._inside, self._waits = PROCESS.Semaphore(0), PROCESS.Semaphore(0)
        signals = _Signals(self._gate, self._inside, self.renewals, self._waits)
        store = url if local is None else f"{local / uuid.uuid4().hex}, {url}"
        self.process = PROCESS.Process(target=_live, args=(store, theirs, signals, lease, patient), daemon=True)
        self.process.start()

    def wait_until_ready(self) -> None:
        """Return when it has its session. The first one imports everything."""
        assert self._pipe.poll(_PATIENCE_TO_START), "a member doesn't start"
        assert self._pipe.recv() == _READY

    def begin(self, work: Work, *args: Any) -> Self:
        """Let it make the calls of `work`."""
        self._pipe.send((work, args))
        return self

    def outcome(self) -> Outcome:
        """What came of them."""
        assert self._pipe.poll(PATIENCE), "a member has no answer"
        done = self._pipe.recv()
        assert isinstance(done, Outcome)
        return done

    def wait_until_waiting(self, calls: int = 1) -> Self:
        """Return when so many of its calls wait for another process."""
        for _ in range(calls):
            assert self._waits.acquire(timeout=PATIENCE), "a member doesn't wait"
        return self

    def inside(self) -> Self:
        """Return when one of its functions runs, and waits for its gate."""
        assert self._inside.acquire(timeout=PATIENCE), "a member's function doesn't run"
        return self

    def open(self) -> None:
        """Let a function that waits for its gate go on."""
        self._gate.release()

    def signal(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)


@contextmanager
def members(count: int, url: str, **options: Any) -> Iterator[list[Member]]:
    """So many members, which end with the block."""
    team = [Member(url, **options) for _ in range(count)]
    try:
        for member in team:
            member.wait_until_ready()
        yield team
    finally:
        for member in team:
            member.process.kill()
            member.process.join()


@dataclass(frozen=True)
class _Signals:
    gate: Any
    inside: Any
    renewals: Any
    waits: Any


class _Here:
    """What the calls of this process may use."""

    signals: _Signals

    def wait(self) -> None:
        """Tell the test that a function runs, and wait until its gate is open."""
        self.signals.inside.release()
        assert self.signals.gate.acquire(timeout=PATIENCE)


here = _Here()


def _live(store: str, pipe: Connection, signals: _Signals, lease: float | None, patient: bool) -> None:
    os.environ |= {"NO_PROXY": "127.0.0.1", "NBCACHE_OWNER": "ann"}
    here.signals = signals
    if lease is not None:
        team_leases._LEASE = lease
    if patient:
        server._HIT = PATIENCE
    _watch(signals)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nbcache.install(store)
    pipe.send(_READY)
    while True:
        try:
            work, args = pipe.recv()
        except EOFError:
            return
        pipe.send(_outcome(work, args))


def _watch(signals: _Signals) -> None:
    """Tell the test of each call that waits, by its second question, and of each renewal that is done."""
    asked: dict[str, int] = {}
    ask, renew = RedisStore.lease, RedisStore.renew

    def watched_ask(self: RedisStore, key: str, token: str, seconds: float) -> bytes | bool | None:
        asked[token] = asked.get(token, 0) + 1
        if asked[token] == 2:
            signals.waits.release()
        return ask(self, key, token, seconds)

    def watched_renew(self: RedisStore, leases: Any, seconds: float) -> None:
        renew(self, leases, seconds)
        signals.renewals.release()

    RedisStore.lease, RedisStore.renew = watched_ask, watched_renew  # type: ignore[method-assign]


def _outcome(work: Work, args: tuple[Any, ...]) -> Outcome:
    before, answers, error = nbcache.stats(), [], ""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            answers = work(*args)
        except (Exception, KeyboardInterrupt) as raised:  # noqa: BLE001 - the test looks at it
            error = repr(raised)
    after = nbcache.stats()
    warned = [str(each.message) for each in caught if issubclass(each.category, NbcacheWarning)]
    return Outcome(answers, after.hits - before.hits, after.misses - before.misses, error, warned)


# Calls

Arguments = dict[str, Any]  # of a client


def model(client: Arguments, **options: Any) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o", max_retries=0, **client, **options)


def invoke(client: Arguments, *texts: str, **options: Any) -> list[Any]:
    return [model(client, **options).invoke(text).content for text in texts]


def ainvoke(client: Arguments, text: str) -> list[Any]:
    async def call() -> list[Any]:
        return [(await model(client).ainvoke(text)).content]

    return asyncio.run(call())


def batch(client: Arguments, *texts: str) -> list[Any]:
    return [message.content for message in model(client).batch(list(texts))]


def abatch(client: Arguments, *texts: str) -> list[Any]:
    async def call() -> list[Any]:
        return [message.content for message in await model(client).abatch(list(texts))]

    return asyncio.run(call())


def stream(client: Arguments, text: str) -> list[Any]:
    return ["".join(str(chunk.content) for chunk in model(client).stream(text))]


def sdk(client: Arguments, text: str) -> list[Any]:
    made = openai.OpenAI(max_retries=0, **client)
    done = made.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": text}])
    return [done.choices[0].message.content]


def asdk(client: Arguments, text: str) -> list[Any]:
    async def call() -> list[Any]:
        made = openai.AsyncOpenAI(max_retries=0, **client)
        done = await made.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": text}])
        return [done.choices[0].message.content]

    return asyncio.run(call())


@nbcache.memoize(ignore="client")
def asks(text: str, client: Arguments) -> str:
    """A function with a call inside."""
    return str(model(client).invoke(text).content)


def function(client: Arguments, text: str) -> list[Any]:
    return [asks(text, client)]


@nbcache.memoize(ignore="client")
async def aasks(text: str, client: Arguments) -> str:
    return str((await model(client).ainvoke(text)).content)


def afunction(client: Arguments, text: str) -> list[Any]:
    return [asyncio.run(aasks(text, client))]


def refresh(client: Arguments, text: str) -> list[Any]:
    with nbcache.mode("refresh"):
        return invoke(client, text)


def read_only(client: Arguments, text: str) -> list[Any]:
    with nbcache.mode("read-only"):
        return invoke(client, text)


def with_timeout(client: Arguments, text: str, seconds: float) -> list[Any]:
    return invoke(client, text, timeout=seconds)


def on_the_loops_thread(client: Arguments, text: str) -> list[Any]:
    """A sync call on the thread of a running event loop."""

    async def call() -> list[Any]:
        return invoke(client, text)

    return asyncio.run(call())


def cancelled(client: Arguments, text: str) -> list[Any]:
    """A call whose task is cancelled by SIGUSR1."""

    async def call() -> list[Any]:
        task = asyncio.ensure_future(model(client).ainvoke(text))
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, task.cancel)
        try:
            return [(await task).content]
        except asyncio.CancelledError:
            return ["cancelled"]

    return asyncio.run(call())


def beside_a_heartbeat(client: Arguments, text: str) -> list[Any]:
    """The answer, how often another task of the loop had its turn until it came, and how often the loop's thread waited."""
    held_up: list[str] = []
    sleep, ask = time.sleep, RedisStore.lease

    def watched_sleep(seconds: float) -> None:
        if asyncio._get_running_loop() is not None:
            held_up.append(f"slept {seconds}")
        sleep(seconds)

    def watched_ask(*args: Any) -> bytes | bool | None:
        if asyncio._get_running_loop() is not None:
            held_up.append("asked the server")
        return ask(*args)

    async def call() -> list[Any]:
        task, turns = asyncio.ensure_future(model(client).ainvoke(text)), 0
        while not task.done():
            await asyncio.sleep(0)
            turns += 1
        return [(await task).content, turns, held_up]

    time.sleep, RedisStore.lease = watched_sleep, watched_ask  # type: ignore[assignment,method-assign]
    return asyncio.run(call())


@nbcache.memoize(ignore="meanwhile")
def gated(text: str, meanwhile: Callable[[], Any]) -> Any:
    return meanwhile()


def through_the_gate(text: str, value: Any) -> list[Any]:
    """A function that returns `value` once the gate is open."""

    def meanwhile() -> Any:
        here.wait()
        return value

    return [gated(text, meanwhile)]


def refreshed(text: str, value: Any) -> list[Any]:
    with nbcache.mode("refresh"):
        return through_the_gate(text, value)


def unkept(text: str) -> list[Any]:
    """A function whose value can't be kept."""
    return [type(value).__name__ for value in through_the_gate(text, object())]


@nbcache.memoize(ignore="meanwhile")
async def agated(text: str, meanwhile: Callable[[], Any]) -> Any:
    return await meanwhile()


def crosswise(first: str, second: str, is_async: bool) -> list[Any]:
    """A function in which another one is called. In a second process they are called the other way round."""

    def meanwhile() -> str:
        here.wait()
        return f"{first} and {gated(second, lambda: second)}"

    async def ameanwhile() -> str:
        await asyncio.to_thread(here.wait)
        return f"{first} and {await agated(second, inner)}"

    async def inner() -> str:
        return second

    return [asyncio.run(agated(first, ameanwhile))] if is_async else [gated(first, meanwhile)]


def crosswise_beside_threads(first: str, second: str) -> list[Any]:
    """The same, while a thread that has nothing to do with it makes the inner call, too."""

    def meanwhile() -> str:
        thread = threading.Thread(target=gated, args=(second, lambda: second), daemon=True)
        here.wait()
        thread.start()
        here.wait()
        return f"{first} and {gated(second, lambda: second)}"

    return [gated(first, meanwhile)]


def beside_a_task(client: Arguments, first: str, second: str) -> list[Any]:
    """A sync call on an event loop's thread, while another call is awaited there."""

    async def calls() -> list[Any]:
        task = asyncio.ensure_future(model(client).ainvoke(first))
        await asyncio.to_thread(here.wait)
        return [*invoke(client, second), (await task).content]

    return asyncio.run(calls())


def crosswise_in_a_pool(first: str, second: str) -> list[Any]:
    """The same, where the inner call is made in a thread that knows nothing of the outer one."""

    def meanwhile() -> str:
        here.wait()
        with ThreadPoolExecutor(1) as pool:
            return f"{first} and {pool.submit(gated, second, lambda: second).result()}"

    return [gated(first, meanwhile)]
