"""How much longer somebody would have waited: each number is worked out by hand from when calls were made."""

import asyncio
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

import nbcache
from nbcache.concurrency.strands import Strand, strand_here
from nbcache.costs.time_saved import Span, Waits
from nbcache.entry.stats import Stats
from tests.support.paths import GOLDEN

TOOK = 0.4  # seconds of a call that is made


class Slow(BaseChatModel):
    """A model that takes its time, and as many callers at once as there are."""

    name_of: str = "slow"

    @property
    def _llm_type(self) -> str:
        return "slow"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"name_of": self.name_of}

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        time.sleep(TOOK)
        return ChatResult(generations=[ChatGeneration(message=AIMessage("Hi."))])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: Any = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> ChatResult:
        await asyncio.sleep(TOOK)
        return ChatResult(generations=[ChatGeneration(message=AIMessage("Hi."))])


Cell = Callable[[Any], Any]
QUESTIONS = [f"question {number}" for number in range(6)]


def in_sequence(llm: Any) -> None:
    for question in QUESTIONS:
        llm.invoke(question)


def awaited_in_sequence(llm: Any) -> None:
    async def cell() -> None:
        for question in QUESTIONS:
            await llm.ainvoke(question)

    asyncio.run(cell())


def streamed_in_sequence(llm: Any) -> None:
    for question in QUESTIONS:
        list(llm.stream(question))


def gathered(llm: Any) -> None:
    async def cell() -> None:
        await asyncio.gather(*map(llm.ainvoke, QUESTIONS))

    asyncio.run(cell())


def in_threads(llm: Any) -> None:
    threads = [threading.Thread(target=llm.invoke, args=(question,)) for question in QUESTIONS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def in_a_pool(llm: Any) -> None:
    with ThreadPoolExecutor(len(QUESTIONS)) as pool:
        list(pool.map(llm.invoke, QUESTIONS))


def in_a_batch(llm: Any) -> None:
    llm.batch(QUESTIONS, config={"max_concurrency": len(QUESTIONS)})


def two_at_a_time_in_a_batch(llm: Any) -> None:
    llm.batch(QUESTIONS, config={"max_concurrency": 2})


def two_at_a_time(llm: Any) -> None:
    async def cell() -> None:
        two = asyncio.Semaphore(2)

        async def one(question: str) -> None:
            async with two:
                await llm.ainvoke(question)

        await asyncio.gather(*map(one, QUESTIONS))

    asyncio.run(cell())


def one_then_three_then_two(llm: Any) -> None:
    async def cell() -> None:
        await llm.ainvoke(QUESTIONS[0])
        await asyncio.gather(*map(llm.ainvoke, QUESTIONS[1:4]))
        for question in QUESTIONS[4:]:
            await llm.ainvoke(question)

    asyncio.run(cell())


def three_chains_of_two(llm: Any) -> None:
    async def cell() -> None:
        async def chain(number: int) -> None:
            await llm.ainvoke(QUESTIONS[number])
            await llm.ainvoke(QUESTIONS[number + 3])

        await asyncio.gather(*map(chain, range(3)))

    asyncio.run(cell())


# How many times a call's seconds the cell takes from its first call to its last.
CELLS: dict[Cell, int] = {
    in_sequence: 6,
    awaited_in_sequence: 6,
    streamed_in_sequence: 6,
    gathered: 1,
    in_threads: 1,
    in_a_pool: 1,
    in_a_batch: 1,
    two_at_a_time_in_a_batch: 3,
    two_at_a_time: 3,
    one_then_three_then_two: 4,
    three_chains_of_two: 2,
}
cells = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.__name__)


def stats(**which: Any) -> Stats:
    found = nbcache.stats(**which)
    assert isinstance(found, Stats)
    return found


class Saved:
    """What `again` saves where `record` has paid, and the least and the most that it can."""

    def __init__(self, folder: Path, record: Cell, again: Cell) -> None:
        cache = nbcache.install(folder)
        llm = Slow()
        cache.enter_cell("one")
        record(llm)
        cache.enter_cell("two")
        began = time.perf_counter()
        again(llm)
        hits = time.perf_counter() - began
        self.stats = stats()
        assert self.stats.hits == len(QUESTIONS)
        took = nbcache.entries().seconds
        self.waited = self.stats.saved_seconds or 0.0
        self.least, self.most = CELLS[again] * took.min() - hits, CELLS[again] * took.max()
        assert took.sum() - 6 * hits <= (self.stats.model_seconds or 0.0) <= took.sum()


@cells
def test_a_cell_saves_the_time_that_it_took_before(cell: Cell, tmp_path: Path) -> None:
    found = Saved(tmp_path, cell, cell)
    assert found.least <= found.waited <= found.most


@pytest.mark.parametrize("cell", [gathered, in_threads, in_a_pool, in_a_batch], ids=lambda cell: cell.__name__)
@pytest.mark.slow
def test_calls_at_once_save_the_time_of_one_however_they_were_recorded(cell: Cell, tmp_path: Path) -> None:
    found = Saved(tmp_path, in_sequence, cell)
    assert found.least <= found.waited <= found.most


@pytest.mark.parametrize("cell", [in_sequence, awaited_in_sequence], ids=lambda cell: cell.__name__)
def test_calls_in_sequence_save_the_time_of_all_however_they_were_recorded(cell: Cell, tmp_path: Path) -> None:
    found = Saved(tmp_path, gathered, cell)
    assert found.least <= found.waited <= found.most


def test_each_item_of_a_pool_has_a_strand_of_its_own() -> None:
    def strand(_: int) -> int:
        return strand_here().number

    for _ in range(150):
        with ThreadPoolExecutor(
            2
        ) as pool:  # a thread takes several items, each of which is made where an earlier one was
            assert len(set(pool.map(strand, range(6)))) == 6


def test_calls_that_overlapped_are_at_once_however_long_their_answers_took_to_be_kept(tmp_path: Path) -> None:
    keeping = {"the first": 0.0, "another": TOOK / 2, "the last": 2.5 * TOOK}

    def keep(message: Any) -> bool:
        time.sleep(keeping[message.content])
        return True

    class Echo(Slow):
        def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
            time.sleep(TOOK)
            return ChatResult(generations=[ChatGeneration(message=AIMessage(messages[0].content))])

    cache = nbcache.install(tmp_path, should_store=keep)
    llm = Echo()
    for number in range(2):
        cache.enter_cell(str(number))
        with ThreadPoolExecutor(len(keeping)) as pool:
            list(pool.map(llm.invoke, keeping))
    assert stats().hits == len(keeping)
    assert (stats().saved_seconds or 0.0) <= nbcache.entries().seconds.max()


def test_a_hit_beside_a_longer_call_saves_no_time(tmp_path: Path) -> None:
    cache = nbcache.install(tmp_path)
    llm = Slow()
    cache.enter_cell("one")
    llm.invoke("known")
    took = nbcache.entries().seconds.sum()
    cache.enter_cell("two")

    async def cell() -> None:
        async def longer() -> None:
            await llm.ainvoke("new")
            await llm.ainvoke("and another")

        await asyncio.gather(llm.ainvoke("known"), longer())

    asyncio.run(cell())
    found = stats()
    assert (found.hits, found.misses) == (1, 3)
    assert found.saved_seconds == 0
    assert 0 < (found.model_seconds or 0.0) <= took


def test_what_waits_for_the_same_call_saves_no_time(tmp_path: Path) -> None:
    nbcache.install(tmp_path)
    Slow().batch(["the same"] * 5)
    assert (stats().hits, stats().misses) == (4, 1)
    assert (stats().saved_seconds or 0.0) < TOOK / 2


def test_cells_add_up_and_the_ledger_keeps_both_figures(tmp_path: Path) -> None:
    cache = nbcache.install(tmp_path)
    llm = Slow()
    gathered(llm)
    for name in ("two", "three"):
        cache.enter_cell(name)
        gathered(llm)
    now, took = stats(), nbcache.entries().seconds
    cells = [row.saved_seconds for row in cache.ledger.cells()[-2:]]
    assert all(0 < seconds <= took.max() for seconds in cells)
    assert now.saved_seconds == pytest.approx(sum(cells))
    assert sum(cells) < (now.model_seconds or 0.0) / 2
    nbcache.uninstall()
    nbcache.install(tmp_path)
    for found in (stats(lifetime=True), stats(scope="folder", lifetime=True)):
        assert found.saved_seconds == pytest.approx(now.saved_seconds)
        assert found.model_seconds == pytest.approx(now.model_seconds)
    assert nbcache.history().saved_seconds.sum() == pytest.approx(now.saved_seconds)


def test_models_that_are_called_at_once_share_what_is_saved(tmp_path: Path) -> None:
    cache = nbcache.install(tmp_path)
    models = [Slow(name_of=name) for name in ("a", "b")]

    async def cell() -> None:
        await asyncio.gather(*(llm.ainvoke("the question") for llm in models))

    for name in ("one", "two"):
        cache.enter_cell(name)
        asyncio.run(cell())
    frame = nbcache.stats(by="model")
    assert frame.saved_seconds.sum() == pytest.approx(stats().saved_seconds)
    assert (frame.saved_seconds > 0).all()
    assert (frame.saved_seconds < frame.model_seconds).all()


def test_what_an_older_release_has_saved_is_time_of_the_models(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "store_v2", tmp_path / "store")
    nbcache.install(tmp_path / "store")
    found = stats(scope="folder", lifetime=True)
    assert found.hits
    assert found.saved_seconds is None
    assert found.untimed_hits == found.hits
    assert found.model_seconds


# The rule, on made-up times


def root() -> Strand:
    return Strand(None, 1, is_task=False)


def test_thirty_at_once_save_the_time_of_the_longest() -> None:
    cell, waits = root(), Waits()
    spans = [
        Span(Strand(cell, 1, is_task=True), number / 1000, 0.1 + number / 1000, 2.4 + number / 50, 100.0)
        for number in range(30)
    ]
    assert waits.add(spans) == pytest.approx(2.4 + 29 / 50 + 0.029 - 0.129)


def test_the_time_that_a_cell_takes_for_itself_is_not_saved() -> None:
    cell, waits = root(), Waits()
    # A hit, five seconds of the cell's own, and another hit: 2 x (3 - 0.5)
    assert waits.add([Span(cell, 0, 0.5, 3, 10), Span(cell, 5.5, 6, 3, 20)]) == pytest.approx(5)


def test_calls_that_begin_at_intervals_overlap() -> None:
    cell, waits = root(), Waits()
    # Each second one that takes 10: the last would have ended at 4 + 10, and did at 4.
    spans = [Span(Strand(cell, 1, is_task=True), n, n, 10, 100 + n + 10) for n in range(5)]
    assert waits.add(spans) == pytest.approx(10)


@given(
    calls=st.lists(
        st.tuples(st.integers(0, 4), st.floats(0, 9), st.floats(0, 2), st.floats(0, 5), st.none() | st.floats(0, 50)),
        max_size=30,
    ),
    tasks=st.booleans(),
    pieces=st.integers(1, 4),
)
def test_no_cell_saves_more_than_its_hits_or_less_than_nothing(
    calls: list[tuple[int, float, float, float, float | None]], *, tasks: bool, pieces: int
) -> None:
    cell = root()
    strands = [cell, *(Strand(cell, 1, is_task=tasks) for _ in range(2))]
    strands += [Strand(strands[1], 1, is_task=tasks) for _ in range(2)]
    spans = [
        Span(strands[whose], began, began + took, would if recorded is not None else 0.0, recorded)
        for whose, began, took, would, recorded in calls
    ]
    waits = Waits()
    size = max(1, -(-len(spans) // pieces))
    found = [waits.add(spans[at : at + size]) for at in range(0, len(spans), size)]
    most = sum(max(0.0, span.seconds - (span.ended - span.began)) for span in spans)
    for saved_seconds in found:
        assert 0 <= saved_seconds <= most + 1e-6
