"""The user's own rules: what isn't cached, what doesn't count in a prompt, what isn't kept; and one call's own mode."""

import contextvars
import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.outputs import Generation
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_openai import ChatOpenAI, OpenAI
from langgraph.graph import START, MessagesState, StateGraph

import nbcache
from nbcache import NbcacheWarning
from nbcache.cache.call import Call
from nbcache.cache.user_rules import Rules
from nbcache.keys.key import call_key
from nbcache.session import installation
from tests.servers.provider import Answer, Provider


def openai(provider: Provider, **settings: Any) -> ChatOpenAI:
    return ChatOpenAI(**{"model": "gpt-4o-mini", "max_retries": 0, **provider.openai, **settings})


# One call's own mode


@pytest.fixture
def on(tmp_path: Any) -> None:
    nbcache.install(tmp_path / "store")


def test_a_calls_metadata_is_its_mode_through_a_chain(provider: Provider, on: None) -> None:
    chain = ChatPromptTemplate.from_template("{x}") | openai(provider)
    asked = [("refresh", 2), ("off", 3), ("on", 3), ("read-only", 3)]
    chain.invoke({"x": "q"})
    for mode, requests in asked:
        chain.invoke({"x": "q"}, config={"metadata": {"nbcache": mode}})
        assert len(provider.requests) == requests
    assert nbcache.stats().entries == 1


async def test_and_through_a_graph_sync_and_async_invoked_and_streamed(provider: Provider, on: None) -> None:
    model = openai(provider)
    built = StateGraph(MessagesState)
    built.add_node("ask", lambda state: {"messages": [model.invoke(state["messages"])]})
    built.add_edge(START, "ask")
    graph = built.compile()
    asked: Any = {"messages": [HumanMessage("q", id="1")]}
    off: Any = {"metadata": {"nbcache": "off"}}
    graph.invoke(asked, off)
    await graph.ainvoke(asked, off)
    list(graph.stream(asked, off, stream_mode="messages"))
    assert len(provider.requests) == 3
    assert nbcache.stats().entries == 0


def test_a_wrong_mode_of_a_call_is_an_error(provider: Provider, on: None) -> None:
    with pytest.raises(ValueError, match=r"metadata.*refersh.*refresh"):
        openai(provider).invoke("q", config={"metadata": {"nbcache": "refersh"}})
    with pytest.raises(ValueError, match="refresh"):
        list(openai(provider).stream("q", config={"metadata": {"nbcache": "refersh"}}))
    assert provider.requests == []


def test_a_models_own_metadata_is_its_mode(provider: Provider, on: None) -> None:
    openai(provider, metadata={"nbcache": "off"}).invoke("q")
    assert nbcache.stats().entries == 0


def test_a_models_own_cache_false_is_respected(provider: Provider, on: None) -> None:
    model = openai(provider, cache=False)
    model.invoke("q")
    model.invoke("q")
    list(model.stream("q"))
    assert len(provider.requests) == 3
    assert nbcache.stats().entries == 0


# What isn't cached


@pytest.mark.parametrize("pattern", ["gpt-4o-mini", "gpt-4o*", "ChatOpenAI"])
def test_a_model_can_be_excluded(pattern: str, provider: Provider) -> None:
    nbcache.install("memory://", exclude=[pattern])
    for model in (openai(provider), openai(provider), OpenAI(model="gpt-3.5-turbo-instruct", **provider.openai)):
        model.invoke("q")
    list(openai(provider).stream("q"))
    assert len(provider.requests) == 4
    assert list(nbcache.entries()["model"]) == ["gpt-3.5-turbo-instruct"]


def test_a_tag_can_be_excluded(provider: Provider) -> None:
    nbcache.install("memory://", exclude="draft")
    model = openai(provider)
    model.invoke("q", config={"tags": ["draft"]})
    list(model.stream("q", config={"tags": ["draft"]}))
    (ChatPromptTemplate.from_template("{x}") | model).with_config(tags=["draft"]).invoke({"x": "q"})
    openai(provider, tags=["draft"]).invoke("q")
    OpenAI(model="m", **provider.openai).invoke("q", config={"tags": ["draft"]})
    assert nbcache.stats().entries == 0
    model.invoke("q")
    assert nbcache.stats().entries == 1


async def test_a_chain_can_be_excluded_by_its_name(provider: Provider) -> None:
    nbcache.install("memory://", exclude=["brain*"])
    model = openai(provider)
    inner = ChatPromptTemplate.from_template("{x}") | model
    chain: Any = (RunnableLambda(lambda x: {"x": x}) | inner).with_config(run_name="brainstorm")
    chain.invoke("q")
    await chain.ainvoke("q")
    chain.batch(["q", "r"])
    list(chain.stream("q"))
    assert nbcache.stats().entries == 0
    inner.invoke({"x": "q"})
    assert nbcache.stats().entries == 1


def test_what_is_excluded_is_counted_as_paid(provider: Provider) -> None:
    nbcache.install("memory://", exclude=["gpt-4o-mini"])
    openai(provider).invoke("q")
    openai(provider).invoke("q")
    assert (nbcache.stats().misses, nbcache.stats().hits) == (2, 0)
    assert list(nbcache.last()["why"])[-1] == "excluded"


def test_after_it_is_turned_off_nobody_watches_chains(provider: Provider) -> None:
    from nbcache.cache.chains import _chains

    nbcache.install("memory://", exclude=["x"])
    nbcache.uninstall()
    before = len(_chains._runs)
    RunnableLambda(lambda x: x).invoke("q")
    assert len(_chains._runs) == before


# What doesn't count


def ask(model: Any, clock: str) -> Any:
    return model.invoke([SystemMessage(f"It is {clock}. Be brief."), HumanMessage("q")])


def test_a_clock_in_a_system_prompt_does_not_miss_for_ever(provider: Provider) -> None:
    nbcache.install("memory://", normalize=r"It is \d\d:\d\d\.")
    model = openai(provider)
    first = ask(model, "12:00")
    assert ask(model, "12:01").text == first.text
    assert len(provider.requests) == 1
    assert "12:00" in provider.requests[0].body["messages"][0]["content"], "it is sent as it is"
    assert "12:00" in nbcache.show(nbcache.entries()["key"][0]).prompt
    model.invoke([SystemMessage("It is 12:00. Be long."), HumanMessage("q")])
    assert len(provider.requests) == 2


def test_a_function_says_what_counts_in_blocks_and_texts_too(provider: Provider) -> None:
    nbcache.install("memory://", normalize=str.lower)
    model, completes = openai(provider), OpenAI(model="m", **provider.openai)
    for text in ("Hello", "HELLO"):
        model.invoke(text)
        model.invoke([HumanMessage([{"type": "text", "text": text}])])
        completes.invoke(text)
        list(model.stream(text))
    assert len(provider.requests) == 3


def test_without_it_keys_are_as_they_were(provider: Provider) -> None:
    nbcache.install("memory://")
    ask(openai(provider), "12:00")
    keys = set(nbcache.entries()["key"])
    nbcache.clear()
    nbcache.install(installation.installed().store, normalize=["never there"])
    ask(openai(provider), "12:00")
    assert set(nbcache.entries()["key"]) == keys


def test_a_function_that_fails_costs_the_caching_not_the_call(provider: Provider) -> None:
    def fails(text: str) -> str:
        raise KeyError(text)

    nbcache.install("memory://", normalize=fails)
    with pytest.warns(NbcacheWarning, match="key of a call"):
        assert openai(provider).invoke("q").text
    assert openai(provider).invoke("q").text
    assert nbcache.stats().entries == 0


def test_settings_that_change_keep_the_rules(provider: Provider) -> None:
    nbcache.install("memory://", normalize=str.lower, exclude=["x"], should_store=bool)
    cache = installation.reinstall(max_entries=5)
    assert (cache.rules.normalize, cache.rules.exclude, cache.rules.should_store) == (str.lower, ("x",), bool)


# What isn't kept


def test_an_answer_that_the_users_rule_refuses_is_not_kept(provider: Provider) -> None:
    provider.answer("I'm sorry, no.", "Here you are.", "I'm sorry.")

    def is_helpful(answer: AIMessage | Generation) -> bool:
        return "sorry" not in answer.text

    nbcache.install("memory://", should_store=is_helpful)
    model = openai(provider)
    assert [model.invoke("q").text for _ in range(3)] == ["I'm sorry, no.", "Here you are.", "Here you are."]
    completes = OpenAI(model="m", **provider.openai)
    assert "sorry" in completes.invoke("q")
    assert "sorry" not in completes.invoke("q")
    assert nbcache.stats().misses == 4


def test_a_rule_that_fails_is_warned_of_and_keeps_nothing(provider: Provider) -> None:
    def fails(answer: Any) -> bool:
        raise ZeroDivisionError

    nbcache.install("memory://", should_store=fails)
    with pytest.warns(NbcacheWarning, match="should_store"):
        assert openai(provider).invoke("q").text
    assert nbcache.stats().entries == 0


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"exclude": [""]}, "exclude"),
        ({"exclude": [3]}, "exclude"),
        ({"exclude": 3}, "exclude"),
        ({"exclude": {"draft": 1}}, "exclude"),
        ({"normalize": 3}, "normalize"),
        ({"normalize": "("}, "normalize"),
        ({"normalize": [3]}, "normalize"),
        ({"should_store": "yes"}, "should_store"),
    ],
    ids=str,
)
def test_a_wrong_rule_is_an_error_where_it_is_made(rule: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Rules(**rule)
    with pytest.raises(ValueError, match=says):
        nbcache.install("memory://", **rule)


def test_several_patterns_each_count_out() -> None:
    rules = Rules(normalize=[r"\d+", "x"])
    assert rules.normalize is not None
    assert rules.normalize("1x2y") == "y"
    assert Rules(normalize=[]).normalize is None


def test_functions_that_refer_to_each_others_owners_have_a_key(provider: Provider) -> None:
    """Worked out without end, each would double the other."""
    owners: dict[str, Any] = {}

    def make(name: str) -> Any:
        def function(text: str) -> str:
            return str([owners[other] for other in ("a", "b")]) + name

        return function

    owners |= {"a": make("a"), "b": make("b")}
    began = time.monotonic()
    told = call_key("q", "x", Call(openai(provider), options={"hook": owners["a"]}))
    assert re.fullmatch("[0-9a-f]{40}", told.key)
    assert time.monotonic() - began < 20


def test_an_answers_status_is_counted_and_seen(provider: Provider) -> None:
    provider.answer(Answer("half", finish_reason="length"), Answer("", finish_reason="content_filter"), "fine")
    nbcache.install("memory://")
    model = openai(provider)
    for question in "abc":
        model.invoke(question)
    assert sorted(nbcache.entries()["status"]) == ["cut off", "filtered", "ok"]


@pytest.mark.parametrize("returned", [None, 3, b"x"], ids=repr)
def test_a_function_that_returns_no_text_makes_no_two_prompts_alike(returned: Any, provider: Provider) -> None:
    nbcache.install("memory://", normalize=lambda _: returned)
    model = openai(provider)
    with pytest.warns(NbcacheWarning, match="no text"):
        assert model.invoke("p").text != model.invoke("q").text


def test_a_rule_that_changes_its_mind_is_asked_each_time(provider: Provider) -> None:
    ignored = ["1"]
    nbcache.install("memory://", normalize=lambda text: text.replace(ignored[0], ""))
    model = openai(provider)
    model.invoke("id 1")
    ignored[0] = "2"
    model.invoke("id 1")
    assert len(provider.requests) == 2


def test_a_tag_that_is_no_text_is_no_name(provider: Provider) -> None:
    nbcache.install("memory://", exclude=["x"])
    tags: Any = [1]
    assert openai(provider).invoke("q", config={"tags": tags}).text


def test_a_chain_stays_excluded_however_long_it_runs(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbcache.cache.chains._RUNS", 10)
    nbcache.install("memory://", exclude=["brainstorm"])
    model, step = openai(provider), RunnableLambda(lambda x: x)

    def long(question: str) -> Any:
        for number in range(30):
            step.invoke(number)
        return model.invoke(question)

    RunnableLambda(long).with_config(run_name="brainstorm").invoke("q")
    assert nbcache.stats().entries == 0


def test_a_run_that_says_it_is_its_own_parent_is_no_endless_loop(provider: Provider) -> None:
    nbcache.install("memory://", exclude=["x"])
    model, run_id = openai(provider), uuid.uuid4()
    inner: Any = RunnableLambda(lambda x: x) | model
    outer: Any = RunnableLambda(lambda x, config: inner.invoke(x, {**config, "run_id": run_id}))
    assert outer.invoke("q", {"run_id": run_id}).text


def test_an_async_rule_is_refused() -> None:
    async def later(_: Any) -> bool:
        return True

    with pytest.raises(ValueError, match="should_store"):
        Rules(should_store=later)  # type: ignore[arg-type]


def test_a_block_in_a_generator_that_is_read_in_several_threads_is_in_nobodys_way(provider: Provider, on: None) -> None:
    def answers() -> Any:
        with nbcache.mode("off"):
            for question in "ab":
                yield openai(provider).invoke(question).text

    generator = answers()

    def read() -> str:
        return str(contextvars.copy_context().run(lambda: next(generator, "")))

    with ThreadPoolExecutor(2) as pool:
        texts = [pool.submit(read).result() for _ in range(3)]
    assert texts[-1] == ""
