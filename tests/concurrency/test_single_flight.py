"""Identical calls at the same time: one request, whoever asks, and nobody waits for ever."""

import asyncio
import gc
import multiprocessing
import random
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, FakeListChatModel
from langchain_core.language_models.llms import BaseLLM
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult, Generation, LLMResult
from langchain_openai import ChatOpenAI
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

import nbcache
from nbcache.cache.modes import Settings
from nbcache.concurrency.single_flight import CallSite, Flights, Lease, Waiter
from nbcache.session import installation
from tests.servers.provider import Answer, Provider
from tests.support.waiting_calls import PATIENCE, waiting


@pytest.fixture(autouse=True)
def installed(tmp_path: Any) -> Iterator[None]:
    nbcache.install(tmp_path / "store")
    yield
    assert not installation.installed()._lookup.flights._leases, "a lease was left behind"


def openai(provider: Provider, **settings: Any) -> ChatOpenAI:
    return ChatOpenAI(**{"model": "gpt-4o-mini", "max_retries": 0, **provider.openai, **settings})


class Model(BaseChatModel):
    """A model of whom a test decides what a call does."""

    act: Callable[[str], str]
    name: str = "model"

    @property
    def _llm_type(self) -> str:
        return "acting"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"name": self.name}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        text = self.act(str(messages[-1].content))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(text))])


async def test_fifty_at_once_make_one_request(provider: Provider) -> None:
    model = openai(provider)
    answers = await asyncio.gather(*(model.ainvoke("q") for _ in range(50)))
    assert len(provider.requests) == 1
    assert len({answer.text for answer in answers}) == 1
    assert len({answer.id for answer in answers}) == 50
    assert len({id(answer) for answer in answers}) == 50
    told = nbcache.stats()
    assert (told.hits, told.misses) == (49, 1)


def test_a_batch_of_fifty_in_sixteen_threads_makes_one_request(provider: Provider) -> None:
    answers = openai(provider).batch(["q"] * 50, config={"max_concurrency": 16})
    assert len(provider.requests) == 1
    assert len({answer.id for answer in answers}) == 50
    assert nbcache.stats().hits == 49


async def test_an_awaited_batch_and_a_generate_with_the_same_twice_make_one_request(provider: Provider) -> None:
    model = openai(provider)
    await model.abatch(["q"] * 10)
    assert len(provider.requests) == 1
    await model.agenerate([[HumanMessage("p")], [HumanMessage("p")]])
    assert len(provider.requests) == 2
    model.generate([[HumanMessage("r")], [HumanMessage("r")]])
    assert len(provider.requests) == 3


def test_a_langgraph_fan_out_makes_one_request(provider: Provider) -> None:
    class State(TypedDict):
        question: str

    model = openai(provider)
    built = StateGraph(State)
    for name in "abcdef":
        built.add_node(name, lambda state: model.invoke(state["question"]) and {})
        built.add_edge(START, name)
    built.compile().invoke({"question": "q"})
    assert len(provider.requests) == 1
    assert nbcache.stats().hits == 5


def test_those_who_wait_share_what_is_not_kept(provider: Provider) -> None:
    cache = installation.installed()
    cache.switch(Settings("read-only"))
    assert len(set(eight_at_once(openai(provider), provider))) == 1
    assert len(provider.requests) == 1
    assert nbcache.stats().entries == 0


async def test_refresh_and_off_share_nothing(provider: Provider) -> None:
    for requests, mode in ((3, "refresh"), (6, "off")):
        with nbcache.mode(mode):
            model = openai(provider)
            await asyncio.gather(*(model.ainvoke("q") for _ in range(3)))
        assert len(provider.requests) == requests


def test_a_failure_is_its_callers_and_exactly_one_tries_next(provider: Provider) -> None:
    model = openai(provider)
    provider.fail(500)
    with ThreadPoolExecutor(8) as pool, provider.hold() as go_on:
        calls = [pool.submit(model.invoke, "q") for _ in range(8)]
        provider.wait_for(1)
        waiting(7)
        go_on.set()
        done = [call.exception(PATIENCE) for call in calls]
    assert sum(error is not None for error in done) == 1
    assert len(provider.requests) == 2


async def test_awaited_failures_too(provider: Provider) -> None:
    model = openai(provider)
    provider.fail(500, times=2)
    done = await asyncio.gather(*(model.ainvoke("q") for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(one, Exception) for one in done) == 2
    assert len(provider.requests) == 3


async def test_an_answer_that_is_no_hit_holds_nobody_up(provider: Provider) -> None:
    provider.answer(Answer("half", finish_reason="length"))
    model = openai(provider)
    answers = await asyncio.gather(*(model.ainvoke("q") for _ in range(4)))
    assert sorted(answer.text == "half" for answer in answers) == [False, False, False, True]


async def led(model: ChatOpenAI, provider: Provider) -> list[asyncio.Task[AIMessage]]:
    """A call that is being made, and two that wait for it, one after the other."""
    tasks = [asyncio.create_task(model.ainvoke("q"))]
    await asyncio.to_thread(provider.wait_for, 1)
    for count in (1, 2):
        tasks.append(asyncio.create_task(model.ainvoke("q")))
        await asyncio.to_thread(waiting, count)
    return tasks


async def test_a_cancelled_leader_lets_the_next_go_on(provider: Provider) -> None:
    model = openai(provider)
    with provider.hold() as go_on:
        tasks = await led(model, provider)
        tasks[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        await asyncio.to_thread(provider.wait_for, 2)
        go_on.set()
        answers = await asyncio.wait_for(asyncio.gather(*tasks[1:]), PATIENCE)
    assert len({answer.text for answer in answers}) == 1
    assert len(provider.requests) == 2


async def test_a_cancelled_waiter_is_nobodys_loss(provider: Provider) -> None:
    model = openai(provider)
    provider.fail(500)
    with provider.hold() as go_on:
        tasks = await led(model, provider)
        tasks[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[1]
        go_on.set()
        done = await asyncio.wait_for(asyncio.gather(tasks[0], tasks[2], return_exceptions=True), PATIENCE)
    assert [isinstance(one, Exception) for one in done] == [True, False]


async def test_the_lease_of_a_waiter_that_is_cancelled_as_it_gets_it_goes_on(provider: Provider) -> None:
    """The wake-up is on its way through the event loop when the task is cancelled."""
    model = openai(provider)
    provider.fail(500)
    with provider.hold() as go_on:
        tasks = await led(model, provider)
        (lease,) = installation.installed()._lookup.flights._leases.values()
        lease.release()  # as the leader does when it fails
        tasks[1].cancel()
        go_on.set()
        done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), PATIENCE)
    assert isinstance(done[1], asyncio.CancelledError)
    assert isinstance(done[2], AIMessage)


def test_an_interrupt_lets_the_next_go_on() -> None:
    began, go_on = threading.Event(), threading.Event()
    turns = iter(["interrupted", "answered"])

    def act(_: str) -> str:
        turn = next(turns)
        began.set()
        if turn == "interrupted":
            assert go_on.wait(PATIENCE)
            raise KeyboardInterrupt
        return turn

    model = Model(act=act)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(model.invoke, "q")
        assert began.wait(PATIENCE)
        second = pool.submit(model.invoke, "q")
        waiting(1)
        go_on.set()
        assert isinstance(first.exception(PATIENCE), KeyboardInterrupt)
        assert second.result(PATIENCE).content == "answered"


async def test_a_sync_call_within_a_coroutine_does_not_wait_for_its_own_loop(provider: Provider) -> None:
    model = openai(provider)
    with provider.hold() as go_on:
        leader = asyncio.create_task(model.ainvoke("q"))
        await asyncio.to_thread(provider.wait_for, 1)
        go_on.set()
        assert model.invoke("q").text  # the leader can't go on while this blocks the loop
        assert (await leader).text


async def test_threads_that_a_blocked_loop_waits_for_do_not_wait_for_it(provider: Provider) -> None:
    model = openai(provider)
    with provider.hold() as go_on:
        leader = asyncio.create_task(model.ainvoke("q"))
        await asyncio.to_thread(provider.wait_for, 1)
        go_on.set()
        model.batch(["q", "q"])  # blocks this loop, as a cell does that doesn't await
        await leader


def test_a_model_that_calls_itself_does_not_wait_for_itself() -> None:
    depth = []

    def act(text: str) -> str:
        depth.append(text)
        return "inner" if len(depth) > 1 else f"outer of {model.invoke(text).text}"

    model = Model(act=act)
    assert model.invoke("q").text == "outer of inner"


def test_two_models_that_call_each_other_do_not_wait_in_a_circle() -> None:
    """Each leads a call of its own, and asks within it for what the other leads."""
    both_lead, both_ask = threading.Barrier(2), threading.Barrier(2)
    models: dict[str, Model] = {}

    def ask(other: str) -> Callable[[str], str]:
        calls = iter(["outer"])

        def act(text: str) -> str:
            if next(calls, None) is None:
                both_ask.wait(PATIENCE)  # until then neither has its answer
                return "inner"
            both_lead.wait(PATIENCE)
            return f"{other}: {models[other].invoke(text).text}"

        return act

    models |= {"a": Model(act=ask("b"), name="a"), "b": Model(act=ask("a"), name="b")}
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(models[name].invoke, "q") for name in "ab"]
        assert [call.result(PATIENCE).text for call in calls] == ["b: inner", "a: inner"]


def test_batches_of_a_completion_model_that_cross_do_not_wait_in_a_circle() -> None:
    """It looks up all prompts before it makes a call: each batch holds what the other waits for."""
    both = threading.Barrier(2)

    class Completes(BaseLLM):
        @property
        def _llm_type(self) -> str:
            return "completes"

        @property
        def _identifying_params(self) -> dict[str, Any]:
            return {"name": "completes"}

        def _generate(self, prompts: list[str], *args: Any, **kwargs: Any) -> LLMResult:
            both.wait(PATIENCE)
            return LLMResult(generations=[[Generation(text=prompt.upper())] for prompt in prompts])

    model = Completes()
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.submit(model.batch, ["a", "b", "a"]), pool.submit(model.batch, ["b", "a"])
        assert one.result(PATIENCE) == ["A", "B", "A"]
        assert other.result(PATIENCE) == ["B", "A"]


def test_fallbacks_and_retries_do_not_wait_for_what_failed(provider: Provider) -> None:
    model = openai(provider)
    provider.fail(500)
    assert model.with_fallbacks([model]).invoke("q").text
    provider.fail(500)
    assert model.with_retry(wait_exponential_jitter=False).invoke("p").text
    assert len(provider.requests) == 4


def test_another_loop_is_not_waited_for(provider: Provider) -> None:
    """It may be blocked by the very thread that waits."""
    model = openai(provider)

    async def main() -> None:
        with provider.hold() as go_on:
            leader = asyncio.create_task(model.ainvoke("q"))
            await asyncio.to_thread(provider.wait_for, 1)
            go_on.set()
            other = threading.Thread(target=lambda: asyncio.run(model.ainvoke("q")))
            other.start()
            other.join(PATIENCE)  # blocks this loop
            assert not other.is_alive()
            await leader

    asyncio.run(main())


async def test_a_coroutine_waits_for_a_thread_without_holding_up_its_loop(provider: Provider) -> None:
    model = openai(provider)
    with provider.hold() as go_on:
        leader = asyncio.get_running_loop().run_in_executor(None, model.invoke, "q")
        await asyncio.to_thread(provider.wait_for, 1)
        waiter = asyncio.create_task(model.ainvoke("q"))
        await asyncio.to_thread(waiting, 1)
        go_on.set()
        assert (await waiter).text == (await leader).text
    assert len(provider.requests) == 1


def test_a_failing_store_does_not_keep_those_who_wait_from_sharing(provider: Provider) -> None:
    cache = installation.installed()

    def fails(*_: Any, **__: Any) -> None:
        raise OSError("no room")

    cache.store.put = fails  # type: ignore[method-assign]
    model = openai(provider)
    with pytest.warns(nbcache.NbcacheWarning, match="no room"):
        assert len(set(eight_at_once(model, provider))) == 1
    assert len(provider.requests) == 1


def eight_at_once(model: ChatOpenAI, provider: Provider) -> list[str]:
    """What eight threads get of which seven wait."""
    with ThreadPoolExecutor(8) as pool, provider.hold() as go_on:
        calls = [pool.submit(model.invoke, "q") for _ in range(8)]
        waiting(7)
        go_on.set()
        return [call.result(PATIENCE).text for call in calls]


def test_by_hand_nobody_waits(tmp_path: Any) -> None:
    """Without the wrapped entry points nobody would say that a call has failed."""
    from langchain_core.globals import set_llm_cache

    nbcache.uninstall()
    set_llm_cache(nbcache.NotebookCache(tmp_path / "by hand"))
    model = FakeListChatModel(responses=["x"])
    with ThreadPoolExecutor(4) as pool:
        assert {answer.content for answer in pool.map(model.invoke, ["q"] * 8)} == {"x"}
    nbcache.install(tmp_path / "store")


# All at once


class Chaos:
    """Ten thousand calls of a hundred kinds, from threads and event loops, of which many fail or are interrupted."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.model = Model(act=self.act)
        self.wrong: list[str] = []

    def act(self, text: str) -> str:
        with self.lock:
            dice = self.random.random()
        if dice < 0.2:
            raise ConnectionError(text)
        if dice < 0.25:
            raise KeyboardInterrupt
        return f"answer to {text}"

    def judge(self, text: str, answer: str) -> None:
        if answer != f"answer to {text}":
            self.wrong.append(f"{text}: {answer}")

    def in_thread(self, texts: list[str]) -> None:
        for text in texts:
            try:
                self.judge(text, self.model.invoke(text).text)
            except (ConnectionError, KeyboardInterrupt):
                continue

    async def on_loop(self, texts: list[str]) -> None:
        tasks = [asyncio.create_task(self.one(text)) for text in texts]
        for number, task in enumerate(tasks):
            if number % 7 == 0:
                await asyncio.sleep(0)
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def one(self, text: str) -> None:
        try:
            answer = await Awaited(act=self.act).ainvoke(text)
        except ConnectionError:
            return
        self.judge(text, answer.text)


class Awaited(Model):
    """Fails and answers after a turn of the event loop, as a client does."""

    async def _agenerate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        await asyncio.sleep(0)
        try:
            return self._generate(messages, stop, None)
        except KeyboardInterrupt:  # it would end the loop itself
            raise ConnectionError from None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_thousands_of_calls_with_failures_cancellations_and_interrupts() -> None:
    nbcache.uninstall()
    nbcache.install("memory://")
    chaos = Chaos(seed=4)
    texts = [f"question {chaos.random.randrange(800)}" for _ in range(4_000)]
    parts = [texts[start::16] for start in range(16)]
    threads = [threading.Thread(target=chaos.in_thread, args=(part,), daemon=True) for part in parts[:8]]
    threads += [
        threading.Thread(target=lambda part=part: asyncio.run(chaos.on_loop(part)), daemon=True) for part in parts[8:]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert not any(thread.is_alive() for thread in threads), "a deadlock, or a waiter was lost"
    assert chaos.wrong == []
    gc.collect()
    assert not installation.installed()._lookup.flights._leases


async def test_a_call_that_holds_up_the_loop_does_not_wait_for_a_thread_that_needs_it() -> None:
    loop, began = asyncio.get_running_loop(), threading.Event()

    async def told() -> None: ...

    def act(_: str) -> str:
        if threading.current_thread() is not threading.main_thread():
            began.set()
            asyncio.run_coroutine_threadsafe(told(), loop).result(PATIENCE)
        return "answer"

    model = Model(act=act)
    leader = asyncio.create_task(asyncio.to_thread(model.invoke, "q"))
    await asyncio.to_thread(began.wait, PATIENCE)
    assert model.invoke("q").content == "answer"
    assert (await leader).content == "answer"


@pytest.mark.parametrize("awaited", [False, True])
async def test_nobody_waits_longer_than_for_an_answer_of_its_own(awaited: bool, provider: Provider) -> None:
    patient, impatient = openai(provider), openai(provider, timeout=0.1)
    with provider.hold() as go_on:
        leader = asyncio.create_task(patient.ainvoke("q"))
        await asyncio.to_thread(provider.wait_for, 1)
        if awaited:
            with pytest.raises(Exception, match="timed out"):
                await impatient.ainvoke("q")
        else:
            hung = asyncio.get_running_loop().run_in_executor(None, patient.invoke, "p")
            await asyncio.to_thread(provider.wait_for, 2)
            with pytest.raises(Exception, match="timed out"):
                await asyncio.to_thread(impatient.invoke, "p")
        go_on.set()
        await leader
        if not awaited:
            await hung


async def test_a_task_that_nobody_finishes_holds_nobody_up() -> None:
    """The garbage collector closes its coroutine, in another context."""
    began = asyncio.Event()

    class Never(Awaited):
        async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
            if began.is_set():
                return await super()._agenerate(*args, **kwargs)
            began.set()
            return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    model = Never(act=lambda text: text)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # it would tell of tasks that were destroyed
    task = asyncio.create_task(model.ainvoke("q"))
    await began.wait()
    assert len(installation.installed()._lookup.flights._leases) == 1
    del task
    gc.collect()
    assert not installation.installed()._lookup.flights._leases
    assert (await asyncio.wait_for(model.ainvoke("q"), PATIENCE)).content == "q"


def test_what_was_waited_for_is_found_in_memory_afterwards(provider: Provider) -> None:
    model = openai(provider)
    eight_at_once(model, provider)
    model.invoke("q")
    cache = installation.installed()
    cache.store.get = lambda *_, **__: pytest.fail("it was read again")  # type: ignore[method-assign]
    assert model.invoke("q").text


WAITS_TO_BE_INTERRUPTED = """
import signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started the tests may have it ignored
import nbcache
from nbcache.session import installation
from langchain_core.language_models import FakeListChatModel

class Model(FakeListChatModel):
    def _call(self, *args, **kwargs):
        go_on.wait()
        return "answer"

go_on = threading.Event()
nbcache.install("memory://")
model = Model(responses=["x"])
flights = installation.installed()._lookup.flights
leader = threading.Thread(target=model.invoke, args=("q",))
leader.start()

def tell():
    while not any(lease.waiters for lease in list(flights._leases.values())):
        threading.Event().wait(0.005)
    print("waits", flush=True)

while not flights._leases:
    threading.Event().wait(0.005)
threading.Thread(target=tell).start()
try:
    model.invoke("q")
except KeyboardInterrupt:
    go_on.set()
    leader.join()
    print("interrupted", len(flights._leases), model.invoke("q").content, nbcache.stats().misses)
"""


def test_who_waits_in_a_cell_can_be_interrupted() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAITS_TO_BE_INTERRUPTED], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waits\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted 0 answer 1\n"
        assert process.wait(PATIENCE) == 0


def test_a_forked_child_does_not_wait_for_its_parents_threads(provider: Provider) -> None:
    model = openai(provider)
    with provider.hold() as go_on, ThreadPoolExecutor(1) as pool:
        leader = pool.submit(model.invoke, "q")
        provider.wait_for(1)
        child = multiprocessing.get_context("fork").Process(target=model.invoke, args=("q",))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads: that is what is tested
            child.start()
        provider.wait_for(2)
        go_on.set()
        child.join(PATIENCE)
        assert child.exitcode == 0
        assert leader.result(PATIENCE).text


def test_what_has_ended_since_is_known_by_its_key_and_taken_for_granted_where_it_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nbcache.concurrency.single_flight._LAST", 2)
    flights, here = Flights(), CallSite.here(None, on_loop=False)

    def make(key: str) -> None:
        lease = flights.join(key, here, {}, 1.0)
        assert isinstance(lease, Lease)
        lease.resolve(b"answer")

    begun = flights.ended
    make("a")
    assert flights.has_ended_since("a", begun)
    assert not flights.has_ended_since("b", begun)
    assert not flights.has_ended_since("a", flights.ended)
    later = flights.ended
    make("b")
    make("c")
    assert flights.has_ended_since("a", begun)
    assert flights.has_ended_since("x", begun)
    assert not flights.has_ended_since("a", later)


def test_while_a_call_waits_for_another_process_none_that_holds_leases_waits_for_it() -> None:
    flights, here, thread = Flights(), CallSite(1), CallSite(2)
    lease = flights.join("a", here, {}, 1.0)
    assert isinstance(lease, Lease)
    assert flights.may_wait_elsewhere(lease)
    assert flights.join("a", thread, {}, 1.0, frozenset("b")) is None
    assert isinstance(flights.join("a", thread, {}, 1.0), Waiter)


def test_a_call_that_one_with_leases_waits_for_waits_for_no_other_process() -> None:
    flights, here, thread = Flights(), CallSite(1), CallSite(2)
    lease = flights.join("a", here, {}, 1.0)
    assert isinstance(lease, Lease)
    assert isinstance(flights.join("a", thread, {}, 1.0, frozenset("b")), Waiter)
    assert not flights.may_wait_elsewhere(lease)
