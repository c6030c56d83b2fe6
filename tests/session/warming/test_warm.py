"""A warm-up makes what is missing, and nothing else; it counts its own calls, and collects what fails."""

import asyncio
import contextvars
import io
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pandas as pd
import pytest
from langchain_core.messages import HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

import nbcache
from tests.servers.provider import Provider

PATIENCE = 30.0  # seconds
A_TOKEN = {"gpt-4o-mini": {"input": 1_000_000, "output": 1_000_000}}  # a dollar for each


@pytest.fixture
def model(provider: Provider, tmp_path: Path) -> ChatOpenAI:
    nbcache.install(tmp_path / "store", prices=A_TOKEN)
    return ChatOpenAI(model="gpt-4o-mini", max_retries=0, **provider.openai)


def counts(warmed: nbcache.Warmed) -> tuple[int, int, int]:
    return warmed.made, warmed.hits, len(warmed.failures)


def texts(provider: Provider) -> list[str]:
    """The questions that were sent."""
    return sorted(request.body["messages"][-1]["content"] for request in provider.requests)


def no_threads_are_left() -> bool:
    """Whether those of the warm-up have ended, or do so at once."""
    for thread in threading.enumerate():
        if thread.name == "nbcache-warm":
            thread.join(PATIENCE)
    return not any(thread.name == "nbcache-warm" for thread in threading.enumerate())


# What is made


def test_only_what_is_missing_is_sent(model: ChatOpenAI, provider: Provider) -> None:
    model.invoke("b")
    assert counts(nbcache.warm(model, ["a", "b", "c"])) == (2, 1, 0)
    assert texts(provider) == ["a", "b", "c"]
    assert counts(nbcache.warm(model, ["a", "b", "c"])) == (0, 3, 0)
    assert model.invoke("c")
    assert len(provider.requests) == 3


def test_what_was_made_is_paid_for_and_hits_cost_nothing(model: ChatOpenAI) -> None:
    usage = model.invoke("a").usage_metadata
    again = nbcache.warm(model, ["a"])
    assert (again.usd, again.calls, again.unpriced) == (Decimal(0), 0, 0)
    made = nbcache.warm(model, ["a", "b"])
    assert usage is not None
    assert (made.usd, made.calls, made.estimated) == (Decimal(usage["total_tokens"]), 1, 0)
    assert made.seconds > 0
    assert repr(made).startswith(f"Warmed: 1 made for ${made.usd:.2f}, 1 hit, in ")
    assert repr(again) == "Warmed: 0 made, 1 hit"


def test_a_cost_that_is_not_known_is_none(provider: Provider, store: Path) -> None:
    del store
    model = ChatOpenAI(model="nobodys", max_retries=0, **provider.openai)
    warmed = nbcache.warm(model, ["a"])
    assert (warmed.usd, warmed.calls, warmed.unpriced) == (None, 1, 1)
    assert "1 made (cost unknown), 0 hits" in repr(warmed)


def test_the_same_input_twice_is_sent_once(model: ChatOpenAI, provider: Provider) -> None:
    assert counts(nbcache.warm(model, ["a"] * 5)) == (1, 4, 0)
    assert len(provider.requests) == 1


def test_calls_that_run_beside_do_not_count(model: ChatOpenAI, provider: Provider) -> None:
    with provider.hold() as go_on:
        beside = threading.Thread(target=model.invoke, args=("other",))

        def inputs() -> Iterator[str]:
            yield "a"
            provider.wait_for(1)
            beside.start()
            provider.wait_for(2)
            go_on.set()
            beside.join()

        warmed = nbcache.warm(model, inputs())
    assert counts(warmed) == (1, 0, 0)
    assert warmed.calls == 1


def test_failures_are_returned_with_their_inputs_and_the_rest_is_made(model: ChatOpenAI, provider: Provider) -> None:
    provider.fail(500)
    warmed = nbcache.warm(model, ["a", "b", "c"], max_concurrency=1)
    assert counts(warmed) == (2, 0, 1)
    [(value, error)] = warmed.failures
    assert value == "a"
    assert "1 failure" in repr(warmed)
    assert f"; the first is 'a', {type(error).__name__}: Error code: 500" in repr(warmed)
    assert isinstance(error, openai.APIStatusError)
    assert counts(nbcache.warm(model, ["a", "b", "c"])) == (1, 2, 0)


def test_failures_come_in_the_order_of_the_inputs(store: Path) -> None:
    del store
    others_failed = threading.Event()

    def fails(number: int) -> None:
        if number == 0:
            assert others_failed.wait(PATIENCE)
        if number == 9:
            others_failed.set()
        raise ValueError(number)

    failures = nbcache.warm(fails, range(10), max_concurrency=3).failures
    assert [(value, error.args) for value, error in failures] == [(number, (number,)) for number in range(10)]


@pytest.mark.parametrize("most", [1, 3])
def test_no_more_calls_run_at_once_than_allowed(model: ChatOpenAI, provider: Provider, most: int) -> None:
    with provider.hold() as go_on:
        done: list[nbcache.Warmed] = []
        context = contextvars.copy_context()
        warming = threading.Thread(
            target=context.run,
            args=(lambda: done.append(nbcache.warm(model, map(str, range(7)), max_concurrency=most)),),
        )
        warming.start()
        provider.wait_for(most)
        with pytest.raises(TimeoutError):
            wait_for_more(provider, most)
        go_on.set()
        warming.join()
    assert counts(done[0]) == (7, 0, 0)


def wait_for_more(provider: Provider, count: int) -> None:
    """Raises TimeoutError if no more requests come in within a moment."""
    with provider._changed:
        if not provider._changed.wait_for(lambda: len(provider.requests) > count, 0.3):
            raise TimeoutError


def test_threads_end_with_the_warm_up(model: ChatOpenAI) -> None:
    nbcache.warm(model, ["a", "c"])
    assert no_threads_are_left()


# What can be warmed


def test_a_chain_is_warmed(model: ChatOpenAI, provider: Provider) -> None:
    chain = ChatPromptTemplate.from_template("What is {topic}?") | model
    inputs = [{"topic": "a"}, {"topic": "b"}]
    assert counts(nbcache.warm(chain, inputs)) == (2, 0, 0)
    assert texts(provider) == ["What is a?", "What is b?"]
    assert counts(nbcache.warm(chain, inputs)) == (0, 2, 0)


def test_a_memoized_function_is_made_once_and_costs_what_was_called_inside(model: ChatOpenAI) -> None:
    @nbcache.memoize
    def judge(question: str, strict: bool = False) -> str:
        return f"{strict} {model.invoke(question).text}"

    inputs = ["a", nbcache.args("a", strict=True), nbcache.args(question="b")]
    warmed = nbcache.warm(judge, inputs)
    assert counts(warmed) == (3, 0, 0)
    assert warmed.calls == 2  # "a" is asked once
    assert judge.cache_info().misses == 3
    assert counts(nbcache.warm(judge, inputs)) == (0, 3, 0)


def test_generators_are_read_to_their_end(model: ChatOpenAI) -> None:
    del model

    @nbcache.memoize
    def counting(to: int) -> Iterator[int]:
        yield from range(to)

    @nbcache.memoize
    async def later(to: int) -> AsyncIterator[int]:
        for number in range(to):
            yield number

    for function in (counting, later):
        assert counts(nbcache.warm(function, [2, 3])) == (2, 0, 0)
        assert counts(nbcache.warm(function, [2, 3])) == (0, 2, 0)


class Grader:
    def __init__(self, scale: int) -> None:
        self.scale = scale

    @nbcache.memoize
    def grade(self, text: str) -> int:
        return len(text) % self.scale

    @nbcache.memoize
    async def agrade(self, text: str) -> int:
        return len(text) % self.scale

    async def __call__(self, text: str) -> int:
        return await self.agrade(text)


def test_methods_and_objects_are_warmed(store: Path) -> None:
    del store
    assert counts(nbcache.warm(Grader(5).grade, ["a", "bb"])) == (2, 0, 0)
    assert counts(nbcache.warm(Grader.grade, [nbcache.args(Grader(5), "a")])) == (0, 1, 0)
    assert counts(nbcache.warm(Grader(5).agrade, ["a", "bb"])) == (2, 0, 0)
    assert counts(nbcache.warm(Grader(5), ["a", "bb"])) == (0, 2, 0)


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("make", [openai.OpenAI, openai.AsyncOpenAI])
def test_a_wrapped_clients_method_is_warmed(provider: Provider, store: Path, make: Any, streams: bool) -> None:
    del store
    client = nbcache.wrap(make(max_retries=0, **provider.openai))
    inputs = [
        nbcache.args(model="gpt-4o-mini", messages=[{"role": "user", "content": text}], stream=streams) for text in "ab"
    ]
    assert counts(nbcache.warm(client.chat.completions.create, inputs)) == (2, 0, 0)
    assert counts(nbcache.warm(client.chat.completions.create, inputs)) == (0, 2, 0)
    assert texts(provider) == ["a", "b"]


def test_embeddings_are_warmed_text_by_text_as_documents_are(provider: Provider, store: Path) -> None:
    del store
    embeddings = nbcache.wrap(
        OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False, **provider.openai)
    )
    assert counts(nbcache.warm(embeddings, ["a", "b"])) == (2, 0, 0)
    sent = len(provider.requests)
    embeddings.embed_documents(["b", "a"])
    assert counts(nbcache.warm(embeddings, ["a", "b"])) == (0, 2, 0)
    assert len(provider.requests) == sent
    assert counts(nbcache.warm(embeddings.embed_query, ["a"])) == (1, 0, 0)
    embeddings.embed_query("a")
    assert len(provider.requests) == sent + 1


def test_what_goes_past_the_cache_is_said(store: Path) -> None:
    del store
    with pytest.warns(nbcache.NbcacheWarning, match="no call of len went through the cache"):
        assert counts(nbcache.warm(len, ["a"])) == (1, 0, 0)


# Inputs


def test_inputs_are_read_as_calls_begin_in_the_callers_thread(store: Path) -> None:
    del store
    read, called, threads = list[tuple[int, int]](), list[int](), set[int]()

    def inputs() -> Iterator[int]:
        for number in range(5):
            threads.add(threading.get_ident())
            read.append((number, len(called)))
            yield number

    with pytest.warns(nbcache.NbcacheWarning):
        nbcache.warm(called.append, inputs(), max_concurrency=1)
    assert threads == {threading.get_ident()}
    assert read[-1][1] >= 3  # all but the one that runs


def test_a_column_is_a_list_of_inputs(model: ChatOpenAI) -> None:
    frame = pd.DataFrame({"question": ["a", "b"]})
    assert counts(nbcache.warm(model, frame["question"])) == (2, 0, 0)
    with pytest.raises(TypeError, match=r"a column of the DataFrame, such as df\[\"question\"\]"):
        nbcache.warm(model, frame)


@pytest.mark.parametrize("one", ["a question", b"a", {"topic": "a"}, nbcache.args("a"), HumanMessage("a"), 5])
def test_one_input_is_no_list_of_inputs(model: ChatOpenAI, provider: Provider, one: Any) -> None:
    with pytest.raises(TypeError, match="write a list of inputs"):
        nbcache.warm(model, one)
    assert not provider.requests


@pytest.mark.parametrize("most", [0, -1, 1.5, True, "8", None])
def test_a_wrong_bound_is_refused(model: ChatOpenAI, most: Any) -> None:
    with pytest.raises(ValueError, match="max_concurrency="):
        nbcache.warm(model, ["a"], max_concurrency=most)


@pytest.mark.parametrize("wrong", [ChatOpenAI, 5, "a"])
def test_what_cannot_be_called_is_refused(store: Path, wrong: Any) -> None:
    del store
    with pytest.raises(TypeError, match=r"nbcache\.warm: "):
        nbcache.warm(wrong, ["a"])


def test_inputs_before_the_model_are_told_by_what_cannot_be_called(model: ChatOpenAI) -> None:
    with pytest.raises(
        TypeError, match="str can't be called: write a model, a chain, a function or a method, and then"
    ):
        nbcache.warm("What is a monad?", model)


def test_a_failure_is_shown_in_one_short_line(store: Path) -> None:
    del store

    @nbcache.memoize
    def fails(number: int) -> None:
        raise ValueError("a\nb" * 1000 + str(number))

    shown = repr(nbcache.warm(fails, [1, 2]))
    assert shown.startswith("Warmed: 0 made, 0 hits, 2 failures; the first is 1, ValueError: a\\nba")
    assert len(shown) < 300
    assert "\n" not in shown


def test_what_the_inputs_raise_is_raised_and_what_was_made_is_kept(model: ChatOpenAI) -> None:
    def inputs() -> Iterator[str]:
        yield "a"
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        nbcache.warm(model, inputs())
    assert counts(nbcache.warm(model, ["a"])) == (0, 1, 0)
    assert no_threads_are_left()


def test_args_say_what_they_are() -> None:
    assert repr(nbcache.args("a", n=2)) == "nbcache.args('a', n=2)"
    assert nbcache.args("a", n=2) == nbcache.args("a", n=2)


# Modes


def test_nothing_is_warmed_while_the_cache_is_off() -> None:
    with pytest.raises(nbcache.NotInstalledError):
        nbcache.warm(len, ["a"])


@pytest.mark.parametrize("mode", ["off", "read-only"])
def test_a_mode_that_keeps_nothing_is_refused(model: ChatOpenAI, provider: Provider, mode: str) -> None:
    with nbcache.mode(mode), pytest.raises(ValueError, match=f"the mode is `{mode}`, in which nothing would be kept"):
        nbcache.warm(model, ["a"])
    assert not provider.requests


def test_refresh_makes_all_anew(model: ChatOpenAI, provider: Provider) -> None:
    model.invoke("a")
    with nbcache.mode("refresh", tags="fresh"):
        assert counts(nbcache.warm(model, ["a", "b"])) == (2, 0, 0)
    assert len(provider.requests) == 3
    assert set(nbcache.entries(tag="fresh").prompt) == {"a", "b"}


def test_replay_plays_and_raises_what_was_not_recorded(model: ChatOpenAI, provider: Provider) -> None:
    model.invoke("a")
    with nbcache.mode("replay"):
        assert counts(nbcache.warm(model, ["a"])) == (0, 1, 0)
        with pytest.raises(nbcache.ReplayMiss):
            nbcache.warm(model, ["a", "b"])
    assert len(provider.requests) == 1


def test_calls_inherit_the_context(store: Path) -> None:
    del store
    var = contextvars.ContextVar("var", default="")
    var.set("here")
    seen: list[str] = []
    with pytest.warns(nbcache.NbcacheWarning):
        nbcache.warm(lambda _: seen.append(var.get()), ["a"])
    assert seen == ["here"]


def test_a_warm_up_inside_of_a_function_is_a_part_of_it(model: ChatOpenAI) -> None:
    @nbcache.memoize
    def all_of(letters: str) -> int:
        return nbcache.warm(model, list(letters)).made

    warmed = nbcache.warm(all_of, ["ab"])
    assert (warmed.made, warmed.calls) == (1, 2)
    [key] = nbcache.entries(function="*all_of").key
    assert len(nbcache.show(key).calls or ()) == 2


# On an event loop


def test_async_functions_are_warmed_in_a_cell_whose_loop_runs(model: ChatOpenAI) -> None:
    async def ask(text: str) -> str:
        return (await model.ainvoke(text)).text

    async def cell() -> tuple[int, int, int]:
        return counts(nbcache.warm(ask, ["a", "b", "a"]))

    assert asyncio.run(cell()) == (2, 1, 0)
    assert no_threads_are_left()


@pytest.mark.parametrize("is_sdk", [True, False])
def test_an_async_client_works_in_the_cell_and_in_warm_ups_by_turns(
    model: ChatOpenAI, provider: Provider, monkeypatch: pytest.MonkeyPatch, is_sdk: bool
) -> None:
    """Its open connections belong to one loop, and the server keeps them open."""
    monkeypatch.setattr("tests.servers.loopback.Handler.protocol_version", "HTTP/1.1")
    client = nbcache.wrap(openai.AsyncOpenAI(max_retries=0, **provider.openai))

    async def ask(text: str) -> Any:
        if is_sdk:
            return await client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": text}]
            )
        return await model.ainvoke(text)

    async def cell() -> None:
        for number in range(3):
            await ask(f"own {number}")
            warmed = nbcache.warm(ask, [f"{number} {text}" for text in "abc"])
            assert (warmed.made, warmed.failures) == (3, ())
        await client.close()
        await model.root_async_client.close()

    asyncio.run(cell())
    assert len(provider.requests) == 12


def test_a_runnable_of_an_async_function_is_warmed(store: Path) -> None:
    del store

    @nbcache.memoize
    async def length(text: str) -> int:
        return len(text)

    @tool
    async def measure(text: str) -> int:
        """Measure it."""
        return await length(text)

    assert counts(nbcache.warm(RunnableLambda(length), ["a"])) == (1, 0, 0)
    assert counts(nbcache.warm(measure, [{"text": "a"}, {"text": "b"}])) == (1, 1, 0)


async def numbers() -> AsyncIterator[str]:
    for number in range(4):
        yield str(number)


def test_awarm_makes_what_is_missing_on_its_loop(model: ChatOpenAI, provider: Provider) -> None:
    loops = set()

    async def ask(text: str) -> str:
        loops.add(asyncio.get_running_loop())
        return (await model.ainvoke(text)).text

    async def cell() -> list[tuple[int, int, int]]:
        loops.add(asyncio.get_running_loop())
        return [
            counts(await nbcache.awarm(model, ["0", "1"])),
            counts(await nbcache.awarm(ask, numbers())),
            counts(await nbcache.awarm(model.invoke, numbers())),
        ]

    assert asyncio.run(cell()) == [(2, 0, 0), (2, 2, 0), (0, 4, 0)]
    assert len(loops) == 1
    assert len(provider.requests) == 4
    assert no_threads_are_left()


def test_awarm_collects_failures_and_bounds_the_calls(store: Path) -> None:
    del store
    running, most, two_run = 0, 0, asyncio.Event()

    @nbcache.memoize(ignore=("running", "most", "two_run"))
    async def ask(text: str) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 2:
            two_run.set()
        await asyncio.wait_for(two_run.wait(), PATIENCE)
        running -= 1
        if text == "b":
            raise ValueError(text)
        return text

    warmed = asyncio.run(nbcache.awarm(ask, list("abcdef"), max_concurrency=2))
    assert counts(warmed) == (5, 0, 1)
    assert warmed.failures[0][0] == "b"
    assert most == 2


def test_awarm_that_is_cancelled_cancels_what_runs_and_keeps_what_is_done(
    model: ChatOpenAI, provider: Provider
) -> None:
    async def cell() -> None:
        await model.ainvoke("a")
        with provider.hold():
            warming = asyncio.create_task(nbcache.awarm(model, ["a", "b", "c"]))
            await asyncio.to_thread(provider.wait_for, 3)
            warming.cancel()
            with pytest.raises(asyncio.CancelledError):
                await warming

    asyncio.run(cell())
    assert counts(nbcache.warm(model, ["a", "b", "c"])) == (2, 1, 0)


def test_awarm_refuses_what_warm_does(model: ChatOpenAI) -> None:
    with pytest.raises(TypeError, match="write a list of inputs"):
        asyncio.run(nbcache.awarm(model, "a question"))
    with nbcache.mode("off"), pytest.raises(ValueError, match="nothing would be kept"):
        asyncio.run(nbcache.awarm(model, ["a"]))


def test_awarm_raises_what_is_no_exception(model: ChatOpenAI) -> None:
    with nbcache.mode("replay"), pytest.raises(nbcache.ReplayMiss):
        asyncio.run(nbcache.awarm(model, ["a"]))


# Interrupts


INTERRUPTED = """
import signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started the tests may have it ignored
import nbcache

nbcache.install(sys.argv[1])
go_on = threading.Event()

@nbcache.memoize(ignore=("go_on", "started", "WAITS"))
def ask(number):
    if number >= 2:
        started.release()
        go_on.wait(WAITS)
    return number

started, WAITS = threading.Semaphore(0), float(sys.argv[2])

def tell():
    started.acquire()
    started.acquire()
    print("runs", flush=True)

threading.Thread(target=tell, daemon=True).start()
try:
    nbcache.warm(ask, range(100), max_concurrency=2)
except KeyboardInterrupt:
    print(sum(thread.name == "nbcache-warm" for thread in threading.enumerate()), "run", flush=True)
    go_on.set()
    for thread in threading.enumerate():
        if thread.name == "nbcache-warm":
            thread.join()
    print(len(nbcache.entries()), flush=True)
"""


@pytest.mark.parametrize(("waits", "interrupts", "run"), [(0.5, 1, 0), (60.0, 1, 2), (60.0, 2, 2)])
def test_an_interrupt_keeps_what_is_done_and_begins_nothing_more(
    tmp_path: Path, waits: float, interrupts: int, run: int
) -> None:
    """Calls that take long go on without being waited for."""
    command = [sys.executable, "-c", INTERRUPTED, str(tmp_path / "store"), str(waits)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "runs\n"
        for _ in range(interrupts):
            process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == f"{run} run\n"
        assert process.stdout.readline() == "4\n"
        assert process.wait(PATIENCE) == 0


# Progress


class Terminal(io.StringIO):
    def __init__(self) -> None:
        super().__init__()
        self.has_shown_one = threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if "1 of 2" in text:
            self.has_shown_one.set()
        return super().write(text)


def test_a_terminal_shows_one_line_with_counts_and_cost(model: ChatOpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbcache.session.progress_line._DELAY", -1.0)
    monkeypatch.setattr("nbcache.session.progress_line._INTERVAL", 0.0)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())

    def ask(text: str) -> str:
        assert text == "a" or terminal.has_shown_one.wait(PATIENCE)
        return model.invoke(text).text

    warmed = nbcache.warm(ask, ["a", "b"], max_concurrency=1)
    *earlier, last = terminal.getvalue().split("\r")
    assert last.rstrip() == f"[####################] 2 of 2, 2 made for ${warmed.usd:.2f}, 0 hits"
    assert any("1 of 2, 1 made for $" in line and " in all" in line for line in earlier)
    assert "\n" not in "".join(earlier)


@pytest.mark.parametrize("progress", [True, False])
def test_nothing_is_shown_where_nobody_reads_or_wants_it(
    model: ChatOpenAI, monkeypatch: pytest.MonkeyPatch, progress: bool
) -> None:
    monkeypatch.setattr("nbcache.session.progress_line._DELAY", -1.0)
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO() if progress else Terminal())
    nbcache.warm(model, ["a", "b"], progress=progress)
    assert stream.getvalue() == ""


def test_a_generators_inputs_have_no_total(model: ChatOpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbcache.session.progress_line._DELAY", -1.0)
    monkeypatch.setattr("nbcache.session.progress_line._INTERVAL", 0.0)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    nbcache.warm(model, (text for text in "ab"), max_concurrency=1)
    assert terminal.getvalue().split("\r")[-1].startswith("2, 2 made for $")
