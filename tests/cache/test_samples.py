"""Samples and retries: identical calls that are to get answers of their own, and the same ones in a re-run."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from langchain_core.output_parsers import JsonOutputParser, StrOutputParser
from langchain_core.outputs import Generation, LLMResult
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_openai import ChatOpenAI, OpenAI
from langgraph.graph import START, MessagesState, StateGraph

import nbcache
from nbcache.cache.samples import Attempt, Samples
from tests.servers.provider import Answer, Provider


@pytest.fixture(autouse=True)
def installed(tmp_path: Any) -> None:
    nbcache.install(tmp_path / "store")


def openai(provider: Provider, **settings: Any) -> ChatOpenAI:
    return ChatOpenAI(**{"model": "gpt-4o-mini", "max_retries": 0, **provider.openai, **settings})


def numbers(provider: Provider) -> None:
    provider.answer(*map(str, range(100)))


def drawn(model: Any, count: int) -> list[str]:
    with nbcache.mode(samples=True):
        return [model.invoke("q").text for _ in range(count)]


def test_samples_are_draws_of_their_own_and_a_rerun_replays_them(provider: Provider) -> None:
    numbers(provider)
    model = openai(provider)
    assert drawn(model, 3) == ["0", "1", "2"]
    assert drawn(model, 3) == ["0", "1", "2"]
    assert len(provider.requests) == 3


def test_more_samples_pay_only_for_the_new_ones(provider: Provider) -> None:
    numbers(provider)
    model = openai(provider)
    drawn(model, 2)
    assert drawn(model, 5) == ["0", "1", "2", "3", "4"]
    assert len(provider.requests) == 5
    assert drawn(model, 1) == ["0"]


def test_the_first_sample_is_the_plain_answer(provider: Provider) -> None:
    numbers(provider)
    model = openai(provider)
    assert model.invoke("q").text == "0"
    assert drawn(model, 2) == ["0", "1"]
    assert model.invoke("q").text == "0"


def test_another_call_has_draws_of_its_own(provider: Provider) -> None:
    numbers(provider)
    model = openai(provider)
    with nbcache.mode(samples=True):
        assert [model.invoke(q).text for q in "abab"] == ["0", "1", "2", "3"]
    with nbcache.mode(samples=True):
        assert [model.invoke(q).text for q in "aabb"] == ["0", "2", "1", "3"]


def test_a_failed_draw_gives_its_place_back(provider: Provider) -> None:
    numbers(provider)
    model = openai(provider)
    with nbcache.mode(samples=True):
        assert model.invoke("q").text == "0"
        provider.fail(500)
        with pytest.raises(Exception, match="500"):
            model.invoke("q")
        assert model.invoke("q").text == "1"
    assert drawn(model, 2) == ["0", "1"]


async def test_samples_in_parallel_are_the_same_in_a_rerun(provider: Provider) -> None:
    numbers(provider)
    model = openai(provider)

    async def at_once() -> list[str]:
        with nbcache.mode(samples=True):
            return sorted(answer.text for answer in await asyncio.gather(*(model.ainvoke("q") for _ in range(12))))

    first = await at_once()
    assert len(set(first)) == len(provider.requests) == 12
    assert await at_once() == first
    with nbcache.mode(samples=True):
        assert sorted(answer.text for answer in model.batch(["q"] * 12)) == first
    assert len(provider.requests) == 12


def test_streams_are_samples_too(provider: Provider) -> None:
    numbers(provider)
    model = openai(provider)

    def streamed() -> list[str]:
        with nbcache.mode(samples=True):
            return ["".join(chunk.text for chunk in model.stream("q")) for _ in range(3)]

    assert streamed() == streamed() == ["0", "1", "2"]
    assert drawn(model, 3) == ["0", "1", "2"]
    assert len(provider.requests) == 3


def test_a_stream_that_is_left_gives_its_draw_back(provider: Provider) -> None:
    numbers(provider)
    model = openai(provider)
    with nbcache.mode(samples=True):
        stream: Any = model.stream("q")
        next(stream)
        stream.close()
        assert [model.invoke("q").text for _ in range(2)] == ["1", "2"]
    assert drawn(model, 2) == ["1", "2"]


def test_samples_are_known_in_the_store(provider: Provider) -> None:
    numbers(provider)
    drawn(openai(provider), 3)
    keys = list(nbcache.entries()["key"])
    assert {nbcache.show(key).identity.get("draw", 0) for key in keys} == {0, 1, 2}


def test_blocks_nest_and_the_inner_one_draws_anew(provider: Provider) -> None:
    numbers(provider)
    model = openai(provider)
    with nbcache.mode(samples=True):
        assert model.invoke("q").text == "0"
        with nbcache.mode(tags="t"):  # says nothing of samples
            assert model.invoke("q").text == "1"
        with nbcache.mode(samples=True):
            assert model.invoke("q").text == "0"
        with nbcache.mode(samples=False):
            assert [model.invoke("q").text for _ in range(2)] == ["0", "0"]
        assert model.invoke("q").text == "2"


def test_the_first_free_draw_is_taken() -> None:
    samples = Samples()
    draws = [samples.take("k") for _ in range(4)]
    samples.give_back(draws[2])
    samples.give_back(draws[1])
    assert [samples.take("k").number for _ in range(3)] == [1, 2, 4]


# Retries


class RejectedError(ValueError):
    """What a parser raises."""


def wants(*accepted: str) -> Runnable[Any, str]:
    def parse(text: str) -> str:
        if text not in accepted:
            raise RejectedError(text)
        return text

    return StrOutputParser() | RunnableLambda(parse)


def retried(chain: Runnable[Any, Any], times: int = 4) -> Runnable[Any, Any]:
    return chain.with_retry(
        wait_exponential_jitter=False, stop_after_attempt=times, retry_if_exception_type=(RejectedError,)
    )


def test_a_retry_after_a_parser_is_a_new_draw_and_a_rerun_replays_the_one_that_passed(provider: Provider) -> None:
    numbers(provider)
    chain = retried(openai(provider) | wants("2"))
    assert chain.invoke("q") == "2"
    assert len(provider.requests) == 3
    assert chain.invoke("q") == "2"
    assert retried(openai(provider) | wants("2")).invoke("q") == "2"
    assert len(provider.requests) == 3


async def test_awaited_and_batched_retries_too(provider: Provider) -> None:
    numbers(provider)
    chain = retried(openai(provider) | wants("2"))
    assert await chain.ainvoke("q") == "2"
    assert await chain.abatch(["q"]) == ["2"]
    assert chain.batch(["q", "q"]) == ["2", "2"]
    assert len(provider.requests) == 3


def test_json_that_does_not_parse_is_asked_for_again(provider: Provider) -> None:
    provider.answer("no json", '{"a": 1}')
    chain = (openai(provider) | JsonOutputParser()).with_retry(wait_exponential_jitter=False)
    assert chain.invoke("q") == chain.invoke("q") == {"a": 1}
    assert len(provider.requests) == 2


def test_without_a_retry_the_first_answer_stays(provider: Provider) -> None:
    numbers(provider)
    model = openai(provider)
    assert retried(model | wants("1")).invoke("q") == "1"
    assert model.invoke("q").text == "0"
    retried(model | wants("1")).batch(["q"])
    assert model.invoke("q").text == "0"
    assert len(provider.requests) == 2


def test_a_retry_after_the_model_failed_is_no_new_draw(provider: Provider) -> None:
    numbers(provider)
    provider.fail(500)
    model = openai(provider)
    chain = model.with_retry(wait_exponential_jitter=False)
    assert chain.invoke("q").text == "0"
    assert model.invoke("q").text == "0"
    assert len(provider.requests) == 2


def test_two_calls_in_one_attempt_stay_one_call(provider: Provider) -> None:
    numbers(provider)
    model = openai(provider)

    def twice(question: str) -> str:
        answers = {model.invoke(question).text for _ in range(2)}
        assert len(answers) == 1
        if answers != {"1"}:
            raise RejectedError
        return answers.pop()

    assert retried(RunnableLambda(twice)).invoke("q") == "1"
    assert len(provider.requests) == 2


def test_retries_within_retries_never_see_a_rejected_answer_again(provider: Provider) -> None:
    numbers(provider)
    inner = retried(openai(provider) | wants("1", "3"), 2)
    chain = retried(inner | wants("3"), 2)
    assert chain.invoke("q") == "3"
    assert len(provider.requests) == 4
    assert chain.invoke("q") == "3"
    assert len(provider.requests) == 4


def test_attempts_know_what_came_before() -> None:
    first = Attempt()
    assert first.sample("k") == 0
    first.note("k")
    assert first.sample("k") == 0
    second = Attempt((2,), first.answered)
    assert (second.sample("k"), second.sample("other")) == (1, 0)
    second.note("k")
    assert Attempt((3,), first.answered).sample("k") == 2
    assert Attempt((2, 1), first.answered).sample("k") == 2


def test_threads_of_other_calls_are_not_touched_by_a_retry(provider: Provider) -> None:
    numbers(provider)
    model = openai(provider)
    chain = retried(model | wants("1"))
    with ThreadPoolExecutor(1) as pool:
        assert chain.invoke("q") == "1"
        assert pool.submit(model.invoke, "q").result().text == "0"


def test_langgraph_retries_of_a_node_go_on(provider: Provider) -> None:
    """LangGraph doesn't tell its attempts: a node that is to draw anew asks for samples."""
    from langgraph.types import RetryPolicy

    numbers(provider)
    model = openai(provider)

    def node(state: MessagesState) -> dict[str, Any]:
        said = model.invoke("q")
        if said.text != "2":
            raise RejectedError
        return {"messages": [said]}

    built = StateGraph(MessagesState)
    policy = RetryPolicy(initial_interval=0.001, max_attempts=5, retry_on=RejectedError)
    built.add_node("node", node, retry_policy=policy)
    built.add_edge(START, "node")

    def run() -> Iterator[str]:
        with nbcache.mode(samples=True):
            yield built.compile().invoke({"messages": []})["messages"][-1].text

    assert list(run()) == list(run()) == ["2"]
    assert len(provider.requests) == 3


def test_what_is_no_hit_is_drawn_again(provider: Provider) -> None:
    provider.answer(Answer("half", finish_reason="length"), "whole", "more")
    model = openai(provider)
    assert drawn(model, 2) == ["half", "whole"]
    assert drawn(model, 2) == ["more", "whole"]


def test_samples_of_a_completion_models_batch_keep_their_order(provider: Provider) -> None:
    completions = iter(range(100))

    class Numbered(OpenAI):
        def _generate(self, prompts: list[str], *args: Any, **kwargs: Any) -> LLMResult:
            return LLMResult(generations=[[Generation(text=str(next(completions)))] for _ in prompts])

    model = Numbered(model="m", **provider.openai)
    for _ in range(2):
        with nbcache.mode(samples=True):
            assert model.batch(["q"] * 3) == ["0", "1", "2"]


@pytest.mark.parametrize("outage", [ConnectionError(), httpx.ReadTimeout("late")], ids=repr)
def test_an_answer_that_nobody_rejected_is_used_again_after_an_outage(outage: Exception, provider: Provider) -> None:
    numbers(provider)
    fails = iter([outage])

    def later(text: str) -> str:
        if (error := next(fails, None)) is not None:
            raise error
        return text

    chain = (openai(provider) | StrOutputParser() | RunnableLambda(later)).with_retry(wait_exponential_jitter=False)
    assert chain.invoke("q") == "0"
    assert chain.invoke("q") == "0"
    assert len(provider.requests) == 1
