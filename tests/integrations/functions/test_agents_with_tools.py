"""Agents whose tools are wrapped: a run is recorded whole, and comes back without a model, a network or a tool."""

from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import wrap_tool_call
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import ToolException, tool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

import nbcache
from nbcache.cache.misses.swallowed import take_swallowed
from tests.integrations.functions.runs import note
from tests.servers.provider import Answer, Provider


@tool
def population(city: str) -> str:
    """How many people live in a city."""
    note(city)
    return f"{city}: {len(city) * 1000}"


@tool
async def area(city: str) -> str:
    """How large a city is."""
    note(city)
    return f"{city}: {len(city)} ha"


def model(provider: Provider, name: str = "gpt-4o-mini") -> ChatOpenAI:
    return ChatOpenAI(model=name, max_retries=0, **provider.openai)


QUESTION = {"messages": [HumanMessage("Which is bigger?")]}


def said(messages: list[Any]) -> list[Any]:
    """What messages say, and which request they answer, without their own ids."""
    return [(message.type, message.content, getattr(message, "tool_call_id", None)) for message in messages]


def test_a_run_replays_whole_without_a_server(provider: Provider, store: Path, runs: list[Any]) -> None:
    provider.answer(
        Answer(tool_calls=(("population", {"city": "Ulm"}), ("population", {"city": "Bonn"}))),
        Answer(tool_calls=(("population", {"city": "Ulm"}),)),
        "Bonn is.",
    )

    def run() -> list[Any]:
        agent: Any = create_agent(model(provider), tools=nbcache.wrap([population]))
        return list(agent.invoke(QUESTION)["messages"])

    first = run()
    assert sorted(runs) == ["Bonn", "Ulm"]  # Ulm was asked for twice
    nbcache.uninstall()
    nbcache.install(store, mode="replay")
    again = run()
    assert said(again) == said(first)
    assert [message.name for message in again if isinstance(message, ToolMessage)] == ["population"] * 3
    assert len(runs) == 2
    assert len(provider.requests) == 3
    by_kind = nbcache.stats(by="kind")
    assert (by_kind.hits["call"], by_kind.hits["tool"], by_kind.misses["tool"]) == (3, 3, 0)


async def test_a_run_that_is_awaited_or_streamed_too(provider: Provider, store: Path, runs: list[Any]) -> None:
    provider.answer(Answer(tool_calls=(("population", {"city": "Ulm"}), ("area", {"city": "Ulm"}))), "It is small.")

    def agent() -> Any:
        return create_agent(model(provider), tools=nbcache.wrap([population, area]))

    first = (await agent().ainvoke(QUESTION))["messages"]
    assert len(runs) == 2
    with nbcache.mode("replay"):
        assert said((await agent().ainvoke(QUESTION))["messages"]) == said(first)
        streamed = [message async for message, _ in agent().astream(QUESTION, stream_mode="messages")]
        assert sorted(message.content for message in streamed if isinstance(message, ToolMessage)) == [
            "Ulm: 3 ha",
            "Ulm: 3000",
        ]
    assert len(runs) == 2
    assert len(provider.requests) == 2


def graph(provider: Provider, tools: list[Any], **options: Any) -> Any:
    asking = model(provider).bind_tools(tools)
    built: Any = StateGraph(MessagesState)
    built.add_node("ask", lambda state: {"messages": [asking.invoke(state["messages"])]})
    built.add_node("tools", ToolNode(tools, **options))
    built.add_edge(START, "ask")
    built.add_conditional_edges("ask", tools_condition)
    built.add_edge("tools", "ask")
    return built.compile()


@pytest.mark.parametrize("options", [{}, {"handle_tool_errors": True}], ids=["plain", "errors handled"])
def test_in_replay_a_tools_call_that_was_not_recorded_ends_the_run(
    provider: Provider, store: Path, runs: list[Any], options: dict[str, Any]
) -> None:
    provider.answer(Answer(tool_calls=(("population", {"city": "Ulm"}),)), "It is small.")
    graph(provider, [population], **options).invoke(QUESTION)
    assert runs == ["Ulm"]
    with nbcache.mode("replay"), pytest.raises(nbcache.ReplayMiss, match="population"):
        graph(provider, nbcache.wrap([population]), **options).invoke(QUESTION)
    assert runs == ["Ulm"]
    take_swallowed()


def test_an_error_that_the_node_tells_the_model_of_is_not_kept(
    provider: Provider, store: Path, runs: list[Any]
) -> None:
    @tool
    def fails_once(city: str) -> str:
        """Fail at first."""
        note(city)
        if once:
            once.clear()
            raise ToolException("not now")
        return f"{city} is small"

    once = [True]
    provider.answer(Answer(tool_calls=(("fails_once", {"city": "Ulm"}),)), "I can't say.", "It is small.")
    agent = graph(provider, nbcache.wrap([fails_once], ignore="once"), handle_tool_errors=True)
    (failed,) = [message for message in agent.invoke(QUESTION)["messages"] if isinstance(message, ToolMessage)]
    assert failed.status == "error"
    (message,) = [message for message in agent.invoke(QUESTION)["messages"] if isinstance(message, ToolMessage)]
    assert (message.status, message.content) == ("success", "Ulm is small")
    assert runs == ["Ulm", "Ulm"]


def test_middleware_around_tools_sees_hits_too(provider: Provider, store: Path, runs: list[Any]) -> None:
    provider.answer(Answer(tool_calls=(("population", {"city": "Ulm"}),)), "It is small.")
    seen = []

    @wrap_tool_call
    def watched(request: Any, handler: Any) -> Any:
        seen.append(request.tool_call["name"])
        return handler(request)

    agent: Any = create_agent(model(provider), tools=nbcache.wrap([population]), middleware=[watched])
    for _ in range(2):
        assert agent.invoke(QUESTION)["messages"][-1].content == "It is small."
    assert seen == ["population"] * 2
    assert runs == ["Ulm"]


def test_a_tool_that_ends_the_run_does_so_from_the_cache(provider: Provider, store: Path, runs: list[Any]) -> None:
    @tool(return_direct=True)
    def final(city: str) -> str:
        """The last word."""
        note(city)
        return f"{city}!"

    provider.answer(Answer(tool_calls=(("final", {"city": "Ulm"}),)), "never said")
    for _ in range(2):
        agent: Any = create_agent(model(provider), tools=nbcache.wrap([final]))
        assert agent.invoke(QUESTION)["messages"][-1].content == "Ulm!"
    assert runs == ["Ulm"]
    assert len(provider.requests) == 1


def test_what_a_tools_own_calls_would_cost_is_what_a_hit_saves(provider: Provider, tmp_path: Path) -> None:
    nbcache.install(tmp_path / "store", prices={"gpt-4o": {"input": 1_000, "output": 1_000}})
    inner = model(provider, "gpt-4o")

    @tool
    def think(about: str) -> str:
        """Think about something."""
        return str(inner.invoke(about).text)

    cached = nbcache.wrap(think)
    cached.invoke("rain")
    spent = nbcache.stats().spent_usd
    assert spent
    assert cached.invoke("rain") == cached.invoke("rain")
    stats = nbcache.stats(by="kind")
    assert stats.saved_usd["tool"] == 2 * spent
    assert stats.spent_usd["tool"] == 0
    assert len(provider.requests) == 1


def test_a_model_that_is_told_of_wrapped_tools_is_told_the_same(provider: Provider, store: Path) -> None:
    model(provider).bind_tools([population, area]).invoke("q")
    model(provider).bind_tools(nbcache.wrap([population, area])).invoke("q")
    assert len(provider.requests) == 1
    assert isinstance(model(provider).bind_tools(nbcache.wrap([area])).invoke("q"), AIMessage)
    assert len(provider.requests) == 2
